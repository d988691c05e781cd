/* SPDX-License-Identifier: MIT */
/* Members of JSON objects. */
#ifndef TOOLS_CLI_JSON_PUT_H
#define TOOLS_CLI_JSON_PUT_H

#include <json-c/json.h>
#include <stdint.h>

/* Without a text there is no member. */
static inline void put_text(struct json_object *to, const char *key, const char *text)
{
    if (text)
        json_object_object_add(to, key, json_object_new_string(text));
}

static inline void put_number(struct json_object *to, const char *key, int64_t number)
{
    json_object_object_add(to, key, json_object_new_int64(number));
}

#endif

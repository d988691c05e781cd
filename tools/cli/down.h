/* SPDX-License-Identifier: MIT */
/*
 * Guests that have no domain just now: one that waits for its restart, or that could not be started
 * again. Their records in xenstore are all there is of them.
 */
#ifndef TOOLS_CLI_DOWN_H
#define TOOLS_CLI_DOWN_H

#include <stdbool.h>
#include <stdint.h>

struct host;
struct json_object;

struct down_guest {
    uint8_t uuid[16];
    char name[64];
    char *reason;          /* why it could not be started; NULL: it waits for its restart */
    int64_t restart_at;    /* seconds since 1970; 0: it is not restarted */
    unsigned int restarts; /* since it was created */
};

/* Their number; free with down_free. */
unsigned int down_list(struct host *h, struct down_guest **out);
void down_free(struct down_guest *list, unsigned int n);

/* Forgets the guest of this name: it does not come back. False if there is none. */
bool down_forget(struct host *h, const char *name);

/* "restarts in 4 s (3 restarts)", "cannot be started: ..."; to free(). */
char *down_text(const struct down_guest *g);
struct json_object *down_json(const struct down_guest *g);

#endif

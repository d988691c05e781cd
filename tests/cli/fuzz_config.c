/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as configuration file, as overrides, as disk, vif and CPU list. What is accepted must
 * survive the way to JSON and back.
 */
#include "tools/cli/config.h"
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool good)
{
    if (!good)
        abort();
}

static void round_trip(const struct guest_config *cfg)
{
    struct config_errors errors = { 0 };
    struct json_object *json = config_to_json(cfg), *again;
    struct guest_config copy;

    must(config_from_json(&copy, json, &errors));
    again = config_to_json(&copy);
    must(strcmp(json_object_to_json_string(json), json_object_to_json_string(again)) == 0);
    json_object_put(json);
    json_object_put(again);
    config_free(&copy);
}

static void try_parts(const char *text)
{
    struct config_errors errors = { 0 };
    struct disk_config disk;
    struct vif_config vif;
    uint8_t bitmap[2];

    if (disk_config_parse(&disk, text, "fuzz", &errors))
        disk_config_free(&disk);
    if (vif_config_parse(&vif, text, "fuzz", &errors))
        vif_config_free(&vif);
    cpulist_resolve(text, 13, NULL, bitmap);
    config_errors_free(&errors);
}

/* A JSON text of any content. */
static void try_json(const char *text)
{
    struct config_errors errors = { 0 };
    struct json_object *json = json_tokener_parse(text);
    struct guest_config cfg;

    if (json && config_from_json(&cfg, json, &errors)) {
        round_trip(&cfg);
        config_free(&cfg);
    }
    json_object_put(json);
    config_errors_free(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct config_errors errors = { 0 };
    struct guest_config cfg;
    char *text, *override[2] = { NULL };
    bool good;

    if (n < 1)
        return 0;
    text = malloc(n);
    memcpy(text, p + 1, n - 1);
    text[n - 1] = 0;
    override[0] = text;
    if (p[0] % 4 == 0)
        good = config_parse(&cfg, "/etc/fuzz.cfg", "name='a' kernel='b'\nmemory=1", 29, override, 1,
                            &errors);
    else
        good = config_parse(&cfg, "/etc/fuzz.cfg", text, n - 1, NULL, 0, &errors);
    must(good == !errors.count);
    if (good) {
        round_trip(&cfg);
        config_free(&cfg);
    }
    config_errors_free(&errors);
    if (p[0] % 4 == 2)
        try_parts(text);
    if (p[0] % 4 == 3)
        try_json(text);
    free(text);
    return 0;
}

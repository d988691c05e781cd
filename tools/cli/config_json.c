/* SPDX-License-Identifier: MIT */
/*
 * Configurations as JSON, under the names of the keys. Reading goes the way of a file: the JSON is
 * turned into settings (devices into their specification strings), which pass the same checks.
 * Records outlive the program that wrote them: members that a newer one added are passed over,
 * those of the configuration itself are kept for it.
 */
#include "tools/cli/config.h"
#include "tools/cli/config_keys.h"
#include "tools/cli/config_spec.h"
#include "tools/cli/json_put.h"
#include "tools/lib/util.h"
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char stored[] = "stored configuration";

/* --- writing --- */

static void put_bool(struct json_object *to, const char *key, bool value)
{
    json_object_object_add(to, key, json_object_new_boolean(value));
}

static void put_affinity(struct json_object *to, const char *key, const struct affinity_config *a)
{
    struct json_object *list;

    if (!a->per_vcpu) {
        put_text(to, key, a->count ? a->list[0] : NULL);
        return;
    }
    list = json_object_new_array();
    for (unsigned i = 0; i < a->count; i++)
        json_object_array_add(list, json_object_new_string(a->list[i]));
    json_object_object_add(to, key, list);
}

struct json_object *disk_config_to_json(const struct disk_config *disk)
{
    struct json_object *j = json_object_new_object();

    put_text(j, "script", disk->script);
    put_text(j, "target", disk->target);
    put_text(j, "format", disk_format_name(disk->format));
    put_text(j, "vdev", disk->vdev);
    put_text(j, "access", disk->readonly ? "ro" : "rw");
    put_bool(j, "cdrom", disk->cdrom);
    put_bool(j, "discard", disk->discard);
    put_bool(j, "trusted", !disk->untrusted);
    return j;
}

struct json_object *vif_config_to_json(const struct vif_config *vif)
{
    struct json_object *j = json_object_new_object();
    char text[80];

    if (vif->devid != VIF_DEVID_ANY)
        put_number(j, "devid", vif->devid);
    if (vif->has_mac) {
        mac_format(text, vif->mac);
        put_text(j, "mac", text);
    }
    put_text(j, "bridge", vif->bridge);
    put_text(j, "ip", vif->ip);
    put_text(j, "vifname", vif->vifname);
    if (vif->rate_bytes) {
        /* Rounded up, so that reading it gives the same bytes an interval. */
        unsigned __int128 rate = (unsigned __int128)vif->rate_bytes * 1000000 + vif->rate_us - 1;

        snprintf(text, sizeof(text), "%" PRIu64 "B/s@%uus", (uint64_t)(rate / vif->rate_us),
                 vif->rate_us);
        put_text(j, "rate", text);
    }
    put_text(j, "script", vif->script);
    put_text(j, "gatewaydev", vif->gatewaydev);
    if (vif->kind != VIF_UNSAID)
        put_text(j, "type", vif->kind == VIF_EMULATED ? "ioemu" : "vif");
    put_text(j, "model", vif->model);
    if (vif->mtu)
        put_number(j, "mtu", vif->mtu);
    put_bool(j, "trusted", !vif->untrusted);
    return j;
}

static void put_devices(struct json_object *to, const struct guest_config *cfg)
{
    struct json_object *disks = json_object_new_array(), *vifs = json_object_new_array();

    for (unsigned i = 0; i < cfg->nr_disks; i++)
        json_object_array_add(disks, disk_config_to_json(&cfg->disks[i]));
    for (unsigned i = 0; i < cfg->nr_vifs; i++)
        json_object_array_add(vifs, vif_config_to_json(&cfg->vifs[i]));
    json_object_object_add(to, "disk", disks);
    json_object_object_add(to, "vif", vifs);
}

static void put_screen(struct json_object *to, const struct screen_config *screen)
{
    put_bool(to, "vnc", screen->vnc);
    put_text(to, "vnclisten", screen->listen);
    put_number(to, "vncdisplay", screen->display);
    put_bool(to, "vncunused", !screen->only);
    put_text(to, "vncpasswd", screen->password);
    put_text(to, "keymap", screen->keymap);
}

static void put_viridian(struct json_object *to, unsigned groups)
{
    struct json_object *list = json_object_new_array();

    for (unsigned bit = 1; viridian_name(bit); bit <<= 1) {
        if (groups & bit)
            json_object_array_add(list, json_object_new_string(viridian_name(bit)));
    }
    json_object_object_add(to, "viridian", list);
}

static void put_pc(struct json_object *to, const struct screen_config *screen)
{
    struct json_object *devices = json_object_new_array();

    put_text(to, "vga", vga_name(screen->vga));
    if (screen->vga != VGA_NONE)
        put_number(to, "videoram", screen->videoram_mb);
    put_bool(to, "usb", screen->usb);
    for (unsigned bit = 1; usb_device_name(bit); bit <<= 1) {
        if (screen->usb_devices & bit)
            json_object_array_add(devices, json_object_new_string(usb_device_name(bit)));
    }
    json_object_object_add(to, "usbdevice", devices);
}

struct json_object *config_to_json(const struct guest_config *cfg)
{
    struct json_object *j = json_object_new_object();
    char uuid[UUID_TEXT];

    put_text(j, "file", cfg->file);
    put_text(j, "name", cfg->name);
    put_text(j, "type", guest_type_name(cfg->type));
    if (cfg->has_uuid) {
        uuid_to_text(cfg->uuid, uuid);
        put_text(j, "uuid", uuid);
    }
    put_text(j, "kernel", cfg->kernel);
    put_text(j, "ramdisk", cfg->ramdisk);
    put_text(j, "cmdline", cfg->cmdline);
    put_number(j, "memory", cfg->memory_mb);
    put_number(j, "maxmem", cfg->maxmem_mb);
    put_number(j, "vcpus", cfg->vcpus);
    put_number(j, "maxvcpus", cfg->maxvcpus);
    put_affinity(j, "cpus", &cfg->cpus);
    put_affinity(j, "cpus_soft", &cfg->cpus_soft);
    put_number(j, "cpu_weight", cfg->cpu_weight);
    put_number(j, "cap", cfg->cap);
    put_text(j, "pool", cfg->pool);
    put_text(j, "on_poweroff", guest_action_name(cfg->on_poweroff));
    put_text(j, "on_reboot", guest_action_name(cfg->on_reboot));
    put_text(j, "on_crash", guest_action_name(cfg->on_crash));
    put_text(j, "on_watchdog", guest_action_name(cfg->on_watchdog));
    put_devices(j, cfg);
    put_text(j, "boot", cfg->boot);
    put_text(j, "serial", cfg->serial);
    put_text(j, "firmware", cfg->uefi ? "uefi" : NULL);
    put_text(j, "hdtype", cfg->ahci ? "ahci" : NULL);
    put_text(j, "device_model_override", cfg->device_model);
    if (cfg->type == GUEST_HVM)
        put_pc(j, &cfg->screen);
    if (cfg->viridian)
        put_viridian(j, cfg->viridian);
    if (cfg->type == GUEST_HVM || cfg->screen.vnc)
        put_screen(j, &cfg->screen);
    put_bool(j, "localtime", cfg->localtime);
    put_number(j, "rtc_timeoffset", cfg->rtc_offset_s);
    put_text(j, "tsc_mode", tsc_mode_name(cfg->tsc_mode));
    put_text(j, "cpuid", cfg->cpuid);
    if (cfg->max_event_channels)
        put_number(j, "max_event_channels", cfg->max_event_channels);
    if (cfg->max_grant_frames)
        put_number(j, "max_grant_frames", cfg->max_grant_frames);
    if (cfg->max_maptrack_frames)
        put_number(j, "max_maptrack_frames", cfg->max_maptrack_frames);
    if (cfg->rest) {
        json_object_object_foreach(cfg->rest, key, value)
            json_object_object_add(j, key, json_object_get(value));
    }
    return j;
}

/* --- reading --- */

/* The text of a JSON string, NULL when it is none or has control characters. */
static const char *text_of(struct json_object *json)
{
    const char *text;

    if (!json_object_is_type(json, json_type_string))
        return NULL;
    text = json_object_get_string(json);
    for (int i = 0; i < json_object_get_string_len(json); i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return NULL;
    }
    return text;
}

/* A string, number or boolean as the text of a specification's parameter, to free(); or NULL. */
static char *scalar_of(struct json_object *json)
{
    if (json_object_is_type(json, json_type_int))
        return str_fmt("%" PRId64, json_object_get_int64(json));
    return text_of(json) ? str_dup(text_of(json)) : NULL;
}

static const char *disk_flag(const char *key, bool value)
{
    if (strcmp(key, "cdrom") == 0)
        return value ? "cdrom" : "";
    if (strcmp(key, "discard") == 0)
        return value ? "discard" : "no-discard";
    if (strcmp(key, "trusted") == 0)
        return value ? "trusted" : "untrusted";
    return NULL;
}

static const char *vif_flag(const char *key, bool value)
{
    if (strcmp(key, "trusted") == 0)
        return value ? "trusted" : "untrusted";
    return NULL;
}

/* One member of a device's object as parameter of its specification, to free(); or NULL. */
static char *parameter_of(const char *key, struct json_object *value,
                          const char *(*flag)(const char *key, bool value))
{
    const char *name;
    char *scalar, *text;

    if (json_object_is_type(value, json_type_boolean)) {
        name = flag(key, json_object_get_boolean(value));
        return name ? str_dup(name) : NULL;
    }
    scalar = scalar_of(value);
    text = scalar ? str_fmt("%s=%s", key, scalar) : NULL;
    free(scalar);
    return text;
}

/* Puts `more` behind *spec, with a comma between; takes both. */
static void append(char **spec, char *more)
{
    char *longer = str_fmt("%s%s%s", *spec, **spec && *more ? "," : "", more);

    free(*spec);
    free(more);
    *spec = longer;
}

static bool is_one_of(const char *key, const char *const *names)
{
    while (*names && strcmp(*names, key) != 0)
        names++;
    return *names;
}

/*
 * A device's object as specification, to free(); NULL when it cannot be one. Its booleans become
 * flags by `flag`. `last` (or NULL) goes to the end, since it may hold commas; others may not.
 */
static char *spec_of(struct json_object *json, const char *const *known, const char *last,
                     const char *(*flag)(const char *key, bool value))
{
    char *spec = str_dup(""), *end = NULL;
    bool good = json_object_is_type(json, json_type_object);

    if (good) {
        json_object_object_foreach(json, key, value)
        {
            bool is_last = last && strcmp(key, last) == 0;
            char *text;

            if (!is_one_of(key, known))
                continue;
            text = parameter_of(key, value, flag);

            good &= text && !strpbrk(key, ",=") && (is_last || !strpbrk(text, ","));
            if (is_last)
                end = text;
            else if (text)
                append(&spec, text);
        }
    }
    if (end)
        append(&spec, end);
    if (good)
        return spec;
    free(spec);
    return NULL;
}

static char *disk_spec(struct json_object *json)
{
    static const char *const known[] = { "target", "format",  "vdev",    "access", "script",
                                         "cdrom",  "discard", "trusted", NULL };

    return spec_of(json, known, "target", disk_flag);
}

static char *vif_spec(struct json_object *json)
{
    static const char *const known[] = { "devid", "mac",   "bridge", "ip",         "vifname",
                                         "rate",  "mtu",   "script", "gatewaydev", "trusted",
                                         "type",  "model", NULL };

    return spec_of(json, known, NULL, vif_flag);
}

bool disk_config_from_json(struct disk_config *disk, struct json_object *json,
                           struct config_errors *errors)
{
    char *spec = disk_spec(json);
    bool good = spec && disk_config_parse(disk, spec, stored, errors);

    if (!spec) {
        *disk = (struct disk_config){ NULL };
        config_error(errors, "%s: this describes no disk", stored);
    }
    free(spec);
    return good;
}

bool vif_config_from_json(struct vif_config *vif, struct json_object *json,
                          struct config_errors *errors)
{
    char *spec = vif_spec(json);
    bool good = spec && vif_config_parse(vif, spec, stored, errors);

    if (!spec) {
        *vif = (struct vif_config){ 0 };
        config_error(errors, "%s: this describes no network card", stored);
    }
    free(spec);
    return good;
}

/* A string, number or boolean as a value; NULL for anything else. */
static struct config_value *scalar_value(struct config_settings *s, struct json_object *json)
{
    struct config_value *v;

    if (json_object_is_type(json, json_type_int) || json_object_is_type(json, json_type_boolean)) {
        v = config_value_new(s, VALUE_NUMBER, 0);
        v->number = json_object_get_int64(json);
        v->text = str_fmt("%" PRId64, v->number);
        return v;
    }
    return text_of(json) ? config_value_string(s, text_of(json), 0) : NULL;
}

/* A kernel's command line may have control characters, which its decoder looks at. */
static struct config_value *cmdline_value(struct config_settings *s, struct json_object *json)
{
    if (!json_object_is_type(json, json_type_string))
        return NULL;
    return config_value_string(s, json_object_get_string(json), 0);
}

/* disk and vif hold objects, cpus and cpus_soft strings. */
static struct config_value *list_value(struct config_settings *s, const char *key,
                                       struct json_object *json)
{
    struct config_value *list = config_value_new(s, VALUE_LIST, 0), *v;

    for (size_t i = 0; i < json_object_array_length(json); i++) {
        struct json_object *one = json_object_array_get_idx(json, i);

        if (json_object_is_type(one, json_type_object)) {
            char *spec = strcmp(key, "disk") == 0 ? disk_spec(one) : vif_spec(one);

            v = spec ? config_value_string(s, spec, 0) : NULL;
            free(spec);
        } else {
            v = scalar_value(s, one);
        }
        if (!v)
            return NULL;
        config_value_append(list, v);
    }
    return list;
}

bool config_from_json(struct guest_config *cfg, struct json_object *json,
                      struct config_errors *errors)
{
    struct config_settings s = { .file = stored, .errors = errors };
    struct json_object *rest = json_object_new_object();
    const char *file = NULL;
    bool good;

    *cfg = (struct guest_config){ NULL };
    if (!json_object_is_type(json, json_type_object)) {
        config_error(errors, "%s: this is no JSON object", stored);
        json_object_put(rest);
        return false;
    }
    json_object_object_foreach(json, key, value)
    {
        struct config_value *v;

        if (!config_key_stored(key)) {
            json_object_object_add(rest, key, json_object_get(value));
            continue;
        }
        v = json_object_is_type(value, json_type_array) ? list_value(&s, key, value)
            : strcmp(key, "cmdline") == 0               ? cmdline_value(&s, value)
                                                        : scalar_value(&s, value);
        if (!v)
            config_error(errors, "%s: %s: a value of the wrong kind", stored, key);
        else if (strcmp(key, "file") == 0)
            file = text_of(value);
        else
            config_settings_add(&s, str_dup(key), 0, v);
    }
    good = config_decode(cfg, &s, "/");
    if (good) {
        cfg->file = file ? str_dup(file) : NULL;
        cfg->rest = rest;
    } else {
        config_free(cfg);
        json_object_put(rest);
    }
    config_settings_free(&s);
    return good;
}

/* SPDX-License-Identifier: MIT */
/* Configurations as libxl's JSON, and back. */
#include "tools/cli/config_libxl.h"
#include "tools/cli/json_put.h"
#include "tools/lib/util.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define OURS "orlop"

/* libxl's "default boolean". */
static void put_bool(struct json_object *to, const char *key, bool value)
{
    put_text(to, key, value ? "True" : "False");
}

/* libxl's names of what becomes of a guest that stopped, in the order of enum guest_action. */
static const char *const action_names[] = { "destroy",  "restart",          "restart_rename",
                                            "preserve", "coredump_destroy", "coredump_restart" };
static const char *const action_keys[] = { "on_poweroff", "on_reboot", "on_watchdog", "on_crash" };

/* --- writing --- */

/* A list of CPU numbers; what needs the host's own numbers to be understood is left out. */
static struct json_object *cpu_list(const char *list)
{
    uint8_t map[CONFIG_MAX_CPUS / 8] = { 0 };
    struct json_object *j;

    if (list[strspn(list, "0123456789,-^ ")] ||
        cpulist_resolve(list, CONFIG_MAX_CPUS, NULL, map) != NULL)
        return NULL;
    j = json_object_new_array();
    for (int i = 0; i < CONFIG_MAX_CPUS; i++)
        if (map[i / 8] >> i % 8 & 1)
            json_object_array_add(j, json_object_new_int(i));
    return j;
}

static void put_affinity(struct json_object *to, const char *key, const struct affinity_config *a,
                         unsigned vcpus)
{
    struct json_object *all = json_object_new_array();
    unsigned n = !a->count ? 0 : a->per_vcpu ? a->count : vcpus;
    bool good = n > 0;

    for (unsigned i = 0; good && i < n; i++) {
        struct json_object *one = cpu_list(a->list[a->per_vcpu ? i : 0]);

        good = one && json_object_array_add(all, one) == 0;
    }
    if (good)
        json_object_object_add(to, key, all);
    else
        json_object_put(all);
}

static struct json_object *c_info(const struct guest_config *cfg)
{
    struct json_object *j = json_object_new_object();
    char uuid[UUID_TEXT];

    uuid_to_text(cfg->uuid, uuid);
    put_text(j, "type", guest_type_name(cfg->type));
    put_text(j, "name", cfg->name);
    put_text(j, "uuid", uuid);
    put_text(j, "pool_name", cfg->pool);
    put_bool(j, "run_hotplug_scripts", true);
    return j;
}

static struct json_object *first_numbers(unsigned n)
{
    struct json_object *list = json_object_new_array();

    for (unsigned i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_int((int)i));
    return list;
}

static void put_limits(struct json_object *j, const struct guest_config *cfg)
{
    if (cfg->max_event_channels)
        put_number(j, "event_channels", cfg->max_event_channels);
    if (cfg->max_grant_frames)
        put_number(j, "max_grant_frames", cfg->max_grant_frames);
    if (cfg->max_maptrack_frames)
        put_number(j, "max_maptrack_frames", cfg->max_maptrack_frames);
    if (cfg->tsc_mode != TSC_DEFAULT)
        put_text(j, "tsc_mode", tsc_mode_name(cfg->tsc_mode));
    if (cfg->localtime)
        put_bool(j, "localtime", true);
    if (cfg->rtc_offset_s)
        put_number(j, "rtc_timeoffset", cfg->rtc_offset_s);
}

static struct json_object *b_info(const struct guest_config *cfg)
{
    struct json_object *j = json_object_new_object(), *sched = json_object_new_object();
    struct json_object *x86 = json_object_new_object();

    put_number(j, "max_vcpus", cfg->maxvcpus);
    json_object_object_add(j, "avail_vcpus", first_numbers(cfg->vcpus));
    put_affinity(j, "vcpu_hard_affinity", &cfg->cpus, cfg->maxvcpus);
    put_affinity(j, "vcpu_soft_affinity", &cfg->cpus_soft, cfg->maxvcpus);
    put_number(j, "max_memkb", cfg->maxmem_mb * 1024ll);
    put_number(j, "target_memkb", cfg->memory_mb * 1024ll);
    put_number(j, "video_memkb", 0);
    if (cfg->cpu_weight != 256)
        put_number(sched, "weight", cfg->cpu_weight);
    if (cfg->cap)
        put_number(sched, "cap", cfg->cap);
    json_object_object_add(j, "sched_params", sched);
    put_bool(j, "claim_mode", true);
    put_limits(j, cfg);
    put_text(j, "kernel", cfg->kernel);
    put_text(j, "cmdline", cfg->cmdline);
    put_text(j, "ramdisk", cfg->ramdisk);
    json_object_object_add(j, cfg->type == GUEST_PVH ? "type.pvh" : "type.pv",
                           json_object_new_object());
    json_object_object_add(j, "arch_arm", json_object_new_object());
    put_bool(x86, "msr_relaxed",
             false); /* without it xl takes it for a guest of old, and asks for it */
    json_object_object_add(j, "arch_x86", x86);
    return j;
}

static struct json_object *disk(const struct disk_config *d)
{
    struct json_object *j = json_object_new_object();

    put_text(j, "pdev_path", d->target);
    put_text(j, "vdev", d->vdev);
    put_text(j, "format", disk_format_name(d->format));
    put_text(j, "script", d->script);
    if (d->cdrom) {
        put_number(j, "removable", 1);
        put_number(j, "is_cdrom", 1);
    }
    put_number(j, "readwrite", !d->readonly);
    put_bool(j, "discard_enable", d->discard);
    if (d->untrusted)
        put_bool(j, "trusted", false);
    return j;
}

static struct json_object *nic(const struct vif_config *v)
{
    struct json_object *j = json_object_new_object();
    char mac[18];

    mac_format(mac, v->mac);
    put_number(j, "devid", v->devid);
    if (v->mtu)
        put_number(j, "mtu", v->mtu);
    put_text(j, "mac", mac);
    put_text(j, "ip", v->ip);
    put_text(j, "bridge", v->bridge);
    put_text(j, "ifname", v->vifname);
    put_text(j, "script", v->script);
    put_text(j, "nictype", v->kind == VIF_EMULATED ? "vif_ioemu" : "vif");
    put_text(j, "model", v->model);
    if (v->rate_bytes) {
        put_number(j, "rate_bytes_per_interval", (int64_t)v->rate_bytes);
        put_number(j, "rate_interval_usecs", v->rate_us);
    }
    put_text(j, "gatewaydev", v->gatewaydev);
    if (v->untrusted)
        put_bool(j, "trusted", false);
    return j;
}

char *config_to_libxl(const struct guest_config *cfg)
{
    struct json_object *j = json_object_new_object();
    struct json_object *disks = json_object_new_array(), *nics = json_object_new_array();
    char *text;

    json_object_object_add(j, "c_info", c_info(cfg));
    json_object_object_add(j, "b_info", b_info(cfg));
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        json_object_array_add(disks, disk(&cfg->disks[i]));
    for (unsigned i = 0; i < cfg->nr_vifs; i++)
        json_object_array_add(nics, nic(&cfg->vifs[i]));
    if (cfg->nr_disks)
        json_object_object_add(j, "disks", disks);
    else
        json_object_put(disks);
    if (cfg->nr_vifs)
        json_object_object_add(j, "nics", nics);
    else
        json_object_put(nics);
    put_text(j, "on_poweroff", action_names[cfg->on_poweroff]);
    put_text(j, "on_reboot", action_names[cfg->on_reboot]);
    put_text(j, "on_watchdog", action_names[cfg->on_watchdog]);
    put_text(j, "on_crash", action_names[cfg->on_crash]);
    json_object_object_add(j, OURS, config_to_json(cfg));
    text = str_dup(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
    return text;
}

/* --- reading: into the names of the keys, which are then checked as a record is --- */

static struct json_object *member(struct json_object *j, const char *key)
{
    struct json_object *v = NULL;

    return json_object_object_get_ex(j, key, &v) ? v : NULL;
}

/* The same value under another name, if it is there. */
static void take(struct json_object *to, const char *key, struct json_object *from,
                 const char *libxl_key)
{
    struct json_object *v = member(from, libxl_key);

    if (v)
        json_object_object_add(to, key, json_object_get(v));
}

/* libxl's "default boolean", or a number. */
static bool is_true(struct json_object *j, const char *key, bool otherwise)
{
    struct json_object *v = member(j, key);

    if (!v)
        return otherwise;
    if (json_object_is_type(v, json_type_string))
        return strcmp(json_object_get_string(v), "True") == 0;
    return json_object_get_boolean(v);
}

static void take_mib(struct json_object *to, const char *key, struct json_object *from,
                     const char *libxl_key)
{
    struct json_object *v = member(from, libxl_key);

    if (v)
        put_number(to, key,
                   json_object_get_int64(v) / 1024 + (json_object_get_int64(v) % 1024 > 0));
}

static void put_flag(struct json_object *to, const char *key, bool value)
{
    json_object_object_add(to, key, json_object_new_boolean(value));
}

/*
 * How many there are of its first vCPUs; gaps in the list are not known here: the guest says itself
 * which are online.
 */
static void take_vcpus(struct json_object *to, struct json_object *b)
{
    struct json_object *list = member(b, "avail_vcpus");

    take(to, "maxvcpus", b, "max_vcpus");
    if (json_object_is_type(list, json_type_array) && json_object_array_length(list))
        put_number(to, "vcpus", (int64_t)json_object_array_length(list));
    else
        take(to, "vcpus", b, "max_vcpus");
}

static struct json_object *disk_back(struct json_object *d)
{
    struct json_object *j = json_object_new_object();

    take(j, "target", d, "pdev_path");
    take(j, "format", d, "format");
    take(j, "vdev", d, "vdev");
    take(j, "script", d, "script");
    put_text(j, "access", is_true(d, "readwrite", false) ? "rw" : "ro");
    put_flag(j, "cdrom", is_true(d, "is_cdrom", false));
    put_flag(j, "discard", is_true(d, "discard_enable", true));
    put_flag(j, "trusted", is_true(d, "trusted", true));
    return j;
}

static struct json_object *nic_back(struct json_object *n)
{
    struct json_object *j = json_object_new_object();
    struct json_object *rate = member(n, "rate_bytes_per_interval");
    struct json_object *us = member(n, "rate_interval_usecs");
    struct json_object *kind = member(n, "nictype");
    static const char *const same[] = { "devid", "mac",    "bridge",    "ip",
                                        "mtu",   "script", "gatewaydev" };

    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        take(j, same[i], n, same[i]);
    take(j, "vifname", n, "ifname");
    take(j, "model", n, "model");
    if (kind)
        put_text(j, "type",
                 strcmp(json_object_get_string(kind), "vif_ioemu") == 0 ? "ioemu" : "vif");
    if (rate && us && json_object_get_int64(us) > 0) {
        unsigned __int128 bytes = (unsigned __int128)(uint64_t)json_object_get_int64(rate) *
                                  1000000;
        char *text = str_fmt("%lluB/s@%lldus",
                             (unsigned long long)(bytes / json_object_get_int64(us)),
                             (long long)json_object_get_int64(us));

        put_text(j, "rate", text);
        free(text);
    }
    put_flag(j, "trusted", is_true(n, "trusted", true));
    return j;
}

static void take_list(struct json_object *to, const char *key, struct json_object *from,
                      struct json_object *(*back)(struct json_object *one))
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0;
         json_object_is_type(from, json_type_array) && i < json_object_array_length(from); i++)
        json_object_array_add(out, back(json_object_array_get_idx(from, i)));
    json_object_object_add(to, key, out);
}

/* What is none of these keeps its name, which the check of the configuration refuses. */
static void take_action(struct json_object *to, const char *key, struct json_object *all)
{
    struct json_object *v = member(all, key);
    const char *text = v ? json_object_get_string(v) : "";

    take(to, key, all, key);
    for (unsigned i = 0; i < sizeof(action_names) / sizeof(action_names[0]); i++)
        if (strcmp(text, action_names[i]) == 0)
            put_text(to, key, guest_action_name((enum guest_action)i));
}

/* Lists of CPU numbers, one a vCPU, as texts. */
static void take_affinity(struct json_object *to, const char *key, struct json_object *b,
                          const char *libxl_key)
{
    struct json_object *all = member(b, libxl_key), *out;

    if (!json_object_is_type(all, json_type_array))
        return;
    out = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(all) && i < CONFIG_MAX_VCPUS; i++) {
        struct json_object *one = json_object_array_get_idx(all, i);
        char *text = str_dup("");

        for (size_t k = 0; json_object_is_type(one, json_type_array) &&
                           k < json_object_array_length(one) && k < CONFIG_MAX_CPUS;
             k++) {
            char *more = str_fmt("%s%s%d", text, *text ? "," : "",
                                 json_object_get_int(json_object_array_get_idx(one, k)));

            free(text);
            text = more;
        }
        json_object_array_add(out, json_object_new_string(text));
        free(text);
    }
    json_object_object_add(to, key, out);
}

static struct json_object *back(struct json_object *all)
{
    struct json_object *j = json_object_new_object(), *c = member(all, "c_info");
    struct json_object *b = member(all, "b_info"), *sched = member(b, "sched_params");
    static const char *const same[] = { "kernel",
                                        "ramdisk",
                                        "cmdline",
                                        "tsc_mode",
                                        "rtc_timeoffset",
                                        "max_grant_frames",
                                        "max_maptrack_frames" };

    take(j, "name", c, "name");
    take(j, "type", c, "type");
    take(j, "uuid", c, "uuid");
    take(j, "pool", c, "pool_name");
    take(j, "bootloader", b, "bootloader");
    take_affinity(j, "cpus", b, "vcpu_hard_affinity");
    take_affinity(j, "cpus_soft", b, "vcpu_soft_affinity");
    take_vcpus(j, b);
    take_mib(j, "memory", b, "target_memkb");
    take_mib(j, "maxmem", b, "max_memkb");
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        take(j, same[i], b, same[i]);
    take(j, "max_event_channels", b, "event_channels");
    put_flag(j, "localtime", is_true(b, "localtime", false));
    take(j, "cpu_weight", sched, "weight");
    take(j, "cap", sched, "cap");
    for (unsigned i = 0; i < sizeof(action_keys) / sizeof(action_keys[0]); i++)
        take_action(j, action_keys[i], all);
    take_list(j, "disk", member(all, "disks"), disk_back);
    take_list(j, "vif", member(all, "nics"), nic_back);
    return j;
}

bool config_from_libxl(struct guest_config *cfg, const char *text, struct config_errors *errors)
{
    struct json_object *all = json_tokener_parse(text), *j;
    bool good;

    *cfg = (struct guest_config){ NULL };
    if (!json_object_is_type(all, json_type_object)) {
        json_object_put(all);
        config_error(errors, "the configuration in it is no JSON object");
        return false;
    }
    j = json_object_get(member(all, OURS));
    if (!j)
        j = back(all);
    good = config_from_json(cfg, j, errors);
    json_object_put(j);
    json_object_put(all);
    return good;
}

bool config_libxl_is_ours(const char *text)
{
    struct json_object *all = json_tokener_parse(text);
    bool ours = member(all, OURS) != NULL;

    json_object_put(all);
    return ours;
}

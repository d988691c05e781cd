/* SPDX-License-Identifier: MIT */
/*
 * The table of supported keys, and how each is decoded. A decoder gets the setting, checks it and
 * stores it; it returns false after an error was added.
 */
#define _GNU_SOURCE
#include "tools/cli/config_keys.h"
#include "tools/cli/config_decode.h"
#include "tools/cli/cpu_features.h"
#include "tools/lib/util.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_MB = 5 << 20 };

static const char *const action_name[] = {
    [ACTION_DESTROY] = "destroy",
    [ACTION_RESTART] = "restart",
    [ACTION_RENAME_RESTART] = "rename-restart",
    [ACTION_PRESERVE] = "preserve",
    [ACTION_COREDUMP_DESTROY] = "coredump-destroy",
    [ACTION_COREDUMP_RESTART] = "coredump-restart",
    NULL,
};

static const char *const tsc_name[] = {
    [TSC_DEFAULT] = "default",
    [TSC_ALWAYS_EMULATE] = "always_emulate",
    [TSC_NATIVE] = "native",
    NULL,
};

const char *guest_type_name(enum guest_type type)
{
    static const char *const names[] = { "pv", "pvh", "hvm" };

    return names[type];
}

const char *guest_action_name(enum guest_action action)
{
    return action_name[action];
}

const char *tsc_mode_name(enum tsc_mode mode)
{
    return tsc_name[mode];
}

bool guest_name_valid(const char *name)
{
    static const char letters[] =
        "0123456789_-.+:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = strlen(name);

    return length && length <= CONFIG_MAX_NAME && name[0] != '-' &&
           strspn(name, letters) == length && strspn(name, "0123456789") < length &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool decode_name(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *name = s->value->kind == VALUE_LIST ? NULL : s->value->text;

    if (!name || !guest_name_valid(name))
        return key_expected(d, key, s);
    if (strcasecmp(name, "Domain-0") == 0)
        return key_error(d, s, "Domain-0 is the host's own; choose another name");
    d->cfg->name = str_dup(name);
    return true;
}

static bool decode_uuid(struct decode *d, const struct key *key, const struct config_setting *s)
{
    static const uint8_t none[16];
    const char *text = value_string(s->value);

    if (!text || !uuid_from_text(text, d->cfg->uuid) || memcmp(d->cfg->uuid, none, 16) == 0)
        return key_expected(d, key, s);
    d->cfg->has_uuid = true;
    return true;
}

/* Text that a kernel's command line may hold. */
static bool decode_text(struct decode *d, const struct key *key, const struct config_setting *s)
{
    char **to = strcmp(s->name, "root") == 0    ? &d->root
                : strcmp(s->name, "extra") == 0 ? &d->extra
                                                : &d->cfg->cmdline;

    if (s->value->kind == VALUE_LIST)
        return key_expected(d, key, s);
    for (const char *p = s->value->text; *p; p++) {
        if ((unsigned char)*p < 0x20 && *p != '\t' && *p != '\n')
            return key_error(d, s, "a control character in the kernel's command line");
    }
    if (strlen(s->value->text) > CONFIG_MAX_CMDLINE)
        return key_error(d, s, "longer than the %d bytes that a kernel's command line may have",
                         CONFIG_MAX_CMDLINE);
    *to = str_dup(s->value->text);
    return true;
}

static bool decode_path(struct decode *d, const struct key *key, const struct config_setting *s)
{
    char **to = key_field(d, key);
    const char *path = value_string(s->value);
    char *here;

    if (!path)
        return key_expected(d, key, s);
    if (path[0] == '/') {
        *to = str_dup(path);
    } else if (s->line && d->folder[0] == '/') {
        *to = str_fmt("%s/%s", d->folder, path);
    } else {
        here = getcwd(NULL, 0);
        *to = s->line ? str_fmt("%s/%s/%s", here ? here : "", d->folder, path)
                      : str_fmt("%s/%s", here ? here : "", path);
        free(here);
    }
    return true;
}

static bool decode_pool(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = s->value->kind == VALUE_LIST ? NULL : s->value->text;

    if (!text || !*text || strlen(text) > CONFIG_MAX_NAME || strpbrk(text, "/\n"))
        return key_expected(d, key, s);
    d->cfg->pool = str_dup(text);
    return true;
}

/* The index of a name in a table, or -1 with an error. */
static int decode_choice(struct decode *d, const struct key *key, const struct config_setting *s,
                         const char *const *names)
{
    const char *text = value_string(s->value), *near;

    if (!text) {
        key_expected(d, key, s);
        return -1;
    }
    for (int i = 0; names[i]; i++) {
        if (strcasecmp(names[i], text) == 0)
            return i;
    }
    near = nearest_name(text, names);
    key_error(d, s, "'%s' is unknown%s%s%s Expected is %s", text, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : ".", key->info.expects);
    return -1;
}

static bool decode_action(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);
    int action;

    if (text && strcmp(text, "soft-reset") == 0)
        return key_error(d, s, "soft-reset is for HVM guests; expected is %s", key->info.expects);
    action = decode_choice(d, key, s, action_name);
    if (action < 0)
        return false;
    *(enum guest_action *)key_field(d, key) = action;
    return true;
}

static bool decode_tsc(struct decode *d, const struct key *key, const struct config_setting *s)
{
    int64_t n;
    int mode;

    if (value_number(s->value, &n)) { /* an older form */
        if (n < 0 || n > TSC_NATIVE)
            return key_expected(d, key, s);
        d->cfg->tsc_mode = n;
        return true;
    }
    mode = decode_choice(d, key, s, tsc_name);
    if (mode < 0)
        return false;
    d->cfg->tsc_mode = mode;
    return true;
}

static bool decode_cpuid(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);
    struct cpu_wish w;
    char *wrong = text ? cpu_wish_parse(text, &w) : NULL;
    bool good = text && !wrong;

    if (!text)
        return key_expected(d, key, s);
    if (wrong)
        key_error(d, s, "%s", wrong);
    free(wrong);
    if (good) {
        free(d->cfg->cpuid);
        d->cfg->cpuid = str_dup(text);
    }
    return good;
}

/* type= and builder=. */
static bool decode_type(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);

    if (!text)
        return key_expected(d, key, s);
    if (strcasecmp(text, "pv") == 0 || strcmp(text, "generic") == 0 || strcmp(text, "linux") == 0)
        return true;
    if (strcasecmp(text, "pvh") == 0 && strcmp(key->info.name, "type") == 0) {
        d->cfg->type = GUEST_PVH;
        return true;
    }
    if (strcasecmp(text, "hvm") == 0) {
        d->cfg->type = GUEST_HVM;
        return true;
    }
    return key_expected(d, key, s);
}

static bool decode_bootloader(struct decode *d, const struct key *key,
                              const struct config_setting *s)
{
    const char *text = value_string(s->value);

    if (s->value->kind == VALUE_LIST)
        return key_expected(d, key, s);
    if (d->hvm && text && strcmp(s->name, "firmware") == 0) {
        d->cfg->uefi = strcmp(text, "uefi") == 0 || strcmp(text, "ovmf") == 0;
        if (d->cfg->uefi || strcmp(text, "bios") == 0 || strcmp(text, "seabios") == 0)
            return true;
        return key_error(d, s, "an HVM guest's is 'bios' or 'uefi'");
    }
    if (d->hvm) {
        key_warning(d, s, "HVM guests boot by their firmware; it has no effect");
        return true;
    }
    if (!text || strcmp(text, "0") == 0)
        key_warning(d, s, "is empty; it has no effect");
    else if (strcmp(s->name, "firmware") == 0 && !strstr(text, "grub"))
        key_warning(d, s, "only HVM guests read '%s'; it has no effect here", text);
    else
        key_warning(d, s,
                    "the guest boots from its own disk through %s (package grub-xen-host); "
                    "kernel=, ramdisk= "
                    "and the command line are not used",
                    d->pvh ? GRUB_PVH_IMAGE : GRUB_IMAGE);
    d->boots_itself |= text && strcmp(text, "0") != 0 &&
                       (strcmp(s->name, "bootloader") == 0 || strstr(text, "grub"));
    return true;
}

static bool decode_boot(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);

    if (!key_for_hvm(d, s))
        return true;
    if (!text || strlen(text) > 4 || strspn(text, "acdn") != strlen(text))
        return key_expected(d, key, s);
    d->cfg->boot = str_dup(text);
    return true;
}

static bool decode_hdtype(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);

    if (!key_for_hvm(d, s))
        return true;
    if (!text || (strcmp(text, "ide") != 0 && strcmp(text, "ahci") != 0))
        return key_expected(d, key, s);
    d->cfg->ahci = strcmp(text, "ahci") == 0;
    return true;
}

static bool decode_serial(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const struct config_value *v = s->value;
    const char *text;

    if (!key_for_hvm(d, s))
        return true;
    if (v->kind == VALUE_LIST && v->count == 1)
        v = v->first;
    text = value_string(v);
    /* QEMU ends a file's name at a comma */
    if (!text || (strcmp(text, "pty") != 0 && strcmp(text, "none") != 0 &&
                  (strncmp(text, "file:/", 6) != 0 || strchr(text, ','))))
        return key_expected(d, key, s);
    if (strcmp(text, "none") != 0)
        d->cfg->serial = str_dup(text);
    return true;
}

static bool decode_path(struct decode *d, const struct key *key, const struct config_setting *s);

static bool decode_device_model(struct decode *d, const struct key *key,
                                const struct config_setting *s)
{
    return !key_for_hvm(d, s) || decode_path(d, key, s);
}

static bool add_affinity(struct decode *d, struct affinity_config *a, const struct key *key,
                         const struct config_setting *s, const struct config_value *v)
{
    const char *why;

    if (v->kind == VALUE_LIST)
        return key_expected(d, key, s);
    why = cpulist_resolve(v->text, 0, NULL, NULL);
    if (why)
        return key_error(d, s, "'%s': %s", v->text, why);
    a->list = mem_grow(a->list, (a->count + 1) * sizeof(*a->list));
    a->list[a->count++] = str_dup(v->text);
    return true;
}

static bool decode_affinity(struct decode *d, const struct key *key, const struct config_setting *s)
{
    struct affinity_config *a = key_field(d, key);
    const struct config_value *v = s->value;
    bool good = true;

    if (v->kind == VALUE_STRING && !*v->text) {
        key_warning(d, s, "is empty: the vCPUs run on all CPUs; leave it out");
        return true;
    }
    a->per_vcpu = v->kind == VALUE_LIST;
    if (!a->per_vcpu)
        return add_affinity(d, a, key, s, v);
    if (v->count > CONFIG_MAX_VCPUS)
        return key_error(d, s, "more than %d elements", CONFIG_MAX_VCPUS);
    for (v = v->first; v; v = v->next)
        good &= add_affinity(d, a, key, s, v);
    return good;
}

/* A list of strings, none of them a list. */
static bool is_string_list(const struct config_value *v, unsigned limit)
{
    if (v->kind != VALUE_LIST || v->count > limit)
        return false;
    for (v = v->first; v; v = v->next) {
        if (v->kind != VALUE_STRING)
            return false;
    }
    return true;
}

static bool decode_disks(struct decode *d, const struct key *key, const struct config_setting *s)
{
    struct guest_config *cfg = d->cfg;
    bool good = true;

    if (!is_string_list(s->value, CONFIG_MAX_DISKS))
        return key_expected(d, key, s);
    cfg->disks = mem_alloc((s->value->count + 1) * sizeof(*cfg->disks));
    for (const struct config_value *v = s->value->first; v; v = v->next) {
        unsigned line = s->line ? v->line : 0;
        char *where = config_where(s, line);
        struct disk_config *disk = &cfg->disks[cfg->nr_disks];

        if (disk_config_parse(disk, v->text, where, d->errors)) {
            disk->line = line;
            if (*disk->target)
                cfg->nr_disks++;
            else /* an empty drive */
                disk_config_free(disk);
        } else {
            good = false;
        }
        free(where);
    }
    return good;
}

static bool decode_vifs(struct decode *d, const struct key *key, const struct config_setting *s)
{
    struct guest_config *cfg = d->cfg;
    bool good = true;
    unsigned at = 0;

    if (!is_string_list(s->value, CONFIG_MAX_VIFS))
        return key_expected(d, key, s);
    cfg->vifs = mem_alloc((s->value->count + 1) * sizeof(*cfg->vifs));
    for (const struct config_value *v = s->value->first; v; v = v->next, at++) {
        unsigned line = s->line ? v->line : 0;
        char *where = config_where(s, line);
        struct vif_config *vif = &cfg->vifs[cfg->nr_vifs];

        if (vif_config_parse(vif, v->text, where, d->errors)) {
            vif->line = line;
            vif->devid = vif->devid == VIF_DEVID_ANY ? at : vif->devid;
            cfg->nr_vifs++;
        } else {
            good = false;
        }
        free(where);
    }
    return good;
}

#define ACTIONS \
    "'destroy', 'restart', 'rename-restart', 'preserve', 'coredump-destroy' or 'coredump-restart'"
#define CPULIST "a CPU list such as '0-3,^1', 'all' or 'node:0', or a list of them, one a vCPU"

/* clang-format off */
static const struct key own_keys[] = {
    KEY("name", "a name of letters, digits and _-.+:, not of digits only, not beginning with -, up to 63 "
                "bytes",
        .decode = decode_name),
    KEY("type", "'pv', 'pvh' or 'hvm'",
        .decode = decode_type),
    KEY("builder", "'generic' or 'hvm', the old way to say type = 'pv' or 'hvm'",
        .decode = decode_type),
    KEY("uuid", "a UUID such as '6fd7a1c0-3a52-4b0e-9d3c-0a1b2c3d4e5f'",
        .decode = decode_uuid),
    KEY("kernel", "the path of a kernel, in quotes",
        .decode = decode_path, .offset = FIELD(kernel)),
    KEY("ramdisk", "the path of an initramfs, in quotes",
        .decode = decode_path, .offset = FIELD(ramdisk)),
    KEY("bootloader", "'pygrub': the guest boots from its own disk, through GRUB's image for PV guests",
        .decode = decode_bootloader),
    KEY("firmware", "'pvgrub64', another way to say bootloader = 'pygrub'; HVM: 'bios' or 'uefi'",
        .decode = decode_bootloader),
    KEY("cmdline", "the kernel's whole command line, in quotes",
        .decode = decode_text),
    KEY("root", "a device, in quotes, for root= on the kernel's command line",
        .decode = decode_text),
    KEY("extra", "the end of the kernel's command line, in quotes",
        .decode = decode_text),
    KEY("memory", "the guest's memory in MiB",
        .decode = decode_unsigned, .offset = FIELD(memory_mb), .min = 1, .max = MAX_MB),
    KEY("maxmem", "the most memory that the guest may grow to, in MiB",
        .decode = decode_unsigned, .offset = FIELD(maxmem_mb), .min = 1, .max = MAX_MB),
    KEY("vcpus", "the number of vCPUs at start",
        .decode = decode_unsigned, .offset = FIELD(vcpus), .min = 1, .max = CONFIG_MAX_VCPUS),
    KEY("maxvcpus", "the number of vCPUs that the guest may have online",
        .decode = decode_unsigned, .offset = FIELD(maxvcpus), .min = 1, .max = CONFIG_MAX_VCPUS),
    KEY("cpus", CPULIST,
        .decode = decode_affinity, .offset = FIELD(cpus)),
    KEY("cpus_soft", CPULIST,
        .decode = decode_affinity, .offset = FIELD(cpus_soft)),
    KEY("cpu_weight", "the share of CPU time, 256 for the usual one",
        .decode = decode_unsigned, .offset = FIELD(cpu_weight), .min = 1, .max = 65535),
    KEY("cap", "the most CPU time, in percent of one CPU; 0 for no limit",
        .decode = decode_unsigned, .offset = FIELD(cap), .min = 0, .max = 100 * CONFIG_MAX_VCPUS),
    KEY("pool", "the name of a CPU pool, in quotes (orlop cpupool-list)",
        .decode = decode_pool),
    KEY("on_poweroff", ACTIONS,
        .decode = decode_action, .offset = FIELD(on_poweroff)),
    KEY("on_reboot", ACTIONS,
        .decode = decode_action, .offset = FIELD(on_reboot)),
    KEY("on_crash", ACTIONS,
        .decode = decode_action, .offset = FIELD(on_crash)),
    KEY("on_watchdog", ACTIONS,
        .decode = decode_action, .offset = FIELD(on_watchdog)),
    KEY("disk", "a list of strings, such as ['/srv/web.img,raw,xvda,rw']",
        .decode = decode_disks),
    KEY("vif", "a list of strings, such as ['bridge=xenbr0'] or ['']",
        .decode = decode_vifs),
    KEY("boot", "letters in the order of trying, c (disk), d (CD), a (floppy), n (network), such as 'cd'",
        .decode = decode_boot),
    KEY("hdtype", "'ide' or 'ahci'",
        .decode = decode_hdtype),
    KEY("serial", "'pty', 'file:/PATH' (without a comma) or 'none'",
        .decode = decode_serial),
    KEY("viridian", "0, 1 or a list of 'base', 'freq', 'time_ref_count', 'defaults' or 'all', with ! before one to be left out",
        .decode = decode_viridian),
    KEY("device_model_override", "the path of QEMU, in quotes",
        .decode = decode_device_model, .offset = FIELD(device_model)),
    KEY("localtime", "0 (the guest's clock is UTC) or 1 (Dom0's local time)",
        .decode = decode_bool, .offset = FIELD(localtime)),
    KEY("rtc_timeoffset", "seconds that the guest's clock is ahead",
        .decode = decode_offset, .offset = FIELD(rtc_offset_s), .min = -(1ll << 40), .max = 1ll << 40),
    KEY("tsc_mode", "'default', 'always_emulate' or 'native'",
        .decode = decode_tsc),
    KEY("cpuid", "'host,FEATURE=VALUE,...', where 0 takes a feature of the processor away and 1 insists on it",
        .decode = decode_cpuid),
    KEY("max_event_channels", "the most event channels that the guest may have, 1 to 131071",
        .decode = decode_unsigned, .offset = FIELD(max_event_channels), .min = 1, .max = 131071),
    KEY("max_grant_frames", "the most frames of the guest's grant table, 1 to 128",
        .decode = decode_unsigned, .offset = FIELD(max_grant_frames), .min = 1, .max = 128),
    KEY("max_maptrack_frames", "the most frames that remember what the guest has mapped, 1 to 4096",
        .decode = decode_unsigned, .offset = FIELD(max_maptrack_frames), .min = 1, .max = 4096),
};
/* clang-format on */

enum { NR_OWN = sizeof(own_keys) / sizeof(own_keys[0]), MAX_INFO = NR_OWN + 300 };

/* The supported key of this name, or NULL. */
static const struct key *key_find(const char *name)
{
    for (unsigned i = 0; i < NR_OWN; i++) {
        if (strcmp(own_keys[i].info.name, name) == 0)
            return &own_keys[i];
    }
    for (const struct key *k = config_screen_keys; k->info.name; k++) {
        if (strcmp(k->info.name, name) == 0)
            return k;
    }
    return NULL;
}

const struct config_key_info *config_key_list(unsigned *count)
{
    static struct config_key_info all[MAX_INFO];
    static unsigned n;

    if (!n) {
        for (; n < NR_OWN; n++)
            all[n] = own_keys[n].info;
        for (const struct key *k = config_screen_keys; k->info.name; k++)
            all[n++] = k->info;
        for (const struct config_key_info *k = config_refused; k->name && n < MAX_INFO; k++)
            all[n++] = *k;
    }
    *count = n;
    return all;
}

bool config_key_stored(const char *name)
{
    return key_find(name) || strcmp(name, "file") == 0;
}

/* Keys that the table of supported ones does not have. */
static bool other_key(struct decode *d, const struct config_setting *s)
{
    const char *names[MAX_INFO + 1], *near, *why;
    unsigned count;
    const struct config_key_info *all = config_key_list(&count);

    for (unsigned i = 0; i < count; i++) {
        names[i] = all[i].name;
        if (strcmp(all[i].name, s->name) != 0)
            continue;
        if (d->hvm &&
            config_hvm_key(s->name, s->value, strcmp(all[i].expects, config_only_hvm) == 0, &why))
            return !why || key_error(d, s, "%s", why);
        if (all[i].state != KEY_IGNORED && !value_is_nothing(s->value))
            return key_error(d, s, "%s", all[i].expects);
        key_warning(d, s, "%s", all[i].expects);
        return true;
    }
    if (strncmp(s->name, "OVM_", 4) == 0) {
        key_warning(d, s, "is of another manager's own (Oracle VM); it has no effect here");
        return true;
    }
    names[count] = NULL;
    near = nearest_name(s->name, names);
    if (near)
        return key_error(d, s, "there is no such key; did you mean %s?", near);
    return key_error(d, s, "there is no such key (`orlop help config` lists all)");
}

static bool same_value(const struct config_value *a, const struct config_value *b)
{
    const struct config_value *x = a->first, *y = b->first;

    if (a->kind != VALUE_LIST || b->kind != VALUE_LIST)
        return a->kind != VALUE_LIST && b->kind != VALUE_LIST && strcmp(a->text, b->text) == 0;
    while (x && y && same_value(x, y)) {
        x = x->next;
        y = y->next;
    }
    return !x && !y;
}

static bool decode_one(struct decode *d, const struct config_settings *settings,
                       const struct config_setting *s)
{
    const struct config_setting *before = setting_find(settings, s->name);
    const struct key *key = key_find(s->name);

    if (before != s && same_value(before->value, s->value)) {
        key_warning(d, s, "is set twice; line %u says the same", before->line);
        return true;
    }
    if (before != s)
        return key_error(d, s, "is set twice; line %u does it first", before->line);
    return key ? key->decode(d, key, s) : other_key(d, s);
}

/* root= and extra= make a command line, cmdline= is one. */
static bool join_cmdline(struct decode *d, const struct config_settings *settings)
{
    struct guest_config *cfg = d->cfg;

    if (cfg->cmdline && (d->root || d->extra))
        key_warning(d, setting_find(settings, "cmdline"),
                    "holds the whole command line; %s= is not used (neither does xl)",
                    d->root ? "root" : "extra");
    if (cfg->cmdline)
        return true;
    if (d->root && d->extra)
        cfg->cmdline = str_fmt("root=%s %s", d->root, d->extra);
    else
        cfg->cmdline = d->root ? str_fmt("root=%s", d->root) : str_dup(d->extra ? d->extra : "");
    if (strlen(cfg->cmdline) > CONFIG_MAX_CMDLINE)
        return key_error(d, setting_find(settings, "extra"),
                         "with root= longer than the %d bytes that a kernel's command line may "
                         "have",
                         CONFIG_MAX_CMDLINE);
    return true;
}

/* Elements of a list of CPU lists for which there is no vCPU are not used. */
static void cut_affinity(struct decode *d, const struct config_setting *s,
                         struct affinity_config *a)
{
    if (!a->per_vcpu || a->count <= d->cfg->maxvcpus)
        return;
    key_warning(d, s, "%u elements for %u vCPUs; the first of them are used", a->count,
                d->cfg->maxvcpus);
    while (a->count > d->cfg->maxvcpus)
        free(a->list[--a->count]);
}

static bool check_sizes(struct decode *d, const struct config_settings *settings)
{
    struct guest_config *cfg = d->cfg;
    bool good = true;

    if (!cfg->maxmem_mb)
        cfg->maxmem_mb = cfg->memory_mb;
    if (cfg->maxmem_mb < cfg->memory_mb)
        good = key_error(d, setting_find(settings, "maxmem"), "%u MiB is less than memory = %u",
                         cfg->maxmem_mb, cfg->memory_mb);
    if (!cfg->vcpus)
        cfg->vcpus = 1;
    if (!cfg->maxvcpus)
        cfg->maxvcpus = cfg->vcpus;
    if (cfg->maxvcpus < cfg->vcpus)
        good = key_error(d, setting_find(settings, "maxvcpus"), "%u is less than vcpus = %u",
                         cfg->maxvcpus, cfg->vcpus);
    cut_affinity(d, setting_find(settings, "cpus"), &cfg->cpus);
    cut_affinity(d, setting_find(settings, "cpus_soft"), &cfg->cpus_soft);
    return good;
}

/* What both kinds of hardware-assisted guests cannot have. */
static bool check_assisted(struct decode *d, const struct config_settings *settings)
{
    const struct guest_config *cfg = d->cfg;
    const char *kind = cfg->type == GUEST_HVM ? "HVM" : "PVH";
    bool good = true;

    if (cfg->maxmem_mb > cfg->memory_mb)
        good = key_error(d, setting_find(settings, "maxmem"),
                         "%u MiB is more than memory = %u, and %s guests do not grow: give it "
                         "memory = %u, and take with `orlop mem-set` what it is not to have",
                         cfg->maxmem_mb, cfg->memory_mb, kind, cfg->maxmem_mb);
    if (cfg->maxvcpus > CONFIG_MAX_PVH_VCPUS)
        good = key_error(
            d, setting_find(settings, setting_find(settings, "maxvcpus") ? "maxvcpus" : "vcpus"),
            "%s %s guest has %d vCPUs at most", cfg->type == GUEST_HVM ? "an" : "a", kind,
            CONFIG_MAX_PVH_VCPUS);
    return good;
}

/*
 * An HVM guest without kernel= boots from its disk. hvmloader is what old files name there; it is
 * always used.
 */
static bool check_hvm(struct decode *d, const struct config_settings *settings)
{
    struct guest_config *cfg = d->cfg;
    const struct config_setting *s = setting_find(settings, "kernel");
    const char *slash = cfg->kernel ? strrchr(cfg->kernel, '/') : NULL;
    bool good = check_assisted(d, settings);

    if (slash && strcmp(slash, "/hvmloader") == 0) {
        key_warning(d, s, "hvmloader is always used; it has no effect");
        free(cfg->kernel);
        cfg->kernel = NULL;
    }
    if (!cfg->kernel && (cfg->ramdisk || *cfg->cmdline))
        good = key_error(d,
                         setting_find(settings, cfg->ramdisk                        ? "ramdisk"
                                                : setting_find(settings, "cmdline") ? "cmdline"
                                                : setting_find(settings, "extra")   ? "extra"
                                                                                    : "root"),
                         "there is no kernel=; the guest boots from its disk, whose boot loader "
                         "decides on these; leave it out");
    if (!cfg->kernel && !cfg->nr_disks)
        config_error(d->errors,
                     "%s: nothing to boot from: give it disk= or kernel=", settings->file);
    return good && (cfg->kernel || cfg->nr_disks);
}

/* What a PVH guest cannot have, though its configuration may say it of others. */
static bool check_pvh(struct decode *d, const struct config_settings *settings)
{
    static const struct {
        const char *name, *why;
    } not_there[] = {
        { "pvshim", "there is no shim for PV kernels; write type = 'pv'" },
        { "nestedhvm", "hypervisors within guests are not supported" },
        { "altp2m", "alternate maps of memory are not supported" },
    };
    const struct config_setting *s = setting_find(settings, "hap");
    bool good = check_assisted(d, settings);

    if (s && value_is_nothing(s->value))
        good = key_error(d, s, "there are no shadow page tables; leave it out");
    for (unsigned i = 0; i < sizeof(not_there) / sizeof(not_there[0]); i++) {
        s = setting_find(settings, not_there[i].name);
        if (s && !value_is_nothing(s->value))
            good = key_error(d, s, "%s", not_there[i].why);
    }
    return good;
}

/* Two disks of the same number, one image written by two disks. */
static bool check_disks(struct decode *d, const struct config_settings *settings)
{
    const struct guest_config *cfg = d->cfg;
    const struct config_setting *s = setting_find(settings, "disk");
    bool good = true;

    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct disk_config *a = &cfg->disks[j], *b = &cfg->disks[i];

            if (a->number == b->number)
                good = key_error(d, s,
                                 "%s and %s are the same disk for the guest; each needs a "
                                 "vdev of its own",
                                 a->vdev, b->vdev);
            if (strcmp(a->target, b->target) == 0 && !(a->readonly && b->readonly))
                good = key_error(d, s,
                                 "%s is given twice (%s, %s), and not read-only: the guest "
                                 "would destroy it",
                                 a->target, a->vdev, b->vdev);
        }
    }
    return good;
}

/* What the card is, where its text left that open. */
static bool settle_vif(struct decode *d, const struct config_setting *s, struct vif_config *vif)
{
    bool hvm = d->cfg->type == GUEST_HVM;

    if (vif->kind == VIF_UNSAID)
        vif->kind = hvm && !vif->script ? VIF_EMULATED : VIF_PV;
    if (vif->kind == VIF_PV && vif->model) {
        key_warning(d, s, "model=%s is for emulated cards of HVM guests; it has no effect",
                    vif->model);
        vif->model = NULL;
    }
    if (vif->kind == VIF_PV)
        return true;
    if (!hvm)
        return key_error(d, s, "type=ioemu is for HVM guests; leave it out");
    if (vif->script)
        return key_error(d, s,
                         "card %u: what script=%s sets up is a PV card, not an emulated one: write "
                         "type=vif, or leave script= out",
                         vif->devid, vif->script);
    if (!vif->model)
        vif->model = "rtl8139";
    return true;
}

static bool check_vifs(struct decode *d, const struct config_settings *settings)
{
    const struct guest_config *cfg = d->cfg;
    const struct config_setting *s = setting_find(settings, "vif");
    unsigned emulated = 0;
    bool good = true;

    for (unsigned i = 0; i < cfg->nr_vifs; i++) {
        good &= settle_vif(d, s, &cfg->vifs[i]);
        emulated += cfg->vifs[i].kind == VIF_EMULATED;
        for (unsigned j = 0; j < i; j++) {
            const struct vif_config *a = &cfg->vifs[j], *b = &cfg->vifs[i];

            if (a->devid == b->devid)
                good = key_error(d, s, "two cards have the number (devid) %u", a->devid);
            if (a->has_mac && b->has_mac && memcmp(a->mac, b->mac, 6) == 0)
                good = key_error(d, s, "cards %u and %u have the same MAC address", a->devid,
                                 b->devid);
            if (a->vifname && b->vifname && strcmp(a->vifname, b->vifname) == 0)
                good = key_error(d, s, "cards %u and %u have the same vifname", a->devid, b->devid);
        }
    }
    if (emulated > CONFIG_MAX_EMULATED_VIFS)
        good = key_error(d, s, "%u emulated cards, of which a guest has %d at most: write type=vif",
                         emulated, CONFIG_MAX_EMULATED_VIFS);
    return good;
}

/*
 * bootloader= and firmware= stand for a program of the host that takes the kernel out of the
 * guest's disk. Here GRUB's image for PV guests does that from within the guest; it reads the
 * disk's own grub.cfg (or menu.lst), and passes the kernel its command line from there.
 */
static void boot_from_disk(struct decode *d)
{
    if (!d->boots_itself)
        return;
    free(d->cfg->kernel);
    free(d->cfg->ramdisk);
    d->cfg->kernel = str_dup(d->pvh ? GRUB_PVH_IMAGE : GRUB_IMAGE);
    d->cfg->ramdisk = NULL;
    free(d->cfg->cmdline);
    d->cfg->cmdline = str_dup("");
}

/* What a guest cannot be without; not asked when a line that could not be read may have it. */
static bool check_missing(struct decode *d, const struct config_settings *settings)
{
    bool pvh = d->cfg->type == GUEST_PVH;
    unsigned before = d->errors->count;

    if (!setting_find(settings, "name"))
        config_error(d->errors, "%s: name is missing: name = 'web1'", settings->file);
    if (!d->hvm && !setting_find(settings, "kernel") && !d->boots_itself)
        config_error(d->errors,
                     "%s: kernel is missing: the path of a kernel with Xen %s support, or "
                     "bootloader = 'pygrub' to boot from the guest's disk (%s, package "
                     "grub-xen-host)",
                     settings->file, pvh ? "PVH" : "PV", pvh ? GRUB_PVH_IMAGE : GRUB_IMAGE);
    if (!setting_find(settings, "memory"))
        config_error(d->errors, "%s: memory is missing: memory = 512 for 512 MiB", settings->file);
    return d->errors->count == before;
}

static bool says(const struct config_setting *s, const char *kind)
{
    return s && s->value->kind == VALUE_STRING && strcasecmp(s->value->text, kind) == 0;
}

bool config_decode(struct guest_config *cfg, const struct config_settings *settings,
                   const char *folder)
{
    struct decode d = {
        .cfg = cfg, .errors = settings->errors, .folder = folder, .vncunused = true
    };
    bool readable = !settings->errors->count, good = readable;
    const struct config_setting *vfb;

    d.hvm = says(setting_find(settings, "type"), "hvm") ||
            says(setting_find(settings, "builder"), "hvm");
    d.pvh = says(setting_find(settings, "type"), "pvh");
    vfb = setting_find(settings, "vfb");
    d.vfb = !d.hvm && vfb && vfb->value->kind == VALUE_LIST && vfb->value->count;
    *cfg = (struct guest_config){ .cpu_weight = 256, .on_reboot = ACTION_RESTART };
    for (const struct config_setting *s = settings->first; s; s = s->next)
        good &= decode_one(&d, settings, s);
    good &= join_cmdline(&d, settings);
    boot_from_disk(&d);
    if (readable)
        good &= check_missing(&d, settings);
    good &= check_sizes(&d, settings);
    if (cfg->type == GUEST_PVH)
        good &= check_pvh(&d, settings);
    if (cfg->type == GUEST_HVM)
        good &= check_hvm(&d, settings);
    good &= config_screen_check(&d, settings);
    good &= check_disks(&d, settings);
    good &= check_vifs(&d, settings);
    free(d.root);
    free(d.extra);
    return good && !d.errors->count; /* with strict a warning is one of them */
}

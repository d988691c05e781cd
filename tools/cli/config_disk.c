/* SPDX-License-Identifier: MIT */
/*
 * One element of disk= (xl-disk-configuration(5)): parameters with commas between; those that are
 * neither flags nor KEY=VALUE are target, format, vdev, access in this order. The older form
 * "phy:/dev/vg/web,xvda,w" has a prefix (or no target) and no format.
 */
#include "tools/cli/config.h"
#include "tools/cli/config_spec.h"
#include "tools/lib/util.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POS_TARGET, POS_FORMAT, POS_VDEV, POS_ACCESS, POS_COUNT };

static const char *const position_name[POS_COUNT] = { "target", "format", "vdev", "access" };

static const char *const format_name[] = {
    [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2", [DISK_QCOW] = "qcow",
    [DISK_VHD] = "vhd", [DISK_QED] = "qed",     NULL,
};

/* Keys that are understood, or whose refusal deserves its own words. */
static const char *const keys[] = {
    "target",      "format",    "vdev",          "access",  "devtype",    "backend",
    "backendtype", "script",    "cdrom",         "discard", "no-discard", "direct-io-safe",
    "trusted",     "untrusted", "specification", NULL,
};

struct disk_parse {
    struct spec spec;
    char *position[POS_COUNT]; /* what has been given, "" included */
    bool cdrom;
    char *script;
    int discard, trusted; /* -1: not said */
};

const char *disk_format_name(enum disk_format format)
{
    return format_name[format];
}

static bool set_position(struct disk_parse *d, unsigned at, const char *value)
{
    if (d->position[at] && *d->position[at])
        return spec_error(&d->spec, "%s is given twice", position_name[at]);
    free(d->position[at]);
    d->position[at] = str_dup(value);
    return true;
}

static bool set_flag(struct disk_parse *d, int *flag, int value, const char *name)
{
    if (*flag >= 0)
        return spec_error(&d->spec, "%s: this has been said before, or the contrary", name);
    *flag = value;
    return true;
}

/* A word without '='. */
static bool disk_word(struct disk_parse *d, const char *word)
{
    if (strcmp(word, "cdrom") == 0) {
        d->cdrom = true;
        return true;
    }
    if (strcmp(word, "discard") == 0 || strcmp(word, "no-discard") == 0)
        return set_flag(d, &d->discard, word[0] == 'd', word);
    if (strcmp(word, "trusted") == 0 || strcmp(word, "untrusted") == 0)
        return set_flag(d, &d->trusted, word[0] == 't', word);
    if (strcmp(word, "direct-io-safe") == 0)
        return true; /* the backends here do not need the workaround that it turns off */
    if (strncmp(word, "colo", 4) == 0)
        return spec_error(&d->spec, "%s: replication (COLO) is not supported; leave it out", word);
    for (unsigned at = 0; at < POS_COUNT; at++) {
        if (!d->position[at])
            return set_position(d, at, word);
    }
    return spec_error(&d->spec, "'%s' is one too many: target, format, vdev and access were given",
                      word);
}

static bool disk_key(struct disk_parse *d, const char *key, const char *value)
{
    for (unsigned at = 0; at < POS_COUNT; at++) {
        if (strcmp(key, position_name[at]) == 0)
            return set_position(d, at, value);
    }
    if (strcmp(key, "devtype") == 0) {
        if (*value && strcmp(value, "cdrom") != 0)
            return spec_error(&d->spec, "devtype=%s: only devtype=cdrom is known", value);
        d->cdrom |= *value;
        return true;
    }
    if (strcmp(key, "backend") == 0)
        return spec_backend(&d->spec, value);
    if (strcmp(key, "backendtype") == 0) {
        if (!*value || strcmp(value, "phy") == 0)
            return true;
        spec_warning(&d->spec,
                     "backendtype=%s is not used: the kernel's own backend serves all disks (other "
                     "formats than raw through qemu-nbd)",
                     value);
        return true;
    }
    if (strcmp(key, "specification") == 0) {
        if (!*value || strcmp(value, "xen") == 0)
            return true;
        return spec_error(&d->spec, "specification=%s is not supported, only xen", value);
    }
    if (strcmp(key, "script") == 0)
        return !*value || spec_script(&d->spec, value, "block", &d->script);
    return spec_unknown(&d->spec, key, keys);
}

/* Prefixes of the older form: the format they mean, or -1 for one without meaning. */
static bool old_prefix(const char *word, size_t *length, int *format)
{
    static const struct {
        const char *name;
        int format;
    } prefixes[] = {
        { "phy:", -1 },           { "file:", -1 },        { "tap:", -1 },
        { "tap2:", -1 },          { "tapdisk:", -1 },     { "aio:", -1 },
        { "ioemu:", -1 },         { "raw:", DISK_RAW },   { "vhd:", DISK_VHD },
        { "qcow2:", DISK_QCOW2 }, { "qcow:", DISK_QCOW },
    };

    for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        *length = strlen(prefixes[i].name);
        *format = prefixes[i].format;
        if (strncmp(word, prefixes[i].name, *length) == 0)
            return true;
    }
    return false;
}

/* xvda, xvda:cdrom, ioemu:hdc:cdrom? What stands in front is taken off. */
static bool old_vdev(char *word, size_t *length)
{
    char name[32];
    unsigned number;

    if (strncmp(word, "ioemu:", 6) == 0) /* an emulated disk beside it, which only HVM has */
        memmove(word, word + 6, strlen(word + 6) + 1);
    *length = strcspn(word, ":");
    if (*length >= sizeof(name))
        return false;
    memcpy(name, word, *length);
    name[*length] = 0;
    return vdev_number(name, &number);
}

/* "iscsi:" and the like in front of the target: an older way to name a script. Its length, or 0. */
static size_t old_script(struct disk_parse *d, const char *target)
{
    static const char *const names[] = { "iscsi", "nbd", "enbd", "drbd" };

    for (unsigned i = 0; !d->script && i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n = strlen(names[i]);

        if (strncmp(target, names[i], n) != 0 || target[n] != ':')
            continue;
        d->script = str_fmt(HOTPLUG_DIR "/block-%s", names[i]);
        return n + 1;
    }
    return 0;
}

/* Turns the older form into the newer: no prefixes, and a format between target and vdev. */
static bool modernise(struct disk_parse *d)
{
    char *target = d->position[POS_TARGET], *second = d->position[POS_FORMAT];
    size_t length = 0, n;
    int format = -1, f;

    while (target && old_prefix(target + length, &n, &f)) {
        length += n;
        format = f >= 0 ? f : format;
    }
    if (target)
        length += old_script(d, target + length);
    if (target && length)
        memmove(target, target + length, strlen(target + length) + 1);
    if (!second || !target || (!length && *target) || !old_vdev(second, &n))
        return true;
    if (d->position[POS_ACCESS])
        return spec_error(&d->spec,
                          "'%s' stands where the format is expected: target, format, "
                          "vdev, access",
                          second);
    if (second[n] == ':') {
        if (strcmp(second + n, ":cdrom") != 0 && strcmp(second + n, ":disk") != 0)
            return spec_error(&d->spec, "'%s': after the ':' stands cdrom or disk", second);
        d->cdrom |= second[n + 1] == 'c';
        second[n] = 0;
    }
    d->position[POS_ACCESS] = d->position[POS_VDEV];
    d->position[POS_VDEV] = second;
    d->position[POS_FORMAT] = format >= 0 ? str_dup(format_name[format]) : NULL;
    return true;
}

static bool finish_target(struct disk_parse *d, struct disk_config *disk)
{
    const char *target = d->position[POS_TARGET];

    disk->script = d->script;
    d->script = NULL;
    if (!target || !*target) {
        if (!d->cdrom)
            return spec_error(&d->spec, "target is missing: a block device or an image file");
        spec_warning(&d->spec, "an empty drive is left out: PV guests cannot change media (orlop "
                               "block-attach gives a guest an image later)");
        disk->target = str_dup("");
        return true;
    }
    for (const char *p = target; disk->script && *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return spec_error(&d->spec, "a control character in the script's target");
    }
    disk->target = target[0] == '/' || disk->script ? str_dup(target) : str_fmt("/dev/%s", target);
    return true;
}

static bool finish_format(struct disk_parse *d, struct disk_config *disk)
{
    const char *format = d->position[POS_FORMAT], *near;

    if (!format || !*format)
        return true;
    for (unsigned i = 0; format_name[i]; i++) {
        if (strcmp(format, format_name[i]) == 0) {
            disk->format = i;
            return true;
        }
    }
    near = nearest_name(format, format_name);
    return spec_error(&d->spec, "format %s is unknown%s%s: raw, qcow2, qcow, vhd or qed", format,
                      near ? "; did you mean " : "", near ? near : "");
}

static bool finish_vdev(struct disk_parse *d, struct disk_config *disk)
{
    const char *vdev = d->position[POS_VDEV];

    if (!vdev || !*vdev)
        return spec_error(&d->spec, "vdev is missing: the guest's name of the disk, such as xvda");
    if (!vdev_number(vdev, &disk->number))
        return spec_error(&d->spec,
                          "vdev '%s' is no disk: xvda, xvdb1, sda to sdp, hda to hdd, "
                          "d0p1 or a number",
                          vdev);
    disk->vdev = str_dup(vdev);
    return true;
}

static bool finish_access(struct disk_parse *d, struct disk_config *disk)
{
    const char *access = d->position[POS_ACCESS];
    bool write;

    disk->cdrom = d->cdrom;
    disk->readonly = d->cdrom;
    if (!access || !*access)
        return true;
    write = strcmp(access, "w") == 0 || strcmp(access, "rw") == 0;
    if (!write && strcmp(access, "r") != 0 && strcmp(access, "ro") != 0)
        return spec_error(&d->spec, "access '%s' is unknown: r, ro, w or rw", access);
    if (write && d->cdrom)
        return spec_error(&d->spec, "a cdrom cannot be written: access is r");
    disk->readonly = !write;
    return true;
}

static bool parse_parameters(struct disk_parse *d, char *text)
{
    char *p = text;

    while (p) {
        char *word, *value;

        p += strspn(p, " \t");
        if (strncmp(p, "target=", 7) == 0) /* takes all the rest */
            return set_position(d, POS_TARGET, p + 7);
        word = strsep(&p, ",");
        value = strchr(word, '=');
        if (!value || *word == '/') {
            if (!disk_word(d, word))
                return false;
            continue;
        }
        *value = 0;
        if (!disk_key(d, word, value + 1))
            return false;
    }
    return true;
}

bool disk_config_parse(struct disk_config *disk, const char *text, const char *where,
                       struct config_errors *errors)
{
    struct disk_parse d = { .spec = { where, text, errors }, .discard = -1, .trusted = -1 };
    char *copy = str_dup(text);
    bool good;

    *disk = (struct disk_config){ .format = DISK_RAW };
    good = parse_parameters(&d, copy) && modernise(&d);
    if (good) {
        /* each, so that all their faults are told */
        good = finish_target(&d, disk);
        good &= finish_format(&d, disk);
        good &= finish_vdev(&d, disk);
        good &= finish_access(&d, disk);
        if (good && disk->script && disk->format != DISK_RAW)
            good = spec_error(&d.spec, "script= sets up a block device: its format is raw");
        disk->discard = d.discard != 0;
        disk->untrusted = d.trusted == 0;
    }
    for (unsigned i = 0; i < POS_COUNT; i++)
        free(d.position[i]);
    free(d.script);
    free(copy);
    if (!good)
        disk_config_free(disk);
    return good;
}

void disk_config_free(struct disk_config *disk)
{
    free(disk->target);
    free(disk->vdev);
    free(disk->script);
    *disk = (struct disk_config){ NULL };
}

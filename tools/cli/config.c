/* SPDX-License-Identifier: MIT */
/* Configurations from files, from memory and from the command line's overrides. */
#define _GNU_SOURCE
#include "tools/cli/config.h"
#include "tools/cli/config_keys.h"
#include "tools/lib/util.h"
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 20 };

static const char command_line[] = "command line";

static void free_affinity(struct affinity_config *a)
{
    for (unsigned i = 0; i < a->count; i++)
        free(a->list[i]);
    free(a->list);
}

void config_free(struct guest_config *cfg)
{
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        disk_config_free(&cfg->disks[i]);
    for (unsigned i = 0; i < cfg->nr_vifs; i++)
        vif_config_free(&cfg->vifs[i]);
    free_affinity(&cfg->cpus);
    free_affinity(&cfg->cpus_soft);
    free(cfg->disks);
    free(cfg->vifs);
    free(cfg->file);
    free(cfg->name);
    free(cfg->kernel);
    free(cfg->ramdisk);
    free(cfg->cmdline);
    free(cfg->pool);
    free(cfg->boot);
    free(cfg->serial);
    free(cfg->device_model);
    free(cfg->screen.listen);
    free(cfg->screen.password);
    free(cfg->screen.keymap);
    free(cfg->cpuid);
    json_object_put(cfg->rest);
    *cfg = (struct guest_config){ NULL };
}

/* --- overrides --- */

/* Takes settings of that name out of the chain, up to `last` and without it. */
static void remove_settings(struct config_settings *s, const char *name,
                            const struct config_setting *last)
{
    struct config_setting **at = &s->first, *tail = NULL;
    bool passed = false;

    while (*at) {
        struct config_setting *set = *at;

        passed |= set == last;
        if (!passed && strcmp(set->name, name) == 0) {
            *at = set->next;
            free(set->name);
            free(set);
            continue;
        }
        tail = set;
        at = &set->next;
    }
    s->last = tail;
}

/* Looks `name` like a key? What it is the table of keys says. */
static bool is_key(const char *name, size_t length)
{
    static const char letters[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return length && !(name[0] >= '0' && name[0] <= '9') && strspn(name, letters) >= length;
}

/* key=value; the value is read as in a file when it begins like a string or a list. */
static void apply_override(struct config_settings *s, const char *text)
{
    const char *equals = strchr(text, '=');
    struct config_setting *before = s->last, *set;
    const char *value;
    size_t length = 0;

    if (equals)
        length = strcspn(text, " \t=");
    if (!equals || strspn(text + length, " \t") != (size_t)(equals - text) - length ||
        !is_key(text, length)) {
        config_error(s->errors, "%s: '%s' is no KEY=VALUE", command_line, text);
        return;
    }
    value = equals + 1 + strspn(equals + 1, " \t");
    s->file = command_line;
    if (*value == '\'' || *value == '"' || *value == '[') {
        config_settings_read(s, text, strlen(text));
    } else {
        char *name = strndup(text, length);

        if (!name)
            abort();
        config_settings_add(s, name, 0, config_value_string(s, value, 0));
    }
    set = before ? before->next : s->first;
    for (struct config_setting *new = set; new; new = new->next)
        new->line = 0;
    if (set)
        remove_settings(s, set->name, set);
}

/* --- files --- */

static unsigned line_of(const struct config_settings *s, const char *name)
{
    for (const struct config_setting *set = s->first; set; set = set->next) {
        if (strcmp(set->name, name) == 0)
            return set->line;
    }
    return 0;
}

/* "file:line: key" of a thing that was configured. */
static char *where(const struct config_settings *s, const char *key, unsigned line)
{
    return line ? str_fmt("%s:%u: %s", s->file, line, key) : str_fmt("%s: %s", command_line, key);
}

static bool check_file(struct config_settings *s, const char *key, unsigned line, const char *path,
                       bool device)
{
    struct stat st;
    char *begin;
    bool good = false;

    if (!path)
        return true;
    begin = where(s, key, line);
    if (stat(path, &st) < 0)
        config_error(s->errors, "%s: %s: %s", begin, path, strerror(errno));
    else if (device && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        config_error(s->errors, "%s: %s is neither a file nor a block device", begin, path);
    else if (!device && !S_ISREG(st.st_mode))
        config_error(s->errors, "%s: %s is no file", begin, path);
    else if (access(path, R_OK) < 0)
        config_error(s->errors, "%s: %s: %s; try as root", begin, path, strerror(errno));
    else
        good = true;
    free(begin);
    return good;
}

bool disk_format_fits(const struct disk_config *disk)
{
    static const char qcow_magic[4] = { 'Q', 'F', 'I', '\xfb' };
    bool said = disk->format == DISK_QCOW2 || disk->format == DISK_QCOW;
    int fd = open(disk->target, O_RDONLY | O_CLOEXEC);
    char magic[4] = { 0 };

    if (fd < 0)
        return true; /* whoever opens it for use says why not */
    if (read(fd, magic, sizeof(magic)) < 0)
        magic[0] = 0;
    close(fd);
    return (memcmp(magic, qcow_magic, 4) == 0) == said;
}

static bool check_format(struct config_settings *s, const struct disk_config *disk)
{
    char *begin;

    if (disk_format_fits(disk))
        return true;
    begin = where(s, "disk", disk->line);
    config_error(s->errors,
                 disk->format == DISK_QCOW2 || disk->format == DISK_QCOW
                     ? "%s: %s is no qcow image, though the format is %s"
                     : "%s: %s is a qcow image, not %s; write format=qcow2",
                 begin, disk->target, disk_format_name(disk->format));
    free(begin);
    return false;
}

static bool check_files(struct config_settings *s, const struct guest_config *cfg)
{
    bool good = check_file(s, "kernel", line_of(s, "kernel"), cfg->kernel, false);

    good &= check_file(s, "device_model_override", line_of(s, "device_model_override"),
                       cfg->device_model, false);
    if (!good && cfg->kernel && strcmp(cfg->kernel, GRUB_IMAGE) == 0)
        config_error(s->errors,
                     "%s: the guest boots from its own disk through GRUB's image for PV "
                     "guests: apt install grub-xen-host",
                     s->file);
    good &= check_file(s, "ramdisk", line_of(s, "ramdisk"), cfg->ramdisk, false);
    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        const struct disk_config *disk = &cfg->disks[i];

        if (disk->script)
            continue; /* no path: its script is asked when the guest is made */
        good &= check_file(s, "disk", disk->line, disk->target, true) && check_format(s, disk);
    }
    return good;
}

/* The folder of a file's path: "." for a bare name. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    if (!slash)
        return str_dup(".");
    return slash == file ? str_dup("/") : str_fmt("%.*s", (int)(slash - file), file);
}

/* Skips the mark that some editors put in front of UTF-8; false for encodings that are no such
 * text. */
static bool skip_mark(const char **text, size_t *length, const char *file,
                      struct config_errors *errors)
{
    if (*length >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *length -= 3;
    }
    if (*length >= 2 && (memcmp(*text, "\xff\xfe", 2) == 0 || memcmp(*text, "\xfe\xff", 2) == 0)) {
        config_error(errors, "%s: is in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)", file);
        return false;
    }
    return true;
}

static bool parse(struct guest_config *cfg, const char *file, const char *text, size_t length,
                  char *const *overrides, unsigned count, bool files, struct config_errors *errors)
{
    struct config_settings s = { .file = file, .errors = errors };
    char *folder;
    bool good;

    *cfg = (struct guest_config){ NULL };
    if (!skip_mark(&text, &length, file, errors))
        return false;
    folder = folder_of(file);
    config_settings_read(&s, text, length);
    for (unsigned i = 0; i < count; i++)
        apply_override(&s, overrides[i]);
    s.file = file;
    good = config_decode(cfg, &s, folder);
    if (good && files)
        good = check_files(&s, cfg);
    if (good)
        cfg->file = str_dup(file);
    else
        config_free(cfg);
    config_settings_free(&s);
    free(folder);
    return good;
}

bool config_parse(struct guest_config *cfg, const char *file, const char *text, size_t length,
                  char *const *overrides, unsigned count, struct config_errors *errors)
{
    return parse(cfg, file, text, length, overrides, count, false, errors);
}

bool config_load(struct guest_config *cfg, const char *path, char *const *overrides, unsigned count,
                 struct config_errors *errors)
{
    bool is_stdin = strcmp(path, "-") == 0;
    size_t length;
    char *text = file_read(is_stdin ? "/dev/stdin" : path, MAX_FILE, &length);
    bool good;

    *cfg = (struct guest_config){ NULL };
    if (!text) {
        config_error(errors, "%s: %s", path, strerror(errno));
        return false;
    }
    if (length >= MAX_FILE) {
        config_error(errors, "%s: larger than %d bytes; this is no configuration", path, MAX_FILE);
        free(text);
        return false;
    }
    good = parse(cfg, is_stdin ? "standard input" : path, text, length, overrides, count, true,
                 errors);
    free(text);
    return good;
}

/* SPDX-License-Identifier: MIT */
/*
 * Bytes and their names. What guests have is read from the backends' nodes in xenstore, which only
 * Domain 0 writes, whoever made the guest; what Domain 0 has, from the kernel.
 */
#define _GNU_SOURCE
#include "tools/cli/disk_use.h"
#include "tools/cli/config.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR 512
#define DEPTH 8 /* of devices made from devices */
#define TO_THE_END UINT64_MAX

const char *disk_use_sysfs = "/sys";

static const char remedy[] =
    "Two that use one file system, one of them writing, destroy it. Give a copy, or attach it "
    "read-only (mode r) to both; --force goes past this.";

/* --- bytes --- */

static void add(struct extent *list, unsigned int *n, const char *id, uint64_t start, uint64_t end)
{
    if (*n == EXTENTS_MAX)
        return;
    list[*n] = (struct extent){ .start = start, .end = end };
    snprintf(list[(*n)++].id, sizeof(list->id), "%s", id);
}

static char *attribute(const char *dev, const char *name)
{
    char *path = str_fmt("%s/dev/block/%s/%s", disk_use_sysfs, dev, name);
    char *text = file_read(path, 4096, NULL);

    free(path);
    if (text)
        text[strcspn(text, "\n")] = 0;
    return text;
}

static uint64_t number(const char *dev, const char *name)
{
    char *text = attribute(dev, name);
    uint64_t v = text ? strtoull(text, NULL, 10) : 0;

    free(text);
    return v;
}

static void file_id(char id[48], const struct stat *st)
{
    snprintf(id, 48, "f%llx-%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

/* A loop device stands for its file, or for a part of it. */
static bool add_loop(struct disk_use *u, const char *dev)
{
    char *path = attribute(dev, "loop/backing_file"), id[48];
    uint64_t start = number(dev, "loop/offset"), length = number(dev, "loop/sizelimit");
    struct stat st;
    bool is = path && stat(path, &st) == 0;

    if (is && S_ISREG(st.st_mode)) {
        file_id(id, &st);
        add(u->own, &u->nr_own, id, start, length ? start + length : TO_THE_END);
    }
    free(path);
    return is && S_ISREG(st.st_mode);
}

/* The device of which this one is a partition, as "major:minor"; NULL: it is none. */
static char *whole_disk(const char *dev)
{
    char *partition = attribute(dev, "partition"), *parent = NULL;

    if (partition)
        parent = attribute(dev, "../dev");
    free(partition);
    return parent;
}

static void add_device(struct disk_use *u, const char *dev, unsigned int depth);

/* The devices that this one is made from, each with all that is below it. */
static void add_slaves(struct disk_use *u, const char *dev, unsigned int depth)
{
    char *path = str_fmt("%s/dev/block/%s/slaves", disk_use_sysfs, dev);
    DIR *d = depth < DEPTH ? opendir(path) : NULL;
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        char *name = entry->d_name[0] == '.' ? NULL : str_fmt("slaves/%s/dev", entry->d_name);
        char *slave = name ? attribute(dev, name) : NULL;

        if (slave) {
            struct disk_use *s = mem_alloc(sizeof(*s));

            add_device(s, slave, depth + 1);
            for (unsigned int i = 0; i < s->nr_own; i++)
                add(u->below, &u->nr_below, s->own[i].id, s->own[i].start, s->own[i].end);
            for (unsigned int i = 0; i < s->nr_below; i++)
                add(u->below, &u->nr_below, s->below[i].id, s->below[i].start, s->below[i].end);
            free(s);
        }
        free(slave);
        free(name);
    }
    if (d)
        closedir(d);
    free(path);
}

static void add_device(struct disk_use *u, const char *dev, unsigned int depth)
{
    unsigned int major, minor;
    char *disk, id[48];

    if (sscanf(dev, "%u:%u", &major, &minor) != 2 || add_loop(u, dev))
        return;
    disk = whole_disk(dev);
    if (disk && sscanf(disk, "%u:%u", &major, &minor) == 2) {
        uint64_t start = number(dev, "start") * SECTOR;

        snprintf(id, sizeof(id), "b%u-%u", major, minor);
        add(u->own, &u->nr_own, id, start, start + number(dev, "size") * SECTOR);
        add_slaves(u, disk, depth);
    } else {
        snprintf(id, sizeof(id), "b%u-%u", major, minor);
        add(u->own, &u->nr_own, id, 0, TO_THE_END);
        add_slaves(u, dev, depth);
    }
    free(disk);
}

static void add_node(struct disk_use *u, const struct stat *st)
{
    char text[48];

    if (S_ISBLK(st->st_mode)) {
        snprintf(text, sizeof(text), "%u:%u", major(st->st_rdev), minor(st->st_rdev));
        add_device(u, text, 0);
    } else if (S_ISREG(st->st_mode)) {
        file_id(text, st);
        add(u->own, &u->nr_own, text, 0, TO_THE_END);
    }
}

void disk_use_of(struct disk_use *u, const struct stat *st)
{
    memset(u, 0, sizeof(*u));
    add_node(u, st);
}

static bool overlap(const struct extent *a, unsigned int na, const struct extent *b,
                    unsigned int nb)
{
    for (unsigned int i = 0; i < na; i++) {
        for (unsigned int j = 0; j < nb; j++) {
            if (strcmp(a[i].id, b[j].id) == 0 && a[i].start < b[j].end && b[j].start < a[i].end)
                return true;
        }
    }
    return false;
}

bool disk_use_same(const struct disk_use *a, const struct disk_use *b)
{
    return overlap(a->own, a->nr_own, b->own, b->nr_own) ||
           overlap(a->own, a->nr_own, b->below, b->nr_below) ||
           overlap(a->below, a->nr_below, b->own, b->nr_own);
}

/* --- guests --- */

/* What a backend serves: the device, and the file that its program (qemu-nbd) reads. */
static void use_of_backend(struct store *s, const char *back, struct disk_use *u)
{
    char *device = store_read(s, "%s/physical-device", back);
    char *params = store_read(s, "%s/params", back), dev[32];
    unsigned int major, minor;
    struct stat st;

    memset(u, 0, sizeof(*u));
    if (device && sscanf(device, "%x:%x", &major, &minor) == 2) {
        snprintf(dev, sizeof(dev), "%u:%u", major, minor);
        add_device(u, dev, 0);
    }
    if (params && *params == '/' && stat(params, &st) == 0)
        add_node(u, &st);
    free(device);
    free(params);
}

static int check_backend(struct host *h, const struct disk_config *d, const struct disk_use *u,
                         const char *guest, const char *back, struct error *e)
{
    char *mode = store_read(&h->store, "%s/mode", back), name[NAME_SIZE];
    struct disk_use *theirs = mem_alloc(sizeof(*theirs));
    char *params = NULL;
    int rc = 0;

    if (mode && (*mode == 'w' || !d->readonly)) {
        use_of_backend(&h->store, back, theirs);
        if (disk_use_same(u, theirs)) {
            params = store_text(&h->store, "%s/params", back);
            name_of(&h->store, (uint32_t)atoi(guest), name);
            rc = error_set(e, EBUSY, remedy, "disk %s: %s is in use by guest %s (as %s%s)", d->vdev,
                           d->target, name[0] ? name : guest, params,
                           *mode == 'w' ? ", which writes" : "");
        }
    }
    free(params);
    free(theirs);
    free(mode);
    return rc;
}

/* Of `but` one disk is passed over: the very one that is looked at. */
static int check_guests(struct host *h, const struct disk_config *d, const struct disk_use *u,
                        int but, struct error *e)
{
    static const char root[] = "/local/domain/0/backend/vbd";
    unsigned int guests, disks;
    char **guest = store_list(&h->store, &guests, "%s", root);
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i < guests; i++) {
        char **disk = store_list(&h->store, &disks, "%s/%s", root, guest[i]);

        for (unsigned int j = 0; rc == 0 && j < disks; j++) {
            char *back = str_fmt("%s/%s/%s", root, guest[i], disk[j]);

            if (atoi(guest[i]) != but || (unsigned)atoi(disk[j]) != d->number)
                rc = check_backend(h, d, u, guest[i], back, e);
            free(back);
        }
        free(disk);
    }
    free(guest);
    return rc;
}

/* --- Domain 0 --- */

static int used_here(const struct disk_config *d, const char *as, struct error *e)
{
    return error_set(
        e, EBUSY,
        "End that use first (findmnt, swapon, lsblk and losetup -a show it), or attach "
        "it read-only; --force goes past this.",
        "disk %s: %s is in use in Domain 0%s%s", d->vdev, d->target, as ? ": " : "", as ? as : "");
}

/* Mounts, swap and volume groups hold their devices exclusively. */
static bool held(const char *node)
{
    int fd = open(node, O_RDONLY | O_EXCL | O_CLOEXEC);
    bool busy = fd < 0 && errno == EBUSY;

    if (fd >= 0)
        close(fd);
    return busy;
}

/* A loop device over the file that somebody here holds. */
static int check_loops(const struct disk_config *d, const struct disk_use *u, struct error *e)
{
    char *path = str_fmt("%s/block", disk_use_sysfs);
    DIR *dir = opendir(path);
    struct disk_use *loop = mem_alloc(sizeof(*loop));
    struct dirent *entry;
    int rc = 0;

    while (rc == 0 && dir && (entry = readdir(dir))) {
        char *node, *name, *dev;

        if (strncmp(entry->d_name, "loop", 4) != 0)
            continue;
        name = str_fmt("%s/%s/dev", path, entry->d_name);
        dev = file_read(name, 64, NULL);
        node = str_fmt("/dev/%s", entry->d_name);
        memset(loop, 0, sizeof(*loop));
        if (dev) {
            dev[strcspn(dev, "\n")] = 0;
            if (add_loop(loop, dev) && disk_use_same(u, loop) && held(node))
                rc = used_here(d, node, e);
        }
        free(name);
        free(dev);
        free(node);
    }
    if (dir)
        closedir(dir);
    free(loop);
    free(path);
    return rc;
}

static int check_swap(const struct disk_config *d, const struct disk_use *u, struct error *e)
{
    char *text = file_read("/proc/swaps", 1 << 16, NULL), *save = NULL;
    char *line = text ? strtok_r(text, "\n", &save) : NULL;
    struct disk_use *swap = mem_alloc(sizeof(*swap));
    int rc = 0;

    for (; line && rc == 0; line = strtok_r(NULL, "\n", &save)) {
        struct stat st;

        line[strcspn(line, " \t")] = 0;
        if (*line != '/' || stat(line, &st) != 0)
            continue;
        disk_use_of(swap, &st);
        if (disk_use_same(u, swap))
            rc = used_here(d, "swap", e);
    }
    free(swap);
    free(text);
    return rc;
}

/* What only reads gets what Domain 0 uses: so people look into a host's own disks. */
static int check_domain0(const struct disk_config *d, const struct stat *st,
                         const struct disk_use *u, struct error *e)
{
    if (d->readonly)
        return 0;
    if (S_ISBLK(st->st_mode) && held(d->target))
        return used_here(d, NULL, e);
    return check_swap(d, u, e) != 0 ? -1 : check_loops(d, u, e);
}

int disk_use_check(struct host *h, const struct disk_config *d, struct error *e)
{
    struct disk_use *u = mem_alloc(sizeof(*u));
    struct stat st;
    int rc = 0;

    if (stat(d->target, &st) == 0) {
        disk_use_of(u, &st);
        rc = check_domain0(d, &st, u, e);
        rc = rc ? rc : check_guests(h, d, u, -1, e);
    }
    free(u);
    return rc;
}

/* The backend may hold it already, so only guests and swap are asked. */
int disk_use_check_device(struct host *h, unsigned int domid, const struct disk_config *d,
                          unsigned int major, unsigned int minor, struct error *e)
{
    struct disk_use *u = mem_alloc(sizeof(*u));
    char dev[32];
    int rc;

    snprintf(dev, sizeof(dev), "%u:%u", major, minor);
    add_device(u, dev, 0);
    rc = d->readonly ? 0 : check_swap(d, u, e);
    rc = rc ? rc : check_guests(h, d, u, (int)domid, e);
    free(u);
    return rc;
}

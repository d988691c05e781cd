/* SPDX-License-Identifier: MIT */
/*
 * Who uses these bytes. A file, a loop device over it, a second name of its inode, a partition and
 * its whole disk, a device-mapper node and what lies below it: all are names of bytes, and two
 * users of which one writes must not have the same. This is the one place that knows.
 */
#ifndef TOOLS_CLI_DISK_USE_H
#define TOOLS_CLI_DISK_USE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct error;
struct host;
struct disk_config;

#define EXTENTS_MAX 64

/* Bytes of a file or of a device that is no part of another. */
struct extent {
    char id[48]; /* "f<device>-<inode>", "b<major>-<minor>" */
    uint64_t start, end;
};

/*
 * `own` are the bytes themselves under all their names; `below` are what they are made from (a
 * volume's disks): who writes there changes them, though a neighbour made from the same does not.
 */
struct disk_use {
    struct extent own[EXTENTS_MAX], below[EXTENTS_MAX];
    unsigned int nr_own, nr_below;
};

/* The folder in which the kernel tells about devices; tests have another. */
extern const char *disk_use_sysfs;

void disk_use_of(struct disk_use *u, const struct stat *st);
bool disk_use_same(const struct disk_use *a, const struct disk_use *b);

/*
 * Whether a guest or Domain 0 has the bytes of this disk so that it must not be given: as they
 * write, or it would. 0, or -1 with e, which says who and how to get out of it. The disk was opened
 * for a look before (disk_check).
 */
int disk_use_check(struct host *h, const struct disk_config *d, struct error *e);

/* The same for the device that a block script has named, by its number; `domid` itself has it. */
int disk_use_check_device(struct host *h, unsigned int domid, const struct disk_config *d,
                          unsigned int major, unsigned int minor, struct error *e);

#endif

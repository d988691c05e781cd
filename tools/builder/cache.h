/* SPDX-License-Identifier: MIT */
/*
 * The cache of unpacked kernels: a directory of files, each the ELF with holes for its zero pages
 * and a trailer behind it. An entry belongs to one state of a kernel file: its device, inode, size
 * and times are its name. It appears whole (linked when complete) and is never written again.
 */
#ifndef BUILDER_CACHE_H
#define BUILDER_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define CACHE_MAX_BYTES (256ull << 20) /* beyond that the longest unused go */

struct cache {
    int dir;    /* -1: there is none that can be trusted */
    bool fresh; /* this kernel file changed just now: one more change might leave its times alone */
    struct stat of;
};

/* Opens the directory (NULL: none), making it if need be, for one kernel file. */
void cache_open(struct cache *c, const char *dir, const struct stat *kernel);
void cache_close(struct cache *c);

/* The file with the unpacked ELF, and its size without the trailer; -1: not there. */
int cache_find(const struct cache *c, uint64_t *elf_size);

/* A new file without a name for an ELF: in the cache's directory, else in memory. -1 with errno. */
int cache_new_file(const struct cache *c);

/*
 * Gives a file of cache_new_file, which holds the whole ELF, its trailer and a name. What cannot be
 * kept (no room, another process was first) is no error.
 */
void cache_keep(const struct cache *c, int fd, uint64_t elf_size);

/* Removes the entry that was not used for longest; false if there is none. */
bool cache_drop_oldest(const struct cache *c);

/* Removes all entries; 0 or -errno. */
int cache_clear(const char *dir);

#endif

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tools/builder/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tools/lib/util.h"

#define NAME_MAX_LEN 160
#define FRESH_SECONDS                                                          \
    2 /* more than the coarsest time stamp of a file system that holds kernels \
       */

struct trailer {
    char magic[16];
    uint64_t elf_size;
    uint64_t dev, ino, size, mtime, mtime_ns, ctime, ctime_ns;
};
static const char magic[16] = "orlop-kernel-1\n";

static void fill_trailer(const struct cache *c, uint64_t elf_size, struct trailer *t)
{
    memset(t, 0, sizeof(*t));
    memcpy(t->magic, magic, sizeof(magic));
    t->elf_size = elf_size;
    t->dev = c->of.st_dev;
    t->ino = c->of.st_ino;
    t->size = (uint64_t)c->of.st_size;
    t->mtime = (uint64_t)c->of.st_mtim.tv_sec;
    t->mtime_ns = (uint64_t)c->of.st_mtim.tv_nsec;
    t->ctime = (uint64_t)c->of.st_ctim.tv_sec;
    t->ctime_ns = (uint64_t)c->of.st_ctim.tv_nsec;
}

/* The name's first part, up to `prefix` characters, is the kernel file; the rest its state. */
static void entry_name(const struct cache *c, char name[NAME_MAX_LEN], int *prefix)
{
    struct trailer t;

    fill_trailer(c, 0, &t);
    snprintf(name, NAME_MAX_LEN, "%lx-%lx-%n%lx-%lx.%lx-%lx.%lx", t.dev, t.ino, prefix, t.size,
             t.mtime, t.mtime_ns, t.ctime, t.ctime_ns);
}

/* Only this user may have been in there. */
static bool trusted(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & (S_IRWXG | S_IRWXO));
}

static int open_dir(const char *path)
{
    struct stat st;
    int fd;

    if (make_dirs(path, 0755) || (mkdir(path, 0700) && errno != EEXIST))
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && trusted(&st))
        return fd;
    close(fd);
    return -1;
}

void cache_open(struct cache *c, const char *dir, const struct stat *kernel)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    c->dir = dir ? open_dir(dir) : -1;
    c->of = *kernel;
    c->fresh = now.tv_sec - kernel->st_ctim.tv_sec < FRESH_SECONDS;
}

void cache_close(struct cache *c)
{
    if (c->dir >= 0)
        close(c->dir);
    c->dir = -1;
}

static bool valid(const struct cache *c, int fd, uint64_t *elf_size)
{
    struct trailer want, got;
    struct stat st;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !trusted(&st) || st.st_size <= sizeof(got))
        return false;
    *elf_size = (uint64_t)st.st_size - sizeof(got);
    fill_trailer(c, *elf_size, &want);
    return pread(fd, &got, sizeof(got), (off_t)*elf_size) == sizeof(got) &&
           memcmp(&got, &want, sizeof(got)) == 0;
}

int cache_find(const struct cache *c, uint64_t *elf_size)
{
    char name[NAME_MAX_LEN];
    int prefix, fd;

    if (c->dir < 0)
        return -1;
    entry_name(c, name, &prefix);
    fd = openat(c->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (valid(c, fd, elf_size)) {
        futimens(fd, NULL); /* used now */
        return fd;
    }
    close(fd);
    unlinkat(c->dir, name, 0);
    return -1;
}

int cache_new_file(const struct cache *c)
{
    int fd = c->dir < 0 || c->fresh ? -1
                                    : openat(c->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? memfd_create("orlop-kernel", MFD_CLOEXEC) : fd;
}

/* --- what goes --- */

struct entries {
    uint64_t bytes;
    struct timespec oldest_used;
    char oldest[NAME_MAX_LEN];
};

/* Looks at all entries but `keep`; those that `gone` describes (a prefix) are removed. */
static int survey(int dirfd, const char *gone, size_t gone_len, const char *keep, struct entries *s)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *de;

    memset(s, 0, sizeof(*s));
    if (!d)
        return -errno;
    while ((de = readdir(d))) {
        const char *name = de->d_name;
        struct stat st;

        if (name[0] == '.' || strlen(name) >= NAME_MAX_LEN || fstatat(dirfd, name, &st, 0))
            continue;
        if (strcmp(name, keep) != 0 && gone && strncmp(name, gone, gone_len) == 0) {
            unlinkat(dirfd, name, 0);
            continue;
        }
        s->bytes += (uint64_t)st.st_blocks * 512;
        if (strcmp(name, keep) == 0)
            continue;
        if (!s->oldest[0] || st.st_mtim.tv_sec < s->oldest_used.tv_sec ||
            (st.st_mtim.tv_sec == s->oldest_used.tv_sec &&
             st.st_mtim.tv_nsec < s->oldest_used.tv_nsec)) {
            strcpy(s->oldest, name);
            s->oldest_used = st.st_mtim;
        }
    }
    closedir(d);
    return 0;
}

void cache_keep(const struct cache *c, int fd, uint64_t elf_size)
{
    char name[NAME_MAX_LEN], self[64];
    struct trailer t;
    struct entries s;
    int prefix;

    if (c->dir < 0 || c->fresh)
        return;
    fill_trailer(c, elf_size, &t);
    if (pwrite(fd, &t, sizeof(t), (off_t)elf_size) != sizeof(t))
        return;
    entry_name(c, name, &prefix);
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, c->dir, name, AT_SYMLINK_FOLLOW))
        return; /* EEXIST: somebody was first; EXDEV: it is in memory */
    /* Older states of the same file go, then the longest unused. */
    survey(c->dir, name, (size_t)prefix, name, &s);
    while (s.bytes > CACHE_MAX_BYTES && s.oldest[0]) {
        unlinkat(c->dir, s.oldest, 0);
        survey(c->dir, NULL, 0, name, &s);
    }
}

bool cache_drop_oldest(const struct cache *c)
{
    struct entries s;

    return c->dir >= 0 && survey(c->dir, NULL, 0, ".", &s) == 0 && s.oldest[0] &&
           unlinkat(c->dir, s.oldest, 0) == 0;
}

int cache_clear(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
    struct entries s;

    if (dir < 0)
        return errno == ENOENT ? 0 : -errno;
    rc = survey(dir, "", 0, ".", &s);
    close(dir);
    return rc;
}

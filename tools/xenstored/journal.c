/* SPDX-License-Identifier: MIT */
#include "xenstored/journal.h"
#include "xenstored/xs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x31767378726f6c6full
#define RESERVE (1ull << 30) /* addresses for one file; it has far fewer bytes */
#define STEP (256u << 10)
#define SLICE 64 /* nodes of a base written between two requests */
#define MIN_LOG (1u << 20)

struct header {
    uint64_t magic;
    char boot[40];          /* the state is of this boot of the machine */
    _Atomic uint64_t end;   /* bytes of header and records */
    _Atomic uint64_t ready; /* of a base: it is complete */
};

static void boot_id(char *out)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(out, 0, 40);
    if (fd >= 0) {
        if (read(fd, out, 36) < 0)
            out[0] = 0;
        close(fd);
    }
}

static void file_name(const struct journal *j, char *out, size_t n, const char *kind,
                      uint64_t number)
{
    snprintf(out, n, "%s/%s.%llu", j->dir, kind, (unsigned long long)number);
}

static void file_close(struct jfile *f)
{
    if (!f->map)
        return;
    munmap(f->map, RESERVE);
    close(f->fd);
    f->map = NULL;
}

static bool file_map(struct jfile *f)
{
    f->map = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, f->fd, 0);
    if (f->map == MAP_FAILED) {
        f->map = NULL;
        close(f->fd);
        return false;
    }
    return true;
}

static bool file_create(struct journal *j, struct jfile *f, const char *kind, uint64_t number)
{
    char name[4200];
    struct header *h;

    file_name(j, name, sizeof(name), kind, number);
    f->fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return false;
    f->size = STEP;
    if ((errno = posix_fallocate(f->fd, 0, f->size)) != 0) {
        close(f->fd);
        return false;
    }
    if (!file_map(f))
        return false;
    h = (struct header *)f->map;
    boot_id(h->boot);
    f->end = sizeof(*h);
    atomic_store(&h->end, f->end);
    atomic_store((_Atomic uint64_t *)&h->magic, MAGIC);
    return true;
}

/* A record: its length, its bytes, and then the new end. Room is made first: a full tmpfs is no
 * SIGBUS. */
static bool file_append(struct jfile *f, const struct buf *rec)
{
    uint64_t want = f->end + 4 + rec->len;
    uint32_t len = rec->len;

    if (want > f->size) {
        uint64_t size = (want + STEP - 1) / STEP * STEP;

        errno = size > RESERVE ? EFBIG : posix_fallocate(f->fd, f->size, size - f->size);
        if (errno)
            return false;
        f->size = size;
    }
    memcpy(f->map + f->end, &len, 4);
    memcpy(f->map + f->end + 4, rec->p, len);
    f->end = want;
    atomic_store_explicit(&((struct header *)f->map)->end, want, memory_order_release);
    return true;
}

static void file_remove(struct journal *j, const char *kind, uint64_t number)
{
    char name[4200];

    file_name(j, name, sizeof(name), kind, number);
    unlink(name);
}

/* Removes the files of numbers below `below`. */
static void clean(struct journal *j, uint64_t below)
{
    DIR *d = opendir(j->dir);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d))) {
        unsigned long long n;

        if (sscanf(e->d_name, "base.%llu", &n) == 1 && n < below)
            file_remove(j, "base", n);
        if (sscanf(e->d_name, "log.%llu", &n) == 1 && n < below)
            file_remove(j, "log", n);
    }
    closedir(d);
}

/* Without room for its state the daemon serves on, but a restart would find nothing. */
static void give_up(struct xs *xs, const char *what)
{
    struct journal *j = &xs->journal;

    xs_log(
        "cannot write %s in %s: %s. The store is no longer kept across a restart of this daemon; "
        "free space there and restart the host's guests when convenient",
        what, j->dir, strerror(errno));
    file_close(&j->log);
    file_close(&j->base);
    clean(j, UINT64_MAX);
    tree_put(j->snap);
    j->snap = NULL;
    free(j->dir);
    j->dir = NULL;
    j->rec.len = 0;
}

/* Begins log.N and base.N; all clients go into the base at once, the nodes later in slices. */
static bool checkpoint_begin(struct xs *xs)
{
    struct journal *j = &xs->journal;
    struct jfile log;
    struct buf rec = { 0 };
    bool ok = true;

    if (!file_create(j, &j->base, "base", j->number + 1))
        return false;
    if (!file_create(j, &log, "log", j->number + 1))
        return false;
    file_close(&j->log);
    j->log = log;
    j->number++;
    j->snap = tree_get(xs->root);
    free(j->snap_at);
    j->snap_at = NULL;
    for (struct client *c = xs->clients; c && ok; c = c->next) {
        if (!c->is_ring)
            continue;
        rec.len = 0;
        record_client(&rec, c);
        ok = file_append(&j->base, &rec);
    }
    buf_free(&rec);
    return ok;
}

static bool checkpoint_slice(struct xs *xs, unsigned nodes)
{
    struct journal *j = &xs->journal;
    struct buf rec = { 0 };
    struct tnode *t = NULL;
    bool ok;

    while (nodes--) {
        t = j->snap_at ? tree_next(j->snap, j->snap_at) : tree_find(j->snap, "");
        if (!t)
            break;
        journal_node(&rec, t);
        free(j->snap_at);
        j->snap_at = xs_strdup(t->data->path);
    }
    ok = !rec.len || file_append(&j->base, &rec);
    buf_free(&rec);
    if (!ok || t)
        return ok;
    atomic_store(&((struct header *)j->base.map)->ready, 1);
    j->base_size = j->base.end;
    file_close(&j->base);
    tree_put(j->snap);
    j->snap = NULL;
    clean(j, j->number);
    return true;
}

void journal_commit(struct xs *xs)
{
    struct journal *j = &xs->journal;

    if (j->dir && j->rec.len && !file_append(&j->log, &j->rec))
        give_up(xs, "the journal");
    j->rec.len = 0;
}

void journal_work(struct xs *xs)
{
    struct journal *j = &xs->journal;

    if (!j->dir)
        return;
    if (j->snap) {
        if (!checkpoint_slice(xs, SLICE))
            give_up(xs, "a checkpoint");
    } else if (j->log.end > j->min_log && j->log.end > 2 * j->base_size) {
        if (!checkpoint_begin(xs))
            give_up(xs, "a checkpoint");
    }
}

/* Maps a file that is there. `end` is taken with care: it lies in the file. */
static bool file_open(struct journal *j, struct jfile *f, const char *kind, uint64_t number)
{
    char name[4200], boot[40];
    struct header *h;
    struct stat st;

    file_name(j, name, sizeof(name), kind, number);
    f->fd = open(name, O_RDWR | O_CLOEXEC);
    if (f->fd < 0)
        return false;
    if (fstat(f->fd, &st) != 0 || st.st_size < (off_t)sizeof(*h) || st.st_size > (off_t)RESERVE) {
        close(f->fd);
        return false;
    }
    if (!file_map(f))
        return false;
    h = (struct header *)f->map;
    boot_id(boot);
    f->size = st.st_size;
    f->end = atomic_load(&h->end);
    if (h->magic == MAGIC && f->end <= f->size && memcmp(h->boot, boot, 40) == 0)
        return true;
    file_close(f);
    return false;
}

static bool file_replay(struct xs *xs, struct jfile *f)
{
    uint64_t at = sizeof(struct header);

    while (f->end - at >= 4) {
        uint32_t len;

        memcpy(&len, f->map + at, 4);
        if (len > f->end - at - 4 || !record_apply(xs, f->map + at + 4, len))
            return false;
        at += 4 + len;
    }
    return true;
}

/* The newest complete base's number, and the highest number in use; false: none. */
static bool newest(struct journal *j, uint64_t *base, uint64_t *last)
{
    DIR *d = opendir(j->dir);
    struct dirent *e;
    bool found = false;

    *last = 0;
    if (!d)
        return false;
    while ((e = readdir(d))) {
        struct jfile f;
        unsigned long long n;

        if (sscanf(e->d_name, "log.%llu", &n) == 1 && n > *last)
            *last = n;
        if (sscanf(e->d_name, "base.%llu", &n) != 1)
            continue;
        if (n > *last)
            *last = n;
        if (file_open(j, &f, "base", n)) {
            if (atomic_load(&((struct header *)f.map)->ready) && (!found || n > *base)) {
                *base = n;
                found = true;
            }
            file_close(&f);
        }
    }
    closedir(d);
    return found;
}

static void recover(struct xs *xs, uint64_t base, uint64_t last)
{
    struct journal *j = &xs->journal;
    struct jfile f;

    for (uint64_t n = base; n <= last; n++) {
        if (n == base && file_open(j, &f, "base", n)) {
            if (!file_replay(xs, &f))
                xs_log("%s/base.%llu is damaged", j->dir, (unsigned long long)n);
            file_close(&f);
        }
        if (file_open(j, &f, "log", n)) {
            if (!file_replay(xs, &f))
                xs_log("%s/log.%llu is damaged", j->dir, (unsigned long long)n);
            file_close(&f);
        }
    }
}

int journal_open(struct xs *xs, const char *dir)
{
    struct journal *j = &xs->journal;
    uint64_t base = 0, last;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return errno;
    j->dir = xs_strdup(dir);
    if (!j->min_log)
        j->min_log = MIN_LOG;
    if (newest(j, &base, &last)) {
        tree_put(xs->root);
        xs->root = NULL;
        memset(xs->quota.owned, 0, sizeof(xs->quota.owned));
        memset(xs->quota.bytes, 0, sizeof(xs->quota.bytes));
        recover(xs, base, last);
        j->rec.len = 0; /* what is applied is not written again */
    }
    j->number = last;
    if (!checkpoint_begin(xs))
        return errno ? errno : EIO;
    while (j->snap) {
        if (!checkpoint_slice(xs, 4096))
            return errno ? errno : EIO;
    }
    return 0;
}

void journal_close(struct xs *xs)
{
    struct journal *j = &xs->journal;

    file_close(&j->log);
    file_close(&j->base);
    tree_put(j->snap);
    free(j->snap_at);
    free(j->dir);
    buf_free(&j->rec);
    memset(j, 0, sizeof(*j));
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* asprintf */
#include "consoled/state.h"
#include "consoled/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x6f726c6f70636f31ull /* changes with the layout */

struct state_page {
    uint64_t magic; /* last of all when the file is made */
    char identity[128];
    _Atomic uint32_t turn; /* its lowest bit says which of the two holds */
    struct saved saved[2];
};

static struct state_page *map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    void *p = MAP_FAILED;

    if (fd >= 0 && posix_fallocate(fd, 0, sizeof(struct state_page)) == 0)
        p = mmap(NULL, sizeof(struct state_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        con_log("%s: %s; after a restart of this daemon output may be repeated", path,
                strerror(errno));
    if (fd >= 0)
        close(fd);
    return p == MAP_FAILED ? NULL : p;
}

bool state_open(struct state *s, const char *dir, const char *name, const char *identity,
                struct saved *saved)
{
    struct state_page *p;

    *saved = (struct saved){ 0 };
    if (asprintf(&s->path, "%s/%s", dir, name) < 0)
        abort();
    p = s->page = map_file(s->path);
    if (!p)
        return false;
    if (p->magic == MAGIC && strncmp(p->identity, identity, sizeof(p->identity) - 1) == 0) {
        state_get(s, saved);
        return true;
    }
    p->magic = 0;
    atomic_thread_fence(memory_order_seq_cst);
    memset(p->identity, 0, sizeof(p->identity));
    memset(p->saved, 0, sizeof(p->saved));
    p->turn = 0;
    snprintf(p->identity, sizeof(p->identity), "%s", identity);
    atomic_thread_fence(memory_order_seq_cst);
    p->magic = MAGIC;
    return false;
}

void state_get(const struct state *s, struct saved *saved)
{
    *saved = s->page ? s->page->saved[s->page->turn & 1] : (struct saved){ 0 };
}

void state_put(struct state *s, const struct saved *saved)
{
    uint32_t turn;

    if (!s->page)
        return;
    turn = s->page->turn + 1;
    s->page->saved[turn & 1] = *saved;
    s->page->turn = turn; /* an atomic store: what it names is there before it */
}

void state_close(struct state *s, bool remove)
{
    if (s->page)
        munmap(s->page, sizeof(*s->page));
    if (remove && s->path)
        unlink(s->path);
    free(s->path);
    *s = (struct state){ 0 };
}

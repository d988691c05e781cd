/* SPDX-License-Identifier: MIT */
/*
 * What connects the daemon to guests and to the store: Xen's devices and libxenstore (xen.c,
 * store.c), or memory in the tests.
 */
#ifndef CONSOLED_PLATFORM_H
#define CONSOLED_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct platform {
    void *ctx;
    int fd; /* readable when a port was signalled; -1: none */
    /* The console page of a domain, by its reserved grant or else by frame number; NULL: errno.
     * *granted is for unmap. */
    void *(*map)(void *ctx, uint32_t domid, uint64_t gfn, bool *granted);
    void (*unmap)(void *ctx, void *page, bool granted);
    /* A local port for the domain's port, or for the hypervisor's console; negative: errno. */
    int (*bind)(void *ctx, uint32_t domid, uint32_t port);
    int (*bind_hypervisor)(void *ctx);
    void (*unbind)(void *ctx, int local);
    void (*notify)(void *ctx, int local);
    /* A local port that was signalled and is held back until unmask; -1: no more. */
    int (*next)(void *ctx);
    void (*unmask)(void *ctx, int local);
    /* False: there is no such domain, or it is being torn down. */
    bool (*alive)(void *ctx, uint32_t domid);
    /* The hypervisor's console from *index on, which moves on; how many bytes, negative: errno. */
    int (*read_console)(void *ctx, void *buf, size_t size, uint32_t *index);
};

/* Paths are absolute. A call fails when the connection is lost; whoever wants to know asks
 * `connected`, since a daemon that goes away makes no descriptor readable. */
struct store {
    void *ctx;
    int (*fd)(void *ctx); /* readable when watches fired; -1: not connected */
    bool (*open)(void *ctx);
    void (*close)(void *ctx);
    bool (*connected)(void *ctx);
    char *(*read)(void *ctx, const char *path); /* the caller frees it; NULL: there is none */
    /* Writes `path`, if `beside` exists at that moment. */
    bool (*write_beside)(void *ctx, const char *path, const char *value, const char *beside);
    char **(*list)(void *ctx, const char *path, unsigned *n); /* the caller frees it once */
    bool (*watch)(void *ctx, const char *path, const char *token);
    void (*unwatch)(void *ctx, const char *path, const char *token);
    /* The next watch that fired: a copy of its path and token; false: errno, EAGAIN if none. */
    bool (*next)(void *ctx, char *path, size_t path_size, char *token, size_t token_size);
};

#endif

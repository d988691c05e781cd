/* SPDX-License-Identifier: MIT */
/* The daemon's state in one place, and the contract of what connects it to domains. */
#ifndef XENSTORED_XS_H
#define XENSTORED_XS_H

#include "xenstored/client.h"
#include "xenstored/journal.h"
#include "xenstored/quota.h"
#include "xenstored/sweep.h"
#include "xenstored/tree.h"
#include "xenstored/watch.h"

#define SPECIAL_INTRODUCE "@introduceDomain"
#define SPECIAL_RELEASE "@releaseDomain"

enum {
    NO_DOMAIN = -1,  /* has signalled */
    SOME_ENDED = -2, /* domains may have stopped or gone */
    NOT_OURS = -3    /* a signal of a domain that is no longer connected */
};

/* How rings are reached: Xen's devices, or memory and an eventfd in the tests. */
struct platform {
    void *ctx;
    int fd; /* readable when a domain signalled; -1 if there is none */
    /* Maps the ring of c->id.domid and binds c->port: fills c->page and c->local_port. */
    bool (*map)(void *ctx, struct client *c);
    void (*unmap)(void *ctx, struct client *c);
    void (*notify)(void *ctx, struct client *c);
    /* The next domain that signalled, which does not signal again before unmask; or one of these.
     */
    int (*next)(void *ctx);
    void (*unmask)(void *ctx, struct client *c);
    /* Whether the domain exists (0: gone or dying), and whether it has shut down. NULL: nobody
     * knows. */
    bool (*alive)(void *ctx, uint16_t domid, bool *shutdown);
};

struct xs {
    struct tnode *root;
    uint64_t gen;
    struct quota quota;
    struct watch_index watches;
    struct journal journal;
    struct sweep sweep;
    const struct platform *plat;
    struct client *clients;
    struct client *domains[DOMIDS];
    struct client *ready, **ready_tail;
    struct client *owed;         /* clients with events from the current request */
    struct txn *oldest, *newest; /* open transactions that may age out, by last use */
    uint64_t requests, signals;
    uint64_t work; /* done so far for clients: nodes looked at, changed, told; see client_pump */
    int64_t now;   /* seconds, of a clock that only goes on */
    int epoll, listener;
    bool stop;
};

/* An empty store with the nodes that always exist; no journal yet. */
void xs_init(struct xs *xs, const struct platform *plat);
void xs_free(struct xs *xs);

#endif

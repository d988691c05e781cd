/* SPDX-License-Identifier: MIT */
/*
 * A connection: a program at the Unix socket or a domain at its ring, with what it has registered,
 * what it sent and what is still to be sent to it. Only a ring's state goes to the journal: a
 * program whose daemon dies sees a closed connection, a domain sees a delay.
 */
#ifndef XENSTORED_CLIENT_H
#define XENSTORED_CLIENT_H

#include "xenstored/perms.h"
#include "xenstored/util.h"

struct xs;
struct watch;
struct txn;
struct xenstore_domain_interface;

struct client {
    struct client *next, **pprev; /* all clients */
    struct client *ready_next;    /* those that may have something to do */
    struct client *event_next;    /* those that the current request owes events */
    bool is_ready, owes_events;

    struct identity id;
    bool dead; /* broke the protocol or left: nothing is read or sent any more */
    bool lost; /* events were dropped: each watch fires once when there is room */

    int fd;         /* of a socket, else -1 */
    uint32_t armed; /* what epoll looks for */

    /* Of a ring. The indices are ours; those in the page are the guest's to spoil. */
    volatile struct xenstore_domain_interface
        *page; /* NULL: not a ring, or it could not be mapped */
    bool is_ring;
    uint32_t port; /* the domain's end */
    int local_port;
    bool masked; /* it signalled, and is not yet served */
    uint64_t gfn;
    uint32_t req_cons, rsp_prod;
    bool shutdown_seen;

    struct buf in, out;
    size_t out_off; /* bytes of `out` that are sent */
    struct buf events;

    struct watch *watches;
    uint32_t nwatches;
    struct txn *txns;
    uint32_t ntxns, last_txn;

    uint32_t debt;      /* work done for it beyond its turn */
    int64_t complained; /* when the log last told what limit refused it; 0: never */
};

struct client *client_new(struct xs *xs, uint16_t domid);
/* Frees it with its watches and transactions; the journal is not told. */
void client_free(struct xs *xs, struct client *c);
void client_ready(struct xs *xs, struct client *c);
struct client *client_next_ready(struct xs *xs);

/* Queues bytes; the journal gets them if the client is a ring. */
void client_send(struct xs *xs, struct client *c, const void *p, size_t n);
/* Adds a watch event, which goes out behind the current request's reply. */
void client_event(struct xs *xs, struct client *c, const char *path, const char *token);
/* Queues the events of the request that is done. */
void client_send_events(struct xs *xs);
/* Ends watches and transactions: the client starts anew. */
void client_reset(struct xs *xs, struct client *c);
/* If events were lost and there is room again, fires each watch once. */
void client_recover_events(struct xs *xs, struct client *c);

static inline size_t client_unsent(const struct client *c)
{
    return c->out.len - c->out_off;
}

/*
 * Reads what there is and carries out requests until they have cost `turn` units of work (xs->work;
 * an ordinary read costs about four, or 5 us). What the last one cost beyond that is the client's
 * debt: its next turns pay for it. True: there may be more to do.
 */
bool client_pump(struct xs *xs, struct client *c, uint32_t turn);

#endif

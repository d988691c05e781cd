/* SPDX-License-Identifier: MIT */
/*
 * A domain's ring page. The guest may write anything there at any time: each index is read once and
 * checked, and our own positions are never read back from it.
 */
#ifndef XENSTORED_RING_H
#define XENSTORED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xs;
struct client;

/* Takes up a mapped ring: announces what the server can, and publishes our positions. */
void ring_attach(struct xs *xs, struct client *c);
/* If the guest asked for it, starts the connection anew. */
void ring_check(struct xs *xs, struct client *c);
/* Copies up to `need` bytes of request to c->in. If that leaves the request incomplete they go to
 * the journal and the guest may reuse their place; if not, ring_consumed does that after the
 * request. */
bool ring_fetch(struct xs *xs, struct client *c, size_t need);
void ring_consumed(struct xs *xs, struct client *c);
/* Copies what fits of c->out. */
void ring_flush(struct xs *xs, struct client *c);
void ring_cut_off(struct xs *xs, struct client *c, uint32_t error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A guest's console page (<xen/io/console.h>). The guest may write anything there at any time: each
 * of its indices is read once and checked, and our own two are never read back while the ring is in
 * use.
 */
#ifndef CONSOLED_RING_H
#define CONSOLED_RING_H

#include <stddef.h>
#include <stdint.h>
#include <xen/io/console.h>

#define RING_OUT 2048 /* bytes from the guest */
#define RING_IN 1024  /* bytes to the guest */

struct ring {
    volatile struct xencons_interface *page; /* NULL: not mapped */
    uint32_t out_cons, in_prod;              /* ours */
};

/* Takes up a mapped page with the positions that are in it; what is impossible becomes empty. */
void ring_attach(struct ring *r, void *page);
/* Goes on from a position that was remembered, not from the page's. */
void ring_set_out_cons(struct ring *r, uint32_t cons);

/* Copies up to max bytes that the guest wrote, and leaves them there. -1: impossible indices. */
int ring_peek(const struct ring *r, uint8_t *buf, size_t max);
/* Gives the place of n peeked bytes back to the guest. */
void ring_consume(struct ring *r, uint32_t n);
/* Copies what fits of n bytes; how many did. -1: impossible indices. */
int ring_write(struct ring *r, const uint8_t *buf, size_t n);
/* After impossible indices: forgets what is in both directions and goes on from there. */
void ring_resync(struct ring *r);

#endif

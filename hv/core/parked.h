/* SPDX-License-Identifier: MIT */
/*
 * A step of a hypercall that is too long for one go, and that has to be done whole or not at all:
 * what it has begun waits with the domain whose memory it changes, and the call comes back with a
 * token. A domain has room for one. Another call that wants it, or the domain's end, undoes what
 * waits; who comes back then begins the step anew.
 *
 * The slot is held (struct domain's parked_busy) by who works on the step; that is tried, never
 * waited for, and no lock is held meanwhile.
 */
#ifndef CORE_PARKED_H
#define CORE_PARKED_H

#include "core/types.h"

struct domain;

struct parked {
    /*
     * Takes back a part of what the step has done, not more than STEP_PAGES pages, and tells
     * hc_charge(); true: all is as before, and the record is gone. It needs nothing of the caller.
     */
    bool (*undo)(struct domain *d, struct parked *p);
    uint32_t token; /* never 0 */
};

/*
 * Pages of one go, as a power of two: steps up to this are never parked. Only tests change it, to
 * park more.
 */
extern unsigned int step_order;
#define STEP_PAGES (1ul << step_order)
#define TOKEN_BITS 15

/*
 * d's slot for the caller, who has a reference on d. A token comes from a guest: it names a step
 * that is undone by `undo`, or none. 0: *p is that step, or NULL: begin it. -EAGAIN: give way, come
 * again. -EINVAL: d is dying.
 */
int parked_open(struct domain *d, bool (*undo)(struct domain *d, struct parked *p), uint32_t token,
                struct parked **p);
/* p, which has a token now, waits in the slot that the caller opened; NULL: nothing does. */
void parked_close(struct domain *d, struct parked *p);
/* For a dying domain: 0 when nothing waits and nothing ever will, -EAGAIN: give way, come again. */
int parked_drop(struct domain *d);

#endif

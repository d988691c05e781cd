/* SPDX-License-Identifier: MIT */
/*
 * What a domain leaves in the tree when it is gone: nodes of its own, which go with it, and rights
 * on others' nodes, which must not be those of a later domain with the same number. One walk
 * through the whole tree finds both, for all domains that are gone; it is done in slices between
 * requests, and starts again when another domain goes. It needs no record: each start of the daemon
 * begins with one.
 */
#ifndef XENSTORED_SWEEP_H
#define XENSTORED_SWEEP_H

#include <stdbool.h>

struct xs;

struct sweep {
    unsigned rounds; /* walks still to be made, the current one included */
    char *at;        /* the last path looked at, NULL at the beginning */
};

/* A domain went: everything has to be looked at once more. */
void sweep_start(struct xs *xs);
/* One slice. */
void sweep_work(struct xs *xs);
static inline bool sweep_busy(const struct sweep *s)
{
    return s->rounds != 0;
}

#endif

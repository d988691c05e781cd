/* SPDX-License-Identifier: MIT */
#include "xenstored/sweep.h"
#include "xenstored/store.h"
#include "xenstored/xs.h"

#include <stdlib.h>
#include <string.h>

#define SLICE 256 /* nodes */

/* One answer is kept for the slice: neighbours have the same owner. */
struct asked {
    uint16_t domid;
    bool gone;
};

void sweep_start(struct xs *xs)
{
    if (xs->plat->alive)
        xs->sweep.rounds = xs->sweep.at ? 2 : 1;
}

/* A domain that is still being built is not connected, but the hypervisor knows it. */
static bool is_gone(struct xs *xs, struct asked *last, uint16_t domid)
{
    bool shutdown;

    if (domid == 0 || xs->domains[domid])
        return false;
    if (domid != last->domid)
        *last = (struct asked){ domid, !xs->plat->alive(xs->plat->ctx, domid, &shutdown) };
    return last->gone;
}

static void look_at(struct xs *xs, struct asked *last, struct data *d)
{
    struct data *less;
    uint32_t n = 1;

    if (is_gone(xs, last, d->perms[0].domid)) {
        store_apply_rm(xs, d->path);
        return;
    }
    while (n < d->nperms && !is_gone(xs, last, d->perms[n].domid))
        n++;
    if (n == d->nperms)
        return;
    less = data_new(d->path, d->perms, d->nperms, d->value, d->len);
    less->nperms = n;
    for (; n < d->nperms; n++) {
        if (!is_gone(xs, last, d->perms[n].domid))
            less->perms[less->nperms++] = d->perms[n];
    }
    store_apply_set(xs, less, true);
}

void sweep_work(struct xs *xs)
{
    struct sweep *s = &xs->sweep;
    struct asked last = { 0, false };
    struct tnode *t;
    char *path;

    if (!sweep_busy(s))
        return;
    for (int i = 0; i < SLICE; i++) {
        t = tree_next(xs->root, s->at ? s->at : "");
        path = t ? xs_strdup(t->data->path) : NULL;
        free(s->at);
        s->at = path;
        if (!t) {
            s->rounds--;
            break;
        }
        struct data *d = data_get(t->data);

        look_at(xs, &last, d);
        data_put(d);
    }
    client_send_events(xs);
    journal_commit(xs);
}

/* SPDX-License-Identifier: MIT */
#include "xenstored/domain.h"
#include "xenstored/ring.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

static void fire_special(struct xs *xs, const char *path)
{
    struct tnode *n = tree_find(xs->root, path);

    watch_fire(xs, path, true, n ? n->data : NULL, NULL);
}

/* A number that is free may be another guest's next: nobody keeps the rights of who had it. */
static void forget_target(struct xs *xs, uint16_t domid)
{
    for (struct client *c = xs->clients; c; c = c->next) {
        if (!c->is_ring || c->id.target != domid)
            continue;
        c->id.target = NO_TARGET;
        journal_words(&xs->journal.rec, JR_TARGET, c->id.domid, NO_TARGET);
    }
}

/* All that the store knows of a domain's connection. */
static void disconnect(struct xs *xs, struct client *c)
{
    forget_target(xs, c->id.domid);
    journal_words(&xs->journal.rec, JR_DOM_DEL, c->id.domid, 0);
    client_free(xs, c);
}

int domain_introduce(struct xs *xs, uint16_t domid, uint64_t gfn, uint32_t port)
{
    struct client *c = xs->domains[domid];
    struct buf *rec = &xs->journal.rec;
    bool known = c != NULL;

    if (known)
        disconnect(xs, c);
    c = client_new(xs, domid);
    c->is_ring = true;
    c->gfn = gfn;
    c->port = port;
    if (!xs->plat->map(xs->plat->ctx, c)) {
        xs_log("domain %u: its xenstore ring (frame %#llx, port %u) cannot be mapped", domid,
               (unsigned long long)gfn, port);
        client_free(xs, c);
        if (known)
            fire_special(xs, SPECIAL_RELEASE);
        return EINVAL;
    }
    xs->domains[domid] = c;
    c->req_cons = c->page->req_cons;
    c->rsp_prod = c->page->rsp_prod;
    record_client(rec, c);
    ring_attach(xs, c);
    fire_special(xs, SPECIAL_INTRODUCE);
    return 0;
}

int domain_release(struct xs *xs, struct client *c)
{
    disconnect(xs, c);
    fire_special(xs, SPECIAL_RELEASE);
    sweep_start(xs);
    return 0;
}

void domain_check_all(struct xs *xs)
{
    struct client *c, *next;

    for (c = xs->clients; c; c = next) {
        bool shutdown = false;

        next = c->next;
        if (!c->is_ring || c->id.domid == 0)
            continue;
        if (!xs->plat->alive(xs->plat->ctx, c->id.domid, &shutdown)) {
            domain_release(xs, c);
        } else if (shutdown && !c->shutdown_seen) {
            c->shutdown_seen = true;
            journal_words(&xs->journal.rec, JR_SHUTDOWN, c->id.domid, 1);
            fire_special(xs, SPECIAL_RELEASE);
        }
    }
    client_send_events(xs);
    journal_commit(xs);
}

/* How much of what was queued the last process had put into the ring is in the ring itself. */
static bool reconnect(struct xs *xs, struct client *c)
{
    uint32_t sent;

    if (!xs->plat->map(xs->plat->ctx, c))
        return false;
    sent = c->page->rsp_prod - c->rsp_prod;
    if (sent > client_unsent(c)) {
        xs_log("domain %u has changed our position in its xenstore ring: cut off", c->id.domid);
        ring_cut_off(xs, c, XENSTORE_ERROR_RINGIDX);
        return true;
    }
    c->out_off += sent;
    c->rsp_prod += sent;
    ring_attach(xs, c);
    return true;
}

void domain_reconnect_all(struct xs *xs)
{
    struct client *c, *next;

    for (c = xs->clients; c; c = next) {
        next = c->next;
        if (c->is_ring && !reconnect(xs, c)) {
            xs_log("domain %u is gone since the last xenstored", c->id.domid);
            domain_release(xs, c);
        }
    }
    sweep_start(xs);
    client_send_events(xs);
    journal_commit(xs);
}

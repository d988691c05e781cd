/* SPDX-License-Identifier: MIT */
#include "xenstored/ring.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdatomic.h>
#include <string.h>

typedef volatile struct xenstore_domain_interface page_t;

#define FEATURES (XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR)

#define RECONNECT_WORK 16 /* units of a turn; what is forgotten comes on top */

static void notify(struct xs *xs, struct client *c)
{
    xs->plat->notify(xs->plat->ctx, c);
}

void ring_cut_off(struct xs *xs, struct client *c, uint32_t error)
{
    if (c->page) {
        c->page->error = error;
        notify(xs, c);
    }
    c->dead = true;
}

static void bad_index(struct xs *xs, struct client *c)
{
    xs_log("domain %u has impossible indices in its xenstore ring: cut off", c->id.domid);
    ring_cut_off(xs, c, XENSTORE_ERROR_RINGIDX);
}

void ring_attach(struct xs *xs, struct client *c)
{
    page_t *page = c->page;

    page->server_features = FEATURES;
    page->req_cons = c->req_cons;
    page->rsp_prod = c->rsp_prod;
    atomic_thread_fence(memory_order_seq_cst);
    notify(xs, c);
    client_ready(xs, c);
}

void ring_check(struct xs *xs, struct client *c)
{
    page_t *page = c->page;

    if (!page || page->connection != XENSTORE_RECONNECT)
        return;
    xs->work += RECONNECT_WORK;
    client_reset(xs, c);
    c->in.len = c->out.len = c->out_off = 0;
    c->dead = false;
    c->req_cons = c->rsp_prod = 0;
    put_u32(&xs->journal.rec, JR_RING);
    put_u32(&xs->journal.rec, c->id.domid);
    put_u32(&xs->journal.rec, 0);
    put_u32(&xs->journal.rec, 0);
    journal_commit(xs);
    page->req_cons = page->req_prod = page->rsp_cons = page->rsp_prod = 0;
    page->error = XENSTORE_ERROR_NONE;
    atomic_thread_fence(memory_order_seq_cst);
    page->connection = XENSTORE_CONNECTED;
    notify(xs, c);
}

bool ring_fetch(struct xs *xs, struct client *c, size_t need)
{
    page_t *page = c->page;
    uint8_t bytes[XENSTORE_RING_SIZE];
    uint32_t n;
    struct xsd_sockmsg msg;

    if (!page)
        return false;
    n = page->req_prod - c->req_cons;
    atomic_thread_fence(memory_order_acquire);
    if (n > XENSTORE_RING_SIZE) {
        bad_index(xs, c);
        return false;
    }
    if (n > need)
        n = need;
    if (!n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = page->req[MASK_XENSTORE_IDX(c->req_cons + i)];
    buf_add(&c->in, bytes, n);
    c->req_cons += n;
    if (wire_next(c->in.p, c->in.len, &msg, &need) != WIRE_MORE)
        return true;
    journal_words(&xs->journal.rec, JR_IN, c->id.domid, c->req_cons);
    put_blob(&xs->journal.rec, bytes, n);
    journal_commit(xs);
    ring_consumed(xs, c);
    return true;
}

void ring_consumed(struct xs *xs, struct client *c)
{
    if (!c->page)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    c->page->req_cons = c->req_cons;
    atomic_thread_fence(memory_order_seq_cst);
    notify(xs, c);
}

void ring_flush(struct xs *xs, struct client *c)
{
    page_t *page = c->page;
    uint32_t used, n;

    if (!page || c->dead || !client_unsent(c))
        return;
    used = c->rsp_prod - page->rsp_cons;
    atomic_thread_fence(memory_order_seq_cst);
    if (used > XENSTORE_RING_SIZE) {
        bad_index(xs, c);
        return;
    }
    n = XENSTORE_RING_SIZE - used;
    if (n > client_unsent(c))
        n = client_unsent(c);
    if (!n)
        return;
    for (uint32_t i = 0; i < n; i++)
        page->rsp[MASK_XENSTORE_IDX(c->rsp_prod + i)] = c->out.p[c->out_off + i];
    atomic_thread_fence(memory_order_release);
    c->out_off += n;
    c->rsp_prod += n;
    page->rsp_prod = c->rsp_prod;
    atomic_thread_fence(memory_order_seq_cst);
    notify(xs, c);
}

/* SPDX-License-Identifier: MIT */
#include "consoled/ring.h"

#include <stdatomic.h>

_Static_assert(sizeof(((struct xencons_interface *)0)->out) == RING_OUT, "ABI");
_Static_assert(sizeof(((struct xencons_interface *)0)->in) == RING_IN, "ABI");

void ring_attach(struct ring *r, void *page)
{
    r->page = page;
    r->out_cons = r->page->out_cons;
    r->in_prod = r->page->in_prod;
    if (r->page->out_prod - r->out_cons > RING_OUT)
        ring_set_out_cons(r, r->page->out_prod);
    if (r->in_prod - r->page->in_cons > RING_IN) {
        r->in_prod = r->page->in_cons;
        r->page->in_prod = r->in_prod;
    }
}

void ring_set_out_cons(struct ring *r, uint32_t cons)
{
    r->out_cons = cons;
    r->page->out_cons = cons;
}

int ring_peek(const struct ring *r, uint8_t *buf, size_t max)
{
    uint32_t n = r->page->out_prod - r->out_cons;

    /* The bytes are read after the index that announced them. */
    atomic_thread_fence(memory_order_acquire);
    if (n > RING_OUT)
        return -1;
    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        buf[i] = r->page->out[(r->out_cons + i) & (RING_OUT - 1)];
    return n;
}

void ring_consume(struct ring *r, uint32_t n)
{
    r->out_cons += n;
    /* The bytes have been read before their place is given back. */
    atomic_thread_fence(memory_order_seq_cst);
    r->page->out_cons = r->out_cons;
}

int ring_write(struct ring *r, const uint8_t *buf, size_t n)
{
    uint32_t used = r->in_prod - r->page->in_cons;

    atomic_thread_fence(memory_order_seq_cst);
    if (used > RING_IN)
        return -1;
    if (n > RING_IN - used)
        n = RING_IN - used;
    for (uint32_t i = 0; i < n; i++)
        r->page->in[(r->in_prod + i) & (RING_IN - 1)] = buf[i];
    atomic_thread_fence(memory_order_release);
    r->in_prod += n;
    r->page->in_prod = r->in_prod;
    return n;
}

void ring_resync(struct ring *r)
{
    ring_set_out_cons(r, r->page->out_prod);
    r->in_prod = r->page->in_cons;
    r->page->in_prod = r->in_prod;
}

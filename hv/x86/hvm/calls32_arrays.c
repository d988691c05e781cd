/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls from 32-bit code that have arrays: a piece at a time is translated into the stage, and
 * goes through the handler as a call of its own. Progress is in the caller's arguments, as the
 * handlers keep it.
 */
#include "x86/hvm/calls32.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#include "core/log.h"
#include "core/parked.h"
#include "lib/string.h"
#include "x86/hvm/calls32_handlers.h"

#define OP_BITS 6 /* of memory_op's first argument; the rest is what was done before */
#define MAX_DONE (1ul << (32 - OP_BITS))
#define LIST_AT 64 /* in the stage: behind the structure */
#define PIECE 32u  /* elements of eight bytes */
_Static_assert(LIST_AT + 2 * 8 * PIECE <= HVM_STAGE, "two lists fit");

/* --- memory_op --- */

/* n frame numbers or indices from a list of the caller's, to `at` in the stage. */
static int widen_list(struct vcpu *v, gptr_t list, unsigned int n, unsigned int at)
{
    uint64_t *wide = (uint64_t *)(void *)((uint8_t *)stage(v) + at);
    uint32_t in[PIECE];

    if (guest_read(v, in, list, n * sizeof(in[0])))
        return -XEN_EFAULT;
    for (unsigned int i = 0; i < n; i++)
        wide[i] = in[i];
    return 0;
}

static const struct shape32 reservation = {
    20, 32, 5, { { 0, 0, 0 }, { 4, 8, 0 }, { 8, 16, 4 }, { 12, 20, 4 }, { 16, 24, 2 } }
};

/*
 * Extents `done` .. : one piece. How many are done then; all: the whole call is over. Only a first
 * piece that fails as a whole has an error.
 */
static long reserve_piece(struct vcpu *v, unsigned int op, const void *in, unsigned long done,
                          unsigned long nr, bool *all)
{
    struct xen_memory_reservation *r = stage(v);
    unsigned int n = (unsigned int)MIN(nr - done, (unsigned long)PIECE);
    struct hc_args wide = HC_ARGS(op, STAGE_BASE);
    uint64_t list;
    long rc;

    widen(&reservation, in, r);
    list = (uint64_t)r->extent_start.p;
    *all = true;
    if (list) {
        while (n && widen_list(v, GPTR(list + 4 * done), n, LIST_AT))
            n = n > 1 ? 1 : 0;
        r->extent_start.p = (void *)(STAGE_BASE + LIST_AT);
    }
    r->nr_extents = n;
    rc = hc_memory_op(v, &wide);
    if (rc == HC_RESTART) {
        *all = false;
        return (long)(done + (v->restart_args.a[0] >> OP_BITS));
    }
    if (rc < 0)
        return done ? (long)done : rc;
    done += (unsigned long)rc;
    *all = n == 0 || rc < n || done == nr;
    return (long)done;
}

static long reserve(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long done)
{
    uint8_t in[20];
    uint32_t nr, order;
    bool all;
    long rc;

    if (guest_read(v, in, arg, sizeof(in)))
        return (long)done;
    memcpy(&nr, in + 4, sizeof(nr));
    memcpy(&order, in + 8, sizeof(order));
    if (order > step_order) { /* such an extent waits by a token, for which 32 bits have no room */
        log_refusal(v->domain, "memory_op: extents of order %u by 32-bit code", order);
        return (long)done;
    }
    if (nr >= MAX_DONE)
        return E(EINVAL);
    do {
        rc = reserve_piece(v, op, in, MIN(done, (unsigned long)nr), nr, &all);
        if (all)
            return rc;
        done = (unsigned long)rc;
    } while (!hc_preempt(1));
    return hc_restart(v, HC_ARGS(op | done << OP_BITS, arg.v));
}

/* claim_pages has nothing but the counts. */
static long claim(struct vcpu *v, const struct hc_args *args)
{
    return call_shaped(v, hc_memory_op, args, 1, &reservation, SHAPE_IN);
}

struct batch32 {
    domid_t domid;
    uint16_t space, size, extra;
    uint32_t idxs, gpfns, errs;
};

static long batch(struct vcpu *v, gptr_t arg, unsigned long done)
{
    struct xen_add_to_physmap_batch *b = stage(v);
    const struct hc_args wide = HC_ARGS(XENMEM_add_to_physmap_batch, STAGE_BASE);
    struct batch32 in;

    if (guest_get(v, &in, arg))
        return E(EFAULT);
    while (done < in.size) {
        unsigned int n = MIN((unsigned int)(in.size - done), PIECE);
        long rc;

        while (widen_list(v, GPTR(in.idxs + 4 * done), n, LIST_AT) ||
               widen_list(v, GPTR(in.gpfns + 4 * done), n, LIST_AT + 8 * PIECE)) {
            if (n == 1)
                return E(EFAULT);
            n = 1;
        }
        memset(b, 0, sizeof(*b));
        memcpy(b, &in, 8);
        b->size = (uint16_t)n;
        b->idxs.p = (void *)(STAGE_BASE + LIST_AT);
        b->gpfns.p = (void *)(STAGE_BASE + LIST_AT + 8 * PIECE);
        b->errs.p = (void *)(in.errs + 4 * done);
        rc = hc_memory_op(v, &wide);
        if (rc < 0 && rc != HC_RESTART)
            return rc;
        done += rc == HC_RESTART ? v->restart_args.a[0] >> OP_BITS : n;
        if (done < in.size && (rc == HC_RESTART || hc_preempt(1)))
            return hc_restart(v, HC_ARGS(XENMEM_add_to_physmap_batch | done << OP_BITS, arg.v));
    }
    return 0;
}

long hc_memory_op32(struct vcpu *v, const struct hc_args *args)
{
    static const struct shape32 add = {
        16, 24, 5, { { 0, 0, 2 }, { 2, 2, 2 }, { 4, 4, 4 }, { 8, 8, 0 }, { 12, 16, 0 } }
    };
    static const struct shape32 remove = { 8, 16, 2, { { 0, 0, 2 }, { 4, 8, 0 } } };
    static const struct shape32 map = { 8, 16, 2, { { 0, 0, 4 }, { 4, 8, 0 } } };
    unsigned int op = args->a[0] & (BIT(OP_BITS) - 1);
    unsigned long done = args->a[0] >> OP_BITS;

    switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reserve(v, op, GPTR(args->a[1]), done);
    case XENMEM_claim_pages:
        return claim(v, args);
    case XENMEM_add_to_physmap:
        return call_shaped(v, hc_memory_op, args, 1, &add, SHAPE_IN);
    case XENMEM_add_to_physmap_batch:
        return batch(v, GPTR(args->a[1]), done);
    case XENMEM_remove_from_physmap:
        return call_shaped(v, hc_memory_op, args, 1, &remove, SHAPE_IN);
    case XENMEM_memory_map:
        return call_shaped(v, hc_memory_op, args, 1, &map, SHAPE_IN | SHAPE_OUT);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_ram_page:
    case XENMEM_maximum_gpfn:
    case XENMEM_get_vnumainfo:
        return hc_memory_op(v, args);
    default:
        return E(ENOSYS);
    }
}

/* --- grant_table_op --- */

/* Elements whose shape is another one, a piece at a time; results go back into each. */
static long grant_pieces(struct vcpu *v, const struct hc_args *args, const struct shape32 *s)
{
    unsigned long left = args->a[2], at = args->a[1];
    unsigned int most = HVM_STAGE / s->size64;
    uint8_t in[64];

    if (left > INT32_MAX)
        return E(EINVAL);
    most = MIN(most, 16u); /* a step of the handler's, which so never gives way within */
    while (left) {
        unsigned int n = (unsigned int)MIN(left, (unsigned long)most);
        struct hc_args wide = HC_ARGS(args->a[0], STAGE_BASE, n);
        long rc;

        for (unsigned int i = 0; i < n; i++) {
            if (guest_read(v, in, GPTR(at + i * s->size32), s->size32))
                return E(EFAULT);
            widen(s, in, (uint8_t *)stage(v) + i * s->size64);
        }
        rc = hc_grant_table_op(v, &wide);
        if (rc)
            return rc;
        for (unsigned int i = 0; i < n; i++) {
            narrow(s, (uint8_t *)stage(v) + i * s->size64, in);
            if (guest_write(v, GPTR(at + i * s->size32), in, s->size32))
                return E(EFAULT);
        }
        at += n * s->size32;
        left -= n;
        if (left && hc_preempt(1))
            return hc_restart(v, HC_ARGS(args->a[0], at, left));
    }
    return 0;
}

struct setup32 {
    domid_t dom;
    uint16_t pad;
    uint32_t nr_frames;
    int16_t status;
    uint16_t pad2;
    uint32_t frame_list;
};

/* The handler's list has eight bytes for each frame: it goes to the stage, and from there out. */
static long setup(struct vcpu *v, const struct hc_args *args)
{
    const struct hc_args wide = HC_ARGS(GNTTABOP_setup_table, STAGE_BASE, args->a[2]);
    struct gnttab_setup_table *op = stage(v);
    gptr_t at = GPTR(args->a[1]);
    const uint64_t *list = (const uint64_t *)(const void *)((uint8_t *)stage(v) + LIST_AT);
    struct setup32 in;
    long rc;

    if (guest_get(v, &in, at))
        return E(EFAULT);
    memset(op, 0, sizeof(*op));
    op->dom = in.dom;
    op->nr_frames = in.nr_frames;
    op->frame_list.p = (void *)(STAGE_BASE + LIST_AT);
    if (in.nr_frames > (HVM_STAGE - LIST_AT) / sizeof(*list)) {
        in.status = GNTST_general_error;
        return guest_put(v, at, &in) ? E(EFAULT) : 0;
    }
    rc = hc_grant_table_op(v, &wide);
    if (rc)
        return rc;
    in.status = op->status;
    for (uint32_t i = 0; in.status == GNTST_okay && i < in.nr_frames; i++) {
        uint32_t gfn = (uint32_t)list[i];

        if (guest_put(v, GPTR(in.frame_list + 4ull * i), &gfn))
            in.status = GNTST_bad_virt_addr;
    }
    return guest_put(v, at, &in) ? E(EFAULT) : 0;
}

long hc_grant_table_op32(struct vcpu *v, const struct hc_args *args)
{
    static const struct shape32 transfer = {
        16, 24, 4, { { 0, 0, 0 }, { 4, 8, 2 }, { 8, 12, 4 }, { 12, 16, 2 } }
    };
    static const struct shape32 copy = {
        24, 40, 5, { { 0, 0, 0 }, { 4, 8, 4 }, { 8, 16, 0 }, { 12, 24, 4 }, { 16, 32, 6 } }
    };

    switch (args->a[0]) {
    case GNTTABOP_transfer:
        return grant_pieces(v, args, &transfer);
    case GNTTABOP_copy:
        return grant_pieces(v, args, &copy);
    case GNTTABOP_setup_table:
        return setup(v, args);
    case GNTTABOP_map_grant_ref: /* the same in both worlds */
    case GNTTABOP_unmap_grant_ref:
    case GNTTABOP_query_size:
    case GNTTABOP_swap_grant_ref:
    case GNTTABOP_set_version:
    case GNTTABOP_get_version:
        return hc_grant_table_op(v, args);
    default:
        return E(ENOSYS);
    }
}

/* --- multicall --- */

struct entry32 {
    uint32_t op, result, args[6];
};

/* Runs one entry: 0, -errno when its outcome cannot be told, or HC_RESTART: run it again. */
static long run_entry(struct vcpu *v, gptr_t at)
{
    struct entry32 e;
    struct hc_args args;
    long result;

    if (guest_get(v, &e, at))
        return E(EFAULT);
    for (unsigned int i = 0; i < ARRAY_SIZE(args.a); i++)
        args.a[i] = e.args[i];
    result = hypercall_dispatch32(v, e.op, &args);
    if (result == HC_RESTART) {
        for (unsigned int i = 0; i < ARRAY_SIZE(args.a); i++)
            e.args[i] = (uint32_t)v->restart_args.a[i];
        return guest_put(v, at, &e) ? E(EFAULT) : HC_RESTART;
    }
    e.result = (uint32_t)result;
    return guest_write(v, gptr_add(at, offsetof(struct entry32, result)), &e.result, 4) ? E(EFAULT)
                                                                                        : 0;
}

long hc_multicall32(struct vcpu *v, const struct hc_args *args)
{
    unsigned long at = args->a[0], left = args->a[1];
    long rc = 0;

    if (v->in_multicall)
        return E(EINVAL);
    if (at + left * sizeof(struct entry32) > UINT32_MAX)
        return E(EFAULT);
    v->in_multicall = true;
    while (left && rc == 0) {
        rc = run_entry(v, GPTR(at));
        if (rc == 0) {
            at += sizeof(struct entry32);
            left--;
        }
        if (rc == HC_RESTART || (rc == 0 && left && hc_preempt(1)))
            rc = hc_restart(v, HC_ARGS(at, left));
    }
    v->in_multicall = false;
    return rc;
}

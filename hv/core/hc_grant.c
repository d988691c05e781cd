/* SPDX-License-Identifier: MIT */
/*
 * grant_table_op: arrays of operations, each with its own status. The call as a whole fails only
 * when its array cannot be read or written.
 */
#include "core/hypercall.h"

#include "core/access.h"
#include "core/grant_private.h"
#include "core/log.h"

/* A step is read together, done, flushed once, and written back together. */
#define STEP_BYTES 768
/* Of one element, in hc_preempt()'s units: a page copied, at most. */
#define ELEMENT_COST 4

/* --- the batches; `ops` was copied from the guest, n <= GRANT_STEP --- */

static void do_map(struct vcpu *v, void *ops, unsigned int n)
{
    grant_map(v, ops, n);
}

static void do_unmap(struct vcpu *v, void *ops, unsigned int n)
{
    grant_unmap(v, ops, n, false);
}

static void do_replace(struct vcpu *v, void *ops, unsigned int n)
{
    grant_unmap(v, ops, n, true);
}

static void do_copy(struct vcpu *v, void *ops, unsigned int n)
{
    grant_copy(v, ops, n);
}

static void do_transfer(struct vcpu *v, void *ops, unsigned int n)
{
    struct gnttab_transfer *op = ops;
    struct frame *f[GRANT_STEP];
    bool any = false;

    for (unsigned int i = 0; i < n; i++) {
        f[i] = grant_transfer_take(v, &op[i], &op[i].status);
        any |= f[i] != NULL;
    }
    if (any)
        grant_transfer_flush();
    for (unsigned int i = 0; i < n; i++)
        if (f[i])
            op[i].status = (int16_t)grant_transfer_give(v, &op[i], f[i]);
}

static void do_swap(struct vcpu *v, void *ops, unsigned int n)
{
    struct gnttab_swap_grant_ref *op = ops;

    for (unsigned int i = 0; i < n; i++)
        op[i].status = (int16_t)grant_swap(v->domain, op[i].ref_a, op[i].ref_b);
}

typedef void batch_fn(struct vcpu *v, void *ops, unsigned int n);

/* Operations on arrays: how large an element is, and how many make a step. */
#define BATCH(type, do_)                                                      \
    {                                                                         \
        do_, sizeof(type), MIN(STEP_BYTES / sizeof(type), (size_t)GRANT_STEP) \
    }
static const struct batch {
    batch_fn *fn;
    uint16_t size, step;
} batches[] = {
    [GNTTABOP_map_grant_ref] = BATCH(struct gnttab_map_grant_ref, do_map),
    [GNTTABOP_unmap_grant_ref] = BATCH(struct gnttab_unmap_grant_ref, do_unmap),
    [GNTTABOP_unmap_and_replace] = BATCH(struct gnttab_unmap_and_replace, do_replace),
    [GNTTABOP_copy] = BATCH(struct gnttab_copy, do_copy),
    [GNTTABOP_transfer] = BATCH(struct gnttab_transfer, do_transfer),
    [GNTTABOP_swap_grant_ref] = BATCH(struct gnttab_swap_grant_ref, do_swap),
};

/*
 * Runs a batch in steps, giving way between them. An array that cannot be read to its end is done
 * up to there, one by one.
 */
static long in_steps(struct vcpu *v, unsigned int cmd, gptr_t arg, unsigned long count,
                     const struct batch *b)
{
    uint64_t ops[STEP_BYTES / sizeof(uint64_t)];

    while (count > 0) {
        unsigned long n = MIN(count, (unsigned long)b->step);

        if (guest_read(v, ops, arg, n * b->size)) {
            n = 1;
            if (guest_read(v, ops, arg, b->size))
                return E(EFAULT);
        }
        b->fn(v, ops, (unsigned int)n);
        if (guest_write(v, arg, ops, n * b->size))
            return E(EFAULT);
        arg = gptr_add(arg, n * b->size);
        count -= n;
        if (hc_preempt((int32_t)n * ELEMENT_COST) && count > 0)
            return hc_restart(v, HC_ARGS(cmd, arg.v, count));
    }
    return 0;
}

/* --- tables --- */

/* The domain that a query names, if the caller may ask; NULL with *status set. */
static struct domain *asked(struct vcpu *v, domid_t dom, int16_t *status)
{
    struct domain *d = domain_get_self(v, dom);

    *status = GNTST_okay;
    if (!d) {
        *status = GNTST_bad_domain;
    } else if (!access_ok(v->domain, d, ACCESS_MEMORY)) {
        domain_put(d);
        *status = GNTST_permission_denied;
        d = NULL;
    }
    return d;
}

static int16_t list_frames(struct vcpu *v, struct domain *d, const struct gnttab_setup_table *op)
{
    gptr_t list = HANDLE_PTR(op->frame_list);

    hc_charge(1 + (int32_t)MIN(op->nr_frames, (uint32_t)MAX_GRANT_FRAMES) * 2);
    if (grant_grow(d, op->nr_frames)) {
        log_refusal(v->domain, "a grant table of %u frames for d%u is too large", op->nr_frames,
                    d->id);
        return GNTST_general_error;
    }
    for (uint32_t i = 0; i < op->nr_frames; i++) {
        xen_pfn_t gfn = gfn_of(d, grant_frame_mfn(d, i));

        if (guest_put(v, gptr_add(list, i * sizeof(gfn)), &gfn))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static long op_setup(struct vcpu *v, gptr_t arg, unsigned long n)
{
    struct gnttab_setup_table op;
    struct domain *d;

    if (n != 1)
        return E(EINVAL);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = asked(v, op.dom, &op.status);
    if (d) {
        op.status = list_frames(v, d, &op);
        domain_put(d);
    }
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_query(struct vcpu *v, gptr_t arg, unsigned long n)
{
    struct gnttab_query_size op;
    struct domain *d;

    if (n != 1)
        return E(EINVAL);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = asked(v, op.dom, &op.status);
    if (d) {
        op.nr_frames = __atomic_load_n(&d->grants->nr_frames, __ATOMIC_RELAXED);
        op.max_nr_frames = d->grants->max_frames;
        domain_put(d);
    }
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_dump(struct vcpu *v, gptr_t arg)
{
    struct gnttab_dump_table op;
    struct domain *d;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = access_host(v->domain) ? asked(v, op.dom, &op.status) : NULL;
    if (d) {
        grant_dump();
        domain_put(d);
    } else if (!access_host(v->domain)) {
        op.status = GNTST_permission_denied;
    }
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_set_version(struct vcpu *v, gptr_t arg)
{
    struct gnttab_set_version op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.version != 1 && op.version != 2)
        return E(EINVAL);
    if (op.version == 2) /* not offered; the caller learns which one is in effect */
        return E(ENOSYS);
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_get_version(struct vcpu *v, gptr_t arg)
{
    struct gnttab_get_version op;
    struct domain *d;
    int16_t status;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = asked(v, op.dom, &status);
    if (!d)
        return status == GNTST_bad_domain ? E(ESRCH) : E(EPERM);
    domain_put(d);
    op.version = 1;
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

long hc_grant_table_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long count = args->a[2];
    unsigned int op = (uint32_t)args->a[0];
    gptr_t p = GPTR(args->a[1]);

    count = (uint32_t)count;
    if (count > INT32_MAX)
        return E(EINVAL);
    if (op < ARRAY_SIZE(batches)) {
        const struct batch *b = &batches[index_nospec(op, ARRAY_SIZE(batches))];

        if (b->fn)
            return in_steps(v, op, p, count, b);
    }
    switch (op) {
    case GNTTABOP_setup_table:
        return op_setup(v, p, count);
    case GNTTABOP_query_size:
        return op_query(v, p, count);
    case GNTTABOP_dump_table:
        return op_dump(v, p);
    case GNTTABOP_set_version:
        return op_set_version(v, p);
    case GNTTABOP_get_version:
        return op_get_version(v, p);
    default: /* status frames of version 2, cache maintenance */
        return E(ENOSYS);
    }
}

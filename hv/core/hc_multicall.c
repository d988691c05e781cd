/* SPDX-License-Identifier: MIT */
/*
 * multicall: a list of calls in one. Entries are read in chunks; a result is written back only
 * where the entry does not hold it already, since Linux reuses its entries and most calls give 0.
 * An iret in the list ends it: the entries behind it belong to a kernel that is not there any more.
 */
#include "core/hypercall.h"

#define CHUNK 8
_Static_assert(sizeof(((struct multicall_entry *)0)->args) >= sizeof(struct hc_args),
               "an entry's arguments can be handed on");

#define ENTRY_SIZE sizeof(struct multicall_entry)

static gptr_t entry_ptr(unsigned long list, unsigned long i)
{
    return GPTR(list + i * ENTRY_SIZE);
}

/*
 * Runs entry e. 0, or -errno when its outcome cannot be told, or HC_RESTART: run it again, or
 * HC_LEFT: the list ends here.
 */
static long run_entry(struct vcpu *v, const struct multicall_entry *e, gptr_t at)
{
    long result = hypercall_dispatch(v, e->op, (const struct hc_args *)e->args);

    if (__builtin_expect(result == HC_RESTART, 0)) {
        if (guest_write(v, gptr_add(at, offsetof(struct multicall_entry, args)), &v->restart_args,
                        sizeof(v->restart_args)))
            return E(EFAULT);
        return HC_RESTART;
    }
    if (__builtin_expect(result == HC_LEFT, 0))
        return HC_LEFT;
    if (guest_write(v, gptr_add(at, offsetof(struct multicall_entry, result)), &result,
                    sizeof(result)))
        return E(EFAULT);
    return 0;
}

static long run_list(struct vcpu *v, unsigned long list, unsigned long nr)
{
    struct multicall_entry chunk[CHUNK];
    unsigned long done = 0;

    while (done < nr) {
        unsigned long n = MIN(nr - done, (unsigned long)CHUNK);

        if (guest_read(v, chunk, entry_ptr(list, done), n * ENTRY_SIZE))
            return E(EFAULT);
        for (unsigned long i = 0; i < n; i++, done++) {
            long rc = run_entry(v, &chunk[i], entry_ptr(list, done));

            if (rc == HC_RESTART)
                return hc_restart(v, HC_ARGS(list + done * ENTRY_SIZE, nr - done));
            if (rc)
                return rc;
            if (hc_preempt(1) && done + 1 < nr)
                return hc_restart(v, HC_ARGS(list + (done + 1) * ENTRY_SIZE, nr - done - 1));
        }
    }
    return 0;
}

long hc_multicall(struct vcpu *v, const struct hc_args *args)
{
    unsigned long list = args->a[0];
    unsigned long nr = args->a[1];
    long rc;

    nr = (uint32_t)nr;
    if (v->in_multicall)
        return E(EINVAL);
    if (list + nr * ENTRY_SIZE < list)
        return E(EFAULT);
    v->in_multicall = true;
    rc = run_list(v, list, nr);
    v->in_multicall = false;
    return rc;
}

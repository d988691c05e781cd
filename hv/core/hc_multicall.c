/* SPDX-License-Identifier: MIT */
/*
 * multicall: a list of calls in one. Entries are read in chunks; a result is written back only
 * where the entry does not hold it already, since Linux reuses its entries and most calls give 0.
 */
#include "core/hypercall.h"

#define CHUNK 8

#define ENTRY_SIZE sizeof(struct multicall_entry)

static gptr_t entry_ptr(unsigned long list, unsigned long i)
{
    return GPTR(list + i * ENTRY_SIZE);
}

/* Runs entry e. 0, or -errno when its outcome cannot be told, or HC_RESTART: run it again. */
static long run_entry(struct vcpu *v, const struct multicall_entry *e, gptr_t at)
{
    long result = hypercall_dispatch(v, e->op, e->args[0], e->args[1], e->args[2], e->args[3],
                                     e->args[4]);

    if (__builtin_expect(result == HC_RESTART, 0)) {
        if (guest_write(v, gptr_add(at, offsetof(struct multicall_entry, args)), v->restart_args,
                        sizeof(v->restart_args)))
            return E(EFAULT);
        return HC_RESTART;
    }
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
                return hc_restart(v, list + done * ENTRY_SIZE, nr - done, 0, 0, 0);
            if (rc)
                return rc;
            if (hc_preempt(1) && done + 1 < nr)
                return hc_restart(v, list + (done + 1) * ENTRY_SIZE, nr - done - 1, 0, 0, 0);
        }
    }
    return 0;
}

long hc_multicall(struct vcpu *v, unsigned long list, unsigned long nr, unsigned long a2,
                  unsigned long a3, unsigned long a4)
{
    long rc;

    (void)a2, (void)a3, (void)a4;
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

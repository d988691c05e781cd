/* SPDX-License-Identifier: MIT */
/*
 * Twins of a PV guest's page tables: what its CPUs walk while its writes are logged.
 *
 * The guest goes on reading and changing its own tables; none of their entries is touched but for
 * the Accessed and Dirty bits that a CPU would set. A twin stands for one table as it is used at
 * one level (by linear entries a table is walked at lower levels, too): its entries name the twins
 * of the next level down, a leaf names the guest's own frame. Twins are empty at first; a fault
 * that the guest's own tables would not have caused fills in what it needed, and is no fault to
 * anybody else. Under the domain's pt_lock, as each change of the guest's tables is.
 *
 * What must hold, and audit() compares:
 *
 * - A twin permits only what the guest's entry permits: it is present only if that one is, and was
 *   accessed; writable only if that one is, and a leaf only if it has the Dirty bit and the page is
 *   marked in its owner's log, where the owner is this domain. So CPUs never write to a twin.
 * - Who changes an entry takes it out of the twin next, and drops what it held last
 *   (twin_entry_changed()). So what is said of stale translations (core/ptype.h) is true of twins.
 * - A table's twins end when it has no use left (twin_table_ends()): no entry names them then.
 * Their pages are used again behind a flush by their stamp, as any frame that was a table.
 * - A twin of an older epoch may be writable where pages are not marked any more. No writable entry
 *   of this epoch names it: CLEAN takes the right to write away at the roots, a first write gives
 *   it back entry by entry on its way down, to twins that were cleared of it.
 *
 * There is a limit of twins. When none is left, another generation begins: all roots are emptied
 * and CPUs flushed, so that nobody walks the twins of the last one, which are taken one by one.
 * Roots that are some vCPU's base stay. Each vCPU has pages for some walks of its own, set aside
 * when logging begins, so that a fault can always be resolved.
 */
#ifndef X86_PV_TWIN_H
#define X86_PV_TWIN_H

#include "core/dirty.h"
#include "x86/mm/paging.h"
#include "x86/pv/pv.h"

/* Twins for d, without pages yet; NULL: no memory. */
struct twins *twins_new(const struct domain *d);
/* One page more of those set aside: 1, 0: there are enough, or -ENOMEM. */
int twins_reserve(struct twins *t);
/* Some pages less, at the end the record itself: then true. Nobody walks them any more. */
bool twins_free(struct twins *t);
/*
 * d's vCPUs, none of which is resident anywhere, run on twins from now on (NULL: on its tables).
 * Takes pt_lock.
 */
void twins_set(struct domain *d, struct twins *t);
/* Each page's next write is a fault, on whatever CPU, when it returns. Takes pt_lock. */
void twins_protect(struct domain *d);
/* How many entries of twins permit what they should not: for audits. */
unsigned int twins_audit(const struct domain *d);

/*
 * v, current, could not access va by its kernel's or programs' tables, with the page fault's error
 * code. True: its own tables allow it, and its twins do now. Else *code is as a CPU on its own
 * tables would say. Takes pt_lock; va is no address of the hypervisor's.
 */
bool twin_fault(struct vcpu *v, bool kernel, uint64_t va, uint32_t *code);

void twin_follow_entry(struct domain *d, pte_t *at, int level);
void twin_forget_table(struct domain *d, struct frame *f);

/* The entry at `at`, of a validated table of d of this level, was changed. [pt_lock] */
static inline void twin_entry_changed(struct domain *d, pte_t *at, int level)
{
    if (__builtin_expect(pv_domain(d)->twins != NULL, 0))
        twin_follow_entry(d, at, level);
}

/* f was a table of d until now. [pt_lock] */
static inline void twin_table_ends(struct domain *d, struct frame *f)
{
    if (__builtin_expect(pv_domain(d)->twins != NULL, 0))
        twin_forget_table(d, f);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Isolated page tables: on a processor with Meltdown a program reads, ahead of any check, whatever
 * its tables map. So PV guests there run on roots of the hypervisor's making (isolation.c), one for
 * the guest's kernel and one for its programs on each CPU. A root has the guest's entries of the
 * L4 it stands for and, of the hypervisor, what an entry needs before it can change CR3: the entry
 * code, the IDT, this CPU's record with the TSS, its stacks for exceptions, the page of its main
 * stack with struct cpu_info, and the window with the guest's descriptor tables. No direct map, no
 * other CPU's or domain's page. Nothing of it is global (CR4.PGE stays off on such a machine).
 *
 * The way in (pv/entry.S) loads the L4 that the root stands for, which maps the hypervisor; the
 * way out brings the root up to date and loads it. NMI and #MC may come between and find either.
 *
 * What must hold: a root in use has no entry that its L4 has lost, once the CPUs that may use it
 * were flushed. pt_set_upper() moves pv_domain.l4_changes on after it stored an entry and before
 * what the old one held is dropped; a flush is served by C code on the guest's L4, and the way
 * out, also that of an exception in the hypervisor, copies whenever that number moved. Entries that
 * came meanwhile are found by the fault they cause (pv_isolated_page_fault). Only the owning CPU
 * touches its roots, with interrupts off: no locks.
 *
 * An L4 cannot be an entry's target in such a domain (ptable.c): as a page of another walk it would
 * show the hypervisor's slots. The Accessed bits of an L4's entries are set in the root, not in the
 * guest's table.
 */
#ifndef X86_MM_ISOLATION_H
#define X86_MM_ISOLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "x86/mm/paging.h"

struct x86_pcpu;

/* One of a CPU's two roots. */
struct isolation_root {
    pte_t *l4;
    unsigned int tag; /* mm/tlb.h */
    uint64_t from;    /* machine address of the L4 that it stands for; 0: of none */
    uint64_t seen;    /* that domain's l4_changes when it was copied */
};

struct isolation {
    struct isolation_root root[2]; /* of programs, of the kernel */
};

/*
 * A CPU's roots, if any guest runs isolated: after its stacks and window were built, before it runs
 * a guest. False: no memory.
 */
bool isolation_create(struct x86_pcpu *xp);
/*
 * Makes r stand for the L4 at the machine address `from`, whose changes *changes counts. What CR3
 * is to be loaded with: where something was copied, without what the root's tag has.
 */
uint64_t isolation_load(struct isolation_root *r, uint64_t from, const uint64_t *changes);
/* Another vCPU comes to the CPU with these roots (NULL: it has none): what they have is not its. */
static inline void isolation_forget(struct isolation *i)
{
    if (i)
        i->root[0].from = i->root[1].from = 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and descriptor tables of PV guests.
 *
 * A guest's GDT and LDT are its own pages, mapped read-only into a window of hypervisor addresses
 * that each CPU has (x86/layout.h). A page gets there only with the type FT_DESC: each of its 512
 * entries was checked, and nobody can write it but update_descriptor. Page 14 of the GDT window is
 * the CPU's own and never a guest's. Where the guest's GDT has no page there is one of zeros: using
 * such a selector raises #GP, and LAR or LSL of it say that there is none. LDT pages that are not
 * looked up yet are not mapped: the processor then raises #PF with an address in the window.
 */
#ifndef X86_PV_DESC_H
#define X86_PV_DESC_H

#include "core/frame.h"
#include "x86/pv/pv.h"

#define GDT_GUEST_PAGES GDT_RESERVED_PAGE
#define GDT_GUEST_ENTRIES (GDT_GUEST_PAGES * 512u)
#define LDT_MAX_ENTRIES 8192u

/*
 * May a guest have this descriptor? It is completed in place: code and data segments get DPL 3 and
 * are marked accessed, so that the processor never writes the page; call gates get DPL 0. Not
 * allowed: other present system descriptors (TSS, LDT, interrupt gates). Pure.
 */
bool desc_ok(uint64_t *desc);
/* All 512 descriptors of a frame that nobody can write meanwhile; -XEN_EINVAL names one in the log.
 */
int desc_validate_frame(struct frame *f);

/*
 * May the guest hold this selector, with RPL 3? Its own GDT's entries, any LDT entry, the ABI's
 * three flat segments of ring 3, null. RPL is not looked at: the caller forces it.
 */
bool pv_selector_ok(uint16_t sel);

/*
 * New GDT (`ents` entries in the frames mfns[]) or LDT (at guest address `base`) of v, which is
 * current on this CPU or does not run. 0; -XEN_EINVAL, also: a page is mapped writable.
 * No locks held; may take pt_lock. LDT pages are looked up when they are first used.
 */
int pv_set_gdt(struct vcpu *v, const mfn_t *mfns, unsigned int ents);
int pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int ents);

/* --- the window of this CPU --- */
static inline uint64_t desc_window(unsigned int cpu)
{
    return GDTS_BASE + (uint64_t)cpu * GDT_WINDOW;
}
/* Is a page fault's address in the window of CPU `cpu`? */
static inline bool desc_in_window(unsigned int cpu, uint64_t cr2)
{
    return cr2 - desc_window(cpu) < GDT_WINDOW_USED;
}
/*
 * #PF at cr2 while v, current, or the hypervisor on its behalf (iretq, a selector being loaded) may
 * have touched a descriptor in this CPU's window: true: it was so, and an LDT page was mapped, try
 * again. No locks.
 */
bool pv_map_ldt_fault(struct vcpu *v, uint64_t cr2);
/* Error code of the #GP that such a fault means when it cannot be resolved. */
static inline uint16_t desc_fault_error(unsigned int cpu, uint64_t cr2)
{
    uint64_t off = cr2 - desc_window(cpu);

    return off < LDT_OFFSET ? (uint16_t)(off & 0xfff8) : (uint16_t)((off & 0xfff8) | 4);
}
/* Put v's tables into this CPU's window. `flush`: no CR3 load follows, so drop old translations. */
void desc_load(const struct pv_vcpu *v, bool flush);

#endif

/* SPDX-License-Identifier: MIT */
/* The choice of controls: caps.h. No state, no locks. */
#include "x86/hvm/vmx/caps.h"

#include <stddef.h>

#include "x86/hvm/vmx/vmcs.h"
#include "x86/mm/p2m.h"

#define PIN_MUST (PIN_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI)
#define PROC_MUST                                                                            \
    (PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_CR8_LOAD | PROC_CR8_STORE | \
     PROC_MOV_DR | PROC_IO_BITMAPS | PROC_MSR_BITMAP | PROC_MONITOR | PROC_SECONDARY)
/* Switched on and off while guests run. */
#define PROC_MAY (PROC_WINDOW | PROC_NMI_WINDOW | PROC_RDTSC)
#define PROC2_MUST (PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED)
#define PROC2_LIKED (PROC2_RDTSCP | PROC2_INVPCID)
#define EXIT_MUST                                                                      \
    (EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | \
     EXIT_LOAD_EFER)
#define ENTRY_MUST (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define EPT_MUST \
    (EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_INVEPT | EPT_CAP_INVVPID | EPT_CAP_INVVPID_ALL)

/* A capability MSR: bits that must be 1 below, bits that may be 1 above. */
static uint32_t forced(uint64_t cap)
{
    return (uint32_t)cap;
}

static uint32_t allowed(uint64_t cap)
{
    return (uint32_t)(cap >> 32);
}

/* `must`, what else is forced, and what of `liked` there is; false: not all of `must` is there. */
static bool fit(uint64_t cap, uint32_t must, uint32_t liked, uint32_t *out)
{
    *out = must | forced(cap) | (liked & allowed(cap));
    return (must & ~allowed(cap)) == 0;
}

static const char *check_proc(const struct vmx_caps *c, struct vmx_controls *out)
{
    if (!fit(c->proc, PROC_MUST, 0, &out->proc) || (PROC_MAY & ~allowed(c->proc)))
        return "the processor's VMX lacks execution controls (a bitmap, or the secondary controls)";
    if (out->proc & (PROC_CR3_LOAD | PROC_CR3_STORE))
        return "the processor's VMX cannot leave CR3 to its guests";
    if (!(allowed(c->proc2) & PROC2_EPT))
        return "the processor's VMX has no nested paging (EPT)";
    if (!(allowed(c->proc2) & PROC2_UNRESTRICTED))
        return "the processor's VMX has no unrestricted guests";
    if (!fit(c->proc2, PROC2_MUST, PROC2_LIKED, &out->proc2))
        return "the processor's VMX has no address-space tags (VPID)";
    return NULL;
}

const char *vmx_choose(const struct vmx_caps *c, struct vmx_controls *out)
{
    const char *why;

    *out = (struct vmx_controls){ .revision = (uint32_t)c->basic & 0x7fffffffu };
    if (!(c->basic & BASIC_TRUE))
        return "the processor's VMX is too old (no TRUE capability MSRs)";
    if (!fit(c->pin, PIN_MUST, 0, &out->pin))
        return "the processor's VMX has no virtual NMIs";
    why = check_proc(c, out);
    if (why)
        return why;
    if (!fit(c->exit, EXIT_MUST, 0, &out->exit) || !fit(c->entry, ENTRY_MUST, 0, &out->entry))
        return "the processor's VMX does not switch EFER and PAT";
    if ((c->ept_vpid & EPT_MUST) != EPT_MUST ||
        !(c->ept_vpid & (EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL)))
        return "the processor's EPT lacks four levels, write-back tables or a flush";
    out->apic = (allowed(c->proc) & PROC_TPR_SHADOW) &&
                (allowed(c->proc2) & PROC2_APIC) == PROC2_APIC;
    out->max_order = c->ept_vpid & EPT_CAP_1G   ? P2M_ORDER_1G
                     : c->ept_vpid & EPT_CAP_2M ? P2M_ORDER_2M
                                                : P2M_ORDER_4K;
    out->invept = c->ept_vpid & EPT_CAP_INVEPT_SINGLE ? 1 : 2;
    out->eptp = EPTP_WB | EPTP_WALK_4 | (c->ept_vpid & EPT_CAP_DIRTY ? EPTP_DIRTY : 0);
    return NULL;
}

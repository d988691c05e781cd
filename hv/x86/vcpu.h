/* SPDX-License-Identifier: MIT */
/* The x86 part of domains, vCPUs and CPUs; guest kinds nest these (pv/pv.h). */
#ifndef X86_VCPU_H
#define X86_VCPU_H

#include "core/domain.h"
#include "core/pcpu.h"
#include "x86/layout.h"
#include "x86/regs.h"
#include "x86/time/scale.h"

struct x86_vcpu {
    struct vcpu v;        /* first: a struct vcpu * is a struct x86_vcpu * */
    struct x86_regs regs; /* guest registers while not running */
    void *xsave;          /* extended state area; size by CPUID leaf 0xD */
    uint64_t xcr0;        /* the guest's XCR0 */
    uint64_t tsc_offset;  /* [own CPU, or it does not run] its TSC is the domain's and this */
    uint32_t resident;    /* atomic: CPU + 1 that has its state and translations; x86/switch.h */
    /* Code that enters it from cpu_info()->regs; NULL: restore_guest (x86/trap.h). Constant. */
    void (*enter)(void);
};

struct x86_told;

/* Interrupts of the machine by d's own numbers: irq/pirq.c. */
struct x86_pirqs {
    struct pirq *table;      /* atomic: MAX_PIRQS records, made by the first mapping; NULL: none */
    unsigned long *eoi_page; /* [RANK_PIRQ] d's page of which need an end; NULL: none */
    bool eoi_unmasks;        /* [RANK_PIRQ] */
};

/* [domctl lock; constant once the domain runs] XEN_DOMCTL_settscinfo: time/vtsc.c. */
struct x86_tsc {
    uint8_t mode;  /* TSC_MODE_* */
    bool emulated; /* RDTSC traps; what follows counts */
    uint32_t khz;
    uint32_t incarnation; /* kept for the tools */
    uint64_t start_ns;    /* system time at which it was 0 */
    struct clock_scale from_ns, to_ns;
};

struct x86_domain {
    struct domain d;        /* first */
    unsigned long *ioports; /* Dom0: bitmap of the 65536 ports it may use; NULL: none */
    struct x86_pirqs pirqs;
    struct x86_told *told; /* atomic, set once: what the tools told it of its machine; or NULL */
    struct x86_tsc tsc;
    uint32_t viridian; /* atomic, set once: HVMPV_* that the tools asked for (hvm/viridian.h) */
};

static inline struct x86_vcpu *x86_vcpu(struct vcpu *v)
{
    return (struct x86_vcpu *)v;
}

static inline struct x86_domain *x86_domain(struct domain *d)
{
    return (struct x86_domain *)d;
}

#endif

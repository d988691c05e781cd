/* SPDX-License-Identifier: MIT */
/*
 * What to do against speculation attacks on this processor: one decision at boot, a pure function
 * of what CPUID and a few MSRs say. A processor of which nothing good is known counts as
 * vulnerable. Retpolines and index clamping are compiled in and not part of the choice.
 */
#ifndef X86_CPU_SPEC_H
#define X86_CPU_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spec_vendor { SPEC_OTHER, SPEC_INTEL, SPEC_AMD /* and Hygon */ };

struct spec_input {
    enum spec_vendor vendor;
    uint32_t family, model, stepping;
    uint32_t leaf7_edx, leaf7_2_edx, ext8_ebx,
        ext21_eax; /* CPUID as it is; 0 where it ends before */
    bool rtm, smt;
    bool emulated;      /* QEMU's TCG: executes nothing ahead of time */
    uint64_t arch_caps; /* MSR_ARCH_CAPABILITIES; 0 without it */
    bool pcid, invpcid;
};

struct spec_choice {
    bool meltdown; /* user code reads what the tables map: the hypervisor must not be in them */
    bool isolate_dom0, isolate_domu; /* so PV guests run on tables without it (mm/isolation.h) */
    bool tags;                       /* PCIDs keep translations over changes of CR3 (mm/tlb.h) */
    bool l1tf;                       /* non-present entries must not hold addresses of RAM */
    bool flush_l1d;                  /* L1's data cache is emptied as a VMX guest enters */
    bool verw;                       /* VERW on each way to a guest empties buffers */
    bool ibpb;                       /* barrier when a CPU goes from one domain to another */
    bool rsb_fill;                   /* return predictions overwritten when a guest enters */
    bool auto_ibrs;                  /* EFER.AUTOIBRS, once a CPU */
    uint64_t spec_ctrl;              /* value of MSR_SPEC_CTRL, once a CPU; 0: not written */
    /* Known and left open: */
    bool open_buffers;  /* MDS and its kin without the microcode that makes VERW work */
    bool open_l1d;      /* L1TF without that command: VMX guests read what is in L1 */
    bool open_returns;  /* Retbleed, SRSO: returns in the hypervisor trained by a guest */
    bool open_history;  /* BHI without BHI_DIS_S */
    bool open_sibling;  /* a sibling thread sees buffers or L1 of the other: SMT on */
    bool open_branches; /* no IBPB: branch targets trained by another domain */
};

#define SPEC_CTRL_IBRS 0x1ull
#define SPEC_CTRL_STIBP 0x2ull
#define SPEC_CTRL_BHI_DIS_S 0x400ull

/* Pure. */
void spec_decide(const struct spec_input *in, struct spec_choice *out);
/* One line of words, what is done and what is left open; returns out. */
const char *spec_describe(const struct spec_choice *c, char *out, size_t size);

extern struct spec_choice spec_choice; /* after spec_init() */

/* What the command line says of it. */
struct spec_wish {
    /* spec-ctrl=all: what any processor can do (VERW, RSB filling, L1TF-safe entries), for tests.
     */
    bool all;
    int xpti_dom0, xpti_domu; /* isolated or not; negative: as the processor needs it */
};

/* Does any PV guest run on tables without the hypervisor? */
static inline bool spec_isolates(void)
{
    return spec_choice.isolate_dom0 || spec_choice.isolate_domu;
}

/* First CPU, at boot, before cpu_create(): reads, decides, logs. */
void spec_init(const struct spec_wish *wish);
/* Each CPU: loads the MSRs that the choice names. */
void spec_init_cpu(void);
/* This CPU goes from a vCPU of one domain to one of another. */
void spec_switch_domain(void);

#endif

/* SPDX-License-Identifier: MIT */
/* What a PVH micro-guest can use beside guest.h. Memory is mapped one to one below 4 GiB. */
#ifndef PVH_H
#define PVH_H

#include "guest.h"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

extern const struct hvm_start_info *start_info;
extern uint64_t pvh_l4[512], pvh_l3[512], pvh_l2[2048];
extern char hypercall_page[];

/* The hypervisor's choice: VMCALL (Intel), else VMMCALL. */
static inline bool hypercalls_by_vmcall(void)
{
    return hypercall_page[7] == (char)0xc1;
}

/* Frames that hold nothing, below 4 GiB: of RAM by the memory map, and of a hole beyond it. */
unsigned long pvh_free_pfn(void);
#define PVH_HOLE_PFN 0xe8000ul
static inline void *pvh_virt(unsigned long pfn)
{
    return (void *)(pfn << 12);
}

/* shared_info in a frame of the hole, and event upcalls by PVH_UPCALL_VECTOR. */
void pvh_map_shared(void);
#define PVH_UPCALL_VECTOR 0xf0

void pvh_x2apic_on(void); /* this CPU's local APIC, in x2APIC mode */
void trap_init_ap(void);  /* the IDT of a further CPU */

static inline long hc_hvm_op(int op, void *arg)
{
    return HC2(__HYPERVISOR_hvm_op, op, arg);
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)));
}

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

static inline void irq_on(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void irq_off(void)
{
    __asm__ volatile("cli" ::: "memory");
}

/* Interrupts taken, by vector; cleared by the test. */
extern volatile unsigned int irq_hits[256];

#endif

/* SPDX-License-Identifier: MIT */
/* Registers of a local APIC, for vlapic*.c only. */
#ifndef X86_HVM_VLAPIC_PRIVATE_H
#define X86_HVM_VLAPIC_PRIVATE_H

#include "x86/hvm/vlapic.h"

enum apic_reg {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_APR = 0x90,
    APIC_PPR = 0xa0,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100,
    APIC_TMR = 0x180,
    APIC_IRR = 0x200,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR2 = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TMICT = 0x380,
    APIC_TMCCT = 0x390,
    APIC_TDCR = 0x3e0,
    APIC_SELF_IPI = 0x3f0
};

#define VERSION_VALUE 0x00050014u /* six entries of the local vector table */
#define SVR_ENABLE 0x100u
#define ICR_SELF 0x40000u
#define LVT_MASKED 0x10000u
#define LVT_TIMER_MODE 0x60000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_DEADLINE 0x40000u
#define ESR_SEND_VECTOR 0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ESR_REGISTER 0x80u
#define BUS_CYCLE_NS VLAPIC_CYCLE_NS

#define VLAPIC_REGS_SIZE 1024u /* bytes */

static inline uint32_t reg(const struct vlapic *v, enum apic_reg r)
{
    return v->regs[VLAPIC_REG(r)];
}

static inline void set_reg(struct vlapic *v, enum apic_reg r, uint32_t val)
{
    v->regs[VLAPIC_REG(r)] = val;
}

static inline bool software_enabled(const struct vlapic *v)
{
    return (reg(v, APIC_SVR) & SVR_ENABLE) != 0;
}

/* Word i of the eight of ISR, TMR or IRR. */
static inline uint32_t *vector_word(struct vlapic *v, enum apic_reg bank, unsigned int i)
{
    return &v->regs[VLAPIC_REG(bank) + 4 * i];
}

/* Notes an error, and its interrupt. Any CPU. */
void vlapic_error(struct vlapic *v, uint32_t bit);
/* The bits of a local vector table entry that software may set; 0: no entry. */
uint32_t vlapic_lvt_bits(const struct vlapic *v, unsigned int offset);
/* The timer's state as of now, in the mode that it has; true: the counter got to zero. */
bool vlapic_settle_timer(struct vlapic *v);
/* The timer goes on from what the registers say. */
void vlapic_restart_timer(struct vlapic *v);
uint32_t vlapic_current_count(const struct vlapic *v);
/* All registers 0, and nothing requested. */
void vlapic_clear(struct vlapic *v);
/* The registers were written as a whole: what follows from them is found anew. */
void vlapic_registers_changed(struct vlapic *v);
/* The logical id of an x2APIC follows from its id. */
uint32_t vlapic_x2apic_ldr(const struct vlapic *v);
/* Send what ICR says. */
void vlapic_send_ipi(struct vlapic *v, uint32_t icr, uint32_t dest);

#endif

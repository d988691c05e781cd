/* SPDX-License-Identifier: MIT */
/*
 * The records LAPIC and LAPIC_REGS. The second is the first KiB of the register page; the counter
 * is in it as it was when it was saved. What is loaded comes from a toolstack or from another
 * machine, so only what an APIC could hold is taken from it.
 */
#include "x86/hvm/vlapic_private.h"

#include <xen/errno.h>

#include "lib/string.h"

#define RECORD_HW_DISABLED 1u
#define RECORD_SW_DISABLED 2u

void vlapic_save(const struct vlapic *v, struct hvm_hw_lapic *r)
{
    uint32_t d = reg(v, APIC_TDCR);

    *r = (struct hvm_hw_lapic){ .apic_base_msr = v->apic_base, .tdt_msr = v->tsc_deadline };
    r->timer_divisor = 1u << ((((d & 3) | (d & 8) >> 1) + 1) & 7);
    r->disabled = (vlapic_enabled(v) ? 0 : RECORD_HW_DISABLED) |
                  (software_enabled(v) ? 0 : RECORD_SW_DISABLED);
}

void vlapic_save_regs(const struct vlapic *v, struct hvm_hw_lapic_regs *r)
{
    uint32_t count = vlapic_current_count(v);

    memcpy(r->data, v->regs, sizeof(r->data));
    for (unsigned int i = 0; i < 8; i++) {
        uint32_t requested = reg(v, APIC_IRR + 16 * i) |
                             __atomic_load_n(&v->posted[i], __ATOMIC_RELAXED);

        memcpy(r->data + APIC_IRR + 16 * i, &requested, sizeof(requested));
    }
    memcpy(r->data + APIC_TMCCT, &count, sizeof(count));
}

int vlapic_load(struct vlapic *v, const struct hvm_hw_lapic *r)
{
    if (!vlapic_base_ok(v, r->apic_base_msr))
        return -XEN_EINVAL;
    v->apic_base = (r->apic_base_msr & ~APIC_BASE_BSP) | (v->id ? 0 : APIC_BASE_BSP);
    v->tsc_deadline = v->bus->has_deadline ? r->tdt_msr : 0;
    set_reg(v, APIC_ID, vlapic_x2apic(v) ? v->id : v->id << 24);
    if (vlapic_x2apic(v))
        set_reg(v, APIC_LDR, vlapic_x2apic_ldr(v));
    vlapic_restart_timer(v);
    if (v->bus->ops->mode)
        v->bus->ops->mode(v);
    return 0;
}

static uint32_t saved(const struct hvm_hw_lapic_regs *r, unsigned int offset)
{
    uint32_t val;

    memcpy(&val, r->data + offset, sizeof(val));
    return val;
}

/* ISR, TMR, IRR: vectors below 16 cannot be there. */
static void load_vectors(struct vlapic *v, const struct hvm_hw_lapic_regs *r, enum apic_reg bank)
{
    for (unsigned int i = 0; i < 8; i++)
        *vector_word(v, bank, i) = saved(r, bank + 16 * i) & (i ? ~0u : ~0xffffu);
}

void vlapic_load_regs(struct vlapic *v, const struct hvm_hw_lapic_regs *r)
{
    uint64_t deadline = v->tsc_deadline;
    bool x2apic = vlapic_x2apic(v);

    vlapic_clear(v);
    set_reg(v, APIC_ID, x2apic ? v->id : v->id << 24);
    set_reg(v, APIC_VERSION, VERSION_VALUE);
    set_reg(v, APIC_TPR, saved(r, APIC_TPR) & 0xff);
    set_reg(v, APIC_LDR, x2apic ? vlapic_x2apic_ldr(v) : saved(r, APIC_LDR) & 0xff000000);
    set_reg(v, APIC_DFR, saved(r, APIC_DFR) | 0x0fffffff);
    set_reg(v, APIC_SVR, saved(r, APIC_SVR) & 0x3ff);
    set_reg(v, APIC_ESR, saved(r, APIC_ESR) & 0xff);
    set_reg(v, APIC_ICR, saved(r, APIC_ICR) & 0xccfff & ~0x1000u);
    set_reg(v, APIC_ICR2, saved(r, APIC_ICR2) & (x2apic ? ~0u : 0xff000000));
    set_reg(v, APIC_TMICT, saved(r, APIC_TMICT));
    set_reg(v, APIC_TDCR, saved(r, APIC_TDCR) & 0xb);
    for (unsigned int lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 16)
        v->regs[VLAPIC_REG(lvt)] = (saved(r, lvt) & vlapic_lvt_bits(v, lvt)) |
                                   (software_enabled(v) ? 0 : LVT_MASKED);
    load_vectors(v, r, APIC_ISR);
    load_vectors(v, r, APIC_TMR);
    load_vectors(v, r, APIC_IRR);
    vlapic_registers_changed(v);
    v->tsc_deadline = deadline;
    v->timer_count = saved(r, APIC_TMCCT);
    v->timer_start = v->timer_count ? v->bus->ops->now(v) : VLAPIC_NONE;
    vlapic_restart_timer(v);
}

/* SPDX-License-Identifier: MIT */
/*
 * The kinds of records that a hardware-assisted domain has: registers, MTRRs and local APIC of each
 * vCPU, and an HVM domain's devices. The domain is paused; its timers may fire, so a device's
 * record is made and taken under the device lock.
 */
#include <xen/errno.h>

#include "core/hypercall.h"
#include "lib/string.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/records.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"

/* --- of each vCPU --- */

static struct hvm_vcpu *vcpu_at(struct domain *d, unsigned int i)
{
    struct vcpu *c = i < d->max_vcpus ? d->vcpu[index_nospec(i, MAX_VCPUS)] : NULL;

    if (c)
        switch_sync(c); /* an idle CPU may still have it */
    return c ? hvm_vcpu(c) : NULL;
}

static int check_vcpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)rec, (void)len;
    return vcpu_at(d, i) ? 0 : -XEN_EINVAL;
}

static uint32_t save_cpu(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    hvm_cpu_to_record(v, rec);
    return sizeof(struct hvm_hw_cpu);
}

static int check_cpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    return v && hvm_cpu_record_ok(v, rec) ? 0 : -XEN_EINVAL;
}

/* A vCPU that has registers runs. */
static void load_cpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    hvm_cpu_from_record(v, rec);
    v->x.v.initialised = true;
    __atomic_fetch_and(&v->x.v.pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    sched_wake(&v->x.v);
}

static uint32_t save_lapic(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    vlapic_save(&v->lapic, rec);
    return sizeof(struct hvm_hw_lapic);
}

static int check_lapic(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    const struct hvm_hw_lapic *r = rec;
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    return v && vlapic_base_ok(&v->lapic, r->apic_base_msr) ? 0 : -XEN_EINVAL;
}

static void load_lapic(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    (void)vlapic_load(&vcpu_at(d, i)->lapic, rec);
}

static uint32_t save_lapic_regs(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    vlapic_save_regs(&v->lapic, rec);
    return sizeof(struct hvm_hw_lapic_regs);
}

static void load_lapic_regs(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    vlapic_load_regs(&vcpu_at(d, i)->lapic, rec);
}

static uint32_t save_mtrr(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    hvm_mtrr_to_record(v, rec);
    return sizeof(struct hvm_hw_mtrr);
}

static int check_mtrr(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    return vcpu_at(d, i) && hvm_mtrr_record_ok(rec) ? 0 : -XEN_EINVAL;
}

static void load_mtrr(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    hvm_mtrr_from_record(vcpu_at(d, i), rec);
}

/* --- of an HVM domain's devices --- */

#define DEVICE(name, type, do_save, do_load)                                                 \
    static uint32_t save_##name(struct domain *d, unsigned int i, void *rec)                 \
    {                                                                                        \
        struct hvm_devices *dev = hvm_domain(d)->dev;                                        \
        struct type *r = rec;                                                                \
                                                                                             \
        (void)i;                                                                             \
        spin_lock(&dev->lock);                                                               \
        do_save;                                                                             \
        spin_unlock(&dev->lock);                                                             \
        return sizeof(*r);                                                                   \
    }                                                                                        \
    static void load_##name(struct domain *d, unsigned int i, const void *rec, uint32_t len) \
    {                                                                                        \
        struct hvm_devices *dev = hvm_domain(d)->dev;                                        \
        const struct type *r = rec;                                                          \
                                                                                             \
        (void)i, (void)len;                                                                  \
        spin_lock(&dev->lock);                                                               \
        do_load;                                                                             \
        spin_unlock(&dev->lock);                                                             \
    }

DEVICE(pic, hvm_hw_vpic, *r = dev->irq.pic.chip[i & 1], (void)vpic_load(&dev->irq.pic, i, r))
DEVICE(ioapic, hvm_hw_vioapic, *r = dev->irq.ioapic.hw, vioapic_load(&dev->irq.ioapic, r))
DEVICE(pci, hvm_hw_pci_irqs, *r = dev->irq.pci, dev->irq.pci = *r)
DEVICE(isa, hvm_hw_isa_irqs, *r = dev->irq.isa, dev->irq.isa = *r)
DEVICE(link, hvm_hw_pci_link, *r = dev->irq.link, dev->irq.link = *r)
DEVICE(pit, hvm_hw_pit, vpit_save(&dev->pit, r), vpit_load(&dev->pit, r))
DEVICE(rtc, hvm_hw_rtc, *r = dev->rtc.hw, vrtc_load(&dev->rtc, r))
DEVICE(hpet, hvm_hw_hpet, vhpet_save(&dev->hpet, r), vhpet_load(&dev->hpet, r))
DEVICE(pm, hvm_hw_pmtimer, vpm_save(&dev->pm, r), vpm_load(&dev->pm, r))

#define KIND(name, type, instances, save, check, load)                                         \
    {                                                                                          \
        HVM_SAVE_CODE(name), sizeof(struct type), sizeof(struct type), instances, save, check, \
            load                                                                               \
    }
static const struct context_kind kinds[] = {
    KIND(CPU, hvm_hw_cpu, 0, save_cpu, check_cpu, load_cpu),
    KIND(LAPIC, hvm_hw_lapic, 0, save_lapic, check_lapic, load_lapic),
    KIND(LAPIC_REGS, hvm_hw_lapic_regs, 0, save_lapic_regs, check_vcpu, load_lapic_regs),
    KIND(MTRR, hvm_hw_mtrr, 0, save_mtrr, check_mtrr, load_mtrr),
    KIND(PIC, hvm_hw_vpic, 2, save_pic, NULL, load_pic), /* from here on: HVM's */
    KIND(IOAPIC, hvm_hw_vioapic, 1, save_ioapic, NULL, load_ioapic),
    KIND(PCI_IRQ, hvm_hw_pci_irqs, 1, save_pci, NULL, load_pci),
    KIND(ISA_IRQ, hvm_hw_isa_irqs, 1, save_isa, NULL, load_isa),
    KIND(PCI_LINK, hvm_hw_pci_link, 1, save_link, NULL, load_link),
    KIND(PIT, hvm_hw_pit, 1, save_pit, NULL, load_pit),
    KIND(RTC, hvm_hw_rtc, 1, save_rtc, NULL, load_rtc),
    KIND(HPET, hvm_hw_hpet, 1, save_hpet, NULL, load_hpet),
    KIND(PMTIMER, hvm_hw_pmtimer, 1, save_pm, NULL, load_pm),
};
#define VCPU_KINDS 4u /* which PVH has */

struct context_table hvm_context_table(struct domain *d)
{
    return (struct context_table){ .kind = kinds,
                                   .nr = hvm_domain(d)->dev ? ARRAY_SIZE(kinds) : VCPU_KINDS,
                                   .vcpus = d->max_vcpus,
                                   .cpuid = cpu_policy_ask(policy_of(d), 1, 0).a,
                                   .tsc_khz = policy_time.tsc_khz };
}

void hvm_context_loaded(struct domain *d)
{
    struct hvm_devices *dev = hvm_domain(d)->dev;

    if (!dev)
        return;
    spin_lock(&dev->lock);
    virq_loaded(&dev->irq);
    spin_unlock(&dev->lock);
}

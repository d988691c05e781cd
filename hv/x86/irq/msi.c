/* SPDX-License-Identifier: MIT */
/* PCI Local Bus Specification 3.0, section 6.8. */
#include "x86/irq/msi.h"

#include <xen/errno.h>

#include "core/bug.h"
#include "core/frame.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/irq/msi_msg.h"
#include "x86/machine.h"
#include "x86/mm/vmap.h"

#define ENTRY_SIZE 16
enum { ENTRY_ADDR_LO, ENTRY_ADDR_HI, ENTRY_DATA, ENTRY_CONTROL };
#define ENTRY_MASKED 1u

#define MSI_ADDR_LO 4
#define MSI_ADDR_HI 8
#define MSI_DATA(wide) ((wide) ? 12 : 8)
#define MSI_MASK(wide) ((wide) ? 16 : 12)

static struct pci_addr dev_of(const struct irq *irq)
{
    return (struct pci_addr){ irq->msi.seg, irq->msi.bus, irq->msi.devfn };
}

static uint16_t reg_of(const struct irq *irq, unsigned int off)
{
    return (uint16_t)(irq->msi.cap + off);
}

static void write_mask(struct irq *irq, bool masked)
{
    const struct irq_msi *m = &irq->msi;
    uint16_t reg = reg_of(irq, MSI_MASK(m->wide));
    uint32_t v;

    if (m->msix) {
        v = m->entry[ENTRY_CONTROL];
        m->entry[ENTRY_CONTROL] = masked ? v | ENTRY_MASKED : v & ~ENTRY_MASKED;
        (void)m->entry[ENTRY_CONTROL]; /* the write has arrived when the read answers */
    } else if (m->maskable) {
        v = pci_read32(dev_of(irq), reg);
        pci_write32(dev_of(irq), reg, masked ? v | 1u : v & ~1u);
    }
    /* Else the device has no mask: what it sends meanwhile is kept for the next user (irq.early).
     */
}

static void mask(struct irq *irq)
{
    write_mask(irq, true);
}

static void unmask(struct irq *irq)
{
    write_mask(irq, false);
}

/*
 * An MSI-X entry may change only while it is masked. Of a plain MSI that is in use only the low
 * address differs, so no half-written message can leave.
 */
static void program(struct irq *irq, uint32_t apic_id)
{
    const struct irq_msi *m = &irq->msi;
    struct msi_msg msg = msi_compose(apic_id, irq->vector);
    struct pci_addr dev = dev_of(irq);

    if (m->msix) {
        if (!irq->masked)
            write_mask(irq, true);
        m->entry[ENTRY_ADDR_LO] = msg.addr_lo;
        m->entry[ENTRY_ADDR_HI] = msg.addr_hi;
        m->entry[ENTRY_DATA] = msg.data;
        write_mask(irq, irq->masked);
        return;
    }
    pci_write32(dev, reg_of(irq, MSI_ADDR_LO), msg.addr_lo);
    if (m->wide)
        pci_write32(dev, reg_of(irq, MSI_ADDR_HI), msg.addr_hi);
    pci_write16(dev, reg_of(irq, MSI_DATA(m->wide)), (uint16_t)msg.data);
}

const struct irq_chip msi_chip = { "MSI", program, mask, unmask };

/* Neither RAM nor ours: what Dom0 says of its devices must not lead the hypervisor to itself. */
static bool may_be_device(uint64_t pa, uint64_t len)
{
    if (pa + len < pa || (pa + len - 1) >> cpu_feat.phys_bits)
        return false;
    for (uint64_t at = pa & PAGE_MASK; at < pa + len; at += PAGE_SIZE)
        if (frame_of(maddr_mfn(MADDR(at))) || machine_owns_frame(maddr_mfn(MADDR(at))))
            return false;
    return true;
}

static int find_msix(const struct msi_request *r, struct irq_msi *m)
{
    uint64_t pa;
    uint32_t table;

    m->cap = pci_find_cap(r->dev, PCI_CAP_MSIX);
    if (!m->cap)
        return -XEN_ENODEV;
    if (r->entry_nr > (pci_read16(r->dev, m->cap + MSIX_CONTROL) & MSIX_CONTROL_SIZE))
        return -XEN_ERANGE;
    if (!(pci_read16(r->dev, PCI_COMMAND) & PCI_COMMAND_MEMORY))
        return -XEN_ENXIO;
    table = pci_read32(r->dev, m->cap + MSIX_TABLE) & ~(uint32_t)MSIX_TABLE_BAR;
    pa = (r->table_bar & ~0xfull) + table + (uint64_t)r->entry_nr * ENTRY_SIZE;
    if (r->table_bar >> cpu_feat.phys_bits || pa % ENTRY_SIZE || !may_be_device(pa, ENTRY_SIZE))
        return -XEN_EACCES;
    m->entry = vmap(MADDR(pa), ENTRY_SIZE, VMAP_UC);
    if (!m->entry)
        return -XEN_ENOMEM;
    m->entry_nr = r->entry_nr;
    m->maskable = true;
    return 0;
}

static int find_msi(const struct msi_request *r, struct irq_msi *m)
{
    uint16_t control;

    m->cap = pci_find_cap(r->dev, PCI_CAP_MSI);
    if (!m->cap)
        return -XEN_ENODEV;
    control = pci_read16(r->dev, m->cap + MSI_CONTROL);
    m->wide = control & MSI_CONTROL_64BIT;
    m->maskable = control & MSI_CONTROL_MASKABLE;
    if (control & MSI_CONTROL_COUNT) /* one message: several need neighbouring vectors */
        pci_write16(r->dev, m->cap + MSI_CONTROL, control & (uint16_t)~MSI_CONTROL_COUNT);
    return 0;
}

int msi_create(const struct msi_request *r, struct irq **out)
{
    struct irq_msi m = {
        .seg = r->dev.seg, .bus = r->dev.bus, .devfn = r->dev.devfn, .msix = r->table_bar != 0
    };
    struct irq *irq;
    int rc;

    if (!pci_exists(r->dev))
        return -XEN_ENODEV;
    irq = irq_alloc(&msi_chip);
    if (!irq)
        return -XEN_ENOMEM;
    rc = m.msix ? find_msix(r, &m) : find_msi(r, &m);
    if (rc) {
        irq_free(irq);
        return rc;
    }
    irq->msi = m;
    write_mask(irq, true);
    *out = irq;
    return 0;
}

void msi_destroy(struct irq *irq)
{
    struct irq_msi m = irq->msi;
    struct pci_addr dev = dev_of(irq);
    uint16_t control;

    if (m.msix) {
        write_mask(irq, true);
    } else {
        control = pci_read16(dev, m.cap + MSI_CONTROL);
        if (control != 0xffff && (control & MSI_CONTROL_ENABLE))
            pci_write16(dev, m.cap + MSI_CONTROL, control & (uint16_t)~MSI_CONTROL_ENABLE);
    }
    irq_free(irq);
    if (m.msix)
        vunmap((void *)(uintptr_t)m.entry, ENTRY_SIZE);
}

bool msi_is_of(const struct irq *irq, struct pci_addr dev)
{
    return irq->chip == &msi_chip && irq->msi.seg == dev.seg && irq->msi.bus == dev.bus &&
           irq->msi.devfn == dev.devfn;
}

bool msi_is_for(const struct irq *irq, const struct msi_request *r)
{
    return msi_is_of(irq, r->dev) && irq->msi.msix == (r->table_bar != 0) &&
           (!irq->msi.msix || irq->msi.entry_nr == r->entry_nr);
}

void msi_restore_begin(struct pci_addr dev)
{
    uint8_t cap = pci_find_cap(dev, PCI_CAP_MSIX);
    uint16_t control;

    if (!cap)
        return;
    control = pci_read16(dev, cap + MSIX_CONTROL);
    pci_write16(dev, cap + MSIX_CONTROL, control | MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
}

void msi_restore_one(struct irq *irq)
{
    struct pci_addr dev = dev_of(irq);
    uint16_t control;

    spin_lock(&irq->lock);
    if (irq->vector && pcpus[irq->cpu])
        program(irq, ((struct x86_pcpu *)pcpus[irq->cpu])->apic_id);
    write_mask(irq, irq->masked);
    if (!irq->msi.msix) {
        control = pci_read16(dev, reg_of(irq, MSI_CONTROL));
        pci_write16(dev, reg_of(irq, MSI_CONTROL),
                    (control & (uint16_t)~MSI_CONTROL_COUNT) | MSI_CONTROL_ENABLE);
    }
    spin_unlock(&irq->lock);
}

void msi_restore_end(struct pci_addr dev)
{
    uint8_t cap = pci_find_cap(dev, PCI_CAP_MSIX);
    uint16_t control;

    if (!cap)
        return;
    control = pci_read16(dev, cap + MSIX_CONTROL);
    pci_write16(dev, cap + MSIX_CONTROL, control & (uint16_t)~MSIX_CONTROL_MASK_ALL);
}

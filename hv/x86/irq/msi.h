/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X of Dom0's devices. Linux enables the capability itself, but leaves addresses, data
 * and mask bits to the hypervisor (its pci_msi_ignore_mask). This lives beside pirq.c since it
 * alone needs both dev/pci.h and x86/irq/irq.h.
 */
#ifndef X86_IRQ_MSI_H
#define X86_IRQ_MSI_H

#include "x86/dev/pci.h"
#include "x86/irq/irq.h"

struct msi_request {
    struct pci_addr dev;
    uint64_t table_bar; /* MSI-X: address of the BAR with the table; 0: plain MSI */
    uint16_t entry_nr;  /* MSI-X: which entry */
};

/*
 * An interrupt source for it, without a vector, the entry masked. 0; -ENODEV: no such device or
 * capability; -ENXIO: its memory is switched off; -ERANGE: no such entry; -EACCES: the table would
 * lie in RAM or the hypervisor's registers; -ENOMEM.
 */
int msi_create(const struct msi_request *r, struct irq **out);
/* Unbound: masks it, disables a plain MSI, and frees the source. */
void msi_destroy(struct irq *irq);
/* Is it that device's; for this very message? */
bool msi_is_of(const struct irq *irq, struct pci_addr dev);
bool msi_is_for(const struct irq *irq, const struct msi_request *r);

/*
 * The device lost its registers (reset, sleep). First the capability with everything masked, then
 * each source, then the capability at work.
 */
void msi_restore_begin(struct pci_addr dev);
void msi_restore_one(struct irq *irq);
void msi_restore_end(struct pci_addr dev);

extern const struct irq_chip msi_chip;

#endif

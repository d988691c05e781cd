/* SPDX-License-Identifier: MIT */
/*
 * The wires of a PC: from ISA and PCI devices, and from the event channels' callback, to the pins
 * of the I/O APIC and to the PICs. Several may pull one pin; it is up while one does. The domain's
 * device lock is held.
 */
#ifndef X86_HVM_VIRQ_H
#define X86_HVM_VIRQ_H

#include "x86/hvm/vioapic.h"
#include "x86/hvm/vpic.h"

#define VIRQ_LINKS 4

/* Where the event channels' callback comes in: HVM_PARAM_CALLBACK_IRQ. */
struct virq_callback {
    enum { CALLBACK_NONE, CALLBACK_GSI, CALLBACK_INTX } via;
    uint8_t gsi;          /* CALLBACK_GSI: 1 to VIOAPIC_NUM_PINS - 1 */
    uint8_t device, intx; /* CALLBACK_INTX: of bus 0 */
    bool up;
};

struct virq {
    struct vioapic ioapic;
    struct vpic pic;
    struct hvm_hw_pci_irqs pci; /* wires that are up, as the records have them */
    struct hvm_hw_isa_irqs isa;
    struct hvm_hw_pci_link link;     /* the ISA line of each link, 0: none */
    uint8_t pulls[VIOAPIC_NUM_PINS]; /* wires that hold the pin up */
    uint8_t link_pulls[VIRQ_LINKS];
    struct virq_callback callback;
};

struct virq_hooks {
    bool (*send)(void *ctx, const struct apic_message *m); /* to the local APICs */
    void (*extint)(void *ctx, bool up);                    /* the PICs' output changed */
};

void virq_init(struct virq *q, const struct virq_hooks *hooks, void *ctx);
/* ISA line 0 to 15. Line 0 is pin 2 of the I/O APIC, as the ACPI tables say. */
void virq_isa(struct virq *q, unsigned int irq, bool up);
/* INTx (0 to 3) of device 0 to 31 of bus 0. */
void virq_pci(struct virq *q, unsigned int device, unsigned int intx, bool up);
/* The pin that device and INTx have. */
unsigned int virq_pci_pin(unsigned int device, unsigned int intx);
/* A pin of the I/O APIC by its number, and the PIC's line if it has one. */
void virq_gsi(struct virq *q, unsigned int gsi, bool up);
/*
 * The event channels' wire goes up, or down; it is to be down before via, gsi, device or intx
 * change.
 */
void virq_callback(struct virq *q, bool up);
/* Link 0 to 3 leads to ISA line `irq` from now on, 0: to none. 0 or -EINVAL. */
int virq_set_link(struct virq *q, unsigned int link, unsigned int irq);
/* After records were loaded: pins as the wires are; the event channels' own is as it was. */
void virq_loaded(struct virq *q);

#endif

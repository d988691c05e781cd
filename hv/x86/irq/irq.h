/* SPDX-License-Identifier: MIT */
/*
 * Interrupt sources: a line of an I/O APIC or a device's MSI, its vector, and whom it serves - a
 * function of the hypervisor or a guest's event channel.
 *
 * A source keeps one vector on all CPUs. It reserves the vector on each CPU it is sent to and keeps
 * it there until it is freed, so moving it changes the destination only, in one write, and one that
 * is under way to the old CPU still finds its source.
 *
 *   edge, MSI   acknowledged at once, then the event is sent
 *   level       masked, acknowledged, the event is sent; unmasked by the guest's end of interrupt.
 *               A line that is stuck so costs at most one interrupt for each answer of the guest.
 *
 * Records are never given back to the allocator, so irq_handle() may look at one without a lock.
 */
#ifndef X86_IRQ_IRQ_H
#define X86_IRQ_IRQ_H

#include "core/lock.h"
#include "core/types.h"
#include "x86/irq/gsi.h"
#include "x86/irq/vectors.h"

struct domain;
struct irq;

/* How a kind of source is driven. Called with the source's lock held. */
struct irq_chip {
    const char *name;
    /* Send to that CPU from now on. Masked or never unmasked, or the CPU alone changes. */
    void (*program)(struct irq *irq, uint32_t apic_id);
    void (*mask)(struct irq *irq);
    void (*unmask)(struct irq *irq);
};

enum irq_user { IRQ_UNUSED, IRQ_HANDLER, IRQ_GUEST };

/* What the MSI chip (pv/msi.c) keeps; data only. */
struct irq_msi {
    uint16_t seg;
    uint8_t bus, devfn;
    uint8_t cap; /* offset of the capability in configuration space */
    bool msix, wide, maskable;
    uint16_t entry_nr;
    volatile uint32_t *entry; /* MSI-X: the mapped table entry */
};

struct irq {
    spinlock_t lock;             /* RANK_IRQ */
    const struct irq_chip *chip; /* [lock] NULL: free record */
    uint8_t vector;              /* [lock] 0: none yet */
    bool level;                  /* [lock] */
    bool masked;                 /* [lock] */
    bool in_flight;              /* [lock] level: masked until the guest's end of interrupt */
    bool early;                  /* [lock] edge: came while nobody was bound */
    uint32_t cpu;                /* [lock] where it is sent */
    enum irq_user user;          /* [lock] */
    union {                      /* [lock] by user */
        struct {
            void (*fn)(void *arg);
            void *arg;
        } handler;
        struct {
            struct domain *d;
            uint32_t port;
        } guest;
    };
    union { /* by chip; constant while in use */
        uint32_t gsi;
        struct irq_msi msi;
    };
    uint64_t count;       /* [lock] interrupts seen */
    uint32_t storm;       /* [lock] level handler: interrupts since storm_start, a second */
    uint64_t storm_start; /* [lock] ns */
    struct irq *next;     /* [pool lock] free list */
};

/* A fresh, unused source, or NULL: no memory. The caller fills in the chip's part. */
struct irq *irq_alloc(const struct irq_chip *chip);
/* Unbound and masked by its owner: gives back vector and record. */
void irq_free(struct irq *irq);
/* The source of a GSI, made at its first use; NULL: no I/O APIC has the GSI, or no memory. */
struct irq *irq_of_gsi(uint32_t gsi);

/*
 * Give the source a vector on CPU `cpu` (or on another one, if that has none left) and program its
 * chip, masked as before. 0, -ENOSPC, -ENOMEM. Does nothing if it has one.
 */
int irq_assign_vector(struct irq *irq, unsigned int cpu);
/*
 * Begin to serve: assigns a vector if needed and unmasks. -EBUSY when it serves somebody already.
 * The handler runs without locks, interrupts off.
 */
int irq_bind_handler(struct irq *irq, unsigned int cpu, void (*fn)(void *arg), void *arg);
int irq_bind_guest(struct irq *irq, unsigned int cpu, struct domain *d, uint32_t port);
/* Masked, serves nobody; after return no event is sent to the port any more. */
void irq_unbind(struct irq *irq);
/* The guest is done with a level interrupt: listen again. Harmless at any other time. */
void irq_guest_eoi(struct irq *irq);
/* Does the guest have to say so? */
bool irq_needs_eoi(const struct irq *irq);
/* Send to that CPU from now on, if its vector is free there: a wish. */
void irq_set_cpu(struct irq *irq, unsigned int cpu);
/* A line's mode as Dom0 knows it: 0, or -EBUSY when it is in use in another mode. */
int irq_set_gsi_mode(uint32_t gsi, struct gsi_mode mode);

/* An ISA line for the hypervisor's own use (UART): 0 or -errno. */
int irq_bind_isa(unsigned int isa_irq, void (*fn)(void *arg), void *arg);

/* The entry code's call for vectors VEC_DEVICE_FIRST to VEC_DEVICE_LAST, and unknown ones. */
void irq_handle(uint8_t vector);

/* Both 8259s remapped and masked; call before interrupts are ever on. */
void irq_mask_8259(void);
/* Debug key: one line for each source. */
void irq_dump(void);

/*
 * Pure: the first vector for devices from `from` on (wrapping) that is not set in `used` (256
 * bits); 0: none.
 */
uint8_t irq_pick_vector(const unsigned long *used, uint8_t from);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * PIRQs: the numbers by which a domain knows the machine's interrupts that it has; each domain has
 * a table of its own. PIRQ n below the number of GSIs is GSI n; MSIs get numbers above. Only Dom0
 * maps any so far (passthrough is a later step).
 *
 * Life of a PIRQ: map (here), bind to an event channel (EVTCHNOP_bind_pirq),
 * interrupts and, for level lines, PHYSDEVOP_eoi; close; unmap.
 */
#ifndef X86_IRQ_PIRQ_H
#define X86_IRQ_PIRQ_H

#include "core/types.h"
#include "x86/irq/msi.h"

#define MAX_PIRQS 4096 /* fits the bitmap page of PHYSDEVOP_pirq_eoi_gmfn */

/* At boot, after the I/O APICs are known: hands the hooks to core/evtchn. */
void pirq_init(void);

/*
 * That d may is the caller's to know. Numbers are the guest's, unchecked. *pirq: wanted, or
 * negative for any; then the one it is. Mapping what is mapped already gives the same PIRQ. 0 or
 * -errno.
 */
int pirq_map_gsi(struct domain *d, uint32_t gsi, int *pirq);
int pirq_map_msi(struct domain *d, const struct msi_request *r, int *pirq);
int pirq_unmap(struct domain *d, uint32_t pirq);
/* A number for a later mapping, kept for the caller. */
int pirq_get_free(struct domain *d, uint32_t *pirq);
/* The guest is done with an interrupt; harmless if nothing is outstanding. */
int pirq_eoi(struct domain *d, uint32_t pirq);
/* XENIRQSTAT_* */
int pirq_status(struct domain *d, uint32_t pirq, uint32_t *flags);
/* PHYSDEVOP_setup_gsi. */
int pirq_setup_gsi(struct domain *d, uint32_t gsi, struct gsi_mode mode);
/*
 * d's page that shows which PIRQs need an end of interrupt; `unmask`: version 1, where
 * PHYSDEVOP_eoi unmasks the event channel too. Holds a typed reference on the frame. -EBUSY: given
 * before.
 */
int pirq_set_eoi_page(struct domain *d, gfn_t gfn, bool unmask);
/* Its frame, or MFN_NONE (audit). */
mfn_t pirq_eoi_frame(struct domain *d);
/* d dies, and its ports are closed: everything is unmapped and its page given back. */
void pirq_end(struct domain *d);
/* All MSIs of a device written again. */
int pirq_restore_msi(struct domain *d, struct pci_addr dev);

#endif

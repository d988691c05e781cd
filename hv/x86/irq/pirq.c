/* SPDX-License-Identifier: MIT */
#include "x86/irq/pirq.h"

#include <xen/errno.h>
#include <xen/physdev.h>

#include "core/domain.h"
#include "core/evtchn.h"
#include "core/gfn.h"
#include "core/hypercall.h"
#include "core/log.h"
#include "lib/bitmap.h"
#include "x86/irq/ioapic.h"

struct pirq {
    struct irq *irq; /* [lock] NULL: not mapped */
    uint32_t port;   /* [lock] event channel, 0: not bound */
    bool reserved;   /* [lock] handed out by pirq_get_free */
};

static spinlock_t lock = SPINLOCK_INIT(RANK_PIRQ);
static struct pirq pirqs[MAX_PIRQS]; /* Dom0's */
static uint32_t first_msi;           /* constant after pirq_init */
static unsigned long *eoi_page;      /* [lock] NULL: none */
static bool eoi_unmasks;             /* [lock] */

/* The record of a guest's number, or NULL. */
static struct pirq *find(uint32_t n)
{
    return n < MAX_PIRQS ? &pirqs[index_nospec(n, MAX_PIRQS)] : NULL;
}

/* lock held. Shows in the guest's page whether the PIRQ needs an end of interrupt. */
static void show_needs_eoi(uint32_t n)
{
    if (!eoi_page)
        return;
    if (pirqs[n].irq && irq_needs_eoi(pirqs[n].irq))
        bit_set(eoi_page, n);
    else
        bit_clear(eoi_page, n);
}

static bool is_free(const struct pirq *p)
{
    return !p->irq && !p->port && !p->reserved;
}

/* lock held. The lowest free number from `from` on, or -ENOSPC. */
static int find_free(uint32_t from)
{
    for (uint32_t n = from; n < MAX_PIRQS; n++)
        if (is_free(&pirqs[n]))
            return (int)n;
    return -XEN_ENOSPC;
}

int pirq_map_gsi(struct domain *d, uint32_t gsi, int *pirq)
{
    uint32_t n = *pirq < 0 ? gsi : (uint32_t)*pirq;
    struct irq *irq = irq_of_gsi(gsi);
    struct pirq *p = find(n);
    int rc = 0;

    if (!irq || !p) {
        log_refusal(d, "map_pirq: there is no GSI %u, or PIRQ %u is too high", gsi, n);
        return -XEN_EINVAL;
    }
    if (n != gsi) /* a line has one number, so that nothing maps it twice */
        return -XEN_EINVAL;
    spin_lock(&lock);
    if (!p->irq && p->port) {
        rc = -XEN_EBUSY;
    } else {
        p->irq = irq;
        p->reserved = false;
        show_needs_eoi(n);
        *pirq = (int)n;
    }
    spin_unlock(&lock);
    return rc;
}

/* lock held. The PIRQ that has this message already, or -ENOENT. */
static int find_message(const struct msi_request *r)
{
    for (uint32_t n = first_msi; n < MAX_PIRQS; n++)
        if (pirqs[n].irq && msi_is_for(pirqs[n].irq, r))
            return (int)n;
    return -XEN_ENOENT;
}

/* lock held. Where a new MSI goes: the wanted number if it may be had, else any. */
static int place_msi(int wanted)
{
    struct pirq *p;

    if (wanted < 0)
        return find_free(first_msi);
    p = find((uint32_t)wanted);
    if (!p || (uint32_t)wanted < first_msi)
        return -XEN_ERANGE;
    return p->irq || p->port ? -XEN_EBUSY : wanted;
}

int pirq_map_msi(struct domain *d, const struct msi_request *r, int *pirq)
{
    unsigned int cpu = d->vcpu[0] && d->vcpu[0]->cpu ? d->vcpu[0]->cpu->id : 0;
    struct irq *irq = NULL;
    int n, rc = 0;

    spin_lock(&lock);
    n = find_message(r);
    if (n < 0) {
        n = place_msi(*pirq);
        rc = n < 0 ? n : msi_create(r, &irq);
        if (rc == 0)
            rc = irq_assign_vector(irq, cpu);
        if (rc && irq)
            msi_destroy(irq);
        if (rc == 0) {
            pirqs[n].irq = irq;
            pirqs[n].reserved = false;
            show_needs_eoi((uint32_t)n);
        }
    }
    if (rc == 0)
        *pirq = n;
    spin_unlock(&lock);
    if (rc)
        log_refusal(d, "map_pirq: MSI of %04x:%02x:%02x.%u, entry %u: error %d", r->dev.seg,
                    r->dev.bus, r->dev.devfn >> 3, r->dev.devfn & 7, r->entry_nr, -rc);
    return rc;
}

int pirq_unmap(struct domain *d, uint32_t n)
{
    struct pirq *p = find(n);
    int rc = 0;

    (void)d;
    if (!p)
        return -XEN_EINVAL;
    spin_lock(&lock);
    if (p->irq) {
        if (p->port) /* the port stays open and gets no more events */
            irq_unbind(p->irq);
        if (p->irq->chip == &msi_chip)
            msi_destroy(p->irq);
        p->irq = NULL;
        show_needs_eoi(n);
    } else if (!p->reserved) {
        rc = -XEN_EINVAL;
    }
    p->reserved = false;
    spin_unlock(&lock);
    return rc;
}

int pirq_get_free(struct domain *d, uint32_t *pirq)
{
    int n;

    (void)d;
    spin_lock(&lock);
    n = find_free(first_msi);
    if (n >= 0) {
        pirqs[n].reserved = true;
        *pirq = (uint32_t)n;
    }
    spin_unlock(&lock);
    return n < 0 ? n : 0;
}

int pirq_eoi(struct domain *d, uint32_t n)
{
    struct pirq *p = find(n);
    uint32_t port = 0;

    if (!p)
        return -XEN_EINVAL;
    spin_lock(&lock);
    if (eoi_unmasks)
        port = p->port;
    if (p->irq && p->port)
        irq_guest_eoi(p->irq);
    spin_unlock(&lock);
    if (port) /* takes the outer lock */
        (void)evtchn_unmask(d, port);
    return 0;
}

int pirq_status(struct domain *d, uint32_t n, uint32_t *flags)
{
    struct pirq *p = find(n);

    (void)d;
    *flags = 0;
    if (!p)
        return -XEN_EINVAL;
    spin_lock(&lock);
    if (p->irq && irq_needs_eoi(p->irq))
        *flags |= XENIRQSTAT_needs_eoi;
    spin_unlock(&lock);
    return 0;
}

int pirq_setup_gsi(struct domain *d, uint32_t gsi, struct gsi_mode mode)
{
    int rc;

    spin_lock(&lock);
    rc = irq_set_gsi_mode(gsi, mode);
    if (rc == 0 && gsi < MAX_PIRQS)
        show_needs_eoi(gsi);
    spin_unlock(&lock);
    if (rc)
        log_refusal(d, "setup_gsi: GSI %u: %s", gsi,
                    rc == -XEN_EBUSY ? "in use in another mode" : "there is no such line");
    return rc == -XEN_EBUSY ? -XEN_EEXIST : rc;
}

int pirq_set_eoi_page(struct domain *d, gfn_t gfn, bool unmask)
{
    struct frame *f;
    int rc = gfn_get(d, gfn, GFN_WRITE | GFN_MAP, &f);

    if (rc)
        return rc;
    spin_lock(&lock);
    if (eoi_page) {
        rc = -XEN_EBUSY;
    } else {
        eoi_page = arch_map(frame_mfn(f));
        eoi_unmasks = unmask;
        for (uint32_t n = 0; n < MAX_PIRQS; n++)
            if (pirqs[n].irq)
                show_needs_eoi(n);
    }
    spin_unlock(&lock);
    if (rc)
        gfn_put(f, GFN_WRITE | GFN_MAP);
    return rc;
}

mfn_t pirq_eoi_frame(void)
{
    return eoi_page ? arch_unmap(eoi_page) : MFN_NONE;
}

int pirq_restore_msi(struct domain *d, struct pci_addr dev)
{
    (void)d;
    if (!pci_exists(dev))
        return -XEN_ENODEV;
    spin_lock(&lock);
    msi_restore_begin(dev);
    for (uint32_t n = first_msi; n < MAX_PIRQS; n++)
        if (pirqs[n].irq && msi_is_of(pirqs[n].irq, dev))
            msi_restore_one(pirqs[n].irq);
    msi_restore_end(dev);
    spin_unlock(&lock);
    return 0;
}

/* --- for core/evtchn.c: called with the domain's event-channel lock --- */

int arch_pirq_bind(struct domain *d, unsigned int n, evtchn_port port, bool share)
{
    unsigned int cpu = d->vcpu[0] && d->vcpu[0]->cpu ? d->vcpu[0]->cpu->id : 0;
    struct pirq *p = find(n);
    int rc = -XEN_EINVAL;

    (void)share; /* one domain has devices, so nobody to share with */
    if (!d->privileged || !p)
        return -XEN_EPERM;
    spin_lock(&lock);
    if (p->port)
        rc = -XEN_EEXIST;
    else if (p->irq)
        rc = irq_bind_guest(p->irq, cpu, d, port);
    if (rc == 0)
        p->port = port;
    spin_unlock(&lock);
    if (rc)
        log_refusal(d, "bind_pirq: PIRQ %u: %s", n,
                    rc == -XEN_EINVAL  ? "not mapped"
                    : rc == -XEN_EBUSY ? "in use by the hypervisor"
                                       : "bound already, or no vector left");
    return rc;
}

void arch_pirq_unbind(struct domain *d, unsigned int n)
{
    struct pirq *p = find(n);

    if (!d->privileged || !p)
        return;
    spin_lock(&lock);
    if (p->irq && p->port)
        irq_unbind(p->irq);
    p->port = 0;
    spin_unlock(&lock);
}

void arch_pirq_set_affinity(struct domain *d, unsigned int n, struct vcpu *v)
{
    struct pirq *p = find(n);

    if (!d->privileged || !p || !v->cpu)
        return;
    spin_lock(&lock);
    if (p->irq && p->port)
        irq_set_cpu(p->irq, v->cpu->id);
    spin_unlock(&lock);
}

void pirq_init(void)
{
    first_msi = MAX(ioapic_nr_gsis(), NR_ISA_IRQS);
}

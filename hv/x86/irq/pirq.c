/* SPDX-License-Identifier: MIT */
/*
 * The tables from a domain's interrupt numbers to sources and event channels: see pirq.h. One lock
 * (RANK_PIRQ) for all of them; it comes before a source's own. What an interrupt itself does with a
 * bound source is in irq.c and needs none of it.
 */
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
#include "x86/vcpu.h"

struct pirq {
    struct irq *irq; /* [lock] NULL: not mapped */
    uint32_t port;   /* [lock] event channel, 0: not bound */
    bool reserved;   /* [lock] handed out by pirq_get_free */
};

static spinlock_t lock = SPINLOCK_INIT(RANK_PIRQ);
static uint32_t first_msi; /* constant after pirq_init */

#define TABLE_ORDER 4
_Static_assert(sizeof(struct pirq) * MAX_PIRQS == PAGE_SIZE << TABLE_ORDER, "a domain's table");

static struct x86_pirqs *of(struct domain *d)
{
    return &x86_domain(d)->pirqs;
}

/* lock held. d's table, made by the first mapping; NULL: no memory. */
static struct pirq *make_table(struct domain *d)
{
    if (!of(d)->table)
        __atomic_store_n(&of(d)->table, frame_alloc_hv_order(TABLE_ORDER), __ATOMIC_RELEASE);
    return of(d)->table;
}

/* The record of d's number, or NULL: too high, or d has no PIRQs. */
static struct pirq *find(struct domain *d, uint32_t n)
{
    struct pirq *table = __atomic_load_n(&of(d)->table, __ATOMIC_ACQUIRE);

    return table && n < MAX_PIRQS ? &table[index_nospec(n, MAX_PIRQS)] : NULL;
}

/* lock held. Shows in the guest's page whether the PIRQ needs an end of interrupt. */
static void show_needs_eoi(struct domain *d, uint32_t n)
{
    const struct x86_pirqs *ps = of(d);

    if (!ps->eoi_page || !ps->table)
        return;
    if (ps->table[n].irq && irq_needs_eoi(ps->table[n].irq))
        bit_set(ps->eoi_page, n);
    else
        bit_clear(ps->eoi_page, n);
}

static bool is_free(const struct pirq *p)
{
    return !p->irq && !p->port && !p->reserved;
}

/* lock held. The lowest free number of d's for an MSI, or -ENOSPC. */
static int find_free(struct domain *d)
{
    for (uint32_t n = first_msi; n < MAX_PIRQS; n++)
        if (is_free(&of(d)->table[n]))
            return (int)n;
    return -XEN_ENOSPC;
}

int pirq_map_gsi(struct domain *d, uint32_t gsi, int *pirq)
{
    uint32_t n = *pirq < 0 ? gsi : (uint32_t)*pirq;
    struct irq *irq = irq_of_gsi(gsi);
    struct pirq *p;
    int rc = 0;

    if (!irq || n >= MAX_PIRQS) {
        log_refusal(d, "map_pirq: there is no GSI %u, or PIRQ %u is too high", gsi, n);
        return -XEN_EINVAL;
    }
    if (n != gsi) /* a line has one number, so that nothing maps it twice */
        return -XEN_EINVAL;
    spin_lock(&lock);
    p = make_table(d) ? find(d, n) : NULL;
    if (!p) {
        rc = -XEN_ENOMEM;
    } else if (!p->irq && p->port) {
        rc = -XEN_EBUSY;
    } else {
        p->irq = irq;
        p->reserved = false;
        show_needs_eoi(d, n);
        *pirq = (int)n;
    }
    spin_unlock(&lock);
    return rc;
}

/* lock held. d's PIRQ that has this message already, or -ENOENT. */
static int find_message(struct domain *d, const struct msi_request *r)
{
    const struct pirq *table = of(d)->table;

    for (uint32_t n = first_msi; n < MAX_PIRQS; n++)
        if (table[n].irq && msi_is_for(table[n].irq, r))
            return (int)n;
    return -XEN_ENOENT;
}

/* lock held. Where a new MSI goes: the wanted number if it may be had, else any. */
static int place_msi(struct domain *d, int wanted)
{
    struct pirq *p;

    if (wanted < 0)
        return find_free(d);
    p = find(d, (uint32_t)wanted);
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
    n = make_table(d) ? find_message(d, r) : -XEN_ENOMEM;
    if (n == -XEN_ENOENT) {
        n = place_msi(d, *pirq);
        rc = n < 0 ? n : msi_create(r, &irq);
        if (rc == 0)
            rc = irq_assign_vector(irq, cpu);
        if (rc && irq)
            msi_destroy(irq);
        if (rc == 0) {
            of(d)->table[n].irq = irq;
            of(d)->table[n].reserved = false;
            show_needs_eoi(d, (uint32_t)n);
        }
    } else if (n < 0) {
        rc = n;
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
    struct pirq *p = find(d, n);
    int rc = 0;

    if (!p)
        return -XEN_EINVAL;
    spin_lock(&lock);
    if (p->irq) {
        if (p->port) /* the port stays open and gets no more events */
            irq_unbind(p->irq);
        if (p->irq->chip == &msi_chip)
            msi_destroy(p->irq);
        p->irq = NULL;
        show_needs_eoi(d, n);
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

    spin_lock(&lock);
    n = make_table(d) ? find_free(d) : -XEN_ENOMEM;
    if (n >= 0) {
        of(d)->table[n].reserved = true;
        *pirq = (uint32_t)n;
    }
    spin_unlock(&lock);
    return n < 0 ? n : 0;
}

int pirq_eoi(struct domain *d, uint32_t n)
{
    struct pirq *p = find(d, n);
    uint32_t port = 0;
    bool mapped;

    if (!p)
        return -XEN_EINVAL;
    spin_lock(&lock);
    mapped = p->irq != NULL;
    if (of(d)->eoi_unmasks)
        port = p->port;
    if (mapped && p->port)
        irq_guest_eoi(p->irq);
    spin_unlock(&lock);
    if (port) /* takes the outer lock */
        (void)evtchn_unmask(d, port);
    return mapped ? 0 : -XEN_EINVAL;
}

int pirq_status(struct domain *d, uint32_t n, uint32_t *flags)
{
    struct pirq *p = find(d, n);

    *flags = 0;
    if (!p) /* nothing is mapped, so nothing needs an end */
        return n < MAX_PIRQS ? 0 : -XEN_EINVAL;
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
        show_needs_eoi(d, gsi);
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
    if (of(d)->eoi_page) {
        rc = -XEN_EBUSY;
    } else {
        of(d)->eoi_page = arch_map(frame_mfn(f));
        of(d)->eoi_unmasks = unmask;
        for (uint32_t n = 0; of(d)->table && n < MAX_PIRQS; n++)
            if (of(d)->table[n].irq)
                show_needs_eoi(d, n);
    }
    spin_unlock(&lock);
    if (rc)
        gfn_put(f, GFN_WRITE | GFN_MAP);
    return rc;
}

mfn_t pirq_eoi_frame(struct domain *d)
{
    return of(d)->eoi_page ? arch_unmap(of(d)->eoi_page) : MFN_NONE;
}

void pirq_end(struct domain *d)
{
    struct x86_pirqs was;

    for (uint32_t n = 0; of(d)->table && n < MAX_PIRQS; n++)
        (void)pirq_unmap(d, n);
    spin_lock(&lock);
    was = *of(d);
    *of(d) = (struct x86_pirqs){ 0 };
    spin_unlock(&lock);
    if (was.table)
        frame_free_hv_order(was.table, TABLE_ORDER);
    if (was.eoi_page)
        gfn_put(frame_of(arch_unmap(was.eoi_page)), GFN_WRITE | GFN_MAP);
}

int pirq_restore_msi(struct domain *d, struct pci_addr dev)
{
    if (!pci_exists(dev))
        return -XEN_ENODEV;
    spin_lock(&lock);
    msi_restore_begin(dev);
    for (uint32_t n = first_msi; of(d)->table && n < MAX_PIRQS; n++)
        if (of(d)->table[n].irq && msi_is_of(of(d)->table[n].irq, dev))
            msi_restore_one(of(d)->table[n].irq);
    msi_restore_end(dev);
    spin_unlock(&lock);
    return 0;
}

/* --- for core/evtchn.c: called with the domain's event-channel lock --- */

int arch_pirq_bind(struct domain *d, unsigned int n, evtchn_port port, bool share)
{
    unsigned int cpu = d->vcpu[0] && d->vcpu[0]->cpu ? d->vcpu[0]->cpu->id : 0;
    struct pirq *p = find(d, n);
    int rc;

    (void)share; /* no two domains have one device, so nobody to share with */
    if (!p)
        return n < MAX_PIRQS ? -XEN_EPERM : -XEN_EINVAL; /* nothing mapped */
    spin_lock(&lock);
    if (!p->irq)
        rc = -XEN_EPERM;
    else if (p->port)
        rc = -XEN_EEXIST;
    else
        rc = irq_bind_guest(p->irq, cpu, d, port);
    if (rc == 0)
        p->port = port;
    spin_unlock(&lock);
    if (rc)
        log_refusal(d, "bind_pirq: PIRQ %u: %s", n,
                    rc == -XEN_EPERM   ? "not mapped"
                    : rc == -XEN_EBUSY ? "in use by the hypervisor"
                                       : "bound already, or no vector left");
    return rc;
}

void arch_pirq_unbind(struct domain *d, unsigned int n)
{
    struct pirq *p = find(d, n);

    if (!p)
        return;
    spin_lock(&lock);
    if (p->irq && p->port)
        irq_unbind(p->irq);
    p->port = 0;
    spin_unlock(&lock);
}

void arch_pirq_set_affinity(struct domain *d, unsigned int n, struct vcpu *v)
{
    struct pirq *p = find(d, n);

    if (!p || !v->cpu)
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

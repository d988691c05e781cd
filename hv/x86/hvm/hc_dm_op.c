/* SPDX-License-Identifier: MIT */
/*
 * dm_op: what a device model asks of the hypervisor on behalf of its guest. The first buffer holds
 * the operation; buffers are copied once. Operations on ranges of pages give way after some, with
 * what is left written back into the first buffer.
 */
#include "core/hypercall.h"

#include <xen/sched.h>

#include "core/access.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/memory.h"

#define MAX_BUFS 3u
#define PICTURE_PAGES 8192u /* 32 MiB: what one call looks at without giving way */

struct call {
    struct vcpu *v; /* who asks */
    struct hvm_domain *hd;
    struct hvm_devices *dev;
    unsigned int nr;
    struct xen_dm_op_buf buf[MAX_BUFS];
    struct xen_dm_op op;
    bool copy_back;
    bool restart; /* gave way: again with what op holds now */
};

static struct ioreq_server *server_of(struct call *c, unsigned int id)
{
    struct ioreq_server *s;

    if (id >= IOREQ_SERVERS)
        return NULL;
    s = &c->dev->servers[index_nospec(id, IOREQ_SERVERS)];
    return s->used ? s : NULL;
}

/* --- servers --- */

static long create(struct call *c)
{
    struct xen_dm_op_create_ioreq_server *op = &c->op.u.create_ioreq_server;
    int id;

    if (op->pad[0] || op->pad[1] || op->pad[2] ||
        op->handle_bufioreq > HVM_IOREQSRV_BUFIOREQ_ATOMIC)
        return E(EINVAL);
    id = hvm_server_create(c->hd, c->v->domain->id, op->handle_bufioreq);
    if (id < 0)
        return id;
    op->id = (ioservid_t)id;
    c->copy_back = true;
    return 0;
}

/* The pages are mapped as a resource; guest frames for them are not given out. */
static long get_info(struct call *c)
{
    struct xen_dm_op_get_ioreq_server_info *op = &c->op.u.get_ioreq_server_info;
    struct ioreq_server *s;

    if (op->flags & ~XEN_DMOP_no_gfns)
        return E(EINVAL);
    if (!(op->flags & XEN_DMOP_no_gfns)) {
        log_refusal(c->v->domain,
                    "d%u's device model asks for guest frames: it has to map its "
                    "pages by acquire_resource",
                    c->hd->x.d.id);
        return E(EOPNOTSUPP);
    }
    spin_lock(&c->dev->lock);
    s = server_of(c, op->id);
    if (s)
        op->bufioreq_port = s->ring_port;
    spin_unlock(&c->dev->lock);
    c->copy_back = s != NULL;
    return s ? 0 : E(ENOENT);
}

static long set_state(struct call *c)
{
    const struct xen_dm_op_set_ioreq_server_state *op = &c->op.u.set_ioreq_server_state;
    struct domain *d = &c->hd->x.d;
    struct ioreq_server *s;

    if (op->pad)
        return E(EINVAL);
    spin_lock(&c->dev->lock);
    s = server_of(c, op->id);
    if (s)
        s->enabled = op->enabled;
    spin_unlock(&c->dev->lock);
    if (!s)
        return E(ENOENT);
    for_each_vcpu (d, v)
        if (!op->enabled)
            vcpu_notify(v); /* who waits for it looks */
    return 0;
}

static long change_range(struct call *c, bool add)
{
    const struct xen_dm_op_ioreq_server_range *op = &c->op.u.map_io_range_to_ioreq_server;
    struct ioreq_server *s;
    long rc = E(ENOENT);

    if (op->pad)
        return E(EINVAL);
    spin_lock(&c->dev->lock);
    s = server_of(c, op->id);
    if (s)
        rc = add ? ioreq_add_range(s, op->type, op->start, op->end)
                 : ioreq_remove_range(s, op->type, op->start, op->end);
    spin_unlock(&c->dev->lock);
    return rc;
}

/* --- interrupts --- */

static long set_intx(struct call *c)
{
    const struct xen_dm_op_set_pci_intx_level *op = &c->op.u.set_pci_intx_level;

    if (op->domain || op->bus || op->device > 31 || op->intx > 3 || op->level > 1)
        return E(EINVAL);
    spin_lock(&c->dev->lock);
    virq_pci(&c->dev->irq, op->device, op->intx, op->level);
    spin_unlock(&c->dev->lock);
    return 0;
}

static long set_isa(struct call *c)
{
    const struct xen_dm_op_set_isa_irq_level *op = &c->op.u.set_isa_irq_level;

    if (op->isa_irq > 15 || op->level > 1)
        return E(EINVAL);
    spin_lock(&c->dev->lock);
    virq_isa(&c->dev->irq, op->isa_irq, op->level);
    spin_unlock(&c->dev->lock);
    return 0;
}

static long set_link(struct call *c)
{
    const struct xen_dm_op_set_pci_link_route *op = &c->op.u.set_pci_link_route;
    int rc;

    spin_lock(&c->dev->lock);
    rc = virq_set_link(&c->dev->irq, op->link, op->isa_irq);
    spin_unlock(&c->dev->lock);
    return rc;
}

/* INIT and SIPI stop a vCPU, and no device sends them. */
static long inject_msi(struct call *c)
{
    const struct xen_dm_op_inject_msi *op = &c->op.u.inject_msi;
    unsigned int mode = op->data >> 8 & 7;

    if (op->pad || mode == APIC_INIT || mode == APIC_SIPI)
        return E(EINVAL);
    (void)vlapic_send_msi(&c->hd->apics, op->addr, op->data);
    return 0;
}

static long inject_event(struct call *c)
{
    const struct xen_dm_op_inject_event *op = &c->op.u.inject_event;
    struct domain *d = &c->hd->x.d;
    struct vcpu *v;

    if (op->pad0 || op->pad1 || op->vcpuid >= d->max_vcpus)
        return E(EINVAL);
    v = d->vcpu[index_nospec(op->vcpuid, MAX_VCPUS)];
    if (!v)
        return E(EINVAL);
    if (op->type == XEN_DMOP_EVENT_nmi)
        return d->ops->send_nmi(v);
    log_refusal(c->v->domain, "inject_event: only NMIs (type 2) are there, not type %u", op->type);
    return E(EOPNOTSUPP);
}

/* --- memory --- */

static enum p2m_type type_of(uint16_t mem_type)
{
    switch (mem_type) {
    case HVMMEM_ram_rw:
        return P2M_RAM;
    case HVMMEM_ram_ro:
        return P2M_RAM_RO;
    case HVMMEM_mmio_dm:
        return P2M_MMIO_DM;
    default:
        return P2M_TYPES;
    }
}

/* One page, or as many as go at once: how many, or -errno. */
static long set_type_at(struct p2m *p, uint64_t gfn, uint64_t nr, enum p2m_type to)
{
    struct p2m_entry is = p2m_lookup(p, GFN(gfn));
    unsigned int order = !(gfn & 511) && nr >= 512 && is.order >= 9 ? 9 : 0;
    int rc;

    if (is.type == to || (is.type == P2M_HOLE && to == P2M_MMIO_DM))
        return 1l << order;
    if (to == P2M_MMIO_DM || !p2m_is_ram(is.type))
        return E(EINVAL);
    rc = p2m_set_type(p, GFN(gfn), &order, is.type, to);
    return rc ? rc : 1l << order;
}

static long set_mem_type(struct call *c)
{
    struct xen_dm_op_set_mem_type *op = &c->op.u.set_mem_type;
    enum p2m_type to = type_of(op->mem_type);
    struct p2m *p = &c->hd->p2m;
    long rc = 0;

    if (op->pad || op->first_pfn >> P2M_GFN_BITS)
        return E(EINVAL);
    if (to == P2M_TYPES)
        return E(EOPNOTSUPP);
    while (rc == 0 && op->nr) {
        long n = set_type_at(p, op->first_pfn, op->nr, to);

        if (n < 0) {
            rc = n;
            break;
        }
        n = MIN(n, (long)op->nr);
        op->first_pfn += (uint64_t)n;
        op->nr -= (uint32_t)n;
        if (op->nr && hc_preempt(2))
            break;
    }
    p2m_sync(p);
    c->restart = rc == 0 && op->nr;
    return rc;
}

static long relocate(struct call *c)
{
    struct xen_dm_op_relocate_memory *op = &c->op.u.relocate_memory;

    if (op->pad)
        return E(EINVAL);
    while (op->size) {
        long rc = hvm_move_page(&c->hd->x.d, op->src_gfn, op->dst_gfn);

        if (rc) {
            log_refusal(c->v->domain, "relocate_memory: d%u's frame %#llx cannot go to %#llx",
                        c->hd->x.d.id, (unsigned long long)op->src_gfn,
                        (unsigned long long)op->dst_gfn);
            return rc;
        }
        op->src_gfn++;
        op->dst_gfn++;
        op->size--;
        if (op->size && hc_preempt(4)) {
            c->restart = true;
            return 0;
        }
    }
    return 0;
}

#define MARK_STEP 512u /* pages marked between two looks at pending work */

/* Marks up to MARK_STEP pages of an extent, which is shorter then. */
static void mark(struct p2m *p, struct xen_dm_op_modified_memory_extent *e)
{
    uint32_t n = MIN(e->nr, MARK_STEP);

    for (uint32_t i = 0; i < n; i++)
        p2m_mark_dirty(p, GFN(e->first_pfn + i));
    e->first_pfn += n;
    e->nr -= n;
}

/* Pages that the device model wrote: they count as dirty. */
static long modified(struct call *c)
{
    struct xen_dm_op_modified_memory *op = &c->op.u.modified_memory;
    struct xen_dm_op_modified_memory_extent e;

    if (c->nr < 2 || (uint64_t)op->nr_extents * sizeof(e) > c->buf[1].size)
        return E(EINVAL);
    while (op->opaque < op->nr_extents) {
        gptr_t at = gptr_add(HANDLE_PTR(c->buf[1].h), op->opaque * sizeof(e));

        if (guest_get(c->v, &e, at))
            return E(EFAULT);
        if (e.pad || e.first_pfn >> P2M_GFN_BITS)
            return E(EINVAL);
        mark(&c->hd->p2m, &e);
        if (e.nr == 0)
            op->opaque++;
        else if (guest_put(c->v, at, &e)) /* what is left of it */
            return E(EFAULT);
        if (hc_preempt(64) && op->opaque < op->nr_extents) {
            c->restart = true;
            return 0;
        }
    }
    return 0;
}

/* --- the rest --- */

static long remote_shutdown(struct call *c)
{
    if (c->op.u.remote_shutdown.reason > SHUTDOWN_MAX)
        return E(EINVAL);
    domain_shutdown(&c->hd->x.d, (uint8_t)c->op.u.remote_shutdown.reason);
    return 0;
}

static long pin_cacheattr(struct call *c)
{
    const struct xen_dm_op_pin_memory_cacheattr *op = &c->op.u.pin_memory_cacheattr;

    /* Memory is write-back whatever anybody asks: only the request is looked at. */
    return op->pad || op->end < op->start ? E(EINVAL) : 0;
}

/*
 * Which pages of a picture were written since the last call; the first time, all. Nothing is kept
 * of it, so nothing has to be told when the picture goes (nr is 0).
 */
static long track_dirty(struct call *c)
{
    const struct xen_dm_op_track_dirty_vram *op = &c->op.u.track_dirty_vram;
    unsigned long map[PICTURE_PAGES / BITS_PER_LONG];
    uint64_t done = 0;
    int rc;

    if (op->pad || op->nr > PICTURE_PAGES || op->first_pfn >> P2M_GFN_BITS)
        return E(EINVAL);
    if (!op->nr)
        return 0;
    if (c->nr < 2 || c->buf[1].size < DIV_ROUND_UP(op->nr, 8))
        return E(EINVAL);
    memset(map, 0, sizeof(map));
    /* What was taken is gone from the tables, so it does not begin again. */
    while ((rc = p2m_dirty(&c->hd->p2m, GFN(op->first_pfn), op->nr, &done, map)) == -XEN_EAGAIN)
        hc_charge(64);
    if (rc) /* no table to split a leaf: all counts as written */
        memset(map, 0xff, sizeof(map));
    p2m_sync(&c->hd->p2m);
    return guest_write(c->v, HANDLE_PTR(c->buf[1].h), map, DIV_ROUND_UP(op->nr, 8)) ? E(EFAULT) : 0;
}

static long nr_vcpus(struct call *c)
{
    c->op.u.nr_vcpus.vcpus = c->hd->x.d.max_vcpus;
    c->copy_back = true;
    return 0;
}

static long run(struct call *c)
{
    switch (c->op.op) {
    case XEN_DMOP_create_ioreq_server:
        return create(c);
    case XEN_DMOP_get_ioreq_server_info:
        return get_info(c);
    case XEN_DMOP_map_io_range_to_ioreq_server:
    case XEN_DMOP_unmap_io_range_from_ioreq_server:
        return change_range(c, c->op.op == XEN_DMOP_map_io_range_to_ioreq_server);
    case XEN_DMOP_set_ioreq_server_state:
        return set_state(c);
    case XEN_DMOP_destroy_ioreq_server:
        return c->op.u.destroy_ioreq_server.pad
                   ? E(EINVAL)
                   : hvm_server_destroy(c->hd, c->op.u.destroy_ioreq_server.id);
    case XEN_DMOP_set_pci_intx_level:
        return set_intx(c);
    case XEN_DMOP_set_isa_irq_level:
        return set_isa(c);
    case XEN_DMOP_set_pci_link_route:
        return set_link(c);
    case XEN_DMOP_modified_memory:
        return modified(c);
    case XEN_DMOP_set_mem_type:
        return set_mem_type(c);
    case XEN_DMOP_inject_event:
        return inject_event(c);
    case XEN_DMOP_inject_msi:
        return inject_msi(c);
    case XEN_DMOP_remote_shutdown:
        return remote_shutdown(c);
    case XEN_DMOP_relocate_memory:
        return relocate(c);
    case XEN_DMOP_pin_memory_cacheattr:
        return pin_cacheattr(c);
    case XEN_DMOP_nr_vcpus:
        return nr_vcpus(c);
    case XEN_DMOP_track_dirty_vram:
        return track_dirty(c);
    default: /* types claimed by a server, lines of other machines */
        return E(EOPNOTSUPP);
    }
}

static long on_domain(struct call *c, const struct hc_args *args)
{
    size_t size = MIN(c->buf[0].size, sizeof(c->op));
    long rc;

    if (guest_read(c->v, &c->op, HANDLE_PTR(c->buf[0].h), size))
        return E(EFAULT);
    if (c->op.pad)
        return E(EINVAL);
    rc = run(c);
    if ((rc == 0 && c->copy_back) || c->restart)
        if (guest_write(c->v, HANDLE_PTR(c->buf[0].h), &c->op, size))
            return E(EFAULT);
    return c->restart ? hc_restart(c->v, *args) : rc;
}

long hc_dm_op(struct vcpu *v, const struct hc_args *args)
{
    struct call c = { .v = v, .nr = (uint32_t)args->a[1] };
    const struct hc_args same = *args;
    struct domain *d = domain_get((domid_t)args->a[0]);
    long rc;

    if (!d)
        return E(ESRCH);
    if (d == v->domain || !access_ok(v->domain, d, ACCESS_MEMORY))
        rc = E(EPERM);
    else if (d->kind != GUEST_HVM || !hvm_domain(d)->dev || domain_dying(d))
        rc = E(EINVAL);
    else if (c.nr == 0 || c.nr > MAX_BUFS)
        rc = c.nr ? E(E2BIG) : E(EINVAL);
    else if (guest_read(v, c.buf, GPTR(args->a[2]), c.nr * sizeof(c.buf[0])))
        rc = E(EFAULT);
    else {
        c.hd = hvm_domain(d);
        c.dev = c.hd->dev;
        rc = on_domain(&c, &same);
    }
    domain_put(d);
    return rc;
}

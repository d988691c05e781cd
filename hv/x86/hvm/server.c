/* SPDX-License-Identifier: MIT */
/*
 * The life of a device model's server: its two pages, which are the hypervisor's and shared with
 * the guest's domain, so that whoever may map the domain's frames can map them; its event channels,
 * one for each vCPU and one for the ring; its lists of ranges.
 *
 * All is made before the server can be found, under the device lock, and freed after it cannot be
 * found any more. A page that is still mapped goes with its last mapping (frame_unshare).
 */
#include <xen/errno.h>

#include "core/evtchn.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/hvm/devices.h"
#include "x86/mm/paging.h"

static void free_pages(struct ioreq_server *s)
{
    if (s->slots)
        frame_unshare(s->slots);
    if (s->ring)
        frame_unshare(s->ring);
    for (unsigned int k = 0; k < IOREQ_RANGE_KINDS; k++)
        if (s->ranges[k])
            frame_free_hv(s->ranges[k]);
}

/* Closes the ports and frees the pages of a server that nobody finds. */
static void release(struct domain *d, struct ioreq_server *s)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (s->port[i])
            (void)evtchn_close(d, s->port[i]);
    if (s->ring_port)
        (void)evtchn_close(d, s->ring_port);
    free_pages(s);
}

void hvm_servers_end(struct hvm_devices *dev)
{
    for (unsigned int i = 0; i < IOREQ_SERVERS; i++)
        if (dev->servers[i].used)
            free_pages(&dev->servers[i]);
}

static void *shared_page(struct domain *d)
{
    void *page = frame_alloc_hv();

    if (page)
        frame_share(frame_of(arch_unmap(page)), d, true);
    return page;
}

static int open_ports(struct domain *d, struct ioreq_server *s)
{
    int rc = s->ring ? evtchn_alloc_hv(d, s->owner, 0, &s->ring_port) : 0;

    for_each_vcpu (d, v)
        if (rc == 0)
            rc = evtchn_alloc_hv(d, s->owner, v->id, &s->port[v->id]);
    return rc;
}

static int make(struct domain *d, struct ioreq_server *s)
{
    int rc;

    _Static_assert(MAX_VCPUS * sizeof(ioreq_t) <= PAGE_SIZE, "a slot for each vCPU");
    _Static_assert(IOREQ_RANGES_MAX * sizeof(struct ioreq_range) <= PAGE_SIZE, "a page");
    s->slots = shared_page(d);
    if (s->buffering != HVM_IOREQSRV_BUFIOREQ_OFF)
        s->ring = shared_page(d);
    for (unsigned int k = 0; k < IOREQ_RANGE_KINDS; k++) {
        s->ranges[k] = frame_alloc_hv();
        if (!s->ranges[k])
            return -XEN_ENOMEM;
    }
    if (!s->slots || (s->buffering != HVM_IOREQSRV_BUFIOREQ_OFF && !s->ring))
        return -XEN_ENOMEM;
    rc = open_ports(d, s);
    for (unsigned int i = 0; rc == 0 && i < d->max_vcpus; i++)
        s->slots->vcpu_ioreq[i].vp_eport = s->port[i];
    return rc;
}

/* The number under which it can be found from now on, or -ENOSPC. */
static int publish(struct hvm_devices *dev, const struct ioreq_server *s)
{
    int id = -XEN_ENOSPC;

    spin_lock(&dev->lock);
    for (unsigned int i = 0; i < IOREQ_SERVERS; i++) {
        if (dev->servers[i].used)
            continue;
        dev->servers[i] = *s;
        dev->servers[i].serial = ++dev->serial;
        dev->servers[i].used = true;
        id = (int)i;
        break;
    }
    spin_unlock(&dev->lock);
    return id;
}

int hvm_server_create(struct hvm_domain *hd, domid_t owner, uint8_t buffering)
{
    struct ioreq_server s = { .owner = owner, .buffering = buffering };
    int rc = make(&hd->x.d, &s);

    if (rc == 0)
        rc = publish(hd->dev, &s);
    if (rc < 0)
        release(&hd->x.d, &s);
    return rc;
}

int hvm_server_destroy(struct hvm_domain *hd, unsigned int id)
{
    struct hvm_devices *dev = hd->dev;
    struct ioreq_server s;

    if (id >= IOREQ_SERVERS)
        return -XEN_ENOENT;
    spin_lock(&dev->lock);
    s = dev->servers[id];
    memset(&dev->servers[id], 0, sizeof(dev->servers[id]));
    spin_unlock(&dev->lock);
    if (!s.used)
        return -XEN_ENOENT;
    release(&hd->x.d, &s);
    for_each_vcpu (&hd->x.d, v)
        vcpu_notify(v); /* who waits for it looks */
    return 0;
}

mfn_t hvm_server_page(struct domain *d, unsigned int type, unsigned int id, unsigned int i)
{
    struct hvm_devices *dev = hvm_domain(d)->dev;
    mfn_t mfn = MFN_NONE;

    (void)type; /* there is one */
    if (!dev || id >= IOREQ_SERVERS)
        return mfn;
    spin_lock(&dev->lock);
    if (dev->servers[id].used && i == 1)
        mfn = arch_unmap(dev->servers[id].slots);
    else if (dev->servers[id].used && i == 0 && dev->servers[id].ring)
        mfn = arch_unmap(dev->servers[id].ring);
    spin_unlock(&dev->lock);
    return mfn;
}

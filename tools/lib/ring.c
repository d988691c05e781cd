/* SPDX-License-Identifier: MIT */
#include "lib/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/domctl.h>
#include <xen/xen.h>

const char *ring_open(struct ring_host *h, int *fd)
{
    h->evtchn = xenevtchn_open(NULL, 0);
    if (!h->evtchn)
        return "cannot open /dev/xen/evtchn: is this Domain 0, and is the module xen-evtchn "
               "loaded?";
    h->fmem = xenforeignmemory_open(NULL, 0);
    h->call = xencall_open(NULL, 0);
    if (!h->fmem || !h->call)
        return "cannot open /dev/xen/privcmd: is this Domain 0, and is the module xen-privcmd "
               "loaded?";
    h->gnttab = xengnttab_open(NULL, 0);
    *fd = xenevtchn_fd(h->evtchn);
    fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
    return NULL;
}

void *ring_map(struct ring_host *h, uint32_t domid, uint32_t reserved_ref, uint64_t gfn,
               bool *granted)
{
    xen_pfn_t frame = gfn;
    void *p = NULL;

    if (h->gnttab)
        p = xengnttab_map_grant_ref(h->gnttab, domid, reserved_ref, PROT_READ | PROT_WRITE);
    *granted = p != NULL;
    return p ? p : xenforeignmemory_map(h->fmem, domid, PROT_READ | PROT_WRITE, 1, &frame, NULL);
}

void ring_unmap(struct ring_host *h, void *page, bool granted)
{
    if (granted)
        xengnttab_unmap(h->gnttab, page, 1);
    else
        xenforeignmemory_unmap(h->fmem, page, 1);
}

int ring_domain_flags(struct ring_host *h, uint32_t domid, uint32_t *flags)
{
    struct xen_domctl *op = xencall_alloc_buffer(h->call, sizeof(*op));
    int rc = 0;

    if (!op)
        return -ENOMEM;
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_DOMCTL_getdomaininfo;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = domid;
    if (xencall1(h->call, __HYPERVISOR_domctl, (unsigned long)op) != 0)
        rc = -errno;
    else if (op->domain != domid) /* the next one there is */
        rc = -ESRCH;
    *flags = op->u.getdomaininfo.flags;
    xencall_free_buffer(h->call, op);
    return rc;
}

/* SPDX-License-Identifier: MIT */
#include "xenstored/xen.h"
#include "xenstored/xs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xencall.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/grant_table.h>

#define PORTS (1u << 17) /* the ABI's limit with FIFO event channels */

struct xen {
    xenevtchn_handle *evtchn;
    xengnttab_handle *gnttab;
    xenforeignmemory_handle *fmem;
    xencall_handle *call;
    int dom_exc;             /* local port of VIRQ_DOM_EXC, -1 if it is not to be had */
    uint16_t *by_port;       /* domid + 1 */
    uint8_t granted[DOMIDS]; /* how the ring was mapped */
};

static struct xen xen;

static void *map_dom0(void)
{
    int fd = open("/proc/xen/xsd_kva", O_RDWR | O_CLOEXEC);
    void *p;

    if (fd < 0)
        return NULL;
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

bool xen_dom0_port(uint32_t *port)
{
    char text[20];
    int fd = open("/proc/xen/xsd_port", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    *port = strtoul(text, NULL, 10);
    return true;
}

/* The reserved grant entry is what a builder prepares; by frame is the way of older ones. */
static void *map_page(struct client *c)
{
    uint16_t domid = c->id.domid;
    xen_pfn_t gfn = c->gfn;
    void *p;

    xen.granted[domid] = 0;
    if (domid == 0)
        return map_dom0();
    if (xen.gnttab) {
        p = xengnttab_map_grant_ref(xen.gnttab, domid, GNTTAB_RESERVED_XENSTORE,
                                    PROT_READ | PROT_WRITE);
        if (p) {
            xen.granted[domid] = 1;
            return p;
        }
    }
    return xenforeignmemory_map(xen.fmem, domid, PROT_READ | PROT_WRITE, 1, &gfn, NULL);
}

static void unmap_page(struct client *c)
{
    void *p = (void *)c->page;

    if (c->id.domid == 0)
        munmap(p, 4096);
    else if (xen.granted[c->id.domid])
        xengnttab_unmap(xen.gnttab, p, 1);
    else
        xenforeignmemory_unmap(xen.fmem, p, 1);
    c->page = NULL;
}

static bool map(void *ctx, struct client *c)
{
    int port;

    c->page = map_page(c);
    if (!c->page)
        return false;
    port = xenevtchn_bind_interdomain(xen.evtchn, c->id.domid, c->port);
    if (port < 0 || port >= (int)PORTS) {
        unmap_page(c);
        return false;
    }
    c->local_port = port;
    xen.by_port[port] = c->id.domid + 1;
    return true;
}

static void unmap(void *ctx, struct client *c)
{
    xen.by_port[c->local_port] = 0;
    xenevtchn_unbind(xen.evtchn, c->local_port);
    unmap_page(c);
}

static void notify(void *ctx, struct client *c)
{
    xenevtchn_notify(xen.evtchn, c->local_port);
}

/* Unmasked at once: what comes while the ring is being read signals again. */
static int next(void *ctx)
{
    for (;;) {
        int port = xenevtchn_pending(xen.evtchn);

        if (port < 0)
            return -1;
        xenevtchn_unmask(xen.evtchn, port);
        if (port == xen.dom_exc)
            return -2;
        if (port < (int)PORTS && xen.by_port[port])
            return xen.by_port[port] - 1;
    }
}

static bool alive(void *ctx, uint16_t domid, bool *shutdown)
{
    struct xen_domctl *op = xencall_alloc_buffer(xen.call, sizeof(*op));
    bool there = true;

    if (!op)
        return true;
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_DOMCTL_getdomaininfo;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = domid;
    if (xencall1(xen.call, __HYPERVISOR_domctl, (unsigned long)op) != 0) {
        there = errno != ESRCH;
    } else if (op->domain != domid) {
        there = false;
    } else {
        there = !(op->u.getdomaininfo.flags & XEN_DOMINF_dying);
        *shutdown = op->u.getdomaininfo.flags & XEN_DOMINF_shutdown;
    }
    xencall_free_buffer(xen.call, op);
    return there;
}

const char *xen_open(struct platform *plat)
{
    int fd;

    xen.evtchn = xenevtchn_open(NULL, 0);
    if (!xen.evtchn)
        return "cannot open /dev/xen/evtchn: is this Domain 0, and is the module xen-evtchn "
               "loaded?";
    xen.fmem = xenforeignmemory_open(NULL, 0);
    xen.call = xencall_open(NULL, 0);
    if (!xen.fmem || !xen.call)
        return "cannot open /dev/xen/privcmd: is this Domain 0, and is the module xen-privcmd "
               "loaded?";
    xen.gnttab = xengnttab_open(NULL, 0);
    if (!xen.gnttab)
        xs_log("no /dev/xen/gntdev: rings are mapped by frame number");
    xen.by_port = xs_alloc(PORTS * sizeof(*xen.by_port));
    xen.dom_exc = xenevtchn_bind_virq(xen.evtchn, VIRQ_DOM_EXC);
    if (xen.dom_exc < 0)
        xs_log("no VIRQ_DOM_EXC (is another xenstored running?): ends of domains go unnoticed");
    fd = xenevtchn_fd(xen.evtchn);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    *plat = (struct platform){
        .fd = fd, .map = map, .unmap = unmap, .notify = notify, .next = next, .alive = alive
    };
    return NULL;
}

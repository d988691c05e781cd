/* SPDX-License-Identifier: MIT */
#include "xenstored/xen.h"
#include "lib/ring.h"
#include "xenstored/xs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/grant_table.h>

#define PORTS (1u << 17) /* the ABI's limit with FIFO event channels */

struct xen {
    struct ring_host host;
    int dom_exc;          /* local port of VIRQ_DOM_EXC, -1 if it is not to be had */
    uint16_t *by_port;    /* domid + 1 */
    bool granted[DOMIDS]; /* how the ring was mapped */
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

static void *map_page(struct client *c)
{
    uint16_t domid = c->id.domid;

    return domid == 0
               ? map_dom0()
               : ring_map(&xen.host, domid, GNTTAB_RESERVED_XENSTORE, c->gfn, &xen.granted[domid]);
}

static void unmap_page(struct client *c)
{
    if (c->id.domid == 0)
        munmap((void *)c->page, 4096);
    else
        ring_unmap(&xen.host, (void *)c->page, xen.granted[c->id.domid]);
    c->page = NULL;
}

static bool map(void *ctx, struct client *c)
{
    int port;

    c->page = map_page(c);
    if (!c->page)
        return false;
    port = xenevtchn_bind_interdomain(xen.host.evtchn, c->id.domid, c->port);
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
    xenevtchn_unbind(xen.host.evtchn, c->local_port);
    unmap_page(c);
}

static void notify(void *ctx, struct client *c)
{
    xenevtchn_notify(xen.host.evtchn, c->local_port);
}

/* The ends of domains are looked at after they are unmasked, so none is missed. */
static int next(void *ctx)
{
    int port = xenevtchn_pending(xen.host.evtchn);

    if (port < 0)
        return NO_DOMAIN;
    if (port == xen.dom_exc) {
        xenevtchn_unmask(xen.host.evtchn, port);
        return SOME_ENDED;
    }
    return port < (int)PORTS && xen.by_port[port] ? xen.by_port[port] - 1 : NOT_OURS;
}

static void unmask(void *ctx, struct client *c)
{
    xenevtchn_unmask(xen.host.evtchn, c->local_port);
}

static bool alive(void *ctx, uint16_t domid, bool *shutdown)
{
    uint32_t flags = 0;
    int rc = ring_domain_flags(&xen.host, domid, &flags);

    if (rc != 0)
        return rc != -ESRCH;
    *shutdown = flags & XEN_DOMINF_shutdown;
    return !(flags & XEN_DOMINF_dying);
}

const char *xen_open(struct platform *plat)
{
    const char *why;
    int fd;

    why = ring_open(&xen.host, &fd);
    if (why)
        return why;
    if (!xen.host.gnttab)
        xs_log("no /dev/xen/gntdev: rings are mapped by frame number");
    xen.by_port = xs_alloc(PORTS * sizeof(*xen.by_port));
    xen.dom_exc = xenevtchn_bind_virq(xen.host.evtchn, VIRQ_DOM_EXC);
    if (xen.dom_exc < 0)
        xs_log("no VIRQ_DOM_EXC (is another xenstored running?): ends of domains go unnoticed");
    *plat = (struct platform){ .fd = fd,
                               .map = map,
                               .unmap = unmap,
                               .notify = notify,
                               .next = next,
                               .unmask = unmask,
                               .alive = alive };
    return NULL;
}

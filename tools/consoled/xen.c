/* SPDX-License-Identifier: MIT */
#include "consoled/xen.h"
#include "consoled/platform.h"
#include "consoled/util.h"
#include "lib/ring.h"

#include <errno.h>
#include <string.h>
#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/sysctl.h>
#include <xen/xen.h>

#define CONSOLE_BYTES 16384

static struct {
    struct ring_host host;
    char *console; /* CONSOLE_BYTES that hypercalls may write */
} xen;

static void *map(void *ctx, uint32_t domid, uint64_t gfn, bool *granted)
{
    return ring_map(&xen.host, domid, GNTTAB_RESERVED_CONSOLE, gfn, granted);
}

static void unmap(void *ctx, void *page, bool granted)
{
    ring_unmap(&xen.host, page, granted);
}

static int bind(void *ctx, uint32_t domid, uint32_t port)
{
    return xenevtchn_bind_interdomain(xen.host.evtchn, domid, port);
}

static int bind_hypervisor(void *ctx)
{
    return xenevtchn_bind_virq(xen.host.evtchn, VIRQ_CON_RING);
}

static void unbind(void *ctx, int local)
{
    xenevtchn_unbind(xen.host.evtchn, local);
}

static void notify(void *ctx, int local)
{
    xenevtchn_notify(xen.host.evtchn, local);
}

static int next(void *ctx)
{
    return xenevtchn_pending(xen.host.evtchn);
}

static void unmask(void *ctx, int local)
{
    xenevtchn_unmask(xen.host.evtchn, local);
}

static bool alive(void *ctx, uint32_t domid)
{
    uint32_t flags = 0;
    int rc = ring_domain_flags(&xen.host, domid, &flags);

    return rc == 0 ? !(flags & XEN_DOMINF_dying) : rc != -ESRCH;
}

static int read_console(void *ctx, void *buf, size_t size, uint32_t *index)
{
    struct xen_sysctl *op = xencall_alloc_buffer(xen.host.call, sizeof(*op));
    int n = -1;

    if (!op)
        return -1;
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_SYSCTL_readconsole;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op->u.readconsole.incremental = 1;
    op->u.readconsole.index = *index;
    op->u.readconsole.count = size < CONSOLE_BYTES ? size : CONSOLE_BYTES;
    set_xen_guest_handle_raw(op->u.readconsole.buffer, xen.console);
    if (xencall1(xen.host.call, __HYPERVISOR_sysctl, (unsigned long)op) == 0 &&
        op->u.readconsole.count <= size) {
        n = op->u.readconsole.count;
        *index = op->u.readconsole.index;
        memcpy(buf, xen.console, n);
    }
    xencall_free_buffer(xen.host.call, op);
    return n;
}

const char *xen_open(struct platform *plat)
{
    const char *why;
    int fd;

    why = ring_open(&xen.host, &fd);
    if (why)
        return why;
    xen.console = xencall_alloc_buffer(xen.host.call, CONSOLE_BYTES);
    if (!xen.console)
        return "no memory for hypercalls";
    if (!xen.host.gnttab)
        con_log("no /dev/xen/gntdev (module xen-gntdev): rings are mapped by frame number");
    *plat = (struct platform){ .fd = fd,
                               .map = map,
                               .unmap = unmap,
                               .bind = bind,
                               .bind_hypervisor = bind_hypervisor,
                               .unbind = unbind,
                               .notify = notify,
                               .next = next,
                               .unmask = unmask,
                               .alive = alive,
                               .read_console = read_console };
    return NULL;
}

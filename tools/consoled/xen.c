/* SPDX-License-Identifier: MIT */
#include "consoled/xen.h"
#include "consoled/platform.h"
#include "consoled/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <xencall.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/sysctl.h>
#include <xen/xen.h>

#define CONSOLE_BYTES 16384

static struct {
    xenevtchn_handle *evtchn;
    xengnttab_handle *gnttab;
    xenforeignmemory_handle *fmem;
    xencall_handle *call;
    char *console; /* CONSOLE_BYTES that hypercalls may write */
} xen;

/* The reserved grant entry is what a builder prepares; by frame is the way of older ones. */
static void *map(void *ctx, uint32_t domid, uint64_t gfn, bool *granted)
{
    xen_pfn_t frame = gfn;
    void *p = NULL;

    if (xen.gnttab)
        p = xengnttab_map_grant_ref(xen.gnttab, domid, GNTTAB_RESERVED_CONSOLE,
                                    PROT_READ | PROT_WRITE);
    *granted = p != NULL;
    return p ? p : xenforeignmemory_map(xen.fmem, domid, PROT_READ | PROT_WRITE, 1, &frame, NULL);
}

static void unmap(void *ctx, void *page, bool granted)
{
    if (granted)
        xengnttab_unmap(xen.gnttab, page, 1);
    else
        xenforeignmemory_unmap(xen.fmem, page, 1);
}

static int bind(void *ctx, uint32_t domid, uint32_t port)
{
    return xenevtchn_bind_interdomain(xen.evtchn, domid, port);
}

static int bind_hypervisor(void *ctx)
{
    return xenevtchn_bind_virq(xen.evtchn, VIRQ_CON_RING);
}

static void unbind(void *ctx, int local)
{
    xenevtchn_unbind(xen.evtchn, local);
}

static void notify(void *ctx, int local)
{
    xenevtchn_notify(xen.evtchn, local);
}

static int next(void *ctx)
{
    return xenevtchn_pending(xen.evtchn);
}

static void unmask(void *ctx, int local)
{
    xenevtchn_unmask(xen.evtchn, local);
}

static bool alive(void *ctx, uint32_t domid)
{
    struct xen_domctl *op = xencall_alloc_buffer(xen.call, sizeof(*op));
    bool there;

    if (!op)
        return true;
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_DOMCTL_getdomaininfo;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = domid;
    there = xencall1(xen.call, __HYPERVISOR_domctl, (unsigned long)op) == 0 &&
            op->domain == domid && !(op->u.getdomaininfo.flags & XEN_DOMINF_dying);
    xencall_free_buffer(xen.call, op);
    return there;
}

static int read_console(void *ctx, void *buf, size_t size, uint32_t *index)
{
    struct xen_sysctl *op = xencall_alloc_buffer(xen.call, sizeof(*op));
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
    if (xencall1(xen.call, __HYPERVISOR_sysctl, (unsigned long)op) == 0 &&
        op->u.readconsole.count <= size) {
        n = op->u.readconsole.count;
        *index = op->u.readconsole.index;
        memcpy(buf, xen.console, n);
    }
    xencall_free_buffer(xen.call, op);
    return n;
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
    xen.console = xencall_alloc_buffer(xen.call, CONSOLE_BYTES);
    if (!xen.console)
        return "no memory for hypercalls";
    xen.gnttab = xengnttab_open(NULL, 0);
    if (!xen.gnttab)
        con_log("no /dev/xen/gntdev (module xen-gntdev): rings are mapped by frame number");
    fd = xenevtchn_fd(xen.evtchn);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
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

/* SPDX-License-Identifier: MIT */
/* The hypervisor, through Debian's stable libraries. */
#include "tools/lib/xen.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xencall.h>

#define BOUNCE 4096

struct xen {
    xencall_handle *call;
    xenforeignmemory_handle *fmem;
    xenevtchn_handle *evtchn;
    void *bounce; /* arguments on their way to the hypervisor */
};

static const char no_device[] =
    "Run this as root in Domain 0, with the kernel modules xen_privcmd and xen_evtchn there "
    "(modprobe xen_privcmd).";

struct xen *xen_open(struct error *e)
{
    struct xen *x = mem_alloc(sizeof(*x));

    x->call = xencall_open(NULL, 0);
    if (!x->call) {
        error_sys(e, errno, no_device, "cannot talk to the hypervisor (/dev/xen/privcmd)");
        free(x);
        return NULL;
    }
    x->bounce = xen_buf(x, BOUNCE);
    return x;
}

void xen_close(struct xen *x)
{
    if (!x)
        return;
    if (x->fmem)
        xenforeignmemory_close(x->fmem);
    if (x->evtchn)
        xenevtchn_close(x->evtchn);
    xen_buf_free(x, x->bounce);
    xencall_close(x->call);
    free(x);
}

xenforeignmemory_handle *xen_fmem(struct xen *x, struct error *e)
{
    if (!x->fmem)
        x->fmem = xenforeignmemory_open(NULL, 0);
    if (!x->fmem)
        error_sys(e, errno, no_device, "cannot map guests' memory (/dev/xen/privcmd)");
    return x->fmem;
}

xenevtchn_handle *xen_evtchn(struct xen *x, struct error *e)
{
    if (!x->evtchn)
        x->evtchn = xenevtchn_open(NULL, 0);
    if (!x->evtchn)
        error_sys(e, errno, "Load the kernel module: modprobe xen_evtchn",
                  "cannot use event channels (/dev/xen/evtchn)");
    return x->evtchn;
}

void *xen_buf(struct xen *x, size_t size)
{
    void *p = xencall_alloc_buffer(x->call, size);

    if (!p) {
        fprintf(stderr, "orlop: no memory for a hypercall: %s\n", strerror(errno));
        exit(1);
    }
    return p;
}

void xen_buf_free(struct xen *x, void *p)
{
    xencall_free_buffer(x->call, p);
}

int xen_domctl(struct xen *x, struct xen_domctl *op)
{
    struct xen_domctl *b = x->bounce;
    int rc;

    *b = *op;
    b->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    rc = xencall1(x->call, __HYPERVISOR_domctl, (uintptr_t)b);
    if (rc < 0)
        rc = -errno;
    *op = *b;
    return rc;
}

int xen_sysctl(struct xen *x, struct xen_sysctl *op)
{
    struct xen_sysctl *b = x->bounce;
    int rc;

    *b = *op;
    b->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    rc = xencall1(x->call, __HYPERVISOR_sysctl, (uintptr_t)b);
    if (rc < 0)
        rc = -errno;
    *op = *b;
    return rc;
}

long xen_memory_op(struct xen *x, unsigned int cmd, void *arg, size_t size)
{
    long rc;

    if (size > BOUNCE)
        return -E2BIG;
    memcpy(x->bounce, arg, size);
    rc = xencall2L(x->call, __HYPERVISOR_memory_op, cmd, (uintptr_t)x->bounce);
    if (rc < 0)
        rc = -errno;
    memcpy(arg, x->bounce, size);
    return rc;
}

int xen_evtchn_op(struct xen *x, unsigned int cmd, void *arg, size_t size)
{
    int rc;

    if (size > BOUNCE)
        return -E2BIG;
    memcpy(x->bounce, arg, size);
    rc = xencall2(x->call, __HYPERVISOR_event_channel_op, cmd, (uintptr_t)x->bounce);
    if (rc < 0)
        rc = -errno;
    memcpy(arg, x->bounce, size);
    return rc;
}

long xen_call(struct xen *x, unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    int rc = xencall4(x->call, nr, a1, a2, a3, a4);

    return rc < 0 ? -errno : rc;
}

int xen_domctl_plain(struct xen *x, uint32_t domid, uint32_t cmd)
{
    struct xen_domctl op = { .cmd = cmd, .domain = domid };

    return xen_domctl(x, &op);
}

/* -ERESTART does not reach programs through a fresh hypervisor; an older one says -EAGAIN. */
int xen_destroy(struct xen *x, uint32_t domid)
{
    int rc;

    do {
        rc = xen_domctl_plain(x, domid, XEN_DOMCTL_destroydomain);
    } while (rc == -EAGAIN || rc == -EINTR);
    return rc;
}

int xen_dominfo(struct xen *x, uint32_t domid, struct xen_domctl_getdomaininfo *out)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = domid };
    int rc = xen_domctl(x, &op);

    if (rc < 0)
        return rc;
    if (op.u.getdomaininfo.domain != domid)
        return -ESRCH;
    *out = op.u.getdomaininfo;
    return 0;
}

int xen_domlist(struct xen *x, struct xen_domctl_getdomaininfo **out)
{
    const unsigned int batch = 64;
    struct xen_domctl_getdomaininfo *buf = xen_buf(x, batch * sizeof(*buf));
    struct xen_domctl_getdomaininfo *all = NULL;
    unsigned int n = 0, first = 0;
    int rc;

    for (;;) {
        struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };
        unsigned int got;

        op.u.getdomaininfolist.first_domain = first;
        op.u.getdomaininfolist.max_domains = batch;
        set_xen_guest_handle(op.u.getdomaininfolist.buffer, buf);
        rc = xen_sysctl(x, &op);
        if (rc < 0)
            break;
        got = op.u.getdomaininfolist.num_domains;
        all = mem_grow(all, (n + got) * sizeof(*all));
        memcpy(all + n, buf, got * sizeof(*all));
        n += got;
        if (got < batch)
            break;
        first = all[n - 1].domain + 1;
    }
    xen_buf_free(x, buf);
    if (rc < 0) {
        free(all);
        return rc;
    }
    *out = all;
    return n;
}

int xen_physinfo(struct xen *x, struct xen_sysctl_physinfo *out)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
    int rc = xen_sysctl(x, &op);

    if (rc >= 0)
        *out = op.u.physinfo;
    return rc;
}

int xen_alloc_unbound(struct xen *x, uint32_t domid, uint32_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = domid, .remote_dom = remote };
    int rc = xen_evtchn_op(x, EVTCHNOP_alloc_unbound, &op, sizeof(op));

    return rc < 0 ? rc : (int)op.port;
}

int xen_find_uuid(struct xen *x, const uint8_t uuid[16])
{
    struct xen_domctl_getdomaininfo *all = NULL;
    int n = xen_domlist(x, &all), rc = n < 0 ? n : -ESRCH;

    for (int i = 0; i < n && rc < 0; i++) {
        if (memcmp(all[i].handle, uuid, 16) == 0)
            rc = all[i].domain;
    }
    free(all);
    return rc;
}

static const char *remedy_for(int err)
{
    switch (err) {
    case EPERM:
    case EACCES:
        return geteuid() ? "Run this as root." : "Only Domain 0 may do this.";
    case ENOSYS:
    case EOPNOTSUPP:
        return "This hypervisor does not have that function (orlop info shows which one runs).";
    case ENOMEM:
        return "The hypervisor has too little free memory: orlop info shows how much; destroy a "
               "guest, or shrink one with orlop mem-set.";
    case ESRCH:
        return "The domain is gone; orlop list shows those that exist.";
    }
    return NULL;
}

int xen_error(struct error *e, int err, const char *fmt, ...)
{
    char front[512];
    va_list ap;

    if (err < 0)
        err = -err;
    va_start(ap, fmt);
    vsnprintf(front, sizeof(front), fmt, ap);
    va_end(ap);
    return error_set(e, err, remedy_for(err), "%s: the hypervisor says: %s", front, strerror(err));
}

const char *shutdown_name(unsigned int reason)
{
    static const char *const names[] = { "poweroff", "reboot",   "suspend",
                                         "crash",    "watchdog", "soft-reset" };

    return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

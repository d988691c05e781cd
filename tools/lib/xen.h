/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor as Domain 0's programs see it: one handle, the devices behind it opened when first
 * needed. Everything returns 0 (or a count) or a negative errno; xen_error() makes words of it.
 *
 * Not thread-safe: one handle for a thread.
 */
#ifndef TOOLS_LIB_XEN_H
#define TOOLS_LIB_XEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/memory.h>
#include <xen/event_channel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>

struct error;
struct xen;

/* NULL with e filled when this is no Domain 0, or the caller may not. */
struct xen *xen_open(struct error *e);
void xen_close(struct xen *x); /* NULL is fine */

/* The devices for foreign memory and for event channels of this process; NULL with e. */
xenforeignmemory_handle *xen_fmem(struct xen *x, struct error *e);
xenevtchn_handle *xen_evtchn(struct xen *x, struct error *e);

/* Memory that hypercalls may point at. Ends the program when there is none. */
void *xen_buf(struct xen *x, size_t size);
void xen_buf_free(struct xen *x, void *p);

/*
 * The structure may lie anywhere; what its handles point at must come from xen_buf(). The interface
 * version is filled in, and results are copied back.
 */
int xen_domctl(struct xen *x, struct xen_domctl *op);
int xen_sysctl(struct xen *x, struct xen_sysctl *op);
long xen_memory_op(struct xen *x, unsigned int cmd, void *arg, size_t size);
int xen_evtchn_op(struct xen *x, unsigned int cmd, void *arg, size_t size);
/* Any other call; pointers must be to xen_buf() memory. */
long xen_call(struct xen *x, unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4);

/* A domctl without arguments: pausedomain, unpausedomain ... */
int xen_domctl_plain(struct xen *x, uint32_t domid, uint32_t cmd);
/* Until the domain is gone: continues where the hypervisor broke off. */
int xen_destroy(struct xen *x, uint32_t domid);

/* -ESRCH: no such domain. */
int xen_dominfo(struct xen *x, uint32_t domid, struct xen_domctl_getdomaininfo *out);
/* All domains in order of their numbers; their number, and *out to free(). */
int xen_domlist(struct xen *x, struct xen_domctl_getdomaininfo **out);
int xen_physinfo(struct xen *x, struct xen_sysctl_physinfo *out);
/* A port of domid that `remote` may bind; the port or -errno. */
int xen_alloc_unbound(struct xen *x, uint32_t domid, uint32_t remote);
/* The domain with this handle; -ESRCH. */
int xen_find_uuid(struct xen *x, const uint8_t uuid[16]);

/* "fmt: why" with the remedy that fits the error. Returns -1. */
int xen_error(struct error *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What SHUTDOWN_* says, in xl's words: poweroff, reboot, suspend, crash, watchdog, soft-reset. */
const char *shutdown_name(unsigned int reason);
/* The reason in a domain's flags; only meaningful with XEN_DOMINF_shutdown. */
static inline unsigned int shutdown_reason(uint32_t flags)
{
    return flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}
/* Whether a domain with these flags shut down for this reason. */
static inline bool shut_down_for(uint32_t flags, unsigned int reason)
{
    return (flags & XEN_DOMINF_shutdown) && shutdown_reason(flags) == reason;
}

#endif

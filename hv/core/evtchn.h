/* SPDX-License-Identifier: MIT */
/* Event channels: one-bit notifications between domains, from the hypervisor, from hardware. */
#ifndef CORE_EVTCHN_H
#define CORE_EVTCHN_H

#include "core/types.h"

#include <xen/event_channel.h>

struct domain;
struct vcpu;
typedef uint32_t evtchn_port;

/*
 * The operations of EVTCHNOP_*, on checked domains. Ports are numbers the guest gave; v's domain is
 * the caller where one is passed. All return 0 or -errno; a new port goes to *port.
 */
int evtchn_alloc_unbound(struct domain *d, domid_t remote, evtchn_port *port);
/*
 * A port of d's at which the hypervisor listens itself: `remote` may bind to it, and its event
 * makes vCPU `vcpu` wake and look (vcpu_notify). d cannot close it.
 */
int evtchn_alloc_hv(struct domain *d, domid_t remote, unsigned int vcpu, evtchn_port *port);
bool evtchn_is_hv(const struct domain *d, evtchn_port port);
int evtchn_bind_interdomain(struct domain *d, struct domain *remote, evtchn_port remote_port,
                            evtchn_port *port);
int evtchn_bind_virq(struct domain *d, unsigned int virq, unsigned int vcpu, evtchn_port *port);
int evtchn_bind_ipi(struct domain *d, unsigned int vcpu, evtchn_port *port);
int evtchn_bind_pirq(struct domain *d, unsigned int pirq, bool share, evtchn_port *port);
int evtchn_bind_vcpu(struct domain *d, evtchn_port port, unsigned int vcpu);
int evtchn_close(struct domain *d, evtchn_port port);
int evtchn_unmask(struct domain *d, evtchn_port port);
int evtchn_status(struct domain *d, struct evtchn_status *st);
/*
 * A FIFO queue's number for later events on the port: 0 (first) to 15. -EINVAL: no such port or
 * number; -ENOSYS: with two levels; -EACCES: the port is closed.
 */
int evtchn_set_priority(struct domain *d, evtchn_port port, unsigned int priority);
/*
 * The FIFO form: where a vCPU's control block lies in d's frame gfn, the first of which makes d
 * leave the 2-level form; and one more page of words. Both keep a writable reference on the frame
 * until reset or teardown.
 */
int evtchn_init_control(struct domain *d, unsigned int vcpu, uint64_t gfn, uint32_t offset);
int evtchn_expand_array(struct domain *d, uint64_t gfn);
/* Close all ports; two_level: and go back to that form. Resumable: -EAGAIN until done. */
int evtchn_reset(struct domain *d, bool two_level);

/* Ports of a new domain; 0 or -ENOMEM. */
int evtchn_init(struct domain *d);
/* d, which never ran, may have ports up to max_port only (65,535 unless told). 0 or -ENOMEM. */
int evtchn_set_limit(struct domain *d, uint32_t max_port);
/*
 * d dies: no port is opened or bound to any more, all are closed, its pages are given back.
 * Resumable: -EAGAIN until done; afterwards no event reaches d. Then evtchn_free releases the
 * memory.
 */
int evtchn_teardown(struct domain *d);
void evtchn_free(struct domain *d);

/* Raise VIRQ_* on v (per-vCPU ones) or on the vCPU that a global one is bound to. Any CPU. */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
void evtchn_send_global_virq(struct domain *d, unsigned int virq);
/* Does some vCPU of d listen to this VIRQ? A hint, without locks. */
bool evtchn_virq_bound(const struct domain *d, unsigned int virq);
/* A machine interrupt bound to (d, pirq) fired. Any CPU; RANK_IRQ may be held. */
void evtchn_send_pirq(struct domain *d, evtchn_port port);
/* EVTCHNOP_send by v, which is current: 0 or -errno. */
int evtchn_send(struct vcpu *v, evtchn_port port);
/* Is the port pending, or masked, in d's memory? For polls, the debug key and tests. */
bool evtchn_is_pending(struct domain *d, evtchn_port port);
bool evtchn_is_masked(struct domain *d, evtchn_port port);
/* One past the highest port that d may have, in the form that it uses now. */
uint32_t evtchn_ports(const struct domain *d);

/* Debug key: one line a port, for each domain. */
void evtchn_dump(void);
/* Calls fn for each reference on d's frames that its FIFO form holds. For audits, d at rest. */
void evtchn_walk_pages(const struct domain *d, void (*fn)(void *arg, mfn_t page), void *arg);
/* audit(): recount ports and bindings of d; the number of contradictions found. */
unsigned int evtchn_audit(struct domain *d);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: to another domain, as access.c's table says, and to the host. Nobody else looks
 * at domain.privileged (lint: access). Which hypercalls a domain without privilege has at all says
 * glue/hypercall_table.c, by access_host().
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include "core/domain.h"

/* What a domain asks of another one, from the least to the most. */
enum access {
    ACCESS_INSPECT, /* read its state, counters, event channels */
    ACCESS_MEMORY,  /* map and write its frames, change its reservation */
    ACCESS_CONTROL, /* build, run, pause, resize, destroy it */
};

/*
 * May `caller` do this to `subject`? Everything to itself but control; a privileged domain may do
 * everything to everyone; the device model of a domain (XEN_DOMCTL_set_target) may reach its
 * memory. Pure; both are referenced by the caller.
 */
bool access_ok(const struct domain *caller, const struct domain *subject, enum access what);

/*
 * May d do what concerns the host and no other domain in particular: its devices and their memory,
 * ports and interrupts, its console, power and clock; learn how it was started; name any domain at
 * all where the ABI refuses that to others before it looks which one? So may Domain 0.
 */
static inline bool access_host(const struct domain *d)
{
    return d->privileged;
}

/*
 * The domain of id (DOMID_SELF: caller's own) with a reference, if the caller may do this to it; or
 * -EPERM, -ESRCH. Who controls nobody gets -EPERM either way: it does not learn who exists.
 */
int access_domain_get(struct vcpu *caller, domid_t id, enum access what, struct domain **d);

/* access_ok for control, or for what a domain may always do to itself. */
static inline bool domain_controls(const struct domain *caller, const struct domain *subject)
{
    return caller == subject || access_ok(caller, subject, ACCESS_CONTROL);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who may do what to another domain: access.c's table decides it. (Of what concerns the machine,
 * not another domain, whoever has `privileged` may do it.)
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

/* access_ok for control, or for what a domain may always do to itself. */
static inline bool domain_controls(const struct domain *caller, const struct domain *subject)
{
    return caller == subject || access_ok(caller, subject, ACCESS_CONTROL);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Who may do what to another domain, as one table of relations and kinds of access. */
#include "core/access.h"

#include <xen/errno.h>

enum relation { SELF, PRIVILEGED, DEVICE_MODEL, STRANGER };

/* The table: a bit for each kind of access that a relation gives. */
#define MAY(x) (1u << ACCESS_##x)
static const uint8_t rights[] = {
    [SELF] = MAY(INSPECT) | MAY(MEMORY),
    [PRIVILEGED] = MAY(INSPECT) | MAY(MEMORY) | MAY(CONTROL),
    [DEVICE_MODEL] = MAY(INSPECT) | MAY(MEMORY),
    [STRANGER] = 0,
};

static enum relation relation_of(const struct domain *caller, const struct domain *subject)
{
    if (access_host(caller))
        return PRIVILEGED;
    if (caller == subject)
        return SELF;
    if (__atomic_load_n(&caller->target, __ATOMIC_RELAXED) == subject->serial)
        return DEVICE_MODEL;
    return STRANGER;
}

bool access_ok(const struct domain *caller, const struct domain *subject, enum access what)
{
    return rights[relation_of(caller, subject)] >> what & 1;
}

int access_domain_get(struct vcpu *caller, domid_t id, enum access what, struct domain **d)
{
    *d = domain_get_self(caller, id);
    if (*d && access_ok(caller->domain, *d, what))
        return 0;
    if (!*d)
        return access_host(caller->domain) ? -XEN_ESRCH : -XEN_EPERM;
    domain_put(*d);
    *d = NULL;
    return -XEN_EPERM;
}

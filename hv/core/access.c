/* SPDX-License-Identifier: MIT */
/*
 * Who may do what to another domain, as one table of relations and kinds of access. Which
 * hypercalls an unprivileged domain has at all is glue/hypercall_table.c's; whose is the machine
 * (ports, devices, power) says domain.privileged where these are.
 */
#include "core/access.h"

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
    if (caller->privileged)
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

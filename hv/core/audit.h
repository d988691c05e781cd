/* SPDX-License-Identifier: MIT */
/* audit(): recount every reference, type, port and grant, and compare with the records. */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "core/types.h"

struct domain;
/* Contradictions found (0 = clean), each logged. All domains paused, or the caller knows it is
 * quiet. */
unsigned int audit(void);
/* The guest kind's own recount (page tables), handed over at boot. */
extern unsigned int (*audit_kind)(struct domain *d);

#endif

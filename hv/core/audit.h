/* SPDX-License-Identifier: MIT */
/* audit(): recount every reference, type, port and grant, and compare with the records. */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "core/types.h"

/* Contradictions found (0 = clean), each logged. All domains paused, or the caller knows it is
 * quiet. */
unsigned int audit(void);

#endif

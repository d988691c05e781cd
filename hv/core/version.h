/* SPDX-License-Identifier: MIT */
/* What xen_version reports about this hypervisor. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#include "lib/xenabi.h"

#define ORLOP_EXTRAVERSION ".orlop"

/* The hypervisor's command line without its first word; set at boot, at most 1023 bytes are told.
 */
extern const char *hv_command_line;

#endif

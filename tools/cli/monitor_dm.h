/* SPDX-License-Identifier: MIT */
/* The monitor's watch over the device models of running HVM guests (device_model.h). */
#ifndef TOOLS_CLI_MONITOR_DM_H
#define TOOLS_CLI_MONITOR_DM_H

#include "tools/lib/xen.h"

#include <stdbool.h>

struct host;
struct pollfd;

/*
 * A running guest of the list. If its device model has gone, it is shut down as crashed, which the
 * log says; on_crash= does the rest. False: this could not be told yet, look again.
 */
bool monitor_dm_look(struct host *h, const struct xen_domctl_getdomaininfo *info);

/* After all guests were looked at: those that are no more are forgotten. */
void monitor_dm_sweep(void);

/* Descriptors that become readable when one ends, at most `max`; how many. */
unsigned int monitor_dm_fds(struct pollfd *p, unsigned int max);

#endif

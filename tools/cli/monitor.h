/* SPDX-License-Identifier: MIT */
/* The daemon that does what guests' configurations say when they stop: see monitor.c. */
#ifndef TOOLS_CLI_MONITOR_H
#define TOOLS_CLI_MONITOR_H

#include <stdbool.h>

#define MONITOR_LOCK "/run/orlop/monitor.lock"
#define MONITOR_LOG "/var/log/orlop/monitor.log"

/* Whether it runs. */
bool monitor_runs(void);

/* Starts it if it does not run. A failure is said on stderr; the guest can do without. */
void monitor_ensure(void);

#endif

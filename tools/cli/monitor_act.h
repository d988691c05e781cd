/* SPDX-License-Identifier: MIT */
/* What the monitor does about one guest. */
#ifndef TOOLS_CLI_MONITOR_ACT_H
#define TOOLS_CLI_MONITOR_ACT_H

#include "tools/lib/xen.h"

#include <stdint.h>

struct host;

enum monitor_need {
    NEED_NOTHING,
    NEED_TIME,  /* it waits for its restart */
    NEED_ACTION /* it stopped, vanished, or its restart was broken off */
};

/* info: its domain, or NULL when it has none. */
enum monitor_need monitor_look(struct host *h, const uint8_t uuid[16],
                               const struct xen_domctl_getdomaininfo *info);

/* The seconds until it may be started again; 0 or less: now. */
int64_t monitor_wait(struct host *h, const uint8_t uuid[16]);

/* Carries it out, in a process of its own. False: somebody else has the guest's lock. */
bool monitor_act(struct host *h, const uint8_t uuid[16]);

/* A line in the monitor's log. */
void monitor_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

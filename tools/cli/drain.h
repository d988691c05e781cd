/* SPDX-License-Identifier: MIT */
/* The disks of a suspended guest have completed all that it asked of them. */
#ifndef TOOLS_CLI_DRAIN_H
#define TOOLS_CLI_DRAIN_H

#include <stdint.h>

struct error;
struct host;

/*
 * Until every request in the rings of its disks is answered, and what was written is on the media:
 * a write that came later would land on what the guest has written elsewhere by then. -1 with e at
 * the deadline (now_ms).
 */
int drain_disks(struct host *h, unsigned int domid, int64_t deadline, struct error *e);

#endif

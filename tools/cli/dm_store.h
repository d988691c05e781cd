/* SPDX-License-Identifier: MIT */
/*
 * What the device model of a PV guest's screen sees of xenstore. As a backend it needs some of it
 * for as long as it runs; all of it would be all of Domain 0. So a process of its own is between:
 * QEMU connects to its socket, each request is looked at, and what concerns neither this guest nor
 * these backends is refused. Whoever has broken QEMU has that, and bytes to send to this process.
 */
#ifndef TOOLS_CLI_DM_STORE_H
#define TOOLS_CLI_DM_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/*
 * Starts it for a domain; it listens at `path`, and ends with the process `qemu`. -1 with e.
 */
int dm_store_start(unsigned int domid, const char *path, pid_t qemu, struct error *e);

/* Whether a request may pass: its type (<xen/io/xs_wire.h>) and payload. Pure. */
bool dm_store_allows(unsigned int domid, uint32_t type, const char *payload, uint32_t len);

#endif

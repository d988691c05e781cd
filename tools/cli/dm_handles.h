/* SPDX-License-Identifier: MIT */
/*
 * A running QEMU's handles to the hypervisor, cut down from outside. With -xen-domid-restrict it
 * does so itself, and loses its xenstore with it; the backend of a PV guest's screen needs that.
 */
#ifndef TOOLS_CLI_DM_HANDLES_H
#define TOOLS_CLI_DM_HANDLES_H

#include <sys/types.h>

struct error;

/*
 * From here on the process's handles reach this domain only (Linux's privcmd and evtchn check each
 * call). It must have lost its way to new ones before. -1 with e, also when it has one that Linux
 * cannot restrict.
 */
int dm_restrict_handles(pid_t pid, unsigned int domid, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/* What a device model's process gives up before it becomes QEMU; QEMU's own options do the rest
 * (device_model.c: user, root directory, hypervisor's handles). */
#ifndef TOOLS_CLI_DM_CONFINE_H
#define TOOLS_CLI_DM_CONFINE_H

/*
 * Network, IPC, core files, files larger than 64 MiB, and by a filter of system calls: new
 * processes and what only administrators' programs call. One thread, before exec. 0 or -errno.
 */
int dm_confine(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The device model of an HVM guest: QEMU, a process of Domain 0, which serves all devices of the
 * guest's PC but those that have to do with interrupts and time. For a PV guest with a screen it is
 * the backend of that, and of its keyboard and mouse.
 *
 * It is started before the guest runs and ends with it. What is known of it is in xenstore,
 *
 *   /local/domain/N/image/device-model-pid   its process, as libxl has it
 *
 * and its process says on its command line whose device model it is, so a number that was used
 * again is noticed. The monitor sees its death, ends the HVM guest and says so; a PV guest goes on
 * without its screen.
 *
 * It is the part of Domain 0 that an HVM guest talks to most, so it can do little: it runs as a
 * user of its own, in an empty directory, without network or new processes, and its handles to
 * the hypervisor reach its own guest only. An HVM guest's has none to xenstore, a PV guest's one
 * that shows little of it (dm_store.h).
 */
#ifndef TOOLS_CLI_DEVICE_MODEL_H
#define TOOLS_CLI_DEVICE_MODEL_H

#include "tools/cli/config.h"

struct disk_backing;
struct error;
struct host;
struct store;

#define DM_LOGS "/var/log/orlop/qemu" /* NAME.log there, and NAME.log.old */
#define DM_NEWS "/orlop/device-model" /* written when one was started: the monitor watches it */

/* The files of Debian's packages that an HVM guest needs. */
struct dm_files {
    char qemu[128], loader[128], bios[128];
};

/* Whether the guest has one: an HVM guest, and a PV guest with a screen. */
bool dm_needed(const struct guest_config *cfg);

/* -1 with e, which names the package, if one of those that this guest needs is missing. */
int dm_find(const struct guest_config *cfg, struct dm_files *f, struct error *e);

/* The guest's nodes by which its firmware chooses, in the caller's transaction: 0 or -errno. */
int dm_store_nodes(struct store *s, const struct guest_config *cfg, const char *base);

struct dm_start {
    const struct guest_config *cfg;
    const struct dm_files *files;
    const struct disk_backing *backing;
    unsigned int domid;
    int screen; /* the socket for its VNC viewers; -1: none */
};

/*
 * Starts it for a domain that is built and has not run yet; dm_await waits until it serves, by
 * now_ms(). -1 with e; dm_stop ends it in any case.
 */
int dm_start(struct host *h, const struct dm_start *s, struct error *e);
int dm_await(struct host *h, const struct dm_start *s, int64_t deadline, struct error *e);

/* Its process; 0: the domain has none; -1: it had one, which is gone. */
int dm_pid(struct store *s, unsigned int domid);

/* Ends it and waits for its end; nothing if there is none. Its domain does not run any more. */
void dm_stop(struct store *s, unsigned int domid);

#endif

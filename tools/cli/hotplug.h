/* SPDX-License-Identifier: MIT */
/*
 * Hotplug scripts: `script=` of disk= and vif=, run as Debian's xl runs them
 * (xl-disk-configuration(5), xl-network-configuration(5), and block-scripts of Xen's
 * documentation). A script is called with XENBUS_PATH (the backend's folder in xenstore), reads
 * there what it is to set up and answers there:
 *
 *   block  add | remove       reads `params`, writes `physical-device`
 *   vif    online | offline   `vif` names the interface; writes `hotplug-status`
 *
 * What must hold: a device whose backend folder names a script that is not ours was set up by it,
 * so the script is called again before that folder goes. No locks; the caller holds the guest's.
 */
#ifndef TOOLS_CLI_HOTPLUG_H
#define TOOLS_CLI_HOTPLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/cli/device.h"

/* Whether the script can be run; -1 with e. */
int hotplug_check(enum device_kind kind, const char *script, struct error *e);
/* Whether a card can be set up: its script, or its bridge. */
int hotplug_check_vif(const struct vif_config *vif, struct error *e);

/* Sets the device up by its script, whose nodes are stored. 0, or -1 with e. */
int hotplug_add(struct host *h, unsigned int domid, const struct device *d, int64_t deadline,
                struct error *e);

/* Whether a script set it up, by the backend's folder. */
bool hotplug_has(struct store *s, unsigned int domid, enum device_kind kind, unsigned int id);

/*
 * Calls the script so that it takes down what it set up, if there is one. For a disk the caller has
 * made its backend close (removed the frontend's nodes): that is waited for. What it says about
 * failures is told and passed over.
 */
void hotplug_remove(struct host *h, unsigned int domid, enum device_kind kind, unsigned int id);

/* All devices of a domain that runs no more, whose nodes are about to go: frontends' nodes of
 * scripted disks go first, so that their backends close. */
void hotplug_remove_all(struct host *h, unsigned int domid);

#endif

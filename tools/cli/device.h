/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk or network card as xenstore and Domain 0's kernel have it: the two directories of
 * nodes through which frontend and backend find each other, and their states
 * (<xen/io/xenbus.h>, <xen/io/blkif.h>, <xen/io/netif.h>).
 *
 *   device_store     the nodes, in the caller's transaction
 *   device_await     until the kernel's backend has taken it up; plugs a card into its bridge
 *   device_unplug    asks the guest to let go, waits, and removes the nodes
 */
#ifndef TOOLS_CLI_DEVICE_H
#define TOOLS_CLI_DEVICE_H

#include "tools/cli/config.h"
#include "tools/cli/disk.h"

struct error;
struct host;
struct store;

enum device_kind { DEVICE_VBD, DEVICE_VIF };

struct device {
    enum device_kind kind;
    unsigned int id; /* the vdev number, or the card's devid */
    const struct disk_config *disk;
    struct disk_backing *backing;
    const struct vif_config *vif;
    uint8_t mac[6];
    bool force; /* a script's device too that others write */
};

const char *device_class(enum device_kind kind); /* "vbd", "vif" */

#define DEVICE_PATH 128
/* The folders of a device, frontend's and backend's: computed, never read from what guests write.
 */
void device_paths(unsigned int domid, enum device_kind kind, unsigned int id,
                  char front[DEVICE_PATH], char back[DEVICE_PATH]);

void device_of_disk(struct device *d, const struct disk_config *disk, struct disk_backing *b);
/* uuid: the guest's, for a card without an address. */
void device_of_vif(struct device *d, const struct vif_config *vif, const uint8_t uuid[16]);

/* Writes both directories. 0 or -errno. */
int device_store(struct store *s, unsigned int domid, const struct device *d);

/* Until deadline (now_ms). A disk's backing may be closed afterwards. */
int device_await(struct host *h, unsigned int domid, const struct device *d, int64_t deadline,
                 struct error *e);

/* force: the guest is not asked. The nodes are gone afterwards, or all stays as it was. */
int device_unplug(struct host *h, unsigned int domid, enum device_kind kind, unsigned int id,
                  bool force, int64_t deadline, struct error *e);

/* What Domain 0's kernel needs for devices of this kind is there; -1 with e. */
int device_check_backend(enum device_kind kind, struct error *e);

#endif

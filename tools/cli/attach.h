/* SPDX-License-Identifier: MIT */
/* What the commands for disks and for network cards have in common. */
#ifndef TOOLS_CLI_ATTACH_H
#define TOOLS_CLI_ATTACH_H

#include "tools/cli/device.h"
#include "tools/cli/target.h"

#define ATTACH_WAIT_MS 30000
#define DETACH_WAIT_MS 20000
#define FORGET_WAIT_MS 5000

/* Options (force: NULL if the command has no --force) and at least so many arguments; 0 or an exit
 * code. */
int attach_options(int argc, char **argv, bool *force, int least, const char *what);

/* One element of disk= or vif= from arguments, which are joined by commas; 0 or an exit code. */
int attach_spec_disk(struct disk_config *disk, char **argv, int n);
int attach_spec_vif(struct vif_config *vif, char **argv, int n);

int attach_refuse_domain0(struct target *t);

/* The number of the device that the word names; 0, or -1 with t->e. */
typedef int attach_find(struct target *t, const char *word, unsigned int *id);
/*
 * The whole command [-f] GUEST DEVICE: takes the device and its place in the record away. `what`
 * names the two arguments for the usage message. Returns the exit code.
 */
int attach_detach(int argc, char **argv, enum device_kind kind, const char *what,
                  attach_find *find);
/* Takes a failed attach back. key: a disk's, else NULL. */
void attach_forget(struct target *t, enum device_kind kind, unsigned int id, const char *key);

int attach_list(int argc, char **argv, enum device_kind kind);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The block device behind a guest's disk: the device itself, a loop device over a raw file, or a
 * network block device that qemu-nbd serves from a qcow2 file.
 *
 * A loop device clears itself with its last user, so it never needs undoing: it lives as long as we
 * hold `fd` or the backend has it open. qemu-nbd is a process and must be told to go (nbd.h).
 */
#ifndef TOOLS_CLI_DISK_H
#define TOOLS_CLI_DISK_H

#include "tools/cli/config.h"

struct error;

#define DISK_KEY 48

struct disk_backing {
    int fd; /* of the block device; -1: not open */
    unsigned int major, minor;
    char node[64]; /* /dev/loop3 */
    bool nbd;      /* qemu-nbd serves it */
    unsigned int nbd_number;
    int nbd_note;       /* nbd.h; only while nbd */
    char key[DISK_KEY]; /* the same for all who use the same file or device; a store node's name */
};

/* Whether this disk can be opened as it is asked for; changes nothing. Fills b->key only. */
int disk_check(const struct disk_config *d, struct disk_backing *b, struct error *e);

/* Opens it and makes the block device. -1 with e leaves nothing. */
int disk_open(const struct disk_config *d, struct disk_backing *b, struct error *e);

/* What we hold of it only: for a disk that is recorded, and whose backend has it open now. */
void disk_close(struct disk_backing *b);

/* Takes disk_open back. */
void disk_drop(struct disk_backing *b);

/* A loop device that xl's script made for this file goes; nothing for others, or another file's. */
void disk_loop_release(const char *node, const char *file);
/* Ends the qemu-nbd behind /dev/nbdN; nothing for other nodes. */
void disk_node_release(const char *node);

#endif

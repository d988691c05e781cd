/* SPDX-License-Identifier: MIT */
/*
 * Network block devices that qemu-nbd serves for guests. qemu-nbd is a process that outlives the
 * command that began it, so the command leaves a note before it begins: a file of the device's
 * number, locked until the device stands in xenstore. A note that nobody holds is what a killed
 * command left, and whoever finds it ends that qemu-nbd, unless a guest's backend names the device.
 */
#ifndef TOOLS_CLI_NBD_H
#define TOOLS_CLI_NBD_H

#define NBD_NOTES "/run/orlop/nbd"

struct store;

/* The note of device n: a locked file to close(), or -errno (-EWOULDBLOCK: another has it). */
int nbd_note(const char *dir, unsigned int n);
/* The device is recorded, or gone: the note is removed and its lock given up. */
void nbd_note_done(const char *dir, unsigned int n, int fd);

/* Ends what killed commands left, by `release`. How many devices that were. */
unsigned int nbd_sweep(struct store *s, const char *dir, void (*release)(const char *node));

#endif

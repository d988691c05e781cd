/* SPDX-License-Identifier: MIT */
/* A guest's memory and registers as a file: Xen's ELF core format (xen/docs/misc/dump-core-format).
 */
#ifndef TOOLS_CLI_CORE_H
#define TOOLS_CLI_CORE_H

#include <stdbool.h>

struct error;
struct host;

/*
 * Writes it while the guest stands still (the caller pauses it, or it has stopped). Pages of zeros
 * become holes. A file that could not be completed is removed, and one that would leave less than a
 * twentieth (or 64 MiB) of the file system free is not completed. -1 with e.
 */
int core_write(struct host *h, unsigned int domid, const char *path, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/* What a command that changes guests has in hand: the hypervisor, the store, and what it must take
 * back if it does not come to its end. */
#ifndef TOOLS_CLI_HOST_H
#define TOOLS_CLI_HOST_H

#include "tools/lib/xen.h"
#include "tools/lib/xs.h"

struct error;

struct host {
    struct xen *xen;
    struct store store;
};

/* 0, or -1 with e. host_close also after a failure. */
int host_open(struct host *h, struct error *e);
void host_close(struct host *h);

/* Prints the error as the running command's, with its remedy (or as JSON), and returns EXIT_FAILED.
 */
int host_fail(struct host *h, const struct error *e);

#endif

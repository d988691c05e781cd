/* SPDX-License-Identifier: MIT */
/*
 * Where a guest's screen is seen: a port at which QEMU answers VNC viewers.
 *
 * The tool opens the port, in Domain 0's network, and QEMU gets the socket by its control socket:
 * it has no network of its own, can listen nowhere else and connect to nobody. In xenstore, as
 * libxl has it:
 *
 *   /local/domain/N/console/vnc-port     the port
 *   /local/domain/N/console/vnc-listen   the address
 *
 * No locks.
 */
#ifndef TOOLS_CLI_SCREEN_H
#define TOOLS_CLI_SCREEN_H

#include "tools/cli/config.h"

struct error;
struct store;

#define VNC_PORT_BASE 5900

/*
 * Opens the port that the configuration asks for: the socket, and *port; -1 with e when another
 * program has it, or no address like this is here.
 */
int screen_listen(const struct screen_config *screen, unsigned int *port, struct error *e);

/*
 * The nodes of a guest's screen, in the caller's transaction; of a PV guest also the devices vfb
 * and vkbd, whose backends are QEMU's (<xen/io/fbif.h>, <xen/io/kbdif.h>). 0 or -errno.
 */
int screen_store(struct store *s, unsigned int domid, const struct guest_config *cfg,
                 unsigned int port);

/* A running guest's screen. */
struct screen_place {
    char address[64]; /* where to connect to from here: of a listener anywhere, the loopback one */
    unsigned int port;
};

/* -1 with e when it has none. */
int screen_find(struct store *s, unsigned int domid, struct screen_place *place, struct error *e);

/*
 * Becomes the viewer `vncviewer` of the path, which is told the password if there is one. Returns
 * -1 with errno if that cannot be started.
 */
int screen_view(const struct screen_place *place, const char *password);

#endif

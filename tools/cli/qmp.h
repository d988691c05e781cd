/* SPDX-License-Identifier: MIT */
/* The few words that are said to QEMU by its control socket (QMP: JSON objects, a line each). */
#ifndef TOOLS_CLI_QMP_H
#define TOOLS_CLI_QMP_H

#include <stdint.h>

/* What QEMU gets once it answers. */
struct qmp_screen {
    int fd;               /* a socket that listens, for VNC viewers; -1: none */
    const char *password; /* for them, or NULL; QEMU was started with password=on then */
};

/*
 * Connects to the socket, on which QEMU will answer once its machine runs, hands the screen's over,
 * and waits for that; `pty` gets the path of its serial line if that is a terminal, else "". 0 or
 * -errno: -ETIMEDOUT by now_ms(), -EINTR, -ECONNRESET when QEMU ended, -EPROTO when it refused.
 */
int qmp_ready(const char *path, int64_t deadline, const struct qmp_screen *screen, char pty[64]);

#endif

/* SPDX-License-Identifier: MIT */
/* The few words that are said to QEMU by its control socket (QMP: JSON objects, a line each). */
#ifndef TOOLS_CLI_QMP_H
#define TOOLS_CLI_QMP_H

#include <stdint.h>

/*
 * Connects to the socket, on which QEMU will answer once its machine runs, and waits for that;
 * `pty` gets the path of its serial line if that is a terminal, else "". 0 or -errno: -ETIMEDOUT by
 * now_ms(), -EINTR, -ECONNRESET when QEMU ended.
 */
int qmp_ready(const char *path, int64_t deadline, char pty[64]);

#endif

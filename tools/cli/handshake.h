/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of a migration say to each other around the stream: xl's words, learnt from
 * its bytes (docs/stream.md), so that each side may be xl.
 *
 *   receiver   HELLO
 *   sender     xl's header, configuration, libxl's stream
 *   receiver   READY: the guest is whole, and paused
 *   sender     GO: permission to run it. The sender's copy does not run from here on
 *   receiver   REPORT and a code of a byte: 0, it runs. Else it could not be started, and
 *   receiver   GO: it is gone there, the sender's copy may run again
 */
#ifndef TOOLS_CLI_HANDSHAKE_H
#define TOOLS_CLI_HANDSHAKE_H
/* The first ends with its newline, the others with a zero. */
#define HANDSHAKE_HELLO "xl migration receiver ready, send binary domain data.\n"
#define HANDSHAKE_READY "domain received, ready to unpause"
#define HANDSHAKE_GO "domain is yours, you are cleared to unpause"
#define HANDSHAKE_REPORT "my copy unpause results are as follows"
#define HANDSHAKE_HELLO_SIZE (sizeof(HANDSHAKE_HELLO) - 1)
#define HANDSHAKE_READY_SIZE sizeof(HANDSHAKE_READY)
#define HANDSHAKE_GO_SIZE sizeof(HANDSHAKE_GO)
#define HANDSHAKE_REPORT_SIZE sizeof(HANDSHAKE_REPORT)

#endif

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
 *
 * A receiver that was asked for it by its command line begins with HELLO_CHECKS instead, and has
 * one word more, which is orlop's own: after the stream's static part (configuration, CPU policy)
 *
 *   receiver   CHECKED and two bytes: 0, all that it needs is there and reserved for it, the guest
 *              may stop. Else the length of a text, which follows: why not. It is the last word
 */
#ifndef TOOLS_CLI_HANDSHAKE_H
#define TOOLS_CLI_HANDSHAKE_H
/* The first ends with its newline, the others with a zero. */
#define HANDSHAKE_HELLO "xl migration receiver ready, send binary domain data.\n"
#define HANDSHAKE_HELLO_CHECKS "orlop migration receiver ready, send and await checks\n"
#define HANDSHAKE_CHECKED "looked whether the domain can be received"
#define HANDSHAKE_READY "domain received, ready to unpause"
#define HANDSHAKE_GO "domain is yours, you are cleared to unpause"
#define HANDSHAKE_REPORT "my copy unpause results are as follows"
#define HANDSHAKE_HELLO_SIZE (sizeof(HANDSHAKE_HELLO) - 1)
#define HANDSHAKE_CHECKED_SIZE sizeof(HANDSHAKE_CHECKED)
#define HANDSHAKE_READY_SIZE sizeof(HANDSHAKE_READY)
#define HANDSHAKE_GO_SIZE sizeof(HANDSHAKE_GO)
#define HANDSHAKE_REPORT_SIZE sizeof(HANDSHAKE_REPORT)

/* The sender reads either before it knows which. */
_Static_assert(sizeof(HANDSHAKE_HELLO_CHECKS) == sizeof(HANDSHAKE_HELLO), "greetings' length");

#endif

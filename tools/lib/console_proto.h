/* SPDX-License-Identifier: MIT */
/*
 * What consoled and its clients say to each other over the Unix socket (docs/consoled.md).
 *
 * A client sends one line; the daemon answers with one: "ok ..." or "error WORD: text". After
 * "ok" both send frames: a type, the length of the payload in three bytes (most significant first),
 * the payload.
 */
#ifndef LIB_CONSOLE_PROTO_H
#define LIB_CONSOLE_PROTO_H

#include <stdint.h>

#define CONSOLE_SOCKET "/run/orlop/consoled.sock"

#define CONSOLE_LINE_MAX 512   /* of the first line either way, with its newline */
#define CONSOLE_FRAME_MAX 4096 /* of a frame's payload */
#define CONSOLE_HEADER 4

#define CONSOLE_F_OUTPUT 'o'  /* to the client: bytes of the stream, in order */
#define CONSOLE_F_LOST 'l'    /* to the client: a decimal number of bytes that are missing here */
#define CONSOLE_F_MESSAGE 'm' /* to the client: a line of text from the daemon */
#define CONSOLE_F_END 'e'     /* to the client: nothing more comes, and why */
#define CONSOLE_F_INPUT 'i'   /* to the daemon: bytes that are typed */

static inline void console_header_put(uint8_t *h, char type, uint32_t len)
{
    h[0] = type;
    h[1] = len >> 16;
    h[2] = len >> 8;
    h[3] = len;
}

static inline uint32_t console_header_len(const uint8_t *h)
{
    return (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
}

#endif

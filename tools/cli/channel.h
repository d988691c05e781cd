/* SPDX-License-Identifier: MIT */
/*
 * A two-way stream of bytes to another host: a program whose input and output lead there (ssh, as a
 * rule), or a TCP connection. Nothing is secured here.
 */
#ifndef TOOLS_CLI_CHANNEL_H
#define TOOLS_CLI_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct channel {
    int in, out; /* -1: closed */
    pid_t pid;   /* of the program; 0: none */
};

/* Runs argv[0] with these words; -1 with e. */
int channel_program(struct channel *c, char *const *argv, struct error *e);
int channel_tcp(struct channel *c, const char *host, const char *port, struct error *e);
/* Waits for the program's end. */
void channel_close(struct channel *c);

/*
 * Exactly n bytes, until the deadline (now_ms). -1 with e: code EPIPE: the other side is gone,
 * ETIMEDOUT, EINTR (only when `signals` end it).
 */
int channel_read(struct channel *c, void *buf, size_t n, int64_t deadline, bool signals,
                 struct error *e);

#endif

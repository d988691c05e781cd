/* SPDX-License-Identifier: MIT */
/* The text of `orlop metrics` over HTTP, for a Prometheus that scrapes it. */
#ifndef TOOLS_CLI_METRICS_SERVE_H
#define TOOLS_CLI_METRICS_SERVE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

struct error;
struct metrics_server;

/* Writes what there is to say now, or fails: -1 with e. One call at a time, on the server's thread.
 */
typedef int metrics_fn(FILE *out, void *arg, struct error *e);

/*
 * "ADDR:PORT" or "[ADDR]:PORT", numbers both, or "PORT" alone, which is the loopback's. -1 with e.
 */
int metrics_address(const char *text, struct sockaddr_storage *at, struct error *e);
bool metrics_loopback(const struct sockaddr_storage *at);

/*
 * Serves /metrics at that address until metrics_stop(); NULL with e. Who connects and does not ask,
 * or does not read, holds up nobody and is let go after ten seconds; beyond 32 connections new ones
 * wait for one to end.
 */
struct metrics_server *metrics_serve(const struct sockaddr_storage *at, metrics_fn *fn, void *arg,
                                     struct error *e);
/* The port that it has: the system's choice where 0 was asked for. */
unsigned int metrics_port(const struct metrics_server *s);
void metrics_stop(struct metrics_server *s);

#endif

/* SPDX-License-Identifier: MIT */
/* The event loop: one thread, epoll, clients served in turn. */
#ifndef XENSTORED_SERVER_H
#define XENSTORED_SERVER_H

#include <stdbool.h>

struct xs;

/* Listens at a Unix socket (NULL: none) and at the platform's fd. 0 or an errno value. */
int server_open(struct xs *xs, const char *socket_path);
/* Serves until xs->stop is set (checked after each event). */
void server_run(struct xs *xs);
void server_close(struct xs *xs);
/* Serves each client that has something to do once. True: some have more. */
bool server_turn(struct xs *xs);

#endif

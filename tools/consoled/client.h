/* SPDX-License-Identifier: MIT */
/* The Unix socket: attach, log and list (docs/consoled.md has the protocol). */
#ifndef CONSOLED_CLIENT_H
#define CONSOLED_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct consoled;

/* 0 or an errno. */
int client_listen(struct consoled *d, const char *path);
/* A connection of a user; the descriptor is taken, and must not block. */
void client_new(struct consoled *d, int fd, uint32_t uid);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a daemon that a test has started. The name of a socket appears at bind(), the daemon
 * answers only from listen() on: a test that waits for the name alone is refused now and then.
 */
#ifndef TESTS_UNIT_AWAIT_H
#define TESTS_UNIT_AWAIT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Waits, for at most a minute, until somebody listens at the Unix socket `path`. */
static inline bool await_socket(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    for (int i = 0; i < 6000; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool there = fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;

        if (fd >= 0)
            close(fd);
        if (there)
            return true;
        usleep(10000);
    }
    return false;
}

#endif

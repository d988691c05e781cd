/* SPDX-License-Identifier: MIT */
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_TRIES 20
#define LOCK_WAIT_US 100000

const char *daemon_claim(const char *pid_file)
{
    int fd = open(pid_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644); /* open to the end: the lock */
    char text[16];
    int n;

    if (fd < 0)
        return strerror(errno);
    /* One that was killed gives up its memory first, and its lock after that. */
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (tries == LOCK_TRIES) {
            close(fd);
            return "is locked: another one is running";
        }
        usleep(LOCK_WAIT_US);
    }
    n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, n) != n)
        return strerror(errno);
    return NULL;
}

int daemon_detach(void)
{
    int fds[2];
    char byte;

    if (pipe(fds) != 0)
        return -1;
    switch (fork()) {
    case -1:
        return -1;
    case 0:
        close(fds[0]);
        fcntl(fds[1], F_SETFD, FD_CLOEXEC);
        setsid();
        return fds[1];
    default:
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
    }
}

void daemon_ready(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ssize_t told = write(fd, "", 1);

    (void)told; /* a caller that is gone does not wait */
    close(fd);
    for (int i = 0; i < 3 && null >= 0; i++)
        dup2(null, i);
    if (chdir("/") != 0)
        return; /* the root directory is always there */
}

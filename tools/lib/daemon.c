/* SPDX-License-Identifier: MIT */
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 20
#define LOCK_WAIT_US 100000

/* Nobody else may open the lock: whoever can open a file can hold its lock, to read is enough. */
static int open_lock(const char *pid_file)
{
    char path[4096];
    struct stat st;
    int fd, n = snprintf(path, sizeof(path), "%s.lock", pid_file);

    if (n < 0 || n >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (S_IRWXG | S_IRWXO)))
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

const char *daemon_claim(const char *pid_file)
{
    int lock = open_lock(pid_file), fd, n; /* open to the end */
    char text[16];

    if (lock < 0)
        return errno == EPERM ? "its .lock is open to others: remove it" : strerror(errno);
    /* One that was killed gives up its memory first, and its lock after that. */
    for (int tries = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (tries == LOCK_TRIES) {
            close(lock);
            return "is locked: another one is running";
        }
        usleep(LOCK_WAIT_US);
    }
    fd = open(pid_file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return strerror(errno);
    n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, n) != n) {
        close(fd);
        return strerror(errno);
    }
    close(fd);
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

/* SPDX-License-Identifier: MIT */
/* Whether the monitor runs, and starting it. */
#define _GNU_SOURCE
#include "tools/cli/monitor.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

bool monitor_runs(void)
{
    int fd = open(MONITOR_LOCK, O_RDWR | O_CLOEXEC);
    bool runs;

    if (fd < 0)
        return false;
    runs = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return runs;
}

/* `orlop monitor` goes to the background by itself; it lives on with its own session. */
void monitor_ensure(void)
{
    static char *args[] = { "orlop", "monitor", NULL };
    static char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    int status = 0, rc;
    pid_t pid;

    if (monitor_runs())
        return;
    rc = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, env);
    if (rc == 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (rc != 0 || status != 0)
        fprintf(stderr,
                "orlop: the monitor could not be started%s%s: guests that stop stay as they "
                "are\n    Look at " MONITOR_LOG ", and start it: orlop monitor\n",
                rc ? ": " : "", rc ? strerror(rc) : "");
}

/* SPDX-License-Identifier: MIT */
/* Our xenstored in a folder of the test's own, and a connection to it: for tests/cli/life_*.c. */
#ifndef TESTS_CLI_STORE_DAEMON_H
#define TESTS_CLI_STORE_DAEMON_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

static struct host h;
static pid_t daemon_pid;
static char dir[] = "/tmp/life_store.XXXXXX";

static void stop_daemon(void)
{
    char *cmd = str_fmt("rm -rf %s", dir);

    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, NULL, 0);
    if (system(cmd) != 0)
        puts("left behind: the test's folder");
    free(cmd);
}

/* Goes on where one before it was killed. */
static void spawn_daemon(void)
{
    char *sock = str_fmt("%s/socket", dir), *state = str_fmt("%s/state", dir),
         *pid = str_fmt("%s/pid", dir);

    setenv("XENSTORED_PATH", sock, 1);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        execl("build/tools/xenstored", "xenstored", "-F", "--no-domains", "-s", sock, "-d", state,
              "-P", pid, NULL);
        _exit(127);
    }
    free(sock);
    free(state);
    free(pid);
}

static void start_daemon(void)
{
    struct error e = { 0 };

    if (daemon_pid)
        return;
    if (!mkdtemp(dir))
        exit(1);
    spawn_daemon();
    atexit(stop_daemon);
    if (store_reopen(&h.store, now_ms() + 5000, &e) != 0) {
        puts(e.cause);
        exit(1);
    }
}

#endif

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tools/builder/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/macros.h"
#include "tools/lib/error.h"

#define ASK_MS 200

void *child_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void child_unshare(void *p, size_t size)
{
    if (p)
        munmap(p, size);
}

/* Nothing of the parent's handlers; and it ends with its parent. */
static void become_child(void)
{
    static const int signals[] = { SIGBUS, SIGSEGV, SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGPIPE };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        signal(signals[i], SIG_DFL);
}

static int died(int status, const char *what, struct error *e)
{
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (sig == SIGBUS) /* of a mapping's pages that are no longer there */
        return error_set(e, EAGAIN, "Try again when nothing writes them.",
                         "the kernel or the initramfs shrank, or could not be read from its disk");
    return error_set(e, EIO, "Look at Domain 0's kernel log: it may be short of memory.",
                     "the process that was to %s died%s%s", what, sig ? ": " : "",
                     sig ? strsignal(sig) : "");
}

/*
 * The pipe ends with the child. A signal to us alone says nothing to the child, and may come when
 * nobody waits: so stop() is asked at intervals.
 */
static int await_child(pid_t pid, int pipe_end, bool (*stop)(void))
{
    struct pollfd p = { .fd = pipe_end, .events = POLLIN };
    int status = 0;

    while (stop && poll(&p, 1, ASK_MS) <= 0) {
        if (!stop())
            continue;
        kill(pid, SIGKILL);
        break;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int child_run(void (*fn)(void *arg), void *arg, const char *what, struct error *e)
{
    return child_run_until(fn, arg, NULL, what, e);
}

int child_run_until(void (*fn)(void *arg), void *arg, bool (*stop)(void), const char *what,
                    struct error *e)
{
    volatile bool *done = child_share(sizeof(*done));
    int life[2] = { -1, -1 }, status, rc;
    pid_t pid = -1;

    fflush(NULL); /* else the child might print what is still in a buffer a second time */
    if (done && pipe2(life, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0) {
        become_child();
        fn(arg);
        *done = true;
        _exit(0);
    }
    if (pid < 0) {
        rc = error_sys(e, errno, "Domain 0 needs more free memory or processes.",
                       "a process to %s cannot be started", what);
    } else {
        close(life[1]);
        life[1] = -1;
        status = await_child(pid, life[0], stop);
        rc = *done ? 0 : died(status, what, e);
    }
    for (int i = 0; i < 2; i++)
        if (life[i] >= 0)
            close(life[i]);
    child_unshare((void *)done, sizeof(*done));
    return rc;
}

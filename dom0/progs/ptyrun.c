/* SPDX-License-Identifier: MIT */
/*
 * ptyrun SECONDS COMMAND...: runs the command at a terminal of its own; standard input is typed
 * there, what appears goes to standard output. Ends with the command and its exit code, or with 124
 * when the time is over.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* False at the end of the input. */
static int pass(int from, int to)
{
    char bytes[4096];
    ssize_t n = read(from, bytes, sizeof(bytes));

    return n > 0 && write(to, bytes, n) == n;
}

int main(int argc, char **argv)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .events = POLLIN } };
    double end = now() + (argc > 2 ? atof(argv[1]) : 0);
    int status;
    pid_t pid;

    if (argc < 3)
        return 2;
    pid = forkpty(&fds[1].fd, NULL, NULL, &size);
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    while (now() < end) {
        if (poll(fds, 2, 200) <= 0)
            continue;
        if (fds[1].revents && !pass(fds[1].fd, 1))
            break;
        if (fds[0].fd >= 0 && fds[0].revents && !pass(0, fds[1].fd))
            fds[0].fd = -1;
    }
    if (now() >= end) {
        kill(pid, SIGTERM);
        return 124;
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

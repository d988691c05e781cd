/* SPDX-License-Identifier: MIT */
/* What every daemon does at its start: one of a kind, and away from its caller once it serves. */
#ifndef TOOLS_LIB_DAEMON_H
#define TOOLS_LIB_DAEMON_H

#include <stdbool.h>

/*
 * Locks PID_FILE.lock, which nobody else may open, as long as the process lives, and writes its
 * number to the pid file, which everybody may read. Waits up to two seconds for the lock of one
 * that was killed a moment ago. NULL, or why not. The lock file stays: what is removed while
 * another waits for it is no lock.
 */
const char *daemon_claim(const char *pid_file);
/*
 * Returns in a child with its own session: what to hand to daemon_ready(), or -1 with errno. The
 * caller ends with 0 once the child is ready, with 1 if it ends before.
 */
int daemon_detach(void);
/* Tells the caller that the daemon serves; closes stdin, stdout, stderr; leaves the directory. */
void daemon_ready(int fd);

#endif

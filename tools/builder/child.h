/* SPDX-License-Identifier: MIT */
/*
 * Work in a child process. Its end takes many pages away at once, much cheaper than munmap does in
 * a PV domain, and whatever a hostile file makes it do hits only the child.
 */
#ifndef BUILDER_CHILD_H
#define BUILDER_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/*
 * Zeroed memory that parent and children share; pages that are never touched cost nothing. NULL
 * with errno.
 */
void *child_share(size_t size);
void child_unshare(void *p, size_t size);

/*
 * Calls fn(arg) in a child, with no signal handler of the parent's, and waits for its end. 0 if fn
 * returned, -1 with e if the child could not start or died: `what` says what it was to do.
 */
int child_run(void (*fn)(void *arg), void *arg, const char *what, struct error *e);
/* The same; once stop() says so, which is asked every now and then, the child is ended. */
int child_run_until(void (*fn)(void *arg), void *arg, bool (*stop)(void), const char *what,
                    struct error *e);

#endif

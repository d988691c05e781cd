/* SPDX-License-Identifier: MIT */
/* What must be taken back if work is not completed. */
#include "tools/cli/undo.h"
#include "tools/lib/error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupt;

void undo_push(struct undo *u, void (*fn)(void *ctx), void *ctx)
{
    if (u->count == UNDO_MAX) {
        fprintf(stderr, "orlop: more than %d steps to take back\n", UNDO_MAX);
        abort();
    }
    u->step[u->count].fn = fn;
    u->step[u->count++].ctx = ctx;
}

/* The count goes down first: a step that fails badly is not run again. */
void undo_run(struct undo *u)
{
    while (u->count) {
        unsigned int i = --u->count;

        u->step[i].fn(u->step[i].ctx);
    }
}

void undo_forget(struct undo *u)
{
    u->count = 0;
}

static void on_signal(int sig)
{
    interrupt = sig;
}

void interrupt_catch(void)
{
    struct sigaction a = { .sa_handler = on_signal }; /* no SA_RESTART: waits shall end */

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

bool interrupted(void)
{
    return interrupt != 0;
}

int interrupt_check(struct error *e)
{
    if (!interrupt)
        return 0;
    return error_set(e, EINTR, NULL, "ended by a signal (%s); what was begun is taken back",
                     strsignal(interrupt));
}

void interrupt_clear(void)
{
    interrupt = 0;
}

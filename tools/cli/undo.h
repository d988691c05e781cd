/* SPDX-License-Identifier: MIT */
/*
 * What must be taken back if work is not completed, newest first; and the signals that end work
 * early. Steps that outlive the process (a domain, store nodes) are also named by the guest's lock
 * file (guest_lock.h), so that the next `orlop` finds them after a SIGKILL.
 */
#ifndef TOOLS_CLI_UNDO_H
#define TOOLS_CLI_UNDO_H

#include <stdbool.h>

struct error;

#define UNDO_MAX 600 /* two for each disk, one for each card, and some */

struct undo {
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } step[UNDO_MAX];
    unsigned int count;
};

/* fn(ctx) is called by undo_run. The program ends if the list is full: that is a bug. */
void undo_push(struct undo *u, void (*fn)(void *ctx), void *ctx);
/* Takes everything back, newest first, and empties the list. */
void undo_run(struct undo *u);
/* It is done: nothing to take back any more. */
void undo_forget(struct undo *u);

/* From now on SIGINT, SIGTERM and SIGHUP only leave a note; waits end with EINTR. */
void interrupt_catch(void);
/* -1 with e when such a signal came. */
int interrupt_check(struct error *e);
bool interrupted(void);
/* While things are taken back, a further signal must not cut that short. */
void interrupt_clear(void);

#endif

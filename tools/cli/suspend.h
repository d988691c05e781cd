/* SPDX-License-Identifier: MIT */
/*
 * A guest stands still for good when it says so itself: it is asked by xenstore, puts its own
 * numbers in place of the machine's, and shuts down with the reason "suspend". Then it goes on
 * either in a new domain, made of what was saved, or in this one, told that nothing happened.
 *
 * Callers hold the guest's lock, with a note (guest_lock.h) that lets it go on if they are killed.
 */
#ifndef TOOLS_CLI_SUSPEND_H
#define TOOLS_CLI_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct host;

/* A node in /local/domain/N of a suspended guest that may run on another host. */
#define SUSPEND_UNRESOLVED "unresolved"

/*
 * Asks, and waits for up to so many seconds. -1 with e: it did not, was interrupted, or ended in
 * another way; the request is taken back, and the guest runs on as far as it is in our power.
 */
int suspend_guest(struct host *h, unsigned int domid, unsigned int seconds, struct error *e);
/* Whether it stands still so. */
bool suspend_is(struct host *h, unsigned int domid);
/* A suspended guest goes on here. */
int suspend_cancel(struct host *h, unsigned int domid, struct error *e);
/* The same for one whose saver was killed; nothing if it is not suspended. */
void suspend_recover(struct host *h, const uint8_t uuid[16]);

#endif

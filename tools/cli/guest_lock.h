/* SPDX-License-Identifier: MIT */
/*
 * One program at a time makes, ends or rebuilds a guest: it holds the lock on the guest's file
 * /run/orlop/guests/UUID. While a guest is being made the file is there; a program that completes
 * its work removes it. So a file that nobody has locked names a guest whose maker was killed, and
 * whoever comes next takes back what it left. The file says how: empty, the guest is erased; with a
 * note, it is a guest that was being saved, and goes on.
 */
#ifndef TOOLS_CLI_GUEST_LOCK_H
#define TOOLS_CLI_GUEST_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct host;

struct guest_lock {
    int fd; /* -1: not held */
    char path[96];
    bool to_resume; /* a holder before, who was killed, left the note */
};

/* -1 with e; without `wait` also when somebody else has it (code EWOULDBLOCK). */
int guest_lock(struct guest_lock *l, const uint8_t uuid[16], bool wait, struct error *e);
/* From now on: if we are killed, the guest is not erased but goes on; or is erased. 0 or -errno. */
int guest_lock_note(struct guest_lock *l, bool resume);
/* Done: the file goes. */
void guest_unlock(struct guest_lock *l);

/* Takes back what killed programs left of guests they were making. Returns how many it found. */
int leftovers_clean(struct host *h);

#endif

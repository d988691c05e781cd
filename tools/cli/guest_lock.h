/* SPDX-License-Identifier: MIT */
/*
 * One program at a time makes, ends or rebuilds a guest: it holds the lock on the guest's file
 * /run/orlop/guests/UUID. While a guest is being made the file is there; a program that completes
 * its work removes it. So a file that nobody has locked names a guest whose maker was killed, and
 * whoever comes next takes back what it left. The file says how.
 */
#ifndef TOOLS_CLI_GUEST_LOCK_H
#define TOOLS_CLI_GUEST_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct host;

/* What becomes of the guest if the lock's holder is killed. */
enum guest_left {
    LEFT_ALONE,     /* nothing was done yet, or the file is a moment old: it stays as it is */
    LEFT_ERASE,     /* it was being made or ended: what there is of it goes */
    LEFT_RESUME,    /* it was being saved: it goes on */
    LEFT_UNRESOLVED /* it may run on another host: it stays as it is, for people to decide */
};

struct guest_lock {
    int fd; /* -1: not held */
    char path[96];
    enum guest_left left; /* as the holder before us, who was killed, has it */
};

/* -1 with e; without `wait` also when somebody else has it (code EWOULDBLOCK). */
int guest_lock(struct guest_lock *l, const uint8_t uuid[16], bool wait, struct error *e);
/* Whether somebody holds it; nothing is changed. */
bool guest_lock_busy(const uint8_t uuid[16]);
/* As it is from now on if we are killed; LEFT_ALONE at first. 0 or -errno. */
int guest_lock_note(struct guest_lock *l, enum guest_left left);
/* Done: the file goes. */
void guest_unlock(struct guest_lock *l);

/* Takes back what killed programs left of guests they were making. Returns how many it found. */
int leftovers_clean(struct host *h);

/* A descriptor that can be read when a lock's holder may have ended without unlocking; or -1. */
int leftovers_watch(void);
/* Whether there was something to read; empties it. */
bool leftovers_news(int fd);
/* Is there a lock's file that nobody holds? */
bool leftovers_any(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Guests that come and go, as the store tells: @introduceDomain, @releaseDomain, each guest's
 * console node and name. If the store's daemon is started anew the connection is made again.
 */
#ifndef CONSOLED_DOMAIN_H
#define CONSOLED_DOMAIN_H

#include <stdbool.h>

struct consoled;
struct console;

/* Connects to the store and takes up the guests that are there. False: not now, it is tried again
 * until it works. */
bool domain_start(struct consoled *d);
/* A watch fired (or the connection is gone): handles all of them. */
void domain_store_event(struct consoled *d);
/* Once a second: what did not work is tried again, what is old goes. */
void domain_tick(struct consoled *d);

/* A guest by name or number: one that lives, the hypervisor (named so), one that is dead. */
struct console *domain_find(struct consoled *d, const char *key);
void domain_each(struct consoled *d, void (*f)(struct consoled *, struct console *, void *),
                 void *arg);

#endif

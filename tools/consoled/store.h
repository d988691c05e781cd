/* SPDX-License-Identifier: MIT */
/* The store, through Debian's libxenstore. */
#ifndef CONSOLED_STORE_H
#define CONSOLED_STORE_H

struct store;

/* Fills *store; the connection is made by its open. */
void store_init(struct store *store);

#endif

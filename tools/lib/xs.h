/* SPDX-License-Identifier: MIT */
/*
 * xenstore, through Debian's libxenstore: paths by format, transactions that repeat themselves,
 * waiting with a deadline. Functions return 0 or -errno unless they say otherwise.
 *
 * Not thread-safe: one struct store for a thread.
 */
#ifndef TOOLS_LIB_XS_H
#define TOOLS_LIB_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h>

struct error;

struct store {
    struct xs_handle *h;
    xs_transaction_t t; /* XBT_NULL outside a transaction; every function below works in it */
    int life; /* a connection of its own on which nothing is said: it ends when xenstored does,
               * which libxenstore tells nobody who waits; 0: none */
};

/* -1 with e filled when no xenstored answers: it never waits for one. */
int store_open(struct store *s, struct error *e);
void store_close(struct store *s);
/*
 * After a restart of xenstored, which cuts its clients off: connects again if need be, and waits
 * for it until the deadline by now_ms(). Watches are gone then. -1 with e.
 */
int store_reopen(struct store *s, int64_t deadline, struct error *e);

/* The value, to free(); NULL with errno (ENOENT: no such node). */
char *store_read(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for people's eyes: cleaned (text.h), and "" when there is none. */
char *store_text(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A decimal number, or `otherwise` when there is none. */
long long store_read_num(struct store *s, long long otherwise, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Only whether it exists. */
bool store_exists(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int store_write(struct store *s, const char *path, const char *value);
/* Value by format, below a directory: dir + "/" + name. */
int store_put(struct store *s, const char *dir, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Missing is fine. */
int store_rm(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Names of the children, to free() as one; NULL with *n 0 when there are none. */
char **store_list(struct store *s, unsigned int *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the node, owned by `owner`; `reader` (or -1) may read it. Children made below inherit. */
int store_mkdir(struct store *s, const char *path, int owner, int reader);

/*
 * Runs fn in a transaction, again and again while others interfere (at most a hundred times). fn
 * returns 0 or -errno; anything but 0 abandons the transaction. fn must have no other effects.
 */
int store_transact(struct store *s, int (*fn)(struct store *s, void *ctx), void *ctx);

int store_watch(struct store *s, const char *path, const char *token);
int store_unwatch(struct store *s, const char *path, const char *token);
/*
 * The next event: its path, *token in the same block; free() the result. NULL with errno ETIMEDOUT,
 * EINTR (a signal), or EIO (xenstored is gone). deadline by now_ms(); negative: for ever. The first
 * event of a watch comes at once, as the protocol has it.
 */
char *store_next(struct store *s, int64_t deadline, char **token);

/* What a failed call means, with the remedy. Returns -1. */
int store_error(struct error *e, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

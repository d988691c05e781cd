/* SPDX-License-Identifier: MIT */
/*
 * Transactions. A transaction sees the store as it is, under what it has changed itself, and notes
 * what it looked at. At its end, if nothing that it looked at has changed since, all its requests
 * would give the same answers at this moment: its changes are made in the store. Otherwise the
 * client gets EAGAIN. So a transaction takes memory for what it did, whatever others do meanwhile.
 */
#ifndef XENSTORED_TXN_H
#define XENSTORED_TXN_H

#include "xenstored/tree.h"

enum { SAW_NODE = 1, SAW_CHILDREN = 2 };

struct txn_op {
    struct data *set; /* the node's new content, or NULL: */
    char *rm;         /* the path that was removed */
    bool quiet;       /* a parent made on the way: no event of its own */
};

struct xs;
struct client;

struct txn {
    struct txn *next;
    struct txn *older, *newer; /* by last use; only those that may age out */
    struct client *client;
    uint32_t id;
    bool doomed;        /* it lost what it had: ends with EAGAIN */
    bool aged;          /* because nobody used it */
    int64_t used;       /* when it was used last */
    struct tnode *over; /* what it changed, see txn_find_node */
    struct tnode *saw;  /* path to what was seen there */
    struct txn_op *ops;
    uint32_t nops, nsaw;
    uint64_t bytes; /* of its client's account */
    int64_t owned;  /* nodes that the client owns more than before, as it looks so far */
};

struct txn *txn_new(struct xs *xs, struct client *c, uint32_t id);
struct txn *txn_find(struct client *c, uint32_t id);
void txn_free(struct xs *xs, struct txn *t);
/* The client used it now. */
void txn_use(struct xs *xs, struct txn *t);
/* Gives up transactions that were idle for too long; seconds until the next may be, or -1. */
int64_t txn_age(struct xs *xs);
/* The client's oldest one that was given up, NULL if there is none. */
struct txn *txn_aged(struct client *c);

/* The node as the transaction sees it, NULL if there is none; what was looked at in the store is
 * noted. */
struct tnode *txn_find_node(struct xs *xs, struct txn *t, const char *path, unsigned what);
/* The child of `dir`, which exists, that follows `prev` (NULL: the first). */
struct tnode *txn_child(struct xs *xs, struct txn *t, const char *dir, const char *prev);

/* Changes. set takes over the reference. */
void txn_set(struct xs *xs, struct txn *t, struct data *d, bool quiet);
void txn_rm(struct xs *xs, struct txn *t, const char *path);

/* 0, EAGAIN or ENOSPC. The transaction is freed in any case. */
int txn_commit(struct xs *xs, struct client *c, struct txn *t);

#endif

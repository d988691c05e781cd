/* SPDX-License-Identifier: MIT */
/*
 * Transactions. A transaction works on a snapshot and notes what it looked at and what it changed.
 * At its end, if nothing it looked at has changed in the store since, its changes are made there;
 * otherwise the client gets EAGAIN.
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
    uint32_t id;
    bool doomed; /* the daemon that began it died: ends with EAGAIN */
    struct tnode *base, *root;
    struct tnode *saw; /* path to a byte of SAW_* */
    struct txn_op *ops;
    uint32_t nops, nsaw;
    int64_t owned; /* nodes that the client owns more than before */
};

struct txn *txn_new(struct xs *xs, struct client *c, uint32_t id);
struct txn *txn_find(struct client *c, uint32_t id);
void txn_free(struct client *c, struct txn *t);

void txn_saw(struct txn *t, const char *path, unsigned what);
void txn_note(struct txn *t, struct txn_op op);

/* 0, EAGAIN or ENOSPC. The transaction is freed in any case. */
int txn_commit(struct xs *xs, struct client *c, struct txn *t);

#endif

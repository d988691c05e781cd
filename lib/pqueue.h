/* SPDX-License-Identifier: MIT */
/*
 * Intrusive priority queue (pairing heap) of 64-bit keys, smallest first: the deadline heap. No
 * allocation and no capacity: the node is part of the caller's object. Insert and first are O(1);
 * remove is O(log n) amortised. The caller locks. Equal keys come out in no particular order.
 */
#ifndef LIB_PQUEUE_H
#define LIB_PQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/macros.h"

struct pqnode {
    uint64_t key;
    struct pqnode *child; /* first of the children, whose keys are not smaller */
    struct pqnode *next;  /* next sibling */
    struct pqnode *
        *link; /* the pointer that points here (the root, child or next); NULL if not queued */
};

struct pqueue {
    struct pqnode *root;
};

/* All-zero structs are an empty queue and an unqueued node; these do the same. */
void pqueue_init(struct pqueue *q);
void pqueue_node_init(struct pqnode *n);

static inline bool pqueue_empty(const struct pqueue *q)
{
    return q->root == NULL;
}

static inline bool pqueue_queued(const struct pqnode *n)
{
    return n->link != NULL;
}

/* The node with the smallest key, or NULL; it stays queued. */
static inline struct pqnode *pqueue_first(const struct pqueue *q)
{
    return q->root;
}

/* Queues `n`, which must not be queued, under `key`. Returns true if it is now the first. */
bool pqueue_insert(struct pqueue *q, struct pqnode *n, uint64_t key);

/*
 * Takes `n` out; its key stays readable. Does nothing if it is not queued. It must not be in
 * another queue.
 */
void pqueue_remove(struct pqueue *q, struct pqnode *n);

#endif

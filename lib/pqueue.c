/* SPDX-License-Identifier: MIT */
#include "lib/pqueue.h"

void pqueue_init(struct pqueue *q)
{
    q->root = NULL;
}

void pqueue_node_init(struct pqnode *n)
{
    n->key = 0;
    n->child = NULL;
    n->next = NULL;
    n->link = NULL;
}

/*
 * Makes one tree of two roots without siblings; both `link`s become stale, the caller sets the
 * winner's.
 */
static struct pqnode *meld(struct pqnode *a, struct pqnode *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->key < a->key) {
        struct pqnode *t = a;

        a = b;
        b = t;
    }
    b->next = a->child;
    if (b->next)
        b->next->link = &b->next;
    a->child = b;
    b->link = &a->child;
    return a;
}

/* One tree of a list of siblings: melds pairs from the left, then these from the right. */
static struct pqnode *meld_siblings(struct pqnode *list)
{
    struct pqnode *pairs = NULL, *tree = NULL;

    while (list) {
        struct pqnode *a = list, *b = list->next;

        list = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs; /* only a chain to walk back; links are set again below */
        pairs = a;
    }
    while (pairs) {
        struct pqnode *next = pairs->next;

        pairs->next = NULL;
        tree = meld(tree, pairs);
        pairs = next;
    }
    return tree;
}

static void set_root(struct pqueue *q, struct pqnode *root)
{
    q->root = root;
    if (root) {
        root->next = NULL;
        root->link = &q->root;
    }
}

bool pqueue_insert(struct pqueue *q, struct pqnode *n, uint64_t key)
{
    n->key = key;
    n->child = NULL;
    n->next = NULL;
    set_root(q, meld(q->root, n));
    return q->root == n;
}

void pqueue_remove(struct pqueue *q, struct pqnode *n)
{
    struct pqnode *rest;

    if (!pqueue_queued(n))
        return;
    *n->link = n->next;
    if (n->next)
        n->next->link = n->link;
    rest = meld_siblings(n->child);
    n->child = NULL;
    n->next = NULL;
    n->link = NULL;
    if (rest)
        set_root(q, meld(q->root, rest));
}

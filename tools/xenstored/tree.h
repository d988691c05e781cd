/* SPDX-License-Identifier: MIT */
/*
 * The tree of nodes as one ordered map from path to content, persistent: a snapshot is one more
 * reference on its root, and a change copies only what leads to it, and only while a snapshot
 * shares it.
 *
 * The order is by path with '/' lowest, so a node's whole subtree follows it directly. The map is a
 * treap; priorities are random and secret, so no client can make it deep. Each operation takes
 * O(log n) steps and looks at each byte of its path about once, whatever the paths have in common.
 */
#ifndef XENSTORED_TREE_H
#define XENSTORED_TREE_H

#include "xenstored/util.h"

enum { PERM_NONE = 0, PERM_READ = 1, PERM_WRITE = 2 };

struct perm {
    uint16_t domid;
    uint16_t bits; /* PERM_* */
};

/* What a node holds. Never changes: a new value is a new object. */
struct data {
    uint64_t gen; /* no other content of this process has the number; never 0 */
    uint32_t ref;
    uint32_t size;   /* bytes of memory that it takes in a tree, its node included */
    uint32_t nperms; /* at least 1; perms[0] is the owner and what others may do */
    uint32_t len;
    const uint8_t *value;
    const char *path;
    struct perm perms[];
};

struct tnode {
    uint32_t ref;
    uint32_t prio;
    struct tnode *left, *right;
    struct data *data;
    uint64_t cgen; /* number of the last change of the list of children */
};

/* What a node takes beyond its permissions, value and path: two allocations with what malloc adds.
 */
#define DATA_COST (sizeof(struct data) + sizeof(struct tnode) + 2 * 16)

struct data *data_new(const char *path, const struct perm *perms, uint32_t nperms,
                      const void *value, uint32_t len);
struct data *data_get(struct data *d);
void data_put(struct data *d);

/* The order of two paths: below, equal to or above 0. */
int tree_order(const char *a, const char *b);

/* A snapshot, and its end. NULL is the empty tree. */
struct tnode *tree_get(struct tnode *root);
void tree_put(struct tnode *root);

struct tnode *tree_find(struct tnode *root, const char *path);

/* The first node behind `path`, or behind all that is below `path`; NULL at the end. */
struct tnode *tree_next(struct tnode *root, const char *path);
struct tnode *tree_skip(struct tnode *root, const char *path);

/* Sets a node's content, taking over the reference to `d`. A new node gets `cgen`. */
void tree_set(struct tnode **root, struct data *d, uint64_t cgen);
/* Removes this one node, which must exist. */
void tree_del(struct tnode **root, const char *path);
/* Notes that the children of this node, which must exist, changed. */
void tree_touch(struct tnode **root, const char *path, uint64_t cgen);

/* The child of `dir` that follows `prev`, one of its children (NULL: the first), or NULL. In a tree
 * that lacks nodes between `dir` and others these others are passed over. */
struct tnode *tree_child(struct tnode *root, const char *dir, const char *prev);

#endif

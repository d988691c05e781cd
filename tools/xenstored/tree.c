/* SPDX-License-Identifier: MIT */
#include "xenstored/tree.h"
#include "xenstored/wire.h"

#include <stdlib.h>
#include <string.h>

struct data *data_new(const char *path, const struct perm *perms, uint32_t nperms,
                      const void *value, uint32_t len)
{
    size_t plen = strlen(path) + 1, permlen = nperms * sizeof(*perms);
    struct data *d = xs_alloc(sizeof(*d) + permlen + len + plen);
    char *tail = (char *)d->perms + permlen;

    d->ref = 1;
    d->nperms = nperms;
    d->len = len;
    memcpy(d->perms, perms, permlen);
    if (len)
        memcpy(tail, value, len);
    memcpy(tail + len, path, plen);
    d->value = (uint8_t *)tail;
    d->path = tail + len;
    return d;
}

struct data *data_get(struct data *d)
{
    d->ref++;
    return d;
}

void data_put(struct data *d)
{
    if (d && --d->ref == 0)
        free(d);
}

static int path_cmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    int x = *a == '/' ? 1 : (unsigned char)*a, y = *b == '/' ? 1 : (unsigned char)*b;

    return x - y;
}

struct tnode *tree_get(struct tnode *root)
{
    if (root)
        root->ref++;
    return root;
}

/* Nodes that are to be freed wait in a list through `left`. */
void tree_put(struct tnode *t)
{
    struct tnode *todo = NULL;

    while (t || todo) {
        struct tnode *right;

        if (!t) {
            t = todo;
            todo = t->left;
            right = t->right;
            data_put(t->data);
            free(t);
            t = right;
        } else if (--t->ref == 0) {
            struct tnode *left = t->left;

            t->left = todo;
            todo = t;
            t = left;
        } else {
            t = NULL;
        }
    }
}

/* Turns a reference into one that nobody else has, so that the node may be changed. */
static struct tnode *own(struct tnode *t)
{
    struct tnode *c;

    if (t->ref == 1)
        return t;
    c = xs_alloc(sizeof(*c));
    *c = *t;
    c->ref = 1;
    tree_get(c->left);
    tree_get(c->right);
    data_get(c->data);
    t->ref--;
    return c;
}

/* Parts a tree, whose reference is taken over, at a path that is not in it. */
static void split(struct tnode *t, const char *path, struct tnode **left, struct tnode **right)
{
    while (t) {
        t = own(t);
        if (path_cmp(t->data->path, path) < 0) {
            *left = t;
            left = &t->right;
            t = t->right;
        } else {
            *right = t;
            right = &t->left;
            t = t->left;
        }
    }
    *left = *right = NULL;
}

static struct tnode *merge(struct tnode *l, struct tnode *r)
{
    struct tnode *root, **p = &root;

    while (l && r) {
        if (l->prio > r->prio) {
            l = own(l);
            *p = l;
            p = &l->right;
            l = l->right;
        } else {
            r = own(r);
            *p = r;
            p = &r->left;
            r = r->left;
        }
    }
    *p = l ? l : r;
    return root;
}

struct tnode *tree_find(struct tnode *t, const char *path)
{
    while (t) {
        int c = path_cmp(path, t->data->path);

        if (c == 0)
            return t;
        t = c < 0 ? t->left : t->right;
    }
    return NULL;
}

struct tnode *tree_next(struct tnode *t, const char *path)
{
    struct tnode *best = NULL;

    while (t) {
        if (path_cmp(t->data->path, path) > 0) {
            best = t;
            t = t->left;
        } else {
            t = t->right;
        }
    }
    return best;
}

struct tnode *tree_skip(struct tnode *t, const char *path)
{
    struct tnode *best = NULL;

    while (t) {
        if (path_cmp(t->data->path, path) > 0 && !path_below(path, t->data->path)) {
            best = t;
            t = t->left;
        } else {
            t = t->right;
        }
    }
    return best;
}

/* Owns all that leads to the node, which exists; returns the place that refers to it. */
static struct tnode **own_path(struct tnode **p, const char *path)
{
    for (;;) {
        int c = path_cmp(path, (*p)->data->path);

        *p = own(*p);
        if (c == 0)
            return p;
        p = c < 0 ? &(*p)->left : &(*p)->right;
    }
}

static void insert(struct tnode **p, struct data *d, uint64_t cgen)
{
    struct tnode *n = xs_alloc(sizeof(*n));

    n->ref = 1;
    n->prio = xs_random() >> 32;
    n->data = d;
    n->cgen = cgen;
    while (*p && (*p)->prio >= n->prio) {
        *p = own(*p);
        p = path_cmp(d->path, (*p)->data->path) < 0 ? &(*p)->left : &(*p)->right;
    }
    split(*p, d->path, &n->left, &n->right);
    *p = n;
}

void tree_set(struct tnode **root, struct data *d, uint64_t cgen)
{
    struct tnode *t;

    if (!tree_find(*root, d->path)) {
        insert(root, d, cgen);
        return;
    }
    t = *own_path(root, d->path);
    data_put(t->data);
    t->data = d;
}

void tree_del(struct tnode **root, const char *path)
{
    struct tnode **p = own_path(root, path), *t = *p;

    *p = merge(t->left, t->right);
    data_put(t->data);
    free(t);
}

void tree_touch(struct tnode **root, const char *path, uint64_t cgen)
{
    (*own_path(root, path))->cgen = cgen;
}

struct tnode *tree_child(struct tnode *root, const char *dir, struct tnode *prev)
{
    struct tnode *t = prev ? tree_skip(root, prev->data->path) : tree_next(root, dir);

    return t && path_below(dir, t->data->path) ? t : NULL;
}

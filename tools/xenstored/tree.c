/* SPDX-License-Identifier: MIT */
#include "xenstored/tree.h"
#include "xenstored/wire.h"

#include <stdlib.h>
#include <string.h>

struct data *data_new(const char *path, const struct perm *perms, uint32_t nperms,
                      const void *value, uint32_t len)
{
    static uint64_t gen;
    size_t plen = strlen(path) + 1, permlen = nperms * sizeof(*perms);
    struct data *d = xs_alloc(sizeof(*d) + permlen + len + plen);
    char *tail = (char *)d->perms + permlen;

    d->gen = ++gen;
    d->ref = 1;
    d->size = DATA_COST + permlen + len + plen;
    d->nperms = nperms;
    d->len = len;
    if (nperms)
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

/* Compares from byte *same on, up to which both are known to be equal; moves it to the first byte
 * that differs. */
static int compare(const char *a, const char *b, size_t *same)
{
    size_t i = *same;

    while (a[i] && a[i] == b[i])
        i++;
    *same = i;
    int x = a[i] == '/' ? 1 : (unsigned char)a[i], y = b[i] == '/' ? 1 : (unsigned char)b[i];

    return x - y;
}

int tree_order(const char *a, const char *b)
{
    size_t same = 0;

    return compare(a, b, &same);
}

/*
 * A path on its way down. What it has in common with the nearest nodes passed on both sides it has
 * in common with all between them, so these bytes are not looked at again.
 */
struct descent {
    const char *path;
    size_t below, above, same; /* `same`: with the last node compared */
};

static int descend(struct descent *d, const struct tnode *t)
{
    int c;

    d->same = d->below < d->above ? d->below : d->above;
    c = compare(d->path, t->data->path, &d->same);
    if (c < 0)
        d->above = d->same;
    else
        d->below = d->same;
    return c;
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
    struct descent d = { .path = path };

    while (t) {
        t = own(t);
        if (descend(&d, t) > 0) {
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
    struct descent d = { .path = path };

    while (t) {
        int c = descend(&d, t);

        if (c == 0)
            return t;
        t = c < 0 ? t->left : t->right;
    }
    return NULL;
}

struct tnode *tree_next(struct tnode *t, const char *path)
{
    struct descent d = { .path = path };
    struct tnode *best = NULL;

    while (t) {
        if (descend(&d, t) < 0) {
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
    struct descent d = { .path = path };
    struct tnode *best = NULL;

    while (t) {
        size_t above = d.above;

        if (descend(&d, t) >= 0) {
            t = t->right;
        } else if (!path[d.same] && t->data->path[d.same] == '/') {
            /* It has all of `path` and goes on with a slash: passed like what is before it. */
            d.above = above;
            d.below = d.same;
            t = t->right;
        } else {
            best = t;
            t = t->left;
        }
    }
    return best;
}

/* Owns all that leads to the node, which exists; returns the place that refers to it. */
static struct tnode **own_path(struct tnode **p, const char *path)
{
    struct descent d = { .path = path };

    for (;;) {
        int c = descend(&d, *p);

        *p = own(*p);
        if (c == 0)
            return p;
        p = c < 0 ? &(*p)->left : &(*p)->right;
    }
}

static void insert(struct tnode **p, struct data *d, uint64_t cgen)
{
    struct tnode *n = xs_alloc(sizeof(*n));
    struct descent way = { .path = d->path };

    n->ref = 1;
    n->prio = xs_random() >> 32;
    n->data = d;
    n->cgen = cgen;
    while (*p && (*p)->prio >= n->prio) {
        *p = own(*p);
        p = descend(&way, *p) < 0 ? &(*p)->left : &(*p)->right;
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

struct tnode *tree_child(struct tnode *root, const char *dir, const char *prev)
{
    char between[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *t = prev ? tree_skip(root, prev) : tree_next(root, dir);
    size_t n = strlen(dir) + 1;
    const char *slash;

    while (t && path_below(dir, t->data->path)) {
        slash = strchr(t->data->path + n, '/');
        if (!slash)
            return t;
        memcpy(between, t->data->path, slash - t->data->path);
        between[slash - t->data->path] = 0;
        t = tree_skip(root, between);
    }
    return NULL;
}

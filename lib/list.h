/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked list. The head is a node of its own; an empty list's head points at
 * itself. A node that is in no list is initialised with list_init (or removed with list_del), so
 * that list_linked can tell.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include <stdbool.h>

#include "lib/macros.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* True if the initialised node `l` is in a list. */
static inline bool list_linked(const struct list *l)
{
    return l->next != l;
}

static inline void list_insert_between(struct list *l, struct list *prev, struct list *next)
{
    l->prev = prev;
    l->next = next;
    prev->next = l;
    next->prev = l;
}

/* Adds `l` at the front (at the end) of `head`; before (after) a node, when `head` is a node. */
static inline void list_add(struct list *head, struct list *l)
{
    list_insert_between(l, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *l)
{
    list_insert_between(l, head->prev, head);
}

/* Removes `l` and initialises it; a node in no list stays as it is. */
static inline void list_del(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* The first node, removed; NULL if there is none. */
static inline struct list *list_pop(struct list *head)
{
    struct list *l = head->next;

    if (l == head)
        return NULL;
    list_del(l);
    return l;
}

/* Moves all of `from` to the end of `to`; `from` is then empty. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

/* The first entry's type, or NULL. */
#define list_first(head, type, member) \
    (list_empty(head) ? (type *)NULL : list_entry((head)->next, type, member))

#define list_for_each(pos, head, member)                                                   \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The body may remove `pos` (and only it). `tmp` is another pointer of the same type. */
#define list_for_each_safe(pos, tmp, head, member)                    \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),    \
        tmp = list_entry(pos->member.next, __typeof__(*pos), member); \
         &pos->member != (head);                                      \
         pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif

/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "lib/list.h"
#include "lib/pqueue.h"

#define NODES 500

static struct pqnode nodes[NODES];

static uint64_t smallest(void)
{
    uint64_t min = UINT64_MAX;

    for (int i = 0; i < NODES; i++) {
        if (pqueue_queued(&nodes[i]))
            min = MIN(min, nodes[i].key);
    }
    return min;
}

TEST(pqueue_random_against_search)
{
    struct pqueue q = { 0 };
    uint64_t seed = 1;
    bool right = true;

    for (int round = 0; round < 50000 && right; round++) {
        struct pqnode *n;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        n = &nodes[(seed >> 33) % NODES];
        if (pqueue_queued(n))
            pqueue_remove(&q, n);
        else
            pqueue_insert(&q, n, (seed >> 40) % 1000);
        right = pqueue_empty(&q) ? smallest() == UINT64_MAX : pqueue_first(&q)->key == smallest();
    }
    CHECK(right);
    for (uint64_t last = 0; !pqueue_empty(&q); pqueue_remove(&q, pqueue_first(&q))) {
        CHECK(pqueue_first(&q)->key >= last);
        last = pqueue_first(&q)->key;
    }
    CHECK_EQ(smallest(), UINT64_MAX);
}

TEST(pqueue_edges)
{
    struct pqueue q;
    struct pqnode a, b;

    pqueue_init(&q);
    pqueue_node_init(&a);
    pqueue_node_init(&b);
    pqueue_remove(&q, &a);
    CHECK(pqueue_first(&q) == NULL);
    CHECK(pqueue_insert(&q, &a, UINT64_MAX));
    CHECK(pqueue_insert(&q, &b, 0));
    pqueue_remove(&q, &b);
    CHECK(pqueue_first(&q) == &a && !pqueue_queued(&b));
    pqueue_remove(&q, &a);
    CHECK(pqueue_empty(&q));
    CHECK_EQ(a.key, UINT64_MAX);
}

struct item {
    int value;
    struct list link;
};

TEST(lists)
{
    struct list head = LIST_INIT(head), other = LIST_INIT(other);
    struct item items[4];
    struct item *pos, *tmp;
    int sum = 0;

    CHECK(list_first(&head, struct item, link) == NULL);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        list_init(&items[i].link);
        list_add_tail(i < 2 ? &head : &other, &items[i].link);
    }
    list_splice_tail(&head, &other);
    CHECK(list_empty(&other));
    list_for_each (pos, &head, link)
        sum = sum * 10 + pos->value;
    CHECK_EQ(sum, 123);
    list_for_each_safe (pos, tmp, &head, link) {
        if (pos->value & 1)
            list_del(&pos->link);
    }
    CHECK(!list_linked(&items[1].link) && list_linked(&items[2].link));
    list_add(&head, &items[3].link);
    CHECK(list_first(&head, struct item, link) == &items[3]);
    CHECK(list_pop(&head) == &items[3].link && list_pop(&head) == &items[0].link);
    list_del(&items[0].link);
    CHECK(list_pop(&head) == &items[2].link && list_pop(&head) == NULL);
}

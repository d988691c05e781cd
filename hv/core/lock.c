/* SPDX-License-Identifier: MIT */
/*
 * The slow half of spin locks, and what debug builds check: order by rank, patience, who holds
 * what. One that waits serves cross-CPU calls; after spin_break_all(), in a panic, nobody waits
 * any more.
 */
#include "core/lock.h"

#include "core/arch.h"
#include "core/bug.h"
#include "core/pcpu.h"

#define SPIN_LIMIT_NS 5000000000ull

static bool broken;

void spin_break_all(void)
{
    __atomic_store_n(&broken, true, __ATOMIC_RELAXED);
}

/* Reading the clock on each turn would disturb the holder; look now and then. */
static void check_patience(const spinlock_t *l, uint64_t *start)
{
    uint64_t now = arch_now();

    if (*start == 0)
        *start = now;
    else if (now - *start > SPIN_LIMIT_NS)
        panic("CPU %u waits for a lock of rank %u held by CPU %d", arch_this_cpu()->id, l->rank,
              l->owner - 1);
}

void spin_wait(spinlock_t *l, uint16_t ticket)
{
    uint64_t start = 0;
    unsigned int turns = 0;

    while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket) {
        if (__atomic_load_n(&broken, __ATOMIC_RELAXED))
            return;
        arch_poll();
        if (++turns % 4096 == 0)
            SPIN_DEBUG(check_patience(l, &start));
    }
    (void)start;
    (void)check_patience;
}

void spin_check_order(const spinlock_t *l)
{
    const struct pcpu *p = arch_this_cpu();

    if (p && (p->lock_ranks >> l->rank) != 0 && !__atomic_load_n(&broken, __ATOMIC_RELAXED))
        panic("lock rank %u taken while holding ranks %#x", l->rank, p->lock_ranks);
}

void spin_note_taken(spinlock_t *l)
{
    struct pcpu *p = arch_this_cpu();

    if (!p)
        return;
    l->owner = (uint16_t)(p->id + 1);
    p->lock_ranks |= 1u << l->rank;
}

void spin_note_released(spinlock_t *l)
{
    struct pcpu *p = arch_this_cpu();

    l->owner = 0;
    if (p)
        p->lock_ranks &= ~(1u << l->rank);
}

void spin_lock_pair(spinlock_t *a, spinlock_t *b)
{
    if (a > b) {
        spinlock_t *t = a;
        a = b;
        b = t;
    }
    spin_lock(a);
    if (a != b)
        spin_take(b);
}

void spin_unlock_pair(spinlock_t *a, spinlock_t *b)
{
    if (a != b)
        spin_drop(b);
    spin_unlock(a);
}

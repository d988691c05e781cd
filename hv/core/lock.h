/* SPDX-License-Identifier: MIT */
/*
 * Spin locks with ranks.
 *
 * The hypervisor runs with interrupts off from entry to exit, so a lock never has to say whether
 * interrupts may take it. In exchange a CPU that waits for a lock keeps serving the cross-CPU calls
 * of others (arch_poll), otherwise a holder that waits for a TLB shootdown would wait for ever.
 *
 * A CPU takes locks in rising rank only; two locks of one rank need spin_lock_pair(), which orders
 * them by address. Debug builds check both.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The one list of lock ranks, outermost first. */
enum lock_rank {
    RANK_DOMCTL = 1, /* one control operation at a time */
    RANK_DOMAIN,     /* a domain's life cycle, settings, vCPU array */
    RANK_DEVICE,     /* an HVM domain's emulated devices and device models */
    RANK_PTABLE,     /* a PV domain's page tables */
    RANK_GRANT,      /* a domain's grant table */
    RANK_EVTCHN,     /* a domain's event channels */
    RANK_PIRQ,       /* machine interrupts bound to guests */
    RANK_IRQ,        /* one interrupt source's state */
    RANK_EVTQUEUE,   /* a vCPU's queues of events */
    RANK_P2M,        /* a hardware-assisted domain's physical memory */
    RANK_PAGELIST,   /* a domain's list of frames and its totals */
    RANK_VCPU,       /* a vCPU's timers and pause state */
    RANK_SCHED,      /* a CPU's run queue */
    RANK_CORE,       /* which domain has a core */
    RANK_CAP,        /* what a domain may run under its cap */
    RANK_TIMER,      /* a CPU's timer heap */
    RANK_DOMLIST,    /* the list of domains and domain ids: nothing is taken inside */
    RANK_HEAP,       /* the frame allocator */
    RANK_POOL,       /* an object pool */
    RANK_VMAP,       /* hypervisor virtual address space */
    RANK_MACHINE,    /* RTC, PCI configuration ports, I/O APIC windows */
    RANK_CONSOLE,    /* console ring and UART */
    RANK_MAX
};

typedef struct spinlock {
    uint16_t next;    /* the ticket that the next one to come draws; atomic */
    uint16_t serving; /* whose turn it is; equal to `next`: free; atomic */
    uint16_t rank;
    uint16_t owner; /* CPU + 1 while held, for the watchdog's report */
} spinlock_t;

#define SPINLOCK_INIT(r) \
    {                    \
        .rank = (r)      \
    }

static inline void spin_init(spinlock_t *l, enum lock_rank rank)
{
    *l = (spinlock_t)SPINLOCK_INIT((uint16_t)rank);
}

/* The slow half of spin_lock: waits for its ticket's turn, serving other CPUs' calls. */
void spin_wait(spinlock_t *l, uint16_t ticket);
/* Debug builds: rank order before, owner and held ranks after. */
void spin_check_order(const spinlock_t *l);
void spin_note_taken(spinlock_t *l);
void spin_note_released(spinlock_t *l);

#ifdef ORLOP_DEBUG
#define SPIN_DEBUG(call) call
#else
#define SPIN_DEBUG(call) ((void)0)
#endif

/* The taking alone, in the order in which CPUs came: one that batches must not starve others. */
static inline void spin_take(spinlock_t *l)
{
    uint16_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_ACQUIRE);

    if (__builtin_expect(__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket, 0))
        spin_wait(l, ticket);
}

static inline void spin_drop(spinlock_t *l)
{
    __atomic_store_n(&l->serving, (uint16_t)(l->serving + 1), __ATOMIC_RELEASE);
}

/* Takes `l`, waiting as long as it must; panics in a debug build after five seconds. */
static inline void spin_lock(spinlock_t *l)
{
    SPIN_DEBUG(spin_check_order(l));
    spin_take(l);
    SPIN_DEBUG(spin_note_taken(l));
}

/* Takes `l` if it is free now; rank order is not checked, since it cannot wait. */
static inline bool spin_trylock(spinlock_t *l)
{
    uint16_t ticket = __atomic_load_n(&l->serving, __ATOMIC_ACQUIRE), free = ticket;

    if (!__atomic_compare_exchange_n(&l->next, &free, (uint16_t)(ticket + 1), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    SPIN_DEBUG(spin_note_taken(l));
    return true;
}

static inline void spin_unlock(spinlock_t *l)
{
    SPIN_DEBUG(spin_note_released(l));
    spin_drop(l);
}

/* Takes two locks of the same rank in address order; a == b takes it once. */
void spin_lock_pair(spinlock_t *a, spinlock_t *b);
void spin_unlock_pair(spinlock_t *a, spinlock_t *b);
/* After a panic: every lock lets everyone through. */
void spin_break_all(void);
/* True if some CPU holds `l`: for assertions only. */
static inline bool spin_is_locked(const spinlock_t *l)
{
    return __atomic_load_n(&l->next, __ATOMIC_RELAXED) !=
           __atomic_load_n(&l->serving, __ATOMIC_RELAXED);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One p2m, a thread for each CPU, under ThreadSanitizer: two vCPUs of the domain look without a
 * lock (p2m_peek, p2m_get) and change it; a vCPU of another domain takes references. Each frame
 * says in its first word which guest frame it was placed at: who finds it through the p2m may never
 * read another word, whatever the others take away, split, merge and give to the allocator
 * meanwhile.
 *
 *   p2m_threads [-s seed] [-n steps]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/errno.h>

#include "host/host.h"
#include "model/stream.h"
#include "x86/mm/p2m.h"
#include "x86/mm/paging.h"

#define CPUS 3
#define SPAN 1024u
#define RAM 1600

static uint64_t seed = 1;
static unsigned int steps = 10000;
static struct domain *d, *other;
static struct p2m p2m;
static uint32_t arrived;                          /* atomic */
static uint64_t found, placed, removed, failures; /* atomic */

void *direct(uint64_t pa)
{
    return arch_map(MFN(pa >> PAGE_SHIFT));
}

uint64_t direct_pa(const void *p)
{
    return arch_unmap(p).v << PAGE_SHIFT;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void flush(struct domain *of)
{
    (void)of;
    arch_call_others(&cpumask_all, nothing, NULL);
}

static const struct p2m_hooks hooks = { .flush = flush };

static void bump(uint64_t *what)
{
    __atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static void expect_word(mfn_t mfn, uint64_t gfn, const char *how)
{
    uint64_t word = __atomic_load_n((uint64_t *)arch_map(mfn), __ATOMIC_RELAXED);

    bump(&found);
    if (word == gfn + 1)
        return;
    bump(&failures);
    printf("%s of guest frame %lu finds frame %lu with the word %lu\n", how, gfn, mfn.v, word);
}

/* A while in which others get on, and which is no poll. */
static void linger(void)
{
    for (unsigned int i = 0; i < 3; i++)
        sched_yield();
}

/* Between the look at an entry and the reference: the linker sends calls from other files here. */
bool __real_frame_get(struct frame *f, const struct domain *of);
bool __wrap_frame_get(struct frame *f, const struct domain *of);
bool __wrap_frame_get(struct frame *f, const struct domain *of)
{
    linger();
    return __real_frame_get(f, of);
}

static void place(uint64_t gfn, unsigned int order)
{
    struct frame *f = frame_alloc_for(d, order, 0);

    if (!f)
        return;
    for (uint64_t i = 0; i < 1ul << order; i++)
        __atomic_store_n((uint64_t *)arch_map(mfn_add(frame_mfn(f), i)), gfn + i + 1,
                         __ATOMIC_RELAXED);
    if (frame_assign(f, order, d)) {
        frame_free(f, order);
        return;
    }
    if (p2m_place(&p2m, GFN(gfn), frame_mfn(f), order, P2M_RAM) == 0) {
        bump(&placed);
        return;
    }
    for (uint64_t i = 0; i < 1ul << order; i++)
        frame_release(f + i, d);
}

/* The rest of a large page, one by one: they become it. */
static void place_singly(uint64_t gfn)
{
    struct frame *f = frame_alloc_for(d, 9, 0);
    bool ok = f && frame_assign(f, 9, d) == 0;

    for (uint64_t i = 0; ok && i < 512; i++) {
        __atomic_store_n((uint64_t *)arch_map(mfn_add(frame_mfn(f), i)), gfn + i + 1,
                         __ATOMIC_RELAXED);
        if (p2m_place(&p2m, GFN(gfn + i), mfn_add(frame_mfn(f), i), 0, P2M_RAM))
            frame_release(f + i, d);
    }
    if (f && !ok)
        frame_free(f, 9);
}

static void take_away(uint64_t gfn, unsigned int order)
{
    struct p2m_entry was;

    if (p2m_remove(&p2m, GFN(gfn), MFN_NONE, order, &was))
        return;
    p2m_sync(&p2m);
    bump(&removed);
    for (uint64_t i = 0; i < 1ul << was.order; i++) {
        mfn_t mfn = mfn_add(was.mfn, i);

        if (!frame_release(frame_of(mfn), d))
            bump(&failures);
    }
}

static void step(uint64_t word)
{
    uint64_t gfn = word % SPAN;
    struct p2m_entry e;
    mfn_t mfn;

    switch ((word >> 32) % 16) {
    case 0:
        place(gfn & ~511ul, 9);
        break;
    case 1:
        place(gfn, 0);
        break;
    case 2:
        take_away(gfn, 0);
        break;
    case 3:
        take_away(gfn & ~511ul, 9);
        break;
    case 4:
        if (word >> 60 == 0)
            place_singly(gfn & ~511ul);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        if (arch_this_cpu()->current->domain == d && p2m_peek(&p2m, GFN(gfn), true, &mfn)) {
            linger();
            expect_word(mfn, gfn, "a look");
        }
        break;
    default:
        if (p2m_get(&p2m, GFN(gfn), P2M_WRITE, &e) == 0) {
            expect_word(e.mfn, gfn, "a reference");
            host_exit_path(); /* others may go on; the frame stays what it is */
            expect_word(e.mfn, gfn, "a reference kept");
            frame_put(frame_of(e.mfn));
        }
    }
}

static void *cpu_thread(void *arg)
{
    unsigned int id = (unsigned int)(uintptr_t)arg;
    struct rng r = { seed * 1000 + id };

    host_be(id);
    arch_this_cpu()->current = id < 2 ? d->vcpu[id] : other->vcpu[0];
    for (unsigned int i = 0; i < steps; i++) {
        step(rng_next(&r));
        host_exit_path();
    }
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < CPUS) /* answers the others' calls */
        arch_poll();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t cpus[CPUS];
    uint64_t free_before;
    bool bad;
    int opt;

    while ((opt = getopt(argc, argv, "s:n:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = (unsigned int)atoi(optarg);
        else
            return 2;
    }
    host_boot(RAM, CPUS);
    d = host_domain(1, 2, 0, false);
    other = host_domain(2, 1, 0, false);
    free_before = frame_free_count();
    if (p2m_init(&p2m, d, &p2m_npt, &hooks, P2M_ORDER_2M, 64))
        return 1;
    for (unsigned int i = 0; i < CPUS; i++)
        host_cpus[i].alive = 1;
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_create(&cpus[i], NULL, cpu_thread, (void *)(uintptr_t)i);
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_join(cpus[i], NULL);
    for (unsigned int i = 0; i < CPUS; i++)
        host_cpus[i].alive = 0;
    host_be(0);
    bad = p2m_audit(&p2m) != 0;
    while (p2m_teardown(&p2m) == -XEN_EAGAIN)
        pcpu_gave_way(arch_this_cpu());
    while (d->page_list)
        if (!frame_release(&frame_table[d->page_list], d))
            break;
    bad |= d->page_list != 0 || frame_free_count() != free_before || failures || !found || !removed;
    printf("%s p2m_threads: %u steps a CPU from seed %lu: %lu found, %lu placed, %lu removed\n",
           bad ? "FAIL" : "ok", steps, (unsigned long)seed, found, placed, removed);
    return bad;
}

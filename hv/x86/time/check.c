/* SPDX-License-Identifier: MIT */
/* Measures for stable.c: between CPUs at bring-up, against the reference clock then and later. */
#include "core/arch.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/time/tsc.h"

#define WARP_LOOKS 1000 /* of each CPU, while the other one looks too */
#define WARP_LOOKS_MAX 1000000
#define PARTNER_WAIT_US 1000000
#define WINDOW_US 1000 /* the shortest interval that is compared */

enum { PAIR_IDLE, PAIR_AP_READY, PAIR_RUN };

/* One pair of CPUs at a time. */
static struct {
    uint32_t state; /* atomic */
    uint32_t lock;  /* atomic; not a spinlock_t: nothing else may happen while it is waited for */
    uint64_t last;  /* [lock] the TSC that was read last */
    uint64_t max_warp;  /* [lock] */
    uint32_t looks[2];  /* atomic: first CPU's, other's */
    uint32_t done;      /* atomic: CPUs through with their looks */
    unsigned int pairs; /* first CPU's */
} warp;

static bool stable; /* atomic */
static struct tsc_watch watch;
static struct clock_sample last_sample;
static struct timer check_timer[MAX_CPUS];

/* Time by the reference clock, once the TSC is found unstable. */
static struct {
    spinlock_t lock;
    uint64_t ref;   /* [lock] last reading */
    uint64_t ticks; /* [lock] since base_ns */
    uint64_t base_ns;
} plat = { .lock = SPINLOCK_INIT(RANK_MACHINE) };

static uint64_t rdtsc_ordered(void)
{
    __asm__ volatile("lfence" ::: "memory");
    return rdtsc();
}

static void warp_look(void)
{
    uint64_t now, prev;

    while (__atomic_exchange_n(&warp.lock, 1, __ATOMIC_ACQUIRE))
        cpu_pause();
    now = rdtsc_ordered();
    prev = warp.last;
    warp.last = now;
    if (prev > now && prev - now > warp.max_warp)
        warp.max_warp = prev - now;
    __atomic_store_n(&warp.lock, 0, __ATOMIC_RELEASE);
}

/* Both look until both have looked often enough: a pair that never ran at once proves nothing. */
static void warp_run(unsigned int me)
{
    for (unsigned int i = 0; i < WARP_LOOKS_MAX; i++) {
        warp_look();
        if (__atomic_add_fetch(&warp.looks[me], 1, __ATOMIC_RELAXED) >= WARP_LOOKS &&
            __atomic_load_n(&warp.looks[!me], __ATOMIC_RELAXED) >= WARP_LOOKS)
            break;
    }
    __atomic_add_fetch(&warp.done, 1, __ATOMIC_ACQ_REL);
}

static bool wait_state(uint32_t wanted)
{
    for (unsigned int us = 0; us < PARTNER_WAIT_US; us += 10) {
        if (__atomic_load_n(&warp.state, __ATOMIC_ACQUIRE) == wanted)
            return true;
        tsc_delay_us(10);
    }
    return false;
}

void tsc_sync_bsp(void)
{
    if (!wait_state(PAIR_AP_READY))
        return;
    warp.looks[0] = warp.looks[1] = 0;
    warp.done = 0;
    warp.last = 0;
    __atomic_store_n(&warp.state, PAIR_RUN, __ATOMIC_RELEASE);
    warp_run(0);
    while (__atomic_load_n(&warp.done, __ATOMIC_ACQUIRE) < 2)
        cpu_pause();
    warp.pairs++;
    __atomic_store_n(&warp.state, PAIR_IDLE, __ATOMIC_RELEASE);
}

void tsc_sync_ap(void)
{
    uint32_t ready = PAIR_AP_READY;

    __atomic_store_n(&warp.state, PAIR_AP_READY, __ATOMIC_RELEASE);
    if (!wait_state(PAIR_RUN)) {
        /* Nobody came: take the offer back, unless it was accepted just now. */
        if (__atomic_compare_exchange_n(&warp.state, &ready, PAIR_IDLE, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return;
    }
    warp_run(1);
}

/* One interval against the reference clock, from `from` on. */
static struct clock_sample compare(struct clock_sample from, struct tsc_evidence *e)
{
    struct clock_sample to = tsc_sample(tsc_ref);
    uint64_t tsc_ns, ref_ns;

    tsc_sample_interval(tsc_ref, from, to, &tsc_ns, &ref_ns);
    e->compared++;
    e->agreed += tsc_interval_agrees(tsc_ns, ref_ns);
    return to;
}

/* Two intervals: since system time began, if the counter has not wrapped, and one of our own. */
static void compare_twice(struct tsc_evidence *e)
{
    uint64_t wrap_ns = muldiv64(tsc_ref->mask, NS_PER_SEC, tsc_ref->hz);
    struct clock_sample at = tsc_first;
    uint64_t age = arch_now();

    if (age > wrap_ns / 2)
        at = tsc_sample(tsc_ref);
    if (age > wrap_ns / 2 || age < WINDOW_US * 1000)
        tsc_delay_us(WINDOW_US);
    at = compare(at, e);
    tsc_delay_us(WINDOW_US);
    last_sample = compare(at, e);
}

static uint64_t plat_now(void)
{
    uint64_t ref, ns;

    spin_lock(&plat.lock);
    ref = tsc_ref->read();
    plat.ticks += ref_elapsed(tsc_ref, plat.ref, ref);
    plat.ref = ref;
    ns = plat.base_ns + muldiv64(plat.ticks, NS_PER_SEC, tsc_ref->hz);
    spin_unlock(&plat.lock);
    return ns;
}

/* Each second on each CPU while the TSC is unstable: its record follows the reference clock. */
static void renew_cpu(void *arg)
{
    struct pcpu *p = arg;
    struct vcpu *v = p->current;

    tsc_rebase_cpu(rdtsc(), plat_now());
    if (p->id == 0)
        clock_changed();
    else if (v && v->domain)
        clock_update_vcpu(v);
    timer_set(&check_timer[p->id], p, arch_now() + NS_PER_SEC);
}

static void go_unstable(void)
{
    tsc_make_unstable();
    __atomic_store_n(&stable, false, __ATOMIC_SEQ_CST);
    clock_changed();
    if (!tsc_ref)
        return;
    plat.ref = tsc_ref->read();
    plat.base_ns = arch_now();
    for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++) {
        struct pcpu *p = __atomic_load_n(&pcpus[cpu], __ATOMIC_ACQUIRE);

        if (!p)
            continue;
        timer_stop(&check_timer[cpu]);
        timer_init(&check_timer[cpu], renew_cpu, p);
        timer_set(&check_timer[cpu], p, plat.base_ns);
    }
}

/* Each second on the first CPU while the TSC is stable. */
static void check_second(void *arg)
{
    struct pcpu *p = arg;
    struct clock_sample now = tsc_sample(tsc_ref);
    uint64_t tsc_ns, ref_ns;
    bool ends;

    tsc_sample_interval(tsc_ref, last_sample, now, &tsc_ns, &ref_ns);
    last_sample = now;
    /* A machine stopped for longer than the counter takes to wrap tells nothing. */
    ends = tsc_ns < muldiv64(tsc_ref->mask, NS_PER_SEC, tsc_ref->hz) / 2 &&
           tsc_watch_interval(&watch, tsc_ns, ref_ns);
    if (ends) {
        log_err("TSC: %llu ns while %s counted %llu: unstable from now on",
                (unsigned long long)tsc_ns, tsc_ref->name, (unsigned long long)ref_ns);
        go_unstable();
        return;
    }
    timer_set(&check_timer[p->id], p, arch_now() + NS_PER_SEC);
}

void tsc_settle(const char *option)
{
    struct tsc_evidence e = { .invariant = cpu_feat.invariant_tsc,
                              .cpus = nr_pcpus,
                              .pairs = warp.pairs,
                              .max_warp = warp.max_warp };
    struct tsc_verdict verdict;
    struct pcpu *self = arch_this_cpu();

    if (!tsc_parse_option(option, &e.option))
        log_warn("tsc=%s: not understood; stable or unstable", option);
    if (tsc_ref)
        compare_twice(&e);
    verdict = tsc_decide(&e);
    log_info("TSC: %s, %s (reference: %s)", verdict.stable ? "stable" : "unstable", verdict.why,
             tsc_reference());
    if (!verdict.stable) {
        go_unstable();
        return;
    }
    __atomic_store_n(&stable, true, __ATOMIC_SEQ_CST);
    clock_changed();
    /* Who says tsc=stable takes the responsibility for it. */
    if (!tsc_ref || e.option == TSC_FORCE_STABLE)
        return;
    timer_init(&check_timer[self->id], check_second, self);
    timer_set(&check_timer[self->id], self, arch_now() + NS_PER_SEC);
}

bool tsc_is_stable(void)
{
    return __atomic_load_n(&stable, __ATOMIC_RELAXED);
}

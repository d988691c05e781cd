/* SPDX-License-Identifier: MIT */
/*
 * The model test with a thread for each CPU, all at once, and one that rewrites the guests' memory
 * under them; for ThreadSanitizer. From time to time all stop and audit() looks.
 *
 *   threads [-s seed] [-n steps a round] [-r rounds] [-c]
 *
 * -c, or the name threads-cores: the first two CPUs are a core that runs one domain at a time, and
 * each CPU looks beside whom it is in guest mode.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/sched_core.h"
#include "model/ops.h"

#define CPUS 3

static uint64_t seed = 1;
static unsigned int steps = 1500, rounds = 4;
static uint32_t arrived; /* atomic: CPUs that finished the round, ever */
static uint32_t quiet;   /* atomic: of these, who began its last exit path, and ended it */
static uint32_t checked; /* atomic: rounds that were audited */
static uint32_t stop;
static unsigned int contradictions;

BY_GUEST static void take_upcall(struct vcpu *v)
{
    __atomic_store_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
}

/* Somebody is to be woken: the guests would do it by events. */
static void wake_somebody(struct rng *r)
{
    struct domain *d = model_dom[rng_below(r, MODEL_DOMAINS)];
    struct vcpu *v = d->vcpu[rng_below(r, MODEL_VCPUS)];

    take_upcall(v);
    vcpu_mark_events_pending(v);
}

static void run_round(unsigned int cpu, struct rng *r)
{
    for (unsigned int i = 0; i < steps; i++) {
        struct vcpu *v;

        host_exit_path();
        v = host_cpus[cpu].p.current;
        if (rng_below(r, 16) == 0)
            __atomic_fetch_add(&host_time, rng_below(r, 100000), __ATOMIC_RELAXED);
        if (v->domain) {
            model_step(v, rng_next(r));
        } else {
            wake_somebody(r);
            usleep(1);
        }
    }
}

static void *cpu_thread(void *arg)
{
    unsigned int cpu = (unsigned int)(uintptr_t)arg;
    struct rng r = { seed * 1000 + cpu };

    host_be(cpu);
    for (unsigned int round = 1; round <= rounds; round++) {
        run_round(cpu, &r);
        __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
        /* Others may still wait for this CPU: it goes on serving them. */
        while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < round * CPUS)
            host_exit_path();
        /* Nobody begins an exit path any more, but one that goes on may wait for an answer. */
        __atomic_fetch_add(&quiet, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&quiet, __ATOMIC_SEQ_CST) < round * CPUS)
            arch_poll();
        if (cpu == 0) {
            contradictions += audit();
            __atomic_store_n(&checked, round, __ATOMIC_SEQ_CST);
        }
        while (__atomic_load_n(&checked, __ATOMIC_SEQ_CST) < round)
            usleep(1);
    }
    return NULL;
}

/* A guest that changes its memory while the hypervisor reads it. */
BY_GUEST static void *scribbler(void *arg)
{
    struct rng r = { seed * 77 };

    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct domain *d = model_dom[rng_below(&r, MODEL_DOMAINS)];
        uint64_t where = rng_next(&r); /* mostly arguments; else where words of events may be */
        volatile uint8_t *p =
            where % 4 ? host_guest(d, HOST_PAGE(MODEL_PAGES - 1) + (where >> 8) % PAGE_SIZE)
                      : host_guest(d, HOST_PAGE((where >> 8) % MODEL_PAGES) + (where >> 16) % 96);

        *p = (uint8_t)rng_next(&r);
        if (rng_below(&r, 64) == 0)
            usleep(1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    bool cores = strstr(argv[0], "threads-cores") != NULL;
    pthread_t cpus[CPUS], noise;
    int opt;

    while ((opt = getopt(argc, argv, "s:n:r:c")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = (unsigned int)atoi(optarg);
        else if (opt == 'r')
            rounds = (unsigned int)atoi(optarg);
        else if (opt == 'c')
            cores = true;
        else
            return 2;
    }
    alarm(900);
    host_boot(2048, CPUS);
    if (cores) {
        host_threads = 2;
        sched_core_init();
    }
    model_setup();
    for (unsigned int i = 0; i < CPUS; i++)
        host_cpus[i].alive = 1;
    pthread_create(&noise, NULL, scribbler, NULL);
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_create(&cpus[i], NULL, cpu_thread, (void *)(uintptr_t)i);
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_join(cpus[i], NULL);
    stop = 1;
    pthread_join(noise, NULL);
    if (host_beside)
        printf("two domains were on one core %u times\n", host_beside);
    contradictions += host_beside;
    printf("%s threads: %u CPUs, %u rounds of %u steps from seed %lu\n",
           contradictions ? "FAIL" : "ok", CPUS, rounds, steps, (unsigned long)seed);
    return contradictions != 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The PV model with a thread for each CPU: hypercalls really at once. Not repeatable, so it only
 * says what it saw. Now and then all stand still for the recount.
 *
 *   pv_threads [-s seed] [-t seconds]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/parked.h"
#include "model/pv_ops.h"

#define STEPS 300     /* between two recounts */
#define LIFE_ROUNDS 8 /* between two ends of a domain: its grant table has grown by then */

static uint64_t seed = 1;
static time_t end;
static unsigned int arrived, round_nr; /* atomic */
static bool over;

/* All threads come here; the last one does `work`. Who waits answers cross-calls. */
static void meet(void (*work)(void))
{
    unsigned int this_round = __atomic_load_n(&round_nr, __ATOMIC_ACQUIRE);

    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) < PV_CPUS) {
        while (__atomic_load_n(&round_nr, __ATOMIC_ACQUIRE) == this_round)
            arch_poll();
        return;
    }
    work();
    __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&round_nr, this_round + 1, __ATOMIC_RELEASE);
}

static void recount(void)
{
    pv_threaded = false; /* all stand still */
    pv_check_tlbs();
    pv_threaded = true;
    if (audit())
        pv_fail("audit after round %u, seed %lu", round_nr, (unsigned long)seed);
    if (round_nr % LIFE_ROUNDS == 0) {
        pv_model_seed(round_nr + seed);
        pv_model_end_one(1 + round_nr / LIFE_ROUNDS % (PV_DOMAINS - 1));
    }
    over = time(NULL) >= end;
}

static void *play(void *arg)
{
    unsigned int cpu = (unsigned int)(uintptr_t)arg;
    struct rng r = { seed * PV_CPUS + cpu };

    host_be(cpu);
    __atomic_store_n(&host_cpus[cpu].alive, 1, __ATOMIC_RELEASE);
    do {
        for (unsigned int i = 0; i < STEPS; i++) {
            uint64_t word = rng_next(&r);
            pv_model_seed(word);
            pv_model_step_here(word);
            arch_poll();
        }
        meet(recount);
    } while (!over);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *env = getenv("PV_MODEL_SECONDS");
    unsigned int seconds = env ? (unsigned int)atoi(env) : 8;
    pthread_t threads[PV_CPUS];
    int opt;

    while ((opt = getopt(argc, argv, "s:t:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 't')
            seconds = (unsigned int)atoi(optarg);
        else
            return 2;
    }
    end = time(NULL) + seconds;
    pv_threaded = true;
    spec_choice.tags = seed % 4 != 0;
    step_order = 1; /* extents of 4 frames wait for their calls */
    pv_machine_boot(false);
    pv_model_setup();
    for (unsigned int i = 0; i < PV_CPUS; i++)
        if (pthread_create(&threads[i], NULL, play, (void *)(uintptr_t)i))
            abort();
    for (unsigned int i = 0; i < PV_CPUS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned int i = 0; i < PV_CPUS; i++)
        host_cpus[i].alive = 0;
    pv_model_teardown();
    if (audit())
        pv_fail("audit after the domains' end");
    printf("ok PV model, %u threads: %u rounds of %u steps each\n", PV_CPUS, round_nr, STEPS);
    return 0;
}

/*
 * Guests look at what they have no business to, and write what others read: here in the names of
 * these functions, while the hypervisor has to cope with it.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:is_own\nrace:own_frame\nrace:slot_frame\nrace:slot_entry\nrace:op_unpin_all\n"
           "race:op_ptwr\nrace:offer_grant\nrace:fill_table\nrace:writable_slot\nrace:op_gdt\n"
           "race:op_ldt\nrace:put_args\nrace:get_args\nrace:op_switch\nrace:pv_machine.c\n"
           "race:copy_user\nrace:paging_show_m2p\nrace:hv/core/heap.c\n"
           "race:hot_frame\nrace:op_peek\nrace:op_grow\nrace:strange_frame\n"
           "race:grant_copy\nrace:grant_swap\nrace:move_info\nrace:op_register_info\n";
}

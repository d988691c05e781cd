/* SPDX-License-Identifier: MIT */
/*
 * Event channels between domains that die and come again while others bind, send and close: a
 * thread for each CPU, under ThreadSanitizer. Each domain has the 2-level or the FIFO form as it
 * likes. At the end nothing is left over, on either side.
 *
 *   events [-s seed] [-n steps]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/evtchn.h"
#include "host/host.h"
#include "model/stream.h"

#define CPUS 3
#define GUESTS 4 /* ids 1 to 4; Dom0 does not die */
#define PORTS 40
#define PAGES 4

static uint64_t seed = 1;
static unsigned int steps = 20000;
static uint64_t page[GUESTS + 1][PAGES]; /* atomic: of the domain of that id */
static pthread_mutex_t domctl = PTHREAD_MUTEX_INITIALIZER;
static unsigned int deaths, bound, sent; /* atomic */
static uint32_t arrived;                 /* atomic: CPUs that made all their steps */

static void count(unsigned int *what, int rc)
{
    if (rc == 0)
        __atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static void create(domid_t id)
{
    struct domain *d = host_domain(id, 2, PAGES, id == 0);

    for (unsigned int i = 0; i < PAGES; i++)
        __atomic_store_n(&page[id][i], host_guest_gfn(d, i), __ATOMIC_SEQ_CST);
}

/* The whole end of a domain, until its id is free. [domctl] */
static void destroy(domid_t id)
{
    struct domain *d = domain_get(id);

    do {
        pcpu_gave_way(arch_this_cpu());
        arch_this_cpu()->work_left = 1;
        host_exit_path();
    } while (domain_kill(d));
    domain_put(d);
    for (; (d = domain_get(id)) != NULL; domain_put(d)) {
        host_exit_path();
        sched_yield();
    }
    count(&deaths, 0);
}

static void die_and_return(domid_t id)
{
    if (pthread_mutex_trylock(&domctl))
        return;
    destroy(id);
    create(id);
    pthread_mutex_unlock(&domctl);
}

/* Somebody's frame: mostly d's own. */
static uint64_t some_page(struct rng *r, const struct domain *d)
{
    unsigned int id = rng_below(r, 8) ? d->id : (unsigned int)rng_below(r, GUESTS + 1);

    return __atomic_load_n(&page[id][rng_below(r, PAGES)], __ATOMIC_SEQ_CST);
}

/* d does one thing, for or with `other`. Both are referenced, both may be dying. */
static void act(struct rng *r, struct domain *d, struct domain *other)
{
    evtchn_port port = (evtchn_port)rng_below(r, PORTS), new;
    struct evtchn_status st = { .port = port };

    switch (rng_below(r, 16)) {
    case 0:
        evtchn_alloc_unbound(d, other->id, &new);
        break;
    case 1:
    case 2:
    case 3:
        count(&bound, evtchn_bind_interdomain(d, other, port, &new));
        break;
    case 4:
        evtchn_close(d, port);
        break;
    case 5:
        evtchn_bind_ipi(d, (unsigned int)rng_below(r, 3), &new);
        break;
    case 6:
        evtchn_bind_virq(d, VIRQ_TIMER, (unsigned int)rng_below(r, 2), &new);
        break;
    case 7:
        evtchn_status(other, &st);
        break;
    case 8:
        evtchn_bind_vcpu(d, port, (unsigned int)rng_below(r, 2));
        evtchn_set_priority(d, port, (unsigned int)rng_below(r, 16));
        break;
    case 9:
        evtchn_init_control(d, (unsigned int)rng_below(r, 2), some_page(r, d), 128);
        evtchn_expand_array(d, some_page(r, d));
        break;
    case 10:
        evtchn_unmask(d, port);
        evtchn_is_pending(d, port);
        break;
    case 11:
        if (rng_below(r, 30) == 0)
            evtchn_reset(d, rng_below(r, 2));
        break;
    default: {
        /* Who sends is the current vCPU of its CPU: several threads would share a real one's. */
        struct vcpu caller = { .domain = d, .cpu = arch_this_cpu() };

        count(&sent, evtchn_send(&caller, port));
    }
    }
}

static void *cpu_thread(void *arg)
{
    struct rng r = { seed * 1000 + (uintptr_t)arg };

    host_be((unsigned int)(uintptr_t)arg);
    for (unsigned int i = 0; i < steps; i++) {
        struct domain *d = domain_get((domid_t)rng_below(&r, GUESTS + 1));
        struct domain *other = domain_get((domid_t)rng_below(&r, GUESTS + 1));

        host_exit_path();
        pcpu_gave_way(arch_this_cpu());
        if (d && other && !domain_dying(d)) /* a dying domain's own vCPUs do not run */
            act(&r, d, other);
        if (d)
            domain_put(d);
        if (other)
            domain_put(other);
        if (rng_below(&r, 200) == 0)
            die_and_return((domid_t)(1 + rng_below(&r, GUESTS)));
    }
    /* Others may still wait for this CPU, or for what it was asked to do. */
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < CPUS) {
        host_exit_path();
        usleep(1);
    }
    return NULL;
}

/* Domains' memory and ports are back; Dom0's records of ports stay. */
static bool clean_up(uint64_t before)
{
    struct evtchn_status st = { 0 };
    bool ok;

    host_be(0);
    ok = audit() == 0;
    for (domid_t id = 1; id <= GUESTS; id++)
        destroy(id);
    ok &= audit() == 0;
    for (st.port = 1; st.port < PORTS; st.port++)
        ok &= evtchn_status(dom0, &st) == 0 &&
              (st.status != EVTCHNSTAT_interdomain || st.u.interdomain.dom == 0); /* to itself */
    while (evtchn_reset(dom0, true))
        pcpu_gave_way(arch_this_cpu());
    for (unsigned int i = 0; i < PAGES; i++)
        ok &= frame_typed(frame_of(host_guest_mfn(dom0, i))->state) == 1;
    if (frame_free_count() + 1 < before)
        ok = false;
    return ok && audit() == 0;
}

/* The test's own domains store the same values again. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:host_domain\nrace:frame_free_count\nrace:hv/core/"
           "heap.c\nrace:publish_time\n"
           "race:clock_publish_wallclock\n";
}

int main(int argc, char **argv)
{
    pthread_t cpus[CPUS];
    uint64_t before;
    bool ok;
    int opt;

    while ((opt = getopt(argc, argv, "s:n:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = (unsigned int)atoi(optarg);
        else
            return 2;
    }
    alarm(600);
    host_boot(2048, CPUS);
    host_mixed = true;
    create(0);
    before = frame_free_count();
    for (domid_t id = 1; id <= GUESTS; id++)
        create(id);
    for (unsigned int i = 0; i < CPUS; i++)
        host_cpus[i].alive = 1;
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_create(&cpus[i], NULL, cpu_thread, (void *)(uintptr_t)i);
    for (unsigned int i = 0; i < CPUS; i++)
        pthread_join(cpus[i], NULL);
    for (unsigned int i = 0; i < CPUS; i++)
        host_cpus[i].alive = 0;
    ok = clean_up(before);
    printf("%s events: %u domains died, %u channels, %u events sent, seed %lu\n",
           ok ? "ok" : "FAIL", deaths, bound, sent, (unsigned long)seed);
    return !ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * Who gets a core: a CPU decides by hints, and looks once more under the core's lock. Another CPU
 * takes the core at any point of that; never do both have it.
 */
#include "core/types.h"

#include "core/pcpu.h"
#include "core/sched_core.h"
#include "host/host.h"
#include "host/step.h"
#include "unit.h"

#define LONGEST 100000u /* instructions of one choice, at most */
#define STRIDE 7        /* what is between the two looks is longer */

static struct domain *a, *b;
static unsigned int instruction; /* before which the other CPU does its worst */
static unsigned int at;
static bool intruded;
static struct vcpu *mine, *theirs; /* who may run now, by this CPU's choice and the other's */

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 3);
    host_threads = 3;
    sched_core_init();
    a = host_domain(0, 2, 4, true);
    b = host_domain(1, 1, 4, false);
}

static struct vcpu *pick(unsigned int cpu, struct vcpu *v)
{
    struct pcpu *p = &host_cpus[cpu].p;
    struct vcpu *got;

    spin_lock(&p->rq.lock);
    got = core_pick(p, v, arch_now());
    spin_unlock(&p->rq.lock);
    return got;
}

static void drop(unsigned int cpu)
{
    struct pcpu *p = &host_cpus[cpu].p;

    spin_lock(&p->rq.lock);
    core_drop(p);
    spin_unlock(&p->rq.lock);
}

/* Is it the moment? Not while this CPU has the core's lock: then the other one would wait. */
static bool now_or_soon(void)
{
    if (intruded || ++at < instruction || spin_is_locked(&host_cpus[0].p.core->lock))
        return false;
    host_step_over();
    return intruded = true;
}

static void take_too(void *arg)
{
    (void)arg;
    if (now_or_soon())
        theirs = pick(1, b->vcpu[0]);
}

static void leave_and_take(void *arg)
{
    (void)arg;
    if (!now_or_soon())
        return;
    drop(1);
    host_be(2);
    theirs = pick(2, b->vcpu[0]);
}

static void choose(void *arg)
{
    mine = pick(0, arg);
}

/*
 * CPU 0 chooses v while another one intrudes before one of its instructions, a later one each time.
 * `beside`: a's second vCPU runs on CPU 1 before.
 */
static void try_all(struct vcpu *v, void (*intrude)(void *), bool beside)
{
    unsigned int got = 0, lost = 0, both = 0;

    for (instruction = 1, intruded = true; intruded; instruction += STRIDE) {
        mine = theirs = NULL;
        at = 0;
        intruded = false;
        host_be(1);
        if (beside)
            CHECK(pick(1, a->vcpu[1]) == a->vcpu[1]);
        host_be(0);
        host_step(choose, intrude, v, 1);
        both += mine && theirs;
        got += mine != NULL;
        lost += theirs != NULL;
        for (unsigned int i = 0; i < 3; i++) {
            host_be(i);
            drop(i);
        }
        if (instruction >= LONGEST)
            break;
    }
    CHECK_EQ(both, 0);
    CHECK(got > 1 && lost > 1 && instruction < LONGEST);
}

TEST(a_free_core)
{
    try_all(a->vcpu[0], take_too, false);
}

TEST(a_core_of_its_own_domain)
{
    try_all(a->vcpu[0], leave_and_take, true);
}

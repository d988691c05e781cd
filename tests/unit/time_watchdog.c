/* SPDX-License-Identifier: MIT */
/* The beat of each CPU: it is counted, and a call whose interrupt was lost is answered by it. */
#include "machine.h"

#include "core/timer.h"

static struct x86_pcpu cpu;
struct pcpu *pcpus[MAX_CPUS] = { &cpu.p };
unsigned int nr_pcpus = 1;
static void (*fn)(void *arg);
static uint64_t due;
static unsigned int polls, mc_polls;

void timer_init(struct timer *t, void (*f)(void *), void *arg)
{
    CHECK(t == &cpu.watch.timer && arg == &cpu);
    fn = f;
}

void timer_set(struct timer *t, struct pcpu *p, uint64_t deadline)
{
    CHECK(t == &cpu.watch.timer && p == &cpu.p);
    due = deadline;
}

uint64_t arch_now(void)
{
    return 5000;
}

void arch_poll(void)
{
    polls++;
}

void mc_poll(void)
{
    mc_polls++;
}

#define this_x86() (&cpu)
#include "x86/cpu/watchdog.c"

TEST(a_beat)
{
    watchdog_start_cpu();
    for (unsigned int i = 1; i <= 8; i++) {
        CHECK_EQ(due, 5000 + BEAT_NS);
        due = 0;
        fn(&cpu);
        CHECK_EQ(cpu.p.heartbeat, i);
        CHECK_EQ(polls, i);
    }
    CHECK_EQ(due, 5000 + BEAT_NS);
    CHECK_EQ(mc_polls, 1);
}

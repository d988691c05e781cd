/* SPDX-License-Identifier: MIT */
/* Each CPU writes its own count and reads one other's; both are atomic, there are no locks. */
#include "x86/cpu/watchdog.h"

#include "core/arch.h"
#include "core/bug.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/mc.h"

#define BEAT_NS 1000000000ull
#define LIMIT_BEATS 10
#define LIMIT_NS (LIMIT_BEATS * BEAT_NS)
#define MC_POLL_BEATS 8

/* The next CPU in order; the last one watches the first. */
static void look_at_neighbour(struct x86_pcpu *xp)
{
    const struct pcpu *next = pcpus[(xp->p.id + 1) % nr_pcpus];
    uint64_t seen;

    if (!next || next == &xp->p)
        return;
    seen = __atomic_load_n(&next->heartbeat, __ATOMIC_RELAXED);
    if (seen != xp->watch.seen) {
        xp->watch.seen = seen;
        xp->watch.missed = 0;
    } else if (seen && ++xp->watch.missed >= LIMIT_BEATS) {
        panic("CPU %u has been stuck in the hypervisor for %u seconds", next->id, xp->watch.missed);
    }
}

static void beat(void *arg)
{
    struct x86_pcpu *xp = arg;

    __atomic_store_n(&xp->p.heartbeat, xp->p.heartbeat + 1, __ATOMIC_RELAXED);
    look_at_neighbour(xp);
    arch_poll(); /* a call whose interrupt got lost costs its caller a second, and no panic */
    if (xp->p.heartbeat % MC_POLL_BEATS == 0)
        mc_poll();
    timer_set(&xp->watch.timer, &xp->p, arch_now() + BEAT_NS);
}

void watchdog_start_cpu(void)
{
    struct x86_pcpu *xp = this_x86();

    timer_init(&xp->watch.timer, beat, xp);
    timer_set(&xp->watch.timer, &xp->p, arch_now() + BEAT_NS);
}

void watchdog_waiting(struct patience *p, const char *what)
{
    uint64_t now;

    if (++p->turns % 65536 != 0)
        return;
    now = arch_now();
    if (!p->since)
        p->since = now;
    else if (now - p->since > LIMIT_NS)
        panic("CPU %u waited for ten seconds for %s", this_cpu_id(), what);
}

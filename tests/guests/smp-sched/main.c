/* SPDX-License-Identifier: MIT */
/*
 * Seven vCPUs on four CPUs bring each other down and up, send each other NMIs, yield and poll. A
 * vCPU that ran on two CPUs at once would lose count; one that is lost never ends; each keeps its
 * registers wherever it goes.
 */
#include "guest.h"

#define MS 1000000ul
#define VCPUS 7

static volatile bool go, stop;
static volatile uint64_t counts[VCPUS][8];
static volatile unsigned int wrong, wrong_state;
static unsigned long nmis;

static uint64_t next(uint64_t *r)
{
    *r = *r * 6364136223846793005ul + 1442695040888963407ul;
    return *r >> 33;
}

static bool swallow(struct regs *r)
{
    if (r->vector != VEC_NMI && r->vector != VEC_NMI_CALLBACK)
        return false;
    __atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
    return true;
}

static void poll_briefly(void)
{
    struct sched_poll poll = { .timeout = system_time() + MS / 10 };

    hc_sched_op(SCHEDOP_poll, &poll);
}

/* Something to another vCPU, never down with the first. */
static void disturb(unsigned int self, uint64_t *r)
{
    unsigned int other = (unsigned int)(1 + next(r) % (VCPUS - 1));

    switch (next(r) % 8) {
    case 0:
    case 1:
        hc_vcpu_op(VCPUOP_send_nmi, other, NULL);
        break;
    case 2:
        if (other == self)
            break;
        hc_vcpu_op(VCPUOP_down, other, NULL);
        hc_vcpu_op(VCPUOP_up, other, NULL);
        break;
    case 3:
        poll_briefly();
        break;
    default:
        hc_sched_op(SCHEDOP_yield, NULL);
    }
}

static uint64_t own[VCPUS][2];

/* Registers that only the switch between vCPUs moves. */
static void load_state(uint64_t id)
{
    uint64_t xmm[2] = { id * 0x1111111111111111, ~id };

    own[id][0] = id + 100;
    own[id][1] = id + 200;
    __asm__ volatile("movdqu %0, %%xmm5; fninit; fildll %1" : : "m"(xmm), "m"(own[id][0]));
    hc_set_segment_base(SEGBASE_FS, (uint64_t)&own[id][0]);
    hc_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)&own[id][1]);
    hc_set_debugreg(3, 0x1000 * (id + 1));
}

static void check_state(uint64_t id)
{
    uint64_t xmm[2], n, fs, gs;

    __asm__ volatile("movdqu %%xmm5, %0; fistpll %1; fildll %1" : "=m"(xmm), "=m"(n));
    __asm__ volatile("mov %%fs:0, %0; mov %%gs:0, %1" : "=r"(fs), "=r"(gs));
    wrong_state += xmm[0] != id * 0x1111111111111111 || xmm[1] != ~id || n != id + 100 ||
                   fs != id + 100 || gs != id + 200 ||
                   hc_get_debugreg(3) != (long)(0x1000 * (id + 1));
}

static void work(unsigned int id)
{
    uint64_t r = id + 1, mine = 0;

    load_state(id);
    while (!go) /* cpu_start() wants nobody else to bring its vCPU up */
        hc_sched_op(SCHEDOP_yield, NULL);
    while (!stop) {
        check_state(id);
        wrong += counts[id][0] != mine;
        counts[id][0] = ++mine;
        disturb(id, &r);
    }
}

static void worker(void *arg)
{
    (void)arg;
    work(this_cpu()->id);
}

static bool all_done(void)
{
    for (unsigned int i = 1; i < VCPUS; i++)
        if (!cpus[i]->ap_done)
            return false;
    return true;
}

void guest_main(void)
{
    struct account before;
    uint64_t end;

    account_take(&before);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    trap_hook = swallow;
    CHECK_EQ(vcpu_count(), VCPUS, "vCPUs");
    for (unsigned int i = 1; i < VCPUS; i++)
        CHECK(cpu_start(i, worker, NULL));
    go = true;
    end = system_time() + 4000 * MS;
    for (uint64_t r = 99; system_time() < end;)
        disturb(0, &r);
    stop = true;
    end = system_time() + 10000 * MS;
    while (!all_done() && system_time() < end) {
        for (unsigned int i = 1; i < VCPUS; i++)
            if (!cpus[i]->ap_done)
                hc_vcpu_op(VCPUOP_up, i, NULL);
        hc_sched_op(SCHEDOP_yield, NULL);
    }
    for (unsigned int i = 1; i < VCPUS; i++) {
        CHECK(cpus[i]->ap_done, "vCPU %u is lost", i);
        CHECK(counts[i][0] > 10, "vCPU %u ran %lu rounds", i, counts[i][0]);
    }
    CHECK_EQ(wrong, 0, "rounds counted twice");
    CHECK_EQ(wrong_state, 0, "rounds with somebody else's registers");
    CHECK(nmis > 10, "%lu NMIs", nmis);
    trap_hook = NULL;
}

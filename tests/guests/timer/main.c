/* SPDX-License-Identifier: MIT */
/* Time: the time page, timers, wall clock, runstate. */
#include "guest.h"

#define MS 1000000ul

static long port;

static long singleshot(uint64_t deadline, uint32_t flags)
{
    struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = deadline, .flags = flags };

    return hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static long periodic(uint64_t period)
{
    struct vcpu_set_periodic_timer t = { .period_ns = period };

    return hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &t);
}

/* Waits for hits of the timer's port, at most ns; the time it took. */
static uint64_t wait_hits(unsigned int hits, uint64_t ns)
{
    uint64_t start = system_time();

    while (port_hits[port] < hits && system_time() - start < ns)
        cpu_relax();
    return system_time() - start;
}

static void check_clock(void)
{
    struct vcpu_time_info *t = &shared->vcpu_info[0].time;
    uint64_t last = system_time(), now, start_tsc = rdtsc(), start = last;

    CHECK_EQ(t->version & 1, 0, "version");
    CHECK(t->tsc_to_system_mul, "multiplier");
    CHECK(last > 0 && last < 600 * 1000 * MS, "system time %lu", last);
    for (int i = 0; i < 20000; i++) {
        now = system_time();
        if (!CHECK(now >= last, "time went back: %lu after %lu", now, last))
            break;
        last = now;
    }
    CHECK(rdtsc() > start_tsc, "the TSC stands still");
    CHECK(last > start, "time stands still");
    CHECK(shared->wc_sec > 1700000000u && shared->wc_sec_hi == 0, "wall clock %u", shared->wc_sec);
    CHECK(shared->wc_nsec < 1000000000u, "wall clock %u ns", shared->wc_nsec);
    CHECK_EQ(shared->wc_version & 1, 0, "wall clock version");
}

/* A PV vCPU ticks until it says that it does not want to. (That a tick wakes no blocked vCPU is
 * tested where time is simulated, tests/unit/core_sched.c.) */
static void check_unasked(void)
{
    uint64_t start = system_time();

    port_hits[port] = 0;
    wait_hits(4, 20000 * MS);
    CHECK(port_hits[port] >= 4, "four ticks: %u", port_hits[port]);
    CHECK(system_time() - start >= 20 * MS, "four ticks took %lu", system_time() - start);
}

static void check_singleshot(void)
{
    uint64_t now = system_time(), took;

    CHECK_EQ(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0, "stop the periodic timer");
    port_hits[port] = 0;
    CHECK_EQ(hc_set_timer_op(now + 20 * MS), 0, "set_timer_op");
    CHECK_EQ(port_hits[port], 0, "at once");
    took = wait_hits(1, 500 * MS);
    CHECK_EQ(port_hits[port], 1, "timer");
    CHECK(system_time() >= now + 20 * MS, "early, after %lu", took);
    CHECK(took < 200 * MS, "late, after %lu", took);
    wait_hits(2, 30 * MS);
    CHECK_EQ(port_hits[port], 1, "a single shot");
    CHECK_EQ(hc_set_timer_op(system_time() - MS), 0, "a deadline that is over");
    wait_hits(2, 300 * MS);
    CHECK_EQ(port_hits[port], 2, "fires at once");
    CHECK_EQ(hc_set_timer_op(system_time() + 20 * MS), 0, "set");
    CHECK_EQ(hc_set_timer_op(0), 0, "cancel");
    wait_hits(3, 60 * MS);
    CHECK_EQ(port_hits[port], 2, "a cancelled timer");
}

static void check_vcpu_singleshot(void)
{
    port_hits[port] = 0;
    CHECK_EQ(singleshot(system_time() + 5 * MS, 0), 0, "vcpu_op timer");
    wait_hits(1, 300 * MS);
    CHECK_EQ(port_hits[port], 1, "vcpu_op timer");
    long rc = singleshot(system_time() - MS, VCPU_SSHOTTMR_future);
    CHECK(rc == -ETIME || rc == 0, "in the past: %ld", rc);
    if (rc == -ETIME) {
        wait_hits(2, 30 * MS);
        CHECK_EQ(port_hits[port], 1, "fired although refused");
    }
    CHECK_EQ(singleshot(system_time() + 20 * MS, VCPU_SSHOTTMR_future), 0, "in the future");
    CHECK_EQ(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0, "stop");
    port_hits[port] = 0;
    wait_hits(1, 60 * MS);
    CHECK_EQ(port_hits[port], 0, "a stopped timer");
    CHECK_EQ(singleshot(~0ul, 0), 0, "the last nanosecond");
    wait_hits(1, 30 * MS);
    CHECK_EQ(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0, "stop");
    CHECK(hc_vcpu_op(VCPUOP_set_singleshot_timer, 77, NULL) < 0, "vCPU 77");
}

static void check_periodic(void)
{
    uint64_t took;

    CHECK(periodic(1000) < 0, "a period of 1 us");
    CHECK(periodic(0) < 0, "a period of 0");
    CHECK(periodic(~0ul) < 0, "a period of -1");
    port_hits[port] = 0;
    CHECK_EQ(periodic(5 * MS), 0, "a period of 5 ms");
    took = wait_hits(6, 1000 * MS);
    CHECK(port_hits[port] >= 6, "six periods: %u", port_hits[port]);
    CHECK(took >= 20 * MS, "six periods took %lu", took);
    CHECK_EQ(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0, "stop");
    port_hits[port] = 0;
    wait_hits(2, 30 * MS);
    CHECK(port_hits[port] <= 1, "after the stop: %u", port_hits[port]);
}

static void check_runstate(void)
{
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };
    struct vcpu_runstate_info info;
    uint64_t blocked;

    CHECK_EQ(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0, "runstate");
    CHECK_EQ(info.state, RUNSTATE_running, "state");
    CHECK_EQ(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0, "runstate area");
    CHECK_EQ(area.state, RUNSTATE_running, "state in the area");
    blocked = area.time[RUNSTATE_blocked];
    events_off(); /* until the block unmasks them: on a slow host the timer may fire before it */
    hc_set_timer_op(system_time() + 30 * MS);
    CHECK_EQ(hc_sched_op(SCHEDOP_block, NULL), 0, "block");
    CHECK_EQ(area.state, RUNSTATE_running, "state after a block");
    CHECK(area.time[RUNSTATE_blocked] - blocked >= 20 * MS, "blocked for %lu",
          area.time[RUNSTATE_blocked] - blocked);
    CHECK_EQ(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0, "runstate");
    uint64_t sum = info.time[0] + info.time[1] + info.time[2] + info.time[3];
    uint64_t now = system_time();
    CHECK(sum <= now + 50 * MS, "sum of states %lu at %lu", sum, now);
    CHECK(info.time[RUNSTATE_blocked] >= area.time[RUNSTATE_blocked], "blocked in info");
    reg.addr.v = NULL;
    hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
    CHECK(hc_vcpu_op(VCPUOP_get_runstate_info, 77, &info) < 0, "runstate of vCPU 77");
}

/* An area that is not mapped, or the hypervisor's, is never written and harms nobody. */
static void check_bad_areas(void)
{
    static const uint64_t bad[] = { TEST_VA + (1ul << 30), HYPERVISOR_VIRT_START + (5ul << 39),
                                    MACH2PHYS_VIRT_START, 0x0000800000000000 };
    struct vcpu_register_runstate_memory_area reg;
    struct vcpu_register_time_memory_area time;

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        reg.addr.p = bad[i];
        time.addr.p = bad[i];
        hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
        hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time);
        events_off(); /* until the block unmasks them: on a slow host the timer may fire before it
                       */
        hc_set_timer_op(system_time() + 2 * MS);
        CHECK_EQ(hc_sched_op(SCHEDOP_block, NULL), 0, "block with area %#lx", bad[i]);
    }
    reg.addr.p = 0;
    hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
}

/* The second copy of the time page, which programs read. */
static void check_time_area(void)
{
    static struct vcpu_time_info area __attribute__((aligned(64)));
    struct vcpu_register_time_memory_area reg = { .addr.v = &area };
    long rc = hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &reg);

    printk("note: time area: %ld\n", rc);
    if (rc)
        return;
    events_off(); /* until the block unmasks them: on a slow host the timer may fire before it */
    hc_set_timer_op(system_time() + 2 * MS);
    hc_sched_op(SCHEDOP_block, NULL);
    CHECK(area.version && !(area.version & 1), "version %u", area.version);
    CHECK_EQ(area.tsc_to_system_mul, shared->vcpu_info[0].time.tsc_to_system_mul, "multiplier");
}

void guest_main(void)
{
    struct account before;

    map_page(TEST_VA, 0);
    event_close((unsigned int)event_bind_virq(VIRQ_DEBUG, 0)); /* the first port needs a page */
    account_take(&before);
    port = event_bind_virq(VIRQ_TIMER, 0);
    CHECK(port > 0, "VIRQ_TIMER: %ld", port);
    event_port_unmask((unsigned int)port);
    events_on();
    check_clock();
    check_unasked();
    check_singleshot();
    check_vcpu_singleshot();
    check_periodic();
    check_runstate();
    check_time_area();
    check_bad_areas();
    events_off();
    event_close((unsigned int)port);
    account_check(&before, "time");
}

/* SPDX-License-Identifier: MIT */
/* Scheduling, timers, pausing, vcpu_op. */
#include "core/types.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "core/audit.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

static struct domain *d, *e;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 4, 4, true);
    e = host_domain(1, 1, 4, false);
}

static long call(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1,
                 unsigned long a2)
{
    host_be(v->cpu->id);
    return host_call(v, nr, a0, a1, a2, 0);
}

static void block(struct vcpu *v)
{
    v->info->evtchn_upcall_pending = 0;
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
    host_settle();
}

TEST(up_runs_on_free_cpus)
{
    CHECK_EQ(call(d->vcpu[0], __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0), 0);
    host_up(d, 0);
    host_up(d, 1);
    CHECK(d->vcpu[0]->sched.running && d->vcpu[1]->sched.running);
    CHECK(d->vcpu[0]->cpu != d->vcpu[1]->cpu);
    CHECK_EQ(call(d->vcpu[0], __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0), 1);
    CHECK_EQ(call(d->vcpu[0], __HYPERVISOR_vcpu_op, VCPUOP_is_up, 9, 0), E(ENOENT));
    CHECK_EQ(call(d->vcpu[0], __HYPERVISOR_vcpu_op, 99, 0, 0), E(ENOSYS));
    CHECK_EQ(audit(), 0);
}

TEST(slices_are_shared)
{
    uint64_t ran[3] = { 0 };

    host_up(d, 2); /* three on two CPUs */
    for (int i = 0; i < 60; i++) {
        host_advance(SCHED_SLICE_NS / 2);
        host_settle();
        for (int v = 0; v < 3; v++)
            ran[v] += d->vcpu[v]->sched.running;
        CHECK_EQ(audit(), 0);
    }
    for (int v = 0; v < 3; v++)
        CHECK(ran[v] > 10);
    block(d->vcpu[0]->sched.running ? d->vcpu[0] : d->vcpu[1]);
    host_settle();
    CHECK(d->vcpu[2]->sched.running);
    for (int v = 0; v < 2; v++)
        vcpu_mark_events_pending(d->vcpu[v]);
    host_settle();
    CHECK_EQ(call(d->vcpu[2]->sched.running ? d->vcpu[2] : d->vcpu[0], __HYPERVISOR_vcpu_op,
                  VCPUOP_down, 2, 0),
             0);
    host_settle();
    CHECK(!d->vcpu[2]->sched.running && !d->vcpu[2]->sched.queued);
    CHECK(d->vcpu[0]->sched.running && d->vcpu[1]->sched.running);
    CHECK_EQ(audit(), 0);
}

TEST(cpumasks)
{
    struct cpumask a = cpumask_of(MAX_CPUS - 1), b = CPUMASK_NONE, both;

    CHECK(cpumask_empty(&b) && !cpumask_empty(&a));
    CHECK_EQ(cpumask_first(&a), MAX_CPUS - 1);
    CHECK_EQ(cpumask_first(&b), MAX_CPUS);
    CHECK_EQ(cpumask_weight(&cpumask_all), MAX_CPUS);
    cpumask_set(&b, 64);
    CHECK(!cpumask_intersects(&a, &b) && cpumask_intersects(&b, &cpumask_all));
    cpumask_set_atomic(&b, MAX_CPUS - 1);
    both = cpumask_and(&a, &b);
    CHECK(cpumask_test(&both, MAX_CPUS - 1) && !cpumask_test(&both, 64));
    CHECK(cpumask_test_and_clear_atomic(&b, MAX_CPUS - 1));
    CHECK(!cpumask_test_and_clear_atomic(&b, MAX_CPUS - 1));
    cpumask_clear_atomic(&b, 64);
    CHECK(cpumask_empty(&b));
    cpumask_write_atomic(&b, &a);
    a = cpumask_read_atomic(&b);
    CHECK_EQ(cpumask_weight(&a), 1);
    CHECK_EQ(cpumask_first(&a), MAX_CPUS - 1);
}

TEST(affinity)
{
    struct cpumask map = CPUMASK_NONE;
    struct vcpu *v = d->vcpu[0];
    unsigned int other = 1 - v->cpu->id;

    CHECK_EQ(sched_set_affinity(v, &map), -XEN_EINVAL);
    cpumask_set(&map, other);
    host_be(v->cpu->id);
    CHECK_EQ(sched_set_affinity(v, &map), 0);
    host_settle();
    CHECK_EQ(v->cpu->id, other);
    for (int i = 0; i < 10; i++) {
        host_advance(SCHED_SLICE_NS);
        host_settle();
        CHECK_EQ(v->cpu->id, other);
        CHECK_EQ(audit(), 0);
    }
    map = cpumask_all;
    CHECK_EQ(sched_set_affinity(v, &map), 0);
    host_advance(SCHED_SLICE_NS);
    host_settle();
    CHECK(d->vcpu[0]->sched.running && d->vcpu[1]->sched.running);
}

static void pause_the_stolen(void)
{
    if (e->vcpu[0]->sched.queued) { /* not yet */
        host_on_now = pause_the_stolen;
        return;
    }
    domain_pause(e, false); /* its vCPU is between two queues: nobody stops it there */
    vcpu_mark_events_pending(d->vcpu[1]);
}

/* A CPU that takes a vCPU from another one's queue may find it paused, or dying, on arrival. */
TEST(stolen_vcpus_may_be_paused)
{
    struct cpumask map = CPUMASK_NONE;
    struct vcpu *v = d->vcpu[1], *w = e->vcpu[0];

    host_up(d, 0);
    call(d->vcpu[0], __HYPERVISOR_vcpu_op, VCPUOP_down, 1, 0);
    host_settle();
    cpumask_set(&map, d->vcpu[0]->cpu->id);
    CHECK_EQ(sched_set_affinity(w, &map), 0);
    CHECK_EQ(sched_set_affinity(d->vcpu[0], &map), 0);
    host_up(e, 0);
    for (int i = 0; i < 8 && !w->sched.queued; i++) {
        host_advance(SCHED_SLICE_NS);
        host_settle();
    }
    v->info->evtchn_upcall_pending = 0;
    host_up(d, 1);
    CHECK(w->sched.queued && v->sched.running && v->cpu != w->cpu);
    w->affinity = cpumask_all;
    d->vcpu[0]->affinity = cpumask_all;
    host_be(v->cpu->id);
    CHECK_EQ(host_call(v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0), 0);
    host_on_now = pause_the_stolen;
    host_settle();
    CHECK(!host_on_now && v->sched.running);
    CHECK(!w->sched.queued && !w->sched.running);
    CHECK_EQ(audit(), 0);
    domain_unpause(e);
    host_settle();
    CHECK(w->sched.queued || w->sched.running);
    CHECK_EQ(host_call(w, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0, 0), 0);
    host_settle();
}

TEST(pause_counts)
{
    host_be(0);
    domain_pause(d, false);
    domain_pause(d, false);
    host_settle();
    CHECK(!d->vcpu[0]->sched.running && !d->vcpu[1]->sched.running);
    vcpu_mark_events_pending(d->vcpu[0]); /* an event does not lift a pause */
    host_settle();
    CHECK(!d->vcpu[0]->sched.running);
    domain_unpause(d);
    host_settle();
    CHECK(!d->vcpu[0]->sched.running);
    domain_unpause(d);
    host_settle();
    CHECK(d->vcpu[0]->sched.running && d->vcpu[1]->sched.running);
    CHECK_EQ(audit(), 0);
}

TEST(runstate_adds_up)
{
    struct vcpu_runstate_info rs;
    uint64_t sum = 0, now;

    block(d->vcpu[1]);
    host_advance(1000000);
    vcpu_get_runstate(d->vcpu[1], &rs);
    now = arch_now();
    CHECK_EQ(rs.state, RUNSTATE_blocked);
    CHECK(rs.time[RUNSTATE_blocked] >= 1000000);
    for (int i = 0; i < 4; i++)
        sum += rs.time[i];
    CHECK(sum <= now && now - sum < now / 2 + 2000000);
    vcpu_mark_events_pending(d->vcpu[1]);
    host_settle();
}

TEST(timers)
{
    struct vcpu *v = d->vcpu[0];
    uint64_t *op = host_guest(d, HOST_PAGE(0));
    evtchn_port port;

    CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    op[0] = arch_now() + 500000;
    op[1] = 0;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, HOST_PAGE(0)), 0);
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 1, HOST_PAGE(0)),
             E(EINVAL));
    host_advance(400000);
    host_settle();
    CHECK(!evtchn_is_pending(d, port));
    host_advance(200000);
    host_settle();
    CHECK(evtchn_is_pending(d, port));
    bit_clear(d->shared->evtchn_pending, port);

    op[0] = 1; /* in the past: at once, whatever the flag says */
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, HOST_PAGE(0)), 0);
    host_advance(0);
    host_settle();
    CHECK(evtchn_is_pending(d, port));
    bit_clear(d->shared->evtchn_pending, port);
    op[1] = VCPU_SSHOTTMR_future;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, HOST_PAGE(0)), 0);
    CHECK(evtchn_is_pending(d, port));
    bit_clear(d->shared->evtchn_pending, port);

    op[0] = 2000000;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, HOST_PAGE(0)), 0);
    for (int i = 0; i < 3; i++) {
        host_advance(2100000);
        host_settle();
        CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
    }
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
    host_advance(5000000);
    host_settle();
    CHECK(!evtchn_is_pending(d, port));
    op[0] = 1000;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, HOST_PAGE(0)), E(EINVAL));
    CHECK_EQ(evtchn_close(d, port), 0);
}

/* Deadlines that no kernel means are soon; 0 stops. */
TEST(odd_deadlines)
{
    static const uint64_t soon[] = { ~0ull, 1ull << 63, (1ull << 63) - 1, 1ull << 51 };
    struct vcpu *v = d->vcpu[0];
    uint64_t *op = host_guest(d, HOST_PAGE(0)), far;
    evtchn_port port;

    CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(soon); i++) {
        CHECK_EQ(call(v, __HYPERVISOR_set_timer_op, soon[i], 0, 0), 0);
        host_advance(99000000);
        host_settle();
        CHECK(!evtchn_is_pending(d, port));
        host_advance(1000000);
        host_settle();
        CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
        host_advance(300000000);
        host_settle();
        CHECK(!evtchn_is_pending(d, port)); /* once */
    }
    far = arch_now() + (1ull << 50); /* two weeks are a deadline */
    CHECK_EQ(call(v, __HYPERVISOR_set_timer_op, far, 0, 0), 0);
    host_advance(300000000);
    host_settle();
    CHECK(!evtchn_is_pending(d, port));
    CHECK_EQ(call(v, __HYPERVISOR_set_timer_op, ~0ull, 0, 0), 0);
    CHECK_EQ(call(v, __HYPERVISOR_set_timer_op, 0, 0, 0), 0);
    host_advance(300000000);
    host_settle();
    CHECK(!evtchn_is_pending(d, port));
    for (unsigned int flag = 0; flag < 2; flag++) {
        op[0] = 1ull << 63; /* negative: long over */
        op[1] = flag ? VCPU_SSHOTTMR_future : 0;
        CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, HOST_PAGE(0)), 0);
        CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
    }
    CHECK_EQ(evtchn_close(d, port), 0);
}

/* A vCPU that blocks gets no tick and is not woken; once it runs again, it gets one that is due. */
TEST(ticks_wake_nobody)
{
    struct vcpu *v = d->vcpu[0];
    evtchn_port port;

    CHECK_EQ(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    vcpu_set_period(v, 10000000);
    host_advance(11000000);
    host_settle();
    CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
    block(v);
    host_settle();
    for (int i = 0; i < 5; i++) {
        host_advance(11000000);
        host_settle();
        CHECK(!v->sched.running && !v->sched.queued);
        CHECK(!evtchn_is_pending(d, port));
    }
    vcpu_mark_events_pending(v);
    host_settle();
    CHECK(v->sched.running);
    CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
    host_advance(9000000); /* and the next a period later */
    host_settle();
    CHECK(!evtchn_is_pending(d, port));
    host_advance(2000000);
    host_settle();
    CHECK(bit_test_and_clear(d->shared->evtchn_pending, port));
    vcpu_set_period(v, 0);
    CHECK_EQ(evtchn_close(d, port), 0);
}

/* The last vCPU that is up takes the domain with it; one beside others does not. */
TEST(the_last_one_down_powers_off)
{
    struct domain *f = host_domain(7, 3, 4, false);
    struct vcpu *a = host_up(f, 0), *b = host_up(f, 1);

    CHECK_EQ(call(a, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0), 0);
    CHECK_EQ(f->state, DOM_ALIVE);
    CHECK_EQ(call(b, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0), 0); /* it is down */
    CHECK_EQ(f->state, DOM_ALIVE);
    CHECK_EQ(call(b, __HYPERVISOR_vcpu_op, VCPUOP_up, 0, 0), 0);
    CHECK_EQ(call(b, __HYPERVISOR_vcpu_op, VCPUOP_down, 1, 0), 0);
    CHECK_EQ(f->state, DOM_ALIVE);
    CHECK_EQ(call(a, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0), 0);
    CHECK_EQ(f->state, DOM_SHUTDOWN);
    CHECK_EQ(f->shutdown_code, SHUTDOWN_poweroff);
    host_settle();
    while (domain_kill(f) == -XEN_EAGAIN)
        ;
    host_settle();
    CHECK_EQ(audit(), 0);
}

TEST(vcpu_info_moves_once)
{
    struct vcpu *v = d->vcpu[0];
    struct vcpu_register_vcpu_info *op = host_guest(d, HOST_PAGE(0));
    struct frame *f = frame_of(host_guest_mfn(d, 1));
    uint64_t state = f->state;

    *op = (struct vcpu_register_vcpu_info){ .mfn = host_guest_mfn(e, 1).v, .offset = 64 };
    CHECK(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)) < 0);
    op->mfn = ~0ull;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(EINVAL));
    op->mfn = host_guest_mfn(d, 1).v;
    d->narrow_shared = true; /* aligned for it, but the wide selector would cross a cache line */
    op->offset = 64 + 52;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(ENXIO));
    d->narrow_shared = false;
    op->offset = PAGE_SIZE - sizeof(struct vcpu_info) + 8;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(ENXIO));
    op->offset = 68;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(ENXIO));
    CHECK_EQ(f->state, state);
    op->offset = 64;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), 0);
    CHECK(v->info == host_guest(d, HOST_PAGE(1) + 64));
    CHECK_EQ(v->info->evtchn_upcall_pending, 1);
    CHECK_EQ(v->info->evtchn_pending_sel, ~0ul);
    CHECK_EQ(frame_refs(f->state), frame_refs(state) + 1);
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(EINVAL));
    CHECK_EQ(frame_refs(f->state), frame_refs(state) + 1);
    CHECK_EQ(audit(), 0);
}

TEST(vcpu_info_moves_within_shared_info)
{
    struct vcpu *v = d->vcpu[1];
    struct vcpu_register_vcpu_info *op = host_guest(d, HOST_PAGE(0));

    *op = (struct vcpu_register_vcpu_info){ .mfn = d->shared_mfn.v, .offset = 72 };
    v->info->arch.cr2 = 0x1234;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, HOST_PAGE(0)), 0);
    CHECK((void *)v->info == (uint8_t *)d->shared + 72); /* from 64: the two overlap */
    CHECK_EQ(v->info->arch.cr2, 0x1234);
    CHECK_EQ(audit(), 0);
}

TEST(watchdog_and_shutdown)
{
    struct domain *f = host_domain(2, 1, 4, false); /* e ended with its last vCPU */
    struct vcpu *v = host_up(f, 0);
    uint32_t *op = host_guest(f, HOST_PAGE(0));

    for (int i = 0; i < 100 && !v->sched.running; i++) {
        host_advance(SCHED_SLICE_NS);
        host_settle();
    }
    CHECK(v->sched.running);
    op[0] = 0;
    op[1] = 2;
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, HOST_PAGE(0), 0), 1);
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, HOST_PAGE(0), 0), 2);
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, HOST_PAGE(0), 0), E(ENOSPC));
    op[0] = 2;
    op[1] = 0;
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, HOST_PAGE(0), 0), 0);
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, HOST_PAGE(0), 0), E(EINVAL));
    host_advance(3000000000ull);
    host_settle();
    CHECK_EQ(f->state, DOM_SHUTDOWN);
    CHECK_EQ(f->shutdown_code, SHUTDOWN_watchdog);
    CHECK(!v->sched.running);
    CHECK_EQ(audit(), 0);
}

TEST(dom0_takes_the_machine_down)
{
    uint32_t *op = host_guest(d, HOST_PAGE(0));

    op[0] = SHUTDOWN_MAX + 1;
    CHECK_EQ(call(d->vcpu[0], __HYPERVISOR_sched_op, SCHEDOP_shutdown, HOST_PAGE(0), 0), E(EINVAL));
    op[0] = SHUTDOWN_reboot;
    HOST_CATCH(call(d->vcpu[0], __HYPERVISOR_sched_op, SCHEDOP_shutdown, HOST_PAGE(0), 0));
    CHECK_EQ(host_end, HOST_REBOOT);
    opt_noreboot = true;
    HOST_CATCH(domain_crash(d, d->vcpu[0], "test"));
    CHECK_EQ(host_end, HOST_HALT);
    op[0] = SHUTDOWN_poweroff;
    HOST_CATCH(call(d->vcpu[0], __HYPERVISOR_sched_op, SCHEDOP_shutdown, HOST_PAGE(0), 0));
    CHECK_EQ(host_end, HOST_POWEROFF);
}

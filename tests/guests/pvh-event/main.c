/* SPDX-License-Identifier: MIT */
/*
 * Event upcalls of a PVH guest: by the domain's vector and by its own, masked and unmasked by the
 * interrupt flag, out of HLT and out of SCHEDOP_block; time records; parameters that are refused.
 */
#include "pvh.h"

#define OWN_VECTOR 0xe1

static long bind_self(void)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0, "alloc_unbound");
    bind.remote_port = alloc.port;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0, "bind_interdomain");
    event_port_unmask(alloc.port);
    event_port_unmask(bind.local_port);
    return bind.local_port;
}

static void notify(long port)
{
    struct evtchn_send op = { .port = (unsigned int)port };

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_send, &op), 0, "send");
}

static void by_flag(long port)
{
    unsigned int before = this_cpu()->upcalls;

    irq_off();
    notify(port);
    for (int i = 0; i < 1000; i++)
        BARRIER();
    CHECK_EQ(this_cpu()->upcalls, before, "upcall with interrupts off");
    irq_on();
    __asm__ volatile("nop; nop");
    CHECK_EQ(this_cpu()->upcalls, before + 1, "upcall once they are on");
    irq_off();
}

static void arm(uint64_t ns)
{
    struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = system_time() + ns };

    CHECK_EQ(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0, "singleshot timer");
}

static void out_of_halt(void)
{
    unsigned int before;
    uint64_t start = system_time();

    CHECK(event_bind_virq(VIRQ_TIMER, 0) > 0, "VIRQ_TIMER");
    before = this_cpu()->upcalls;
    arm(5000000);
    while (this_cpu()->upcalls == before)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    CHECK(system_time() - start >= 5000000, "woken after %lu ns", system_time() - start);
    before = this_cpu()->upcalls;
    arm(5000000);
    irq_on();
    while (this_cpu()->upcalls == before)
        hc_sched_op(SCHEDOP_block, NULL);
    irq_off();
}

static void own_vector(long port)
{
    struct xen_hvm_evtchn_upcall_vector op = { .vcpu = 0, .vector = OWN_VECTOR };
    unsigned int before = irq_hits[OWN_VECTOR];

    pvh_x2apic_on();
    CHECK_EQ(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &op), 0, "own vector");
    irq_on();
    notify(port);
    __asm__ volatile("nop; nop");
    irq_off();
    CHECK_EQ(irq_hits[OWN_VECTOR], before + 1, "upcalls by the own vector");
    op.vector = 15;
    CHECK_EQ(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &op), -EINVAL, "vector 15");
    op.vector = OWN_VECTOR;
    op.vcpu = 64;
    CHECK_EQ(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &op), -ENOENT, "vCPU 64");
}

/* Who takes over the shared page from somebody who cleared it finds the time in it. */
static void time_in_a_cleared_page(void)
{
    struct vcpu_time_info *t = &shared->vcpu_info[0].time;

    memset(t, 0, sizeof(*t));
    pvh_map_shared();
    CHECK(t->tsc_to_system_mul != 0 && t->version != 0, "no time record in a page mapped anew");
}

static void refusals(void)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_NR_PARAMS };

    CHECK_EQ(hc_hvm_op(HVMOP_set_param, &p), -EINVAL, "a parameter beyond the last");
    CHECK_EQ(hc_hvm_op(HVMOP_get_param, &p), -EINVAL, "a parameter beyond the last");
    p.domid = 7;
    p.index = HVM_PARAM_CALLBACK_IRQ;
    CHECK_EQ(hc_hvm_op(HVMOP_get_param, &p), -ESRCH, "domain 7");
    CHECK_EQ(hc_hvm_op(HVMOP_get_param, (void *)0x100000000ul), -EFAULT, "no structure");
    p.domid = DOMID_SELF;
    CHECK_EQ(hc_hvm_op(HVMOP_get_param, &p), 0, "callback");
    CHECK_EQ(p.value, 2ul << 56 | PVH_UPCALL_VECTOR, "callback");
}

void guest_main(void)
{
    long port;

    pvh_map_shared();
    events_on();
    port = bind_self();
    by_flag(port);
    out_of_halt();
    time_in_a_cleared_page();
    refusals();
    own_vector(port);
}

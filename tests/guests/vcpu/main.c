/* SPDX-License-Identifier: MIT */
/* vcpu_op: bringing vCPUs up and down, what is refused, IPIs between them, their own info page. */
#include "guest.h"

#define MS 1000000ul

static struct vcpu_guest_context ctx;
static volatile unsigned int step;

static long op_up(unsigned int id)
{
    return hc_vcpu_op(VCPUOP_up, id, NULL);
}

static void check_arguments(void)
{
    CHECK_EQ(vcpu_count(), 3, "vCPUs");
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, 0, NULL), 1, "vCPU 0 is up");
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "vCPU 1 is down");
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, 77, NULL), -ENOENT, "vCPU 77");
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, ~0u, NULL), -ENOENT, "vCPU -1");
    CHECK_EQ(op_up(1), -EINVAL, "up before it is initialised");
    CHECK_EQ(hc_vcpu_op(99, 0, NULL), -ENOSYS, "unknown operation");
    CHECK_EQ(hc_vcpu_op(VCPUOP_initialise, 1, (void *)0x1000), -EFAULT, "context not mapped");
    CHECK_EQ(hc_vcpu_op(VCPUOP_initialise, 77, &ctx), -ENOENT, "vCPU 77");
}

static void refuse(const char *what)
{
    long rc = hc_vcpu_op(VCPUOP_initialise, 1, &ctx);

    CHECK(rc < 0, "%s: accepted", what);
}

/* A context that cannot run is refused; nothing of it stays. */
static void check_bad_contexts(void)
{
    unsigned long pfn = alloc_pfn();

    cpus[1] = NULL;
    cpu_context(1, &ctx);
    ctx.ctrlreg[3] = 0xffffffffff000;
    refuse("cr3 beyond memory");
    cpu_context(1, &ctx);
    ctx.ctrlreg[3] = xen_pfn_to_cr3(p2m[pfn]);
    refuse("cr3 at a writable page");
    cpu_context(1, &ctx);
    ctx.user_regs.rip = 0x8000000000000000;
    refuse("rip not canonical");
    cpu_context(1, &ctx);
    ctx.gdt_ents = 512;
    ctx.gdt_frames[0] = p2m[pfn];
    refuse("a writable GDT");
    cpu_context(1, &ctx);
    ctx.gdt_ents = 512;
    ctx.gdt_frames[0] = p2m[kernel_l4_pfn];
    refuse("a GDT in the L4");
    cpu_context(1, &ctx);
    ctx.gdt_ents = 9000;
    refuse("9000 GDT entries");
    cpu_context(1, &ctx);
    ctx.ldt_ents = 9000;
    refuse("9000 LDT entries");
    cpu_context(1, &ctx);
    ctx.fs_base = 0x8000000000000000;
    refuse("fs base not canonical");
    cpu_context(1, &ctx);
    ctx.ctrlreg[1] = xen_pfn_to_cr3(p2m[pfn]) | 1;
    refuse("user cr3 at a writable page");
    free_pfn(pfn);
}

static void ap_count(void *arg)
{
    unsigned int *value = arg;

    CHECK(this_cpu()->id == 1, "id %u", this_cpu()->id);
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "a trap on vCPU 1");
    CHECK_EQ(try_write8((void *)si->pt_base, 0), VEC_PF, "a fault on vCPU 1");
    CHECK_EQ(this_cpu()->cr2, si->pt_base, "cr2 on vCPU 1");
    CHECK(system_time() > 0, "time on vCPU 1");
    (*value)++;
}

static void check_up_and_down(void)
{
    unsigned int value = 0;

    CHECK(cpu_start(1, ap_count, &value));
    cpu_wait(1);
    CHECK_EQ(value, 1, "vCPU 1 ran");
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "vCPU 1 is down");
    cpu_context(1, &ctx);
    CHECK_EQ(hc_vcpu_op(VCPUOP_initialise, 1, &ctx), -EEXIST, "initialised twice");
    /* Up again: it goes on after its VCPUOP_down. */
    CHECK_EQ(op_up(1), 0, "up again");
    for (int i = 0; i < 60000 && hc_vcpu_op(VCPUOP_is_up, 1, NULL); i++)
        delay_ns(MS);
    CHECK_EQ(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "down again");
    CHECK_EQ(value, 1, "ran once");
}

static long ipi_port;

static void ap_wait_ipi(void *arg)
{
    events_on();
    events_off(); /* masked: no event is lost between the test and the block */
    step = 1;
    while (!port_hits[ipi_port]) {
        hc_sched_op(SCHEDOP_block, NULL);
        events_off();
    }
    step = 2;
}

/* An IPI wakes the blocked vCPU that it belongs to, and no other. */
static void check_ipi(void)
{
    struct evtchn_bind_ipi ipi = { .vcpu = 2 };
    struct evtchn_send send;
    unsigned int before = this_cpu()->upcalls;

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0, "bind_ipi");
    ipi_port = ipi.port;
    event_port_unmask(ipi.port);
    port_hits[ipi_port] = 0;
    step = 0;
    CHECK(cpu_start(2, ap_wait_ipi, NULL));
    while (!step)
        cpu_relax();
    delay_ns(5 * MS);
    CHECK_EQ(step, 1, "vCPU 2 blocks");
    events_on();
    send.port = ipi.port;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_send, &send), 0, "send");
    for (int i = 0; i < 60000 && step != 2; i++)
        delay_ns(MS);
    CHECK_EQ(step, 2, "vCPU 2 woke");
    CHECK_EQ(port_hits[ipi_port], 1, "deliveries");
    events_off();
    CHECK_EQ(this_cpu()->upcalls, before, "upcalls of vCPU 0");
    cpu_wait(2);
    CHECK(cpus[2]->upcalls >= 1, "upcalls of vCPU 2");
    event_close(ipi.port);
}

static void check_bind_vcpu(void)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
    struct evtchn_bind_vcpu move;
    struct evtchn_send send;

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0, "port");
    bind.remote_port = alloc.port;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0, "port");
    move.port = bind.local_port;
    move.vcpu = 77;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_vcpu, &move), -ENOENT, "to vCPU 77");
    move.vcpu = 2;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_vcpu, &move), 0, "to vCPU 2");
    ipi_port = bind.local_port;
    event_clear(bind.local_port); /* binding may leave it pending */
    event_port_unmask(bind.local_port);
    port_hits[ipi_port] = 0;
    step = 0;
    CHECK(cpu_start(2, ap_wait_ipi, NULL));
    send.port = alloc.port;
    while (!step)
        cpu_relax();
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_send, &send), 0, "send");
    cpu_wait(2);
    CHECK_EQ(port_hits[ipi_port], 1, "deliveries");
    event_close(alloc.port);
    event_close(bind.local_port);
}

static volatile bool got_nmi;

static bool on_nmi(struct regs *r)
{
    if (r->vector != VEC_NMI_CALLBACK && r->vector != VEC_NMI)
        return false;
    got_nmi = true;
    return true;
}

static void check_nmi(void)
{
    struct callback_register cb = { .type = CALLBACKTYPE_nmi, .address = (unsigned long)nmi_entry };
    long rc;

    /* Without a callback it comes through gate 2 of the trap table. */
    trap_hook = on_nmi;
    rc = hc_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    CHECK_EQ(rc, 0, "NMI");
    hc_xen_version(XENVER_version, NULL);
    CHECK(got_nmi, "no NMI came through the trap table");
    got_nmi = false;
    rc = hc_callback_op(CALLBACKOP_register, &cb);
    CHECK_EQ(rc, 0, "NMI callback");
    rc = hc_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    CHECK_EQ(rc, 0, "NMI");
    hc_xen_version(XENVER_version, NULL);
    CHECK(got_nmi, "no NMI came");
    /* The handler's iret opens the way for the next one, whatever way it took. */
    for (int i = 0; i < 4; i++) {
        shared->vcpu_info[0].evtchn_upcall_pending = 0;
        got_nmi = false;
        rc = hc_vcpu_op(VCPUOP_send_nmi, 0, NULL);
        CHECK_EQ(rc, 0, "NMI");
        CHECK(got_nmi, "no NMI came, %d", i);
    }
    trap_hook = NULL;
}

/* The info structure on a page of the guest's own; the shared page's copy is then dead. */
static void check_info_page(void)
{
    unsigned long pfn = alloc_pfn();
    struct vcpu_register_vcpu_info reg = { .mfn = p2m[pfn], .offset = 4096 - 32 };

    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg) < 0, "across the end of the page");
    reg.offset = 5000;
    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg) < 0, "beyond the page");
    reg.offset = 64;
    reg.mfn = 0x40000000;
    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg) < 0, "a frame that is not there");
    reg.mfn = p2m[kernel_l4_pfn];
    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg) < 0, "in the L4");
    reg.mfn = p2m[pfn];
    CHECK_EQ(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg), 0, "info page of vCPU 1");
    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &reg) < 0, "a second time");
    CHECK(hc_vcpu_op(VCPUOP_register_vcpu_info, 77, &reg) < 0, "vCPU 77");
    /* The hypervisor writes there: it must never become a page table. */
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0) < 0, "the info page as a page table");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
    struct vcpu_info *info = (struct vcpu_info *)((uint64_t)pfn_virt(pfn) + 64);
    unsigned int value = 0;

    CHECK(cpu_start(1, ap_count, &value) || true);
    cpu_wait(1);
    CHECK(info->time.version != 0, "the time in the info page");
}

static void check_physid(void)
{
    struct vcpu_get_physid id;
    long rc = hc_vcpu_op(VCPUOP_get_physid, 0, &id);

    CHECK(rc == 0 || rc == -EINVAL, "physid %ld", rc);
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    check_arguments();
    check_bad_contexts();
    check_up_and_down();
    check_ipi();
    check_bind_vcpu();
    check_nmi();
    check_physid();
    check_info_page();
    struct account after;
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}

/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls from 32-bit code: each structure that looks different there, lists of several pieces,
 * lists and structures that end where no memory is, nothing written beyond what 32-bit code has;
 * and every number with garbage.
 */
#include "pvh.h"

#include <xen/hvm/hvm_op.h>

long call32(uint32_t nr, const uint32_t *args);
__asm__(".text\n"
        ".globl call32\n"
        "call32:\n"
        "    push    %rbx\n"
        "    mov     %edi, %eax\n"
        "    mov     (%rsi), %ebx\n"
        "    mov     4(%rsi), %ecx\n"
        "    mov     8(%rsi), %edx\n"
        "    mov     16(%rsi), %edi\n"
        "    mov     12(%rsi), %esi\n"
        "    cmpb    $0xc1, hypercall_page + 7(%rip)\n" /* the hypervisor's choice */
        "    lea     1f(%rip), %r8\n"
        "    jne     4f\n"
        "    lea     3f(%rip), %r8\n"
        "4:\n"
        "    push    $0x10\n"
        "    push    %r8\n"
        "    lretq\n"
        "    .code32\n"
        "1:  vmmcall\n"
        "    ljmp    $0x08, $2f\n"
        "3:  vmcall\n"
        "    ljmp    $0x08, $2f\n"
        "    .code64\n"
        "2:  movslq  %eax, %rax\n"
        "    pop     %rbx\n"
        "    ret\n");

#define A32(x) ((uint32_t)(uint64_t)(x))
#define CALL(nr, ...) call32(nr, (const uint32_t[5]){ __VA_ARGS__ })
#define GUARD 0x5a5a5a5au

/* The end of a page behind which there is a hole. */
static uint8_t *edge(unsigned int bytes)
{
    return (uint8_t *)pvh_virt(PVH_HOLE_PFN + 1) - bytes;
}

static void version(void)
{
    static uint32_t word[8];
    static char extra[16];
    uint32_t features[2] = { 0, 0 };

    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_version) >> 16, 4, "version");
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_extraversion, A32(extra)), 0, "extraversion");
    CHECK(extra[0], "no extraversion");
    word[1] = GUARD;
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_platform_parameters, A32(word)), 0, "params");
    CHECK_EQ(word[1], GUARD, "platform_parameters wrote eight bytes");
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_platform_parameters, A32(edge(4))), 0, "edge");
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_platform_parameters, A32(edge(2))), -EFAULT,
             "beyond the edge");
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_get_features, A32(features)), 0, "features");
    CHECK(features[1] & 1u << XENFEAT_auto_translated_physmap, "features %#x", features[1]);
    CHECK_EQ(CALL(__HYPERVISOR_mmu_update, 0), -ENOSYS, "mmu_update");
    CHECK_EQ(CALL(0xffffffff, 0), -ENOSYS, "no number");
    CHECK_EQ(CALL(__HYPERVISOR_domctl, 0), -ENOSYS, "domctl from 32-bit code");
}

/* --- memory --- */

struct reservation32 {
    uint32_t start, nr, order, flags;
    uint16_t domid, pad;
};

static long reserve(unsigned int op, struct reservation32 r)
{
    static struct reservation32 copy;

    r.domid = DOMID_SELF;
    copy = r;
    return CALL(__HYPERVISOR_memory_op, op, A32(&copy));
}

#define FIRST 0x1000u /* frames that nothing uses: 16 MiB and up */
#define COUNT 100u

static void reservations(void)
{
    static uint32_t list[COUNT];
    uint32_t *cut = (uint32_t *)edge(8);
    uint16_t self = DOMID_SELF;
    long before = CALL(__HYPERVISOR_memory_op, XENMEM_current_reservation, A32(&self));

    for (unsigned int i = 0; i < COUNT; i++)
        list[i] = FIRST + i;
    *(volatile uint8_t *)pvh_virt(FIRST + 77) = 9;
    CHECK_EQ(reserve(XENMEM_decrease_reservation,
                     (struct reservation32){ .start = A32(list), .nr = COUNT }),
             COUNT, "frames given back");
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_current_reservation, A32(&self)), before - COUNT,
             "reservation");
    CHECK_EQ(*(volatile uint8_t *)pvh_virt(FIRST + 77), 0xff, "memory is still there");
    list[40] = 1; /* in use: the call ends there */
    CHECK_EQ(
        reserve(XENMEM_populate_physmap, (struct reservation32){ .start = A32(list), .nr = COUNT }),
        40, "a list with a frame in use");
    list[40] = FIRST + 40;
    CHECK_EQ(reserve(XENMEM_populate_physmap,
                     (struct reservation32){ .start = A32(list + 40), .nr = COUNT - 40 }),
             COUNT - 40, "the rest");
    CHECK_EQ(*(volatile uint8_t *)pvh_virt(FIRST + 77), 0, "not zeroed");
    cut[0] = FIRST;
    cut[1] = FIRST + 1;
    CHECK_EQ(
        reserve(XENMEM_decrease_reservation, (struct reservation32){ .start = A32(cut), .nr = 5 }),
        2, "a list that ends where no memory is");
    CHECK_EQ(
        reserve(XENMEM_populate_physmap, (struct reservation32){ .start = A32(list), .nr = 2 }), 2,
        "again");
    CHECK_EQ(reserve(XENMEM_populate_physmap,
                     (struct reservation32){ .start = A32(list), .nr = 2, .order = 10 }),
             0, "extents larger than 32-bit code may ask for");
    CHECK_EQ(reserve(XENMEM_populate_physmap,
                     (struct reservation32){ .start = 0xfffffffc, .nr = 0x3ffffff }),
             0, "a list at the end of addresses");
    CHECK_EQ(reserve(XENMEM_populate_physmap,
                     (struct reservation32){ .start = A32(list), .nr = 0x4000000 }),
             -EINVAL, "more than can be counted");
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_current_reservation, A32(&self)), before,
             "at the end");
    CHECK(CALL(__HYPERVISOR_memory_op, XENMEM_maximum_gpfn, A32(&self)) >= FIRST + COUNT - 1,
          "the highest frame");
}

struct add32 {
    uint16_t domid, size;
    uint32_t space, idx, gpfn;
};

static long add(uint32_t space, uint32_t idx, uint32_t gpfn)
{
    struct add32 *op = (void *)edge(sizeof(*op)); /* 64-bit code's would not fit */

    *op = (struct add32){ DOMID_SELF, 0, space, idx, gpfn };
    return CALL(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, A32(op));
}

static void physmap(void)
{
    static uint32_t idx[COUNT], gfn[COUNT], remove[2];
    static int errs[COUNT + 1];
    struct {
        uint16_t domid, space, size, extra;
        uint32_t idx, gfn, errs;
    } batch = { DOMID_SELF, XENMAPSPACE_grant_table, COUNT, 0, A32(idx), A32(gfn), A32(errs) };

    CHECK_EQ(add(99, 0, 0xe8123), -EOPNOTSUPP, "a space that is not there");
    for (unsigned int i = 0; i < COUNT; i++) {
        idx[i] = i == 70 ? 0xfffff : 0;
        gfn[i] = 0xe8200 + i;
        errs[i] = 1;
    }
    errs[COUNT] = 1;
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, A32(&batch)), 0, "batch");
    for (unsigned int i = 0; i < COUNT; i++)
        CHECK_EQ(errs[i], i == 70 ? -EINVAL : 0, "batch %u", i);
    CHECK_EQ(errs[COUNT], 1, "beyond the batch");
    remove[0] = DOMID_SELF;
    remove[1] = 0xe8200 + COUNT - 1; /* it moved from place to place, and is at the last one */
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, A32(remove)), 0, "remove");
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, A32(remove)), -ENOENT,
             "twice");
    remove[1]--;
    CHECK_EQ(CALL(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, A32(remove)), -ENOENT,
             "where it was before");
}

/* --- events and time --- */

static long poll(uint32_t port, uint64_t timeout)
{
    static uint32_t ports[1];
    uint32_t *op = (uint32_t *)edge(16);

    ports[0] = port;
    op[0] = A32(ports);
    op[1] = port ? 1 : 0;
    memcpy(op + 2, &timeout, 8);
    return CALL(__HYPERVISOR_sched_op, SCHEDOP_poll, A32(op));
}

static bool pending(uint32_t port)
{
    return (((volatile uint32_t *)shared->evtchn_pending)[port / 32] >> port % 32) & 1;
}

static void events(void)
{
    struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER };
    struct evtchn_bind_ipi ipi = { 0 };
    uint64_t now;

    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, A32(&timer)), 0, "VIRQ");
    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, A32(&ipi)), 0, "IPI");
    CHECK_EQ(CALL(__HYPERVISOR_hvm_op, HVMOP_get_time, A32(&now)), 0, "time");
    now += 2000000;
    CHECK_EQ(CALL(__HYPERVISOR_set_timer_op, (uint32_t)now, now >> 32), 0, "timer");
    CHECK_EQ(poll(timer.port, 0), 0, "poll");
    CHECK(pending(timer.port), "the timer's event is not there");
    CHECK_EQ(poll(ipi.port, 1), 0, "poll with a deadline that has passed");
    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_send, A32(&ipi.port)), 0, "send");
    CHECK(pending(ipi.port), "the IPI is not there");
    CHECK_EQ(poll(ipi.port, 0), 0, "poll of a pending port");
    CHECK_EQ(poll(0xfffff, 0), -EINVAL, "poll of no port");
}

struct runstate32 {
    uint32_t state;
    uint64_t entered, time[4];
} __attribute__((packed));

static void vcpu(void)
{
    static struct {
        struct runstate32 r;
        uint32_t guard;
    } a, b;
    uint32_t *timer = (uint32_t *)edge(12), area[2] = { A32(&b), 0xdeadbeef };

    a.guard = b.guard = GUARD;
    CHECK_EQ(CALL(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, A32(&a)), 0, "runstate");
    CHECK_EQ(a.r.state, RUNSTATE_running, "runstate");
    CHECK(a.r.time[0] && a.r.entered, "no time has passed");
    CHECK_EQ(a.guard, GUARD, "runstate wrote more");
    CHECK_EQ(CALL(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, A32(area)), 0,
             "runstate area");
    CHECK(b.r.time[0] >= a.r.time[0], "the area");
    a.r = b.r;
    for (unsigned int i = 0; i < 5000 && a.r.entered == b.r.entered; i++) { /* it is off its CPU */
        uint64_t now;

        CALL(__HYPERVISOR_hvm_op, HVMOP_get_time, A32(&now));
        poll(0, now + 1000000);
    }
    CHECK(b.r.entered > a.r.entered && b.r.time[RUNSTATE_blocked] > a.r.time[RUNSTATE_blocked],
          "the area stays as it was");
    CHECK_EQ(b.guard, GUARD, "the area is written beyond its end");
    area[0] = 0;
    CHECK_EQ(CALL(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, A32(area)), 0,
             "no runstate area");
    memset(timer, 0, 12);
    CHECK_EQ(CALL(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, A32(timer)), 0, "timer");
    CHECK_EQ(CALL(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, A32(edge(8))), -EFAULT,
             "half a timer");
}

/* --- grants --- */

struct copy32 {
    struct {
        uint32_t u;
        uint16_t domid, offset;
    } src, dst;
    uint16_t len, flags;
    int16_t status;
    uint16_t pad;
};

static void grants(void)
{
    static struct copy32 ops[COUNT];
    uint32_t frames[2] = { GUARD, GUARD };
    struct {
        uint16_t dom, pad;
        uint32_t nr;
        int16_t status;
        uint16_t pad2;
        uint32_t list;
    } setup = { DOMID_SELF, 0, 1, 1, 0, A32(frames) };
    uint32_t page = (uint32_t)pvh_free_pfn();
    uint8_t *at = pvh_virt(page);

    CHECK_EQ(add(XENMAPSPACE_grant_table, 0, 0xe8300), 0, "grant table");
    CHECK_EQ(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, A32(&setup), 1), 0, "setup");
    CHECK_EQ(setup.status, 0, "setup");
    CHECK(frames[0] == 0xe8300 && frames[1] == GUARD, "frames %#x, %#x", frames[0], frames[1]);
    setup.list = A32(edge(2));
    CHECK_EQ(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, A32(&setup), 1), 0, "setup");
    CHECK_EQ(setup.status, GNTST_bad_virt_addr, "a list that ends where no memory is");
    for (unsigned int i = 0; i < COUNT; i++) {
        ops[i] = (struct copy32){
            { page, DOMID_SELF, 0 }, { page, DOMID_SELF, (uint16_t)(8 + i) }, 1, 0, 99, 0
        };
        if (i == 50)
            ops[i].dst.offset = 4096;
    }
    at[0] = 7;
    CHECK_EQ(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_copy, A32(ops), COUNT), 0, "copy");
    for (unsigned int i = 0; i < COUNT; i++) {
        CHECK_EQ(ops[i].status, i == 50 ? GNTST_bad_copy_arg : 0, "copy %u", i);
        CHECK_EQ(at[8 + i], i == 50 ? 0 : 7, "byte %u", i);
    }
    CHECK_EQ(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_copy, A32(edge(16)), 1), -EFAULT,
             "half a copy");
    CHECK_EQ(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_copy, A32(ops), 0x80000000), -EINVAL,
             "too many");
}

static void multicall(void)
{
    static struct {
        uint32_t op, result, args[6];
    } list[3];

    list[0].op = __HYPERVISOR_xen_version;
    list[1].op = __HYPERVISOR_multicall;
    list[1].args[0] = A32(list);
    list[1].args[1] = 1;
    list[2].op = 0xffff;
    CHECK_EQ(CALL(__HYPERVISOR_multicall, A32(list), 3), 0, "multicall");
    CHECK(list[0].result >> 16 == 4, "version %#x", list[0].result);
    CHECK_EQ((int)list[1].result, -EINVAL, "a multicall in a multicall");
    CHECK_EQ((int)list[2].result, -ENOSYS, "no number");
    CHECK_EQ(CALL(__HYPERVISOR_multicall, A32(edge(16)), 1), -EFAULT, "half an entry");
    CHECK_EQ(CALL(__HYPERVISOR_multicall, 0xfffffff0, 0x10000000), -EFAULT, "beyond 4 GiB");
}

static void parameters(void)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ };

    CHECK_EQ(CALL(__HYPERVISOR_hvm_op, HVMOP_get_param, A32(&p)), 0, "get_param");
    CHECK_EQ(p.value, 2ul << 56 | PVH_UPCALL_VECTOR, "callback");
}

/* --- the shared page as 32-bit code declares it --- */

static void layout(void)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF,
                               .index = HVM_PARAM_CALLBACK_IRQ,
                               .value = 2ul << 56 | PVH_UPCALL_VECTOR };
    volatile uint32_t *page = (volatile uint32_t *)shared, *mask = page + (2048 + 128) / 4;
    struct evtchn_bind_ipi ipi = { 0 };
    uint32_t wide = shared->wc_sec, bit;

    CHECK(wide > 1000000000, "the wall clock of 64-bit code: %u", wide);
    CHECK_EQ(page[2304 / 4 + 1], 0, "the wall clock of 32-bit code, early");
    CHECK_EQ(CALL(__HYPERVISOR_hvm_op, HVMOP_set_param, A32(&p)), 0, "set_param");
    CHECK_EQ(page[2304 / 4 + 1], wide, "the wall clock of 32-bit code");
    for (unsigned int i = 0; i < 32; i++) /* beyond the first word */
        CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, A32(&ipi)), 0, "IPI");
    bit = 1u << ipi.port % 32;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    mask[ipi.port / 32] = bit;
    page[1] = 0;
    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_send, A32(&ipi.port)), 0, "send");
    CHECK(pending(ipi.port), "the masked IPI is not there");
    CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_pending, 0, "the mask");
    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_unmask, A32(&ipi.port)), 0, "unmask");
    CHECK_EQ(mask[ipi.port / 32], 0, "the mask's bit");
    CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_pending, 1, "the upcall");
    CHECK_EQ(page[1], 1u << ipi.port / 32, "the selector");
    CHECK_EQ(hc_hvm_op(HVMOP_set_param, &p), 0, "set_param of 64-bit code");
    mask[ipi.port / 32] = 0;
    shared->evtchn_mask[ipi.port / 64] = 1ul << ipi.port % 64;
    ((volatile uint32_t *)shared->evtchn_pending)[ipi.port / 32] = 0;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    CHECK_EQ(CALL(__HYPERVISOR_event_channel_op, EVTCHNOP_send, A32(&ipi.port)), 0, "send");
    CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_pending, 0, "the mask of 64-bit code");
    shared->evtchn_mask[ipi.port / 64] = 0;
}

/* --- garbage --- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* Pages of a hole that the frame of shared_info was moved to have nothing that a call could hurt.
 */
static uint32_t argument(uint8_t *noise)
{
    switch (next() % 6) {
    case 0:
        return A32(noise) + (next() & 0xffc);
    case 1:
        return A32(edge(next() % 64));
    case 2:
        return next();
    case 3:
        return 0xfffffff0 + next() % 16;
    default:
        return next() % 40;
    }
}

/* Calls that would rightly end the test, or replace a page of its own by what was asked for. */
static bool leave_out(uint32_t nr, const uint32_t *a)
{
    bool nowhere = a[1] >= 0xf0000000; /* no structure is there */
    unsigned int op = a[0] % 64;

    switch (nr) {
    case __HYPERVISOR_multicall:
        return true;
    case __HYPERVISOR_sched_op:
        return a[0] == SCHEDOP_block || a[0] == SCHEDOP_shutdown || a[0] == SCHEDOP_poll ||
               a[0] == SCHEDOP_remote_shutdown || a[0] == SCHEDOP_shutdown_code ||
               a[0] == SCHEDOP_watchdog;
    case __HYPERVISOR_vcpu_op:
        return a[0] == VCPUOP_down || a[0] == VCPUOP_send_nmi ||
               a[0] == VCPUOP_register_vcpu_time_memory_area ||
               a[0] == VCPUOP_register_runstate_memory_area || a[0] == VCPUOP_register_vcpu_info;
    case __HYPERVISOR_console_io:
        return a[0] == CONSOLEIO_write;
    case __HYPERVISOR_memory_op:
        return op == XENMEM_decrease_reservation ||
               (!nowhere && (op == XENMEM_add_to_physmap || op == XENMEM_add_to_physmap_batch ||
                             op == XENMEM_remove_from_physmap));
    case __HYPERVISOR_grant_table_op:
        return !nowhere && (a[0] == GNTTABOP_copy || a[0] == GNTTABOP_transfer);
    case __HYPERVISOR_event_channel_op:
        return a[0] == EVTCHNOP_init_control || a[0] == EVTCHNOP_expand_array;
    default:
        return false;
    }
}

static void garbage(void)
{
    uint8_t *noise = pvh_virt(pvh_free_pfn());

    for (uint32_t nr = 0; nr < 70; nr++) {
        for (unsigned int i = 0; i < 300; i++) {
            uint32_t a[5];

            for (unsigned int n = 0; n < 5; n++)
                a[n] = argument(noise);
            if (leave_out(nr, a))
                continue;
            for (unsigned int n = 0; n < PAGE_SIZE; n += 4)
                *(uint32_t *)(noise + n) = next() >> (next() % 32);
            call32(nr, a);
        }
    }
}

void guest_main(void)
{
    pvh_map_shared();
    version();
    reservations();
    events();
    vcpu();
    physmap();
    grants();
    multicall();
    parameters();
    layout();
    garbage();
    CHECK_EQ(CALL(__HYPERVISOR_xen_version, XENVER_version) >> 16, 4, "at the end");
}

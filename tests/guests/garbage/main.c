/* SPDX-License-Identifier: MIT */
/*
 * Every hypercall number with random arguments: small numbers, huge ones, pointers to zeros, to
 * ones, to nothing and into the hypervisor. Left out is only what would rightly end the test.
 */
#include "guest.h"

#define ROUNDS 250

/* Pages with nothing behind them, so that what a call writes cannot reach the test itself. */
static uint8_t *const zeros = (uint8_t *)TEST_VA;
static uint8_t *const ones = (uint8_t *)TEST_VA + 2 * PAGE_SIZE;
static uint8_t *const noise = (uint8_t *)TEST_VA + 4 * PAGE_SIZE;
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t argument(void)
{
    static const uint64_t fixed[] = {
        0x7ff0,
        0x7ff1,
        0x7ff2,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        ~0ul,
        1ul << 63,
        1ul << 47,
        HYPERVISOR_VIRT_START,
        HYPERVISOR_VIRT_START + (5ul << 39),
        HYPERVISOR_VIRT_END - 8,
        0x1000,
    };
    uint64_t r = next();

    switch (r >> 8 & 7) {
    case 0:
        return (uint64_t)zeros + (r >> 16 & 0xff8);
    case 1:
        return (uint64_t)ones + (r >> 16 & 0xff8);
    case 2:
        return (uint64_t)noise + (r >> 16 & 0xff8);
    case 3:
        return fixed[r % ARRAY_SIZE(fixed)];
    case 4:
        return next();
    default:
        return r % 48;
    }
}

static bool is_pointer(uint64_t v)
{
    return v >= TEST_VA && v < TEST_VA + 5 * PAGE_SIZE;
}

/* What would end or stop this domain as asked, or change the test's own memory. */
static bool leave_out(unsigned int nr, const uint64_t *a)
{
    uint32_t cmd = (uint32_t)a[0];

    switch (nr) {
    case __HYPERVISOR_iret:
        return true;
    case __HYPERVISOR_sched_op: /* block, shutdown, of oneself from afar too */
    case __HYPERVISOR_sched_op_compat:
        return cmd == SCHEDOP_block || cmd == SCHEDOP_shutdown || cmd == SCHEDOP_remote_shutdown ||
               cmd == SCHEDOP_shutdown_code || cmd == SCHEDOP_poll || cmd == SCHEDOP_watchdog;
    case __HYPERVISOR_vcpu_op:
        return cmd == VCPUOP_down;
    case __HYPERVISOR_update_va_mapping:
    case __HYPERVISOR_update_va_mapping_otherdomain:
        return is_pointer(a[0]);
    case __HYPERVISOR_console_io:
        return cmd == CONSOLEIO_write && is_pointer(a[2]);
    case __HYPERVISOR_mmuext_op:
    case __HYPERVISOR_multicall: /* lists of noise may hold what is left out */
        return is_pointer(a[0]) && a[0] >= (uint64_t)noise && a[0] < (uint64_t)noise + PAGE_SIZE;
    case __HYPERVISOR_physdev_op: /* a device reset of noise is a device reset */
    case __HYPERVISOR_kexec_op:
        return is_pointer(a[1]);
    default:
        return false;
    }
}

static bool swallow_nmi(struct regs *r)
{
    return r->vector == VEC_NMI || r->vector == VEC_NMI_CALLBACK;
}

static void refill(void)
{
    memset(zeros, 0, PAGE_SIZE);
    memset(ones, 0xff, PAGE_SIZE);
    for (unsigned int i = 0; i < PAGE_SIZE; i += 8)
        *(uint64_t *)(noise + i) = next() >> (next() % 64);
}

static void one_number(unsigned int nr)
{
    unsigned int done = 0;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a[5];

        for (int n = 0; n < 5; n++)
            a[n] = argument();
        if (leave_out(nr, a))
            continue;
        if (i % 16 == 0)
            refill();
        hypercall_raw(nr, a[0], a[1], a[2], a[3], a[4]);
        done++;
        shared->vcpu_info[0].evtchn_upcall_mask = 1;
        if (hc_set_trap_table(trap_table) ||
            hc_stack_switch(FLAT_KERNEL_SS, (uint64_t)this_cpu() + CPU_TRAP_STACK))
            CHECK(false, "after hypercall %u", nr);
    }
    CHECK(hc_xen_version(XENVER_version, NULL) >> 16 == 4, "after hypercall %u (%u times)", nr,
          done);
    trap_init();
}

void guest_main(void)
{
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    struct account before, after;
    const char *wanted = option_value("nr");
    unsigned int only = 0;

    for (; wanted && *wanted >= '0' && *wanted <= '9'; wanted++)
        only = only * 10 + (unsigned int)(*wanted - '0');
    trap_hook = swallow_nmi;
    for (unsigned int i = 0; i < 6; i += 2)
        map_page(TEST_VA + i * PAGE_SIZE, pfn_pte(alloc_pfn(), KERN_RW));
    account_take(&before);
    for (unsigned int nr = 0; nr < 64; nr++)
        if (!option("nr") || nr == only)
            one_number(nr);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(hypercall_raw((long)(next() | 0x100), 1, 2, 3, 4, 5), -ENOSYS, "a wild number");
    CHECK_EQ(hypercall_raw(1l << 32, 0, 0, 0, 0, 0) <= 0, 1, "number 2^32");
    hc_event_channel_op(EVTCHNOP_reset, &reset);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    account_take(&after);
    CHECK(after.free_pages + 512 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}

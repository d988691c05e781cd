/* SPDX-License-Identifier: MIT */
/* The choice of the APIC's mode, and what its registers are told in both. */
#include "machine.h"
#include "x86/irq/lapic.c"

struct cpu_features cpu_feat;
static uint32_t regs[1024];

void *vmap(maddr_t pa, size_t len, enum vmap_attr attr)
{
    CHECK(pa.v == 0xfee00000 && len == PAGE_SIZE && attr == VMAP_UC);
    return regs;
}

void tsc_delay_us(uint64_t us)
{
    (void)us;
}

static bool wants(bool available, bool enabled, bool hypervisor, uint32_t max_id, int option)
{
    struct lapic_choice c = { available, enabled, hypervisor, max_id, option };

    return lapic_want_x2apic(&c);
}

TEST(mode)
{
    CHECK(!wants(false, false, true, 300, 1)); /* not there */
    CHECK(wants(true, true, false, 4, 0));     /* the firmware's choice cannot be undone */
    CHECK(wants(true, false, false, 255, 0));  /* the only way to reach such CPUs */
    CHECK(!wants(true, false, false, 254, -1));
    CHECK(wants(true, false, true, 4, -1));
    CHECK(!wants(true, false, true, 4, 0));
    CHECK(wants(true, false, false, 4, 1));
}

static void msrs(bool x2)
{
    static const uint32_t ids[] = { 0x1b,  0x802, 0x803, 0x808, 0x80b, 0x80f, 0x810, 0x811, 0x812,
                                    0x813, 0x814, 0x815, 0x816, 0x817, 0x828, 0x82f, 0x830, 0x832,
                                    0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x839, 0x83e, 0x6e0 };

    host_machine.nr_msr = 0;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        host_machine.msr[host_machine.nr_msr++] = (struct host_msr){ .msr = ids[i] };
    host_machine.msr[0].val = 0xfee00000 | 0x800;
    host_machine.msr[1].val = 0x123; /* the id */
    host_machine.msr[2].val = 0x50014;
    cpu_feat.x2apic = x2;
    lapic_regs = NULL;
    memset(&timer_state, 0, sizeof(timer_state));
    lapic_timer_by_deadline = false;
    memset(regs, 0, sizeof(regs));
    regs[LAPIC_ID / 4] = 5u << 24;
    regs[LAPIC_VERSION / 4] = 0x50014;
}

TEST(xapic)
{
    msrs(false);
    lapic_init_bsp(3, -1);
    CHECK(lapic_regs == regs);
    CHECK_EQ(lapic_id(), 5);
    CHECK_EQ(regs[LAPIC_SVR / 4], 0x1ff);
    CHECK_EQ(regs[LAPIC_LVT_LINT0 / 4], 0x10000);
    CHECK_EQ(regs[LAPIC_LVT_LINT1 / 4], 0x400);
    CHECK_EQ(regs[LAPIC_LVT_ERROR / 4], VEC_ERROR);
    lapic_send_ipi(3, VEC_KICK);
    CHECK_EQ(regs[LAPIC_ICR_HIGH / 4], 3u << 24);
    CHECK_EQ(regs[LAPIC_ICR / 4], 0x4000 | VEC_KICK);
    lapic_start_cpu(2, 0x9f);
    CHECK_EQ(regs[LAPIC_ICR_HIGH / 4], 2u << 24);
    CHECK_EQ(regs[LAPIC_ICR / 4], 0x469f);
    regs[LAPIC_ISR / 4 + 4 * 3] = 1u << 5;
    CHECK(lapic_test_vector(LAPIC_ISR, 3 * 32 + 5));
    CHECK(!lapic_test_vector(LAPIC_ISR, 3 * 32 + 6));
    lapic_timer_calibrated(1000, false);
    CHECK_EQ(regs[LAPIC_LVT_TIMER / 4], VEC_TIMER);
    lapic_timer_set_ticks(77);
    CHECK_EQ(regs[LAPIC_TIMER_INITIAL / 4], 77);
}

TEST(x2apic)
{
    uint64_t v;

    msrs(true);
    lapic_init_bsp(3, 1);
    CHECK(!lapic_regs);
    CHECK_EQ(rdmsr(0x1b) & 0xc00, 0xc00);
    CHECK_EQ(lapic_id(), 0x123);
    lapic_send_ipi(0x1234, VEC_CALL);
    CHECK(rdmsr_safe(0x830, &v) && v == (0x1234ull << 32 | 0x4000 | VEC_CALL));
    lapic_send_nmi_others();
    CHECK(rdmsr_safe(0x830, &v) && v == 0xc4400);
    lapic_timer_calibrated(1000, true);
    lapic_timer_set_tsc(99);
    CHECK(rdmsr_safe(0x6e0, &v) && v == 99);
    CHECK(rdmsr_safe(0x832, &v) && v == (0x40000 | VEC_TIMER));
}

#define MSR_EOI 0x80b
#define MSR_ISR7 0x817
static uint32_t eois;

/* An end of interrupt: the highest vector in service goes. */
static void end_of_interrupt(uint32_t msr)
{
    uint64_t in_service = rdmsr(MSR_ISR7);

    if (msr != MSR_EOI)
        return;
    eois++;
    if (in_service)
        wrmsr(MSR_ISR7, in_service & ~(1ull << (63 - __builtin_clzll(in_service))));
}

static uint32_t before_idle(uint32_t in_service)
{
    eois = 0;
    machine_log[0] = 0;
    wrmsr(MSR_ISR7, in_service);
    lapic_before_idle();
    return (uint32_t)rdmsr(MSR_ISR7);
}

/* A lost end of interrupt is made up for before a CPU halts; a device's vector waits for its own.
 */
TEST(idle)
{
    msrs(true);
    lapic_init_bsp(3, 1);
    host_machine.msr_written = end_of_interrupt;
    CHECK_EQ(before_idle(0), 0);
    CHECK_EQ(before_idle(0x8001), 0x8001); /* vectors ef and e0 */
    CHECK(!eois && !machine_log[0]);
    CHECK_EQ(before_idle(0x30008001), 0x8001); /* fd and fc beside them */
    CHECK_EQ(eois, 2);
    CHECK(strstr(machine_log, "0x3000 of f0 to ff") != NULL);
    host_machine.msr_written = NULL; /* one that stays holds nobody */
    CHECK_EQ(before_idle(1u << 31), 1u << 31);
}

/* A bus that never delivers does not hold the CPU, nor does a service bit that stays. */
TEST(broken)
{
    msrs(false);
    regs[LAPIC_ISR / 4] = 1;
    lapic_init_bsp(3, -1);
    regs[LAPIC_ICR / 4] = ICR_PENDING;
    lapic_send_ipi(1, VEC_KICK);
    CHECK_EQ(regs[LAPIC_ICR / 4], 0x4000 | VEC_KICK);
    machine_log[0] = 0;
    for (int i = 0; i < 100; i++)
        lapic_handle_error();
    CHECK(strstr(machine_log, "error status") != NULL);
}

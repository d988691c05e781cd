/* SPDX-License-Identifier: MIT */
/* Calibration on a simulated machine: each port access takes time, which all its clocks count. */
#include "machine.h"
#include "x86/time/tsc.c"

#include <xen/errno.h>

struct cpu_features cpu_feat;
volatile uint32_t *lapic_regs;
struct pcpu *pcpus[MAX_CPUS];

#define ACCESS_NS 700

static uint64_t ns;            /* real time of the simulated machine */
static uint64_t real_hz;       /* of the TSC */
static uint64_t pm_hz, pit_hz; /* 0: stands still */
static uint64_t lapic_bus_hz;
static uint64_t lapic_started;
static bool stable;
bool lapic_timer_by_deadline;
static uint64_t armed_tsc;
static uint32_t armed_ticks;

static void pass(uint64_t t)
{
    ns += t;
    host_machine.tsc = muldiv64(ns, real_hz, NS_PER_SEC);
}

static uint32_t machine_in(uint16_t port, unsigned int size)
{
    static bool high;

    (void)size;
    pass(ACCESS_NS);
    if (port == 0x608)
        return (uint32_t)muldiv64(ns, pm_hz, NS_PER_SEC) & 0xffffff;
    if (port == 0x42) {
        uint16_t count = (uint16_t)-muldiv64(ns, pit_hz, NS_PER_SEC);

        high = !high;
        return high ? count & 0xff : count >> 8;
    }
    return 0;
}

static void machine_out(uint16_t port, unsigned int size, uint32_t v)
{
    (void)port;
    (void)size;
    (void)v;
    /* A latch command: the count is taken when it is read, so no time passes in between. */
}

const struct ref_clock *hpet_start(uint64_t base)
{
    CHECK_EQ(base, 0xfed00000);
    return NULL;
}

void lapic_timer_start_counting(void)
{
    lapic_started = ns;
}

uint32_t lapic_timer_elapsed(void)
{
    return (uint32_t)muldiv64(ns - lapic_started, lapic_bus_hz, NS_PER_SEC);
}

static uint64_t told_hz;

void lapic_timer_calibrated(uint64_t hz, bool use)
{
    told_hz = hz;
    lapic_timer_by_deadline = use;
}

void lapic_timer_set_tsc(uint64_t v)
{
    armed_tsc = v;
}

void lapic_timer_set_ticks(uint32_t v)
{
    armed_ticks = v;
}

bool tsc_is_stable(void)
{
    return stable;
}

static void boot(uint64_t hz, uint64_t pm, uint64_t pit)
{
    const struct time_hw hw = { .hpet_base = 0xfed00000, .pmtimer_port = 0x608 };

    memset(&tsc, 0, sizeof(tsc));
    machine_log[0] = 0;
    tsc_ref = NULL;
    ns = 12345678901;
    real_hz = hz;
    pm_hz = pm;
    pit_hz = pit;
    lapic_bus_hz = 62500000;
    host_machine.in = machine_in;
    host_machine.out = machine_out;
    pass(0);
    CHECK_EQ(arch_now(), 0);
    tsc_init(&hw);
}

/* Within 300 parts in a million: an access takes 0.7 us of the interval's 10 ms. */
static bool near(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) <= b * 3 / 10000;
}

TEST(calibrates_by_pm_timer)
{
    static const uint64_t rates[] = { 1000000000, 2399998765, 4200000000 };

    for (size_t i = 0; i < 3; i++) {
        boot(rates[i], 3579545, 0);
        CHECK(near(tsc_hz(), rates[i]));
        CHECK(near(told_hz, 62500000));
        CHECK_STR(tsc_reference(), "ACPI PM timer");
    }
}

TEST(falls_back_to_the_pit)
{
    boot(2500000000, 0, 1193182); /* the PM timer stands still */
    CHECK(near(tsc_hz(), 2500000000));
    CHECK_STR(tsc_reference(), "none"); /* it wraps too fast to watch by */
    CHECK(strstr(machine_log, "ACPI PM timer") != NULL);
}

TEST(believes_cpuid_when_it_is_near)
{
    static const struct host_cpuid good[] = { { 0, ~0u, 0x16, 0, 0, 0 },
                                              { 0x15, 0, 2, 200, 24000000, 0 },
                                              { ~0u, ~0u, 0, 0, 0, 0 } };
    static const struct host_cpuid bad[] = { { 0, ~0u, 0x16, 0, 0, 0 },
                                             { 0x15, 0, 2, 400, 24000000, 0 },
                                             { ~0u, ~0u, 0, 0, 0, 0 } };

    host_machine.cpuid = good;
    boot(2400000000, 3579545, 0);
    CHECK_EQ(tsc_hz(), 2400000000);
    host_machine.cpuid = bad;
    boot(2400000000, 3579545, 0);
    CHECK(near(tsc_hz(), 2400000000));
    host_machine.cpuid = NULL;
}

TEST(time_runs)
{
    uint64_t start;

    boot(3000000000, 3579545, 0);
    start = arch_now();
    CHECK(start < 1000000);
    pass(5 * NS_PER_SEC);
    CHECK(near(arch_now() - start, 5 * NS_PER_SEC));
}

TEST(record_gives_guests_our_time)
{
    static struct x86_domain d;
    static struct x86_vcpu v = { .v.domain = &d.d };
    struct vcpu_time_info t = { 0 };
    struct clock_scale s;

    boot(3000000000, 3579545, 0);
    stable = true;
    arch_fill_time(&v.v, &t);
    CHECK_EQ(t.flags, XEN_PVCLOCK_TSC_STABLE_BIT);
    s = (struct clock_scale){ t.tsc_to_system_mul, t.tsc_shift };
    for (int i = 0; i < 100; i++) {
        pass(987654321);
        CHECK_EQ(t.system_time + clock_scale(host_machine.tsc - t.tsc_timestamp, s), arch_now());
    }
    /* A guest whose TSC began with it. */
    v.tsc_offset = -host_machine.tsc;
    arch_fill_time(&v.v, &t);
    pass(987654321);
    CHECK_EQ(t.system_time + clock_scale(host_machine.tsc + v.tsc_offset - t.tsc_timestamp, s),
             arch_now());
    stable = false;
    arch_fill_time(&v.v, &t);
    CHECK_EQ(t.flags, 0);
}

/* Its own frequency, its own beginning; the record and what RDTSC gives agree. */
TEST(emulated_tsc)
{
    static struct x86_domain d;
    static struct x86_vcpu v = { .v.domain = &d.d };
    struct xen_domctl_tsc_info info = { .tsc_mode = TSC_MODE_EMULATE,
                                        .gtsc_khz = 1500000,
                                        .incarnation = 3,
                                        .elapsed_nsec = 40 * NS_PER_SEC }; /* before boot */
    struct vcpu_time_info t = { 0 };
    struct clock_scale s;

    boot(3000000000, 3579545, 0);
    CHECK_EQ(vtsc_now(&d), host_machine.tsc);
    CHECK(!vtsc_fill_time(&v, &t));
    CHECK_EQ(vtsc_set(&d, &info), 0);
    CHECK_EQ(vtsc_khz(&d), 1500000);
    CHECK(near(vtsc_now(&d), 40 * 1500000000ull));
    pass(10 * NS_PER_SEC);
    CHECK(near(vtsc_now(&d), 50 * 1500000000ull));
    v.tsc_offset = 12345;
    arch_fill_time(&v.v, &t);
    s = (struct clock_scale){ t.tsc_to_system_mul, t.tsc_shift };
    for (int i = 0; i < 100; i++) {
        uint64_t told, now;

        pass(987654321);
        told = t.system_time + clock_scale(vtsc_now(&d) + v.tsc_offset - t.tsc_timestamp, s);
        now = arch_now();
        CHECK((told > now ? told - now : now - told) < 100); /* two roundings in 100 s */
    }
    vtsc_get(&d, &info);
    CHECK(info.tsc_mode == TSC_MODE_EMULATE && info.gtsc_khz == 1500000 && info.incarnation == 3);
    CHECK(near(info.elapsed_nsec, 50 * NS_PER_SEC + 100 * 987654321ull));
}

TEST(tsc_modes)
{
    static struct x86_domain d;
    struct xen_domctl_tsc_info info = { 0 };

    boot(3000000000, 3579545, 0);
    CHECK_EQ(vtsc_set(&d, &info), 0); /* mode 0, no wish */
    CHECK(!d.tsc.emulated);
    info.gtsc_khz = vtsc_khz(&d);
    CHECK_EQ(vtsc_set(&d, &info), 0);
    CHECK(!d.tsc.emulated);
    info.gtsc_khz += 1000; /* from a faster machine */
    CHECK_EQ(vtsc_set(&d, &info), 0);
    CHECK(d.tsc.emulated);
    info.tsc_mode = TSC_MODE_NATIVE;
    CHECK_EQ(vtsc_set(&d, &info), 0);
    CHECK(!d.tsc.emulated);
    info.gtsc_khz = 999;
    CHECK_EQ(vtsc_set(&d, &info), -XEN_EINVAL);
    info.gtsc_khz = 64000001;
    CHECK_EQ(vtsc_set(&d, &info), -XEN_EINVAL);
    info = (struct xen_domctl_tsc_info){ .tsc_mode = 3 };
    CHECK_EQ(vtsc_set(&d, &info), -XEN_EINVAL);
    info.tsc_mode = TSC_MODE_EMULATE;
    d.d.started = true;
    CHECK_EQ(vtsc_set(&d, &info), -XEN_EEXIST);
}

TEST(unstable_time_never_goes_back)
{
    uint64_t before;

    boot(2000000000, 3579545, 0);
    pass(NS_PER_SEC);
    before = arch_now();
    tsc_make_unstable();
    CHECK(arch_now() >= before);
    machine_cpu = 3; /* its TSC is behind by half a second */
    records[3].base_tsc += 1000000000;
    CHECK(arch_now() >= before);
    tsc_rebase_cpu(host_machine.tsc, before + 1000);
    CHECK_EQ(arch_now(), before + 1000);
    machine_cpu = 0;
    CHECK(arch_now() >= before + 1000);
}

TEST(timer_ticks)
{
    boot(2000000000, 3579545, 0);
    arch_timer_set(arch_now() + 1000000);
    CHECK(armed_ticks >= 62480 && armed_ticks <= 62530);
    arch_timer_set(0); /* past: at once, but never "off" */
    CHECK_EQ(armed_ticks, 1);
    arch_timer_set(UINT64_MAX);
    CHECK_EQ(armed_ticks, UINT32_MAX);
}

TEST(timer_deadline)
{
    cpu_feat.tsc_deadline = true;
    boot(2000000000, 3579545, 0);
    cpu_feat.tsc_deadline = false;
    arch_timer_set(arch_now() + 1000000);
    CHECK(near(armed_tsc - host_machine.tsc, 2000000));
    arch_timer_set(0);
    CHECK(armed_tsc != 0 && armed_tsc <= host_machine.tsc + 1);
}

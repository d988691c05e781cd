/* SPDX-License-Identifier: MIT */
/*
 * One record for all CPUs while the TSC is stable, else one for each, which that CPU renews;
 * what arch_now() returned last is atomic. No locks.
 */
#include "x86/time/tsc.h"

#include "core/arch.h"
#include "core/bug.h"
#include "core/log.h"
#include "core/param.h"
#include "x86/cpu/cpu.h"
#include "x86/irq/lapic.h"
#include "x86/time/vtsc.h"
#include "x86/vcpu.h"

#define CALIBRATE_MS 10
#define SAMPLE_TRIES 5
#define PAUSES_BETWEEN_LOOKS 64 /* a counted instruction each; a look at a clock costs more */
#define MAX_LOOKS 1000000       /* a clock that stands still is given up */
#define GUESS_HZ 4000000000ull
#define LONGEST_NS (3600 * NS_PER_SEC) /* no timer is set further ahead: it is set again then */

/* A TSC outside of these is a broken measurement, not a processor. */
#define HZ_MIN 10000000ull
#define HZ_MAX 20000000000ull

struct tsc_record {
    uint64_t base_tsc;
    uint64_t base_ns;
};

static struct {
    bool running;
    bool unstable;    /* atomic: written once, with the records filled in before */
    bool steady;      /* atomic: running and not unstable */
    uint8_t up, down; /* to_ns.shift, or its negative: one is 0 */
    struct tsc_record common;
    struct clock_scale to_ns;    /* TSC ticks to ns */
    struct clock_scale from_ns;  /* ns to TSC ticks */
    struct clock_scale to_lapic; /* ns to ticks of the local APIC timer */
    uint64_t hz;
    uint64_t last_ns; /* unstable: the highest time that anyone saw; atomic */
} tsc;
static struct tsc_record records[MAX_CPUS]; /* [own CPU] used once unstable */

const struct ref_clock *tsc_ref;
struct clock_sample tsc_first;

struct clock_sample tsc_sample(const struct ref_clock *r)
{
    struct clock_sample best = { 0, 0 };
    uint64_t best_gap = UINT64_MAX;

    for (unsigned int i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = rdtsc();
        uint64_t ref = r->read();
        uint64_t gap = rdtsc() - before;

        if (gap < best_gap) {
            best_gap = gap;
            best = (struct clock_sample){ before + gap / 2, ref };
        }
    }
    return best;
}

void tsc_sample_interval(const struct ref_clock *r, struct clock_sample a, struct clock_sample b,
                         uint64_t *tsc_ns, uint64_t *ref_ns)
{
    *tsc_ns = clock_scale(b.tsc - a.tsc, tsc.to_ns);
    *ref_ns = muldiv64(ref_elapsed(r, a.ref, b.ref), NS_PER_SEC, r->hz);
}

/* The frequency by CPUID, where it gives crystal and ratio in full; else 0. */
static uint64_t hz_by_cpuid(void)
{
    uint32_t max, den, num, crystal, d;

    cpuid(0, 0, &max, &den, &num, &d);
    if (max < 0x15)
        return 0;
    cpuid(0x15, 0, &den, &num, &crystal, &d);
    if (!den || !num || !crystal)
        return 0;
    return muldiv64(crystal, num, den);
}

/* Lets CALIBRATE_MS pass by r; false when r stands still. */
static bool wait_interval(const struct ref_clock *r, uint64_t since)
{
    uint64_t ticks = r->hz * CALIBRATE_MS / 1000;

    for (unsigned int look = 0; look < MAX_LOOKS; look++) {
        if (ref_elapsed(r, since, r->read()) >= ticks)
            return true;
        for (unsigned int i = 0; i < PAUSES_BETWEEN_LOOKS; i++)
            cpu_pause();
    }
    return false;
}

/* Measures the TSC by r over an interval, and over the same one the local APIC timer by the TSC. */
static bool measure(const struct ref_clock *r, uint64_t *tsc_hz_out, uint64_t *lapic_hz)
{
    struct clock_sample a, b;
    uint64_t started, lapic;

    lapic_timer_start_counting();
    started = rdtsc();
    a = tsc_sample(r);
    if (!wait_interval(r, a.ref))
        return false;
    b = tsc_sample(r);
    lapic = lapic_timer_elapsed();
    started = rdtsc() - started;
    *tsc_hz_out = muldiv64(b.tsc - a.tsc, r->hz, ref_elapsed(r, a.ref, b.ref));
    *lapic_hz = muldiv64(lapic, *tsc_hz_out, started);
    return *tsc_hz_out >= HZ_MIN && *tsc_hz_out <= HZ_MAX && *lapic_hz > 0;
}

/* The first clock that gives a plausible measurement. */
static const struct ref_clock *calibrate(const struct time_hw *hw, uint64_t *hz, uint64_t *lapic_hz)
{
    for (unsigned int i = 0; i < 3; i++) {
        const struct ref_clock *r = i == 0   ? hpet_start(hw->hpet_base)
                                    : i == 1 ? pmtimer_start(hw->pmtimer_port, hw->pmtimer_32)
                                             : pit_start();

        if (!r)
            continue;
        if (measure(r, hz, lapic_hz)) {
            if (r->mask > 0xffff)
                tsc_ref = r;
            return r;
        }
        log_warn("clock %s: no plausible measurement, trying another", r->name);
    }
    return NULL;
}

void tsc_init(const struct time_hw *hw)
{
    uint64_t lapic_hz, exact = hz_by_cpuid();
    const struct ref_clock *r = calibrate(hw, &tsc.hz, &lapic_hz);

    if (!r)
        panic("no clock to measure the TSC with: neither HPET nor ACPI PM timer nor PIT runs");
    /* What CPUID says is exact, but believed only if the measurement is near. */
    if (exact && exact / 100 > (exact > tsc.hz ? exact - tsc.hz : tsc.hz - exact))
        tsc.hz = exact;
    tsc.to_ns = clock_scale_ratio(NS_PER_SEC, tsc.hz);
    tsc.from_ns = clock_scale_ratio(tsc.hz, NS_PER_SEC);
    tsc.to_lapic = clock_scale_ratio(lapic_hz, NS_PER_SEC);
    lapic_timer_calibrated(lapic_hz, cpu_feat.tsc_deadline);
    tsc.common = (struct tsc_record){ rdtsc(), 0 };
    tsc.running = true;
    tsc.up = (uint8_t)MAX(tsc.to_ns.shift, 0);
    tsc.down = (uint8_t)MAX(-tsc.to_ns.shift, 0);
    tsc.steady = !tsc.unstable;
    if (tsc_ref)
        tsc_first = tsc_sample(tsc_ref);
    log_info("TSC: %llu.%03llu MHz by %s; timer: %s", (unsigned long long)(tsc.hz / 1000000),
             (unsigned long long)(tsc.hz / 1000 % 1000), r->name,
             lapic_timer_by_deadline ? "TSC deadline" : "local APIC");
}

uint64_t tsc_to_ns(uint64_t t)
{
    return tsc.common.base_ns + clock_scale(t - tsc.common.base_tsc, tsc.to_ns);
}

static const struct tsc_record *record(void)
{
    return likely(!tsc.unstable) ? &tsc.common : &records[this_cpu_id()];
}

/* No CPU shows a time before one that any CPU has shown. */
static uint64_t not_before_others(uint64_t now)
{
    uint64_t last = __atomic_load_n(&tsc.last_ns, __ATOMIC_RELAXED);

    while (now > last)
        if (__atomic_compare_exchange_n(&tsc.last_ns, &last, now, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
            return now;
    return last;
}

uint64_t arch_cycles(void)
{
    return rdtsc();
}

uint64_t arch_now(void)
{
    const struct tsc_record *r;
    uint64_t now;

    if (likely(__atomic_load_n(&tsc.steady, __ATOMIC_RELAXED))) { /* clock_scale(), for short */
        now = (rdtsc() - tsc.common.base_tsc) << (tsc.up & 63) >> (tsc.down & 63);
        return tsc.common.base_ns + (uint64_t)((unsigned __int128)now * tsc.to_ns.mul >> 32);
    }
    if (unlikely(!tsc.running))
        return 0;
    r = record();
    now = r->base_ns + clock_scale(rdtsc() - r->base_tsc, tsc.to_ns);
    return likely(!tsc.unstable) ? now : not_before_others(now);
}

void arch_fill_time(struct vcpu *v, struct vcpu_time_info *t)
{
    const struct tsc_record *r = record();

    t->flags = tsc_is_stable() ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
    if (vtsc_fill_time(x86_vcpu(v), t))
        return;
    t->tsc_timestamp = r->base_tsc + x86_vcpu(v)->tsc_offset;
    t->system_time = r->base_ns;
    t->tsc_to_system_mul = tsc.to_ns.mul;
    t->tsc_shift = tsc.to_ns.shift;
}

void tsc_make_unstable(void)
{
    for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
        records[cpu] = tsc.common;
    tsc.last_ns = tsc_to_ns(rdtsc());
    __atomic_store_n(&tsc.unstable, true, __ATOMIC_RELEASE);
    __atomic_store_n(&tsc.steady, false, __ATOMIC_RELEASE);
}

void tsc_rebase_cpu(uint64_t at, uint64_t ns)
{
    records[this_cpu_id()] = (struct tsc_record){ at, ns };
}

/*
 * Ticks are rounded up, and a little more (1/16384): an interrupt before the deadline would only
 * program the rest again.
 */
void arch_timer_set(uint64_t deadline)
{
    uint64_t now = arch_now(), ticks;
    uint64_t delta = deadline > now ? MIN(deadline - now, LONGEST_NS) : 0;

    if (lapic_timer_by_deadline) {
        lapic_timer_set_tsc(rdtsc() + clock_scale(delta, tsc.from_ns) + 1);
        return;
    }
    ticks = clock_scale(delta + (delta >> 14), tsc.to_lapic) + 1;
    lapic_timer_set_ticks((uint32_t)MIN(ticks, UINT32_MAX));
}

uint64_t tsc_hz(void)
{
    return tsc.hz;
}

struct clock_scale tsc_scale(void)
{
    return tsc.to_ns;
}

const char *tsc_reference(void)
{
    return tsc_ref ? tsc_ref->name : "none";
}

void tsc_delay_us(uint64_t us)
{
    uint64_t ticks = muldiv64(us, tsc.hz ? tsc.hz : GUESS_HZ, 1000000);
    uint64_t start = rdtsc();

    while (rdtsc() - start < ticks)
        cpu_pause();
}

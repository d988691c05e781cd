/* SPDX-License-Identifier: MIT */
/*
 * System time: nanoseconds since tsc_init(), from the time-stamp counter.
 *
 * While the TSC is stable there is one record (base, scale) for all CPUs, and it never changes.
 * Else each CPU has its own, renewed each second against the reference clock, and arch_now() never
 * falls behind what any CPU returned before.
 */
#ifndef X86_TIME_TSC_H
#define X86_TIME_TSC_H

#include "x86/time/refclock.h"
#include "x86/time/scale.h"
#include "x86/time/stable.h"

/*
 * First CPU, after lapic_init_bsp(), vmap working: finds the reference clock, measures TSC and
 * local APIC timer (about 10 ms) and starts system time. Panics when the machine has no clock
 * to measure with. Until then arch_now() is 0.
 */
void tsc_init(const struct time_hw *hw);

/*
 * The warp test of one pair of CPUs, at bring-up: the first CPU calls _bsp while the new one
 * calls _ap; they wait for each other (the first one 100 ms at most). Some 1,000 looks each.
 */
void tsc_sync_bsp(void);
void tsc_sync_ap(void);

/*
 * First CPU, all are online: decides whether the TSC is stable, logs it, and starts the check of
 * each second (a timer). `option` is the value of tsc=, or NULL.
 */
void tsc_settle(const char *option);
bool tsc_is_stable(void);

/* Its frequency, and the record's scale, for sysctl and Dom0. */
uint64_t tsc_hz(void);
struct clock_scale tsc_scale(void);
/* The clock that the TSC is compared with: its name and frequency ("none": 0). */
const char *tsc_reference(void);

/* Spin. Before tsc_init() it takes the TSC to run at 4 GHz: too long rather than too short. */
void tsc_delay_us(uint64_t us);

/* --- between tsc.c and check.c --- */
extern const struct ref_clock *tsc_ref; /* long enough to watch the TSC by, or NULL */
struct clock_sample {
    uint64_t tsc, ref;
};
extern struct clock_sample tsc_first; /* taken when system time began */
/* Reads both clocks as nearly at once as five tries allow. */
struct clock_sample tsc_sample(const struct ref_clock *r);
/* Nanoseconds of both clocks from a to b. */
void tsc_sample_interval(const struct ref_clock *r, struct clock_sample a, struct clock_sample b,
                         uint64_t *tsc_ns, uint64_t *ref_ns);
/* From now on each CPU has its own record (a copy of the common one at first). */
void tsc_make_unstable(void);
/* Renew this CPU's record: system time is `ns` at TSC value `tsc`. */
void tsc_rebase_cpu(uint64_t tsc, uint64_t ns);
/* The raw conversion by the common record, for check.c. */
uint64_t tsc_to_ns(uint64_t tsc);

#endif

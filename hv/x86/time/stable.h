/* SPDX-License-Identifier: MIT */
/*
 * May guests count on the TSC? Pure decisions, over what time/check.c measured.
 *
 * The TSC is stable when it runs at one rate and shows the same value on all CPUs. Then a guest's
 * time record never changes, and its vDSO reads the clock without us.
 */
#ifndef X86_TIME_STABLE_H
#define X86_TIME_STABLE_H

#include <stdbool.h>
#include <stdint.h>

enum tsc_option { TSC_AUTO, TSC_FORCE_STABLE, TSC_FORCE_UNSTABLE };

/* The value of tsc=; TSC_AUTO for NULL. False: not understood (*out is TSC_AUTO). */
bool tsc_parse_option(const char *value, enum tsc_option *out);

struct tsc_evidence {
    enum tsc_option option;
    bool invariant;        /* CPUID 0x80000007 EDX bit 8 */
    unsigned int cpus;     /* online */
    unsigned int pairs;    /* CPUs that ran the warp test with the first one */
    uint64_t max_warp;     /* TSC ticks that it ran backwards between CPUs, at most */
    unsigned int compared; /* intervals compared with a reference clock */
    unsigned int agreed;   /* of these, within tolerance */
};

struct tsc_verdict {
    bool stable;
    const char *why; /* a phrase for the log */
};

struct tsc_verdict tsc_decide(const struct tsc_evidence *e);

/*
 * Did the TSC count `tsc_ns` while the reference counted `ref_ns`? Tolerates 1/512 of the interval
 * (calibration, a virtual machine's clocks) and 100 us (the host may stop us between two reads).
 */
bool tsc_interval_agrees(uint64_t tsc_ns, uint64_t ref_ns);

/*
 * The check of each second. A machine that stops us for a while shows as one bad interval, a TSC
 * that drifts as many: unstable after TSC_BAD_LIMIT bad ones in a row. Returns true when this
 * interval ends its stability.
 */
#define TSC_BAD_LIMIT 3
struct tsc_watch {
    unsigned int bad; /* in a row */
};
bool tsc_watch_interval(struct tsc_watch *w, uint64_t tsc_ns, uint64_t ref_ns);

#endif

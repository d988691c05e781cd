/* SPDX-License-Identifier: MIT */
/*
 * The TSC that a domain's vCPUs see; see vtsc.h. An emulated one has a moment of system time at
 * which it was 0 (start_ns, which may lie before the machine's boot: arithmetic is modulo 2^64) and
 * two scales; RDTSC traps, and its value and the time record come out of the same function.
 */
#include "x86/time/vtsc.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "lib/xenabi.h"
#include "x86/cpu/ops.h"
#include "x86/time/tsc.h"

#define KHZ_MIN 1000u
#define KHZ_MAX 64000000u
#define NS_PER_MS 1000000u

static uint32_t machine_khz(void)
{
    return (uint32_t)(tsc_hz() / 1000);
}

uint64_t vtsc_now(const struct x86_domain *xd)
{
    if (likely(!xd->tsc.emulated))
        return rdtsc();
    return clock_scale(arch_now() - xd->tsc.start_ns, xd->tsc.from_ns);
}

struct clock_scale vtsc_scale(const struct x86_domain *xd)
{
    return xd->tsc.emulated ? xd->tsc.to_ns : tsc_scale();
}

uint32_t vtsc_khz(const struct x86_domain *xd)
{
    return xd->tsc.emulated ? xd->tsc.khz : machine_khz();
}

bool vtsc_fill_time(const struct x86_vcpu *v, struct vcpu_time_info *t)
{
    const struct x86_domain *xd = x86_domain(v->v.domain);
    uint64_t now;

    if (likely(!xd->tsc.emulated))
        return false;
    now = arch_now();
    t->system_time = now;
    t->tsc_timestamp = clock_scale(now - xd->tsc.start_ns, xd->tsc.from_ns) + v->tsc_offset;
    t->tsc_to_system_mul = xd->tsc.to_ns.mul;
    t->tsc_shift = xd->tsc.to_ns.shift;
    return true;
}

void vtsc_get(const struct x86_domain *xd, struct xen_domctl_tsc_info *info)
{
    uint32_t khz = vtsc_khz(xd);

    *info = (struct xen_domctl_tsc_info){
        .tsc_mode = xd->tsc.mode,
        .gtsc_khz = khz,
        .incarnation = xd->tsc.incarnation,
        .elapsed_nsec = xd->tsc.emulated ? arch_now() - xd->tsc.start_ns
                                         : muldiv64(rdtsc(), NS_PER_MS, khz),
    };
}

long vtsc_set(struct x86_domain *xd, const struct xen_domctl_tsc_info *info)
{
    uint32_t khz = info->gtsc_khz ? info->gtsc_khz : machine_khz();

    if (info->tsc_mode > TSC_MODE_NATIVE || khz < KHZ_MIN || khz > KHZ_MAX)
        return -XEN_EINVAL;
    if (xd->d.started)
        return -XEN_EEXIST;
    xd->tsc = (struct x86_tsc){
        .mode = (uint8_t)info->tsc_mode,
        .emulated = info->tsc_mode == TSC_MODE_EMULATE ||
                    (info->tsc_mode == TSC_MODE_DEFAULT && khz != machine_khz()),
        .khz = khz,
        .incarnation = info->incarnation,
        .start_ns = arch_now() - info->elapsed_nsec,
        .from_ns = clock_scale_ratio(khz, NS_PER_MS),
        .to_ns = clock_scale_ratio(NS_PER_MS, khz),
    };
    return 0;
}

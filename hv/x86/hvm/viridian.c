/* SPDX-License-Identifier: MIT */
/*
 * The MSRs of the Hypervisor Top Level Functional Specification that a guest needs to find its
 * feet. Its hypercall page answers each call by itself that there is no such call. The two
 * registers that keep something are the partition's: any vCPU's, atomic.
 */
#include "x86/hvm/viridian.h"

#include <xen/hvm/params.h>

#include "core/hypercall.h"
#include "core/log.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/hypercall_page.h"
#include "x86/policy/cpu_policy.h"

enum {
    HV_GUEST_OS_ID = 0x40000000,
    HV_HYPERCALL = 0x40000001,
    HV_VP_INDEX = 0x40000002,
    HV_TIME_REF_COUNT = 0x40000020,
    HV_TSC_FREQUENCY = 0x40000022,
    HV_APIC_FREQUENCY = 0x40000023,
};

#define HYPERCALL_ON 1ull
#define HYPERCALL_LOCKED 2ull
#define APIC_HZ (1000000000ull / VLAPIC_CYCLE_NS)
#define THERE (HVMPV_base_freq | HVMPV_no_freq | HVMPV_time_ref_count | HVMPV_no_vp_limit)

long viridian_set(struct hvm_domain *hd, uint64_t features)
{
    uint32_t none = 0, want = (uint32_t)features;

    if (features & ~(uint64_t)HVMPV_feature_mask || (features && !(features & HVMPV_base_freq)))
        return E(EINVAL);
    if (!want)
        return __atomic_load_n(&hd->x.viridian, __ATOMIC_RELAXED) ? E(EEXIST) : 0;
    __atomic_store_n(&hd->hv_epoch, arch_now(), __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&hd->x.viridian, &none, want, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return none == want ? 0 : E(EEXIST);
    if (want & ~THERE)
        log_refusal(&hd->x.d, "viridian: of features %#x those of %#x are not there", want,
                    want & ~THERE);
    return 0;
}

/* mov $2 (HV_STATUS_INVALID_HYPERCALL_CODE), %eax; xor %edx, %edx; ret: for 32-bit code, too. */
static bool fill_page(struct hvm_vcpu *v, uint64_t at)
{
    static const uint8_t code[] = { 0xb8, 2, 0, 0, 0, 0x31, 0xd2, 0xc3 };

    return hvm_copy_to_phys(v->x.v.domain, at, code, sizeof(code)) == 0;
}

/* Without an identity of the guest's it cannot be switched on. */
static bool write_hypercall(struct hvm_vcpu *v, uint64_t val)
{
    struct hvm_domain *hd = hvm_domain_of(v);

    if (__atomic_load_n(&hd->hv_hypercall, __ATOMIC_RELAXED) & HYPERCALL_LOCKED)
        return true;
    if (!__atomic_load_n(&hd->hv_guest_os, __ATOMIC_RELAXED))
        val &= ~HYPERCALL_ON;
    if ((val & HYPERCALL_ON) && !fill_page(v, val & PAGE_MASK))
        return false;
    __atomic_store_n(&hd->hv_hypercall, val, __ATOMIC_RELAXED);
    return true;
}

bool viridian_rdmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t *val)
{
    struct hvm_domain *hd = hvm_domain_of(v);
    uint32_t features = __atomic_load_n(&hd->x.viridian, __ATOMIC_RELAXED);
    const struct x86_tsc *tsc = &hd->x.tsc;

    if (!features)
        return false;
    switch (msr) {
    case HV_GUEST_OS_ID:
        *val = __atomic_load_n(&hd->hv_guest_os, __ATOMIC_RELAXED);
        return true;
    case HV_HYPERCALL:
        *val = __atomic_load_n(&hd->hv_hypercall, __ATOMIC_RELAXED);
        return true;
    case HV_VP_INDEX:
        *val = v->x.v.id;
        return true;
    case HV_TIME_REF_COUNT: /* in 100 ns, since it was made */
        *val = (arch_now() - __atomic_load_n(&hd->hv_epoch, __ATOMIC_RELAXED)) / 100;
        return features & HVMPV_time_ref_count;
    case HV_TSC_FREQUENCY:
        *val = (tsc->emulated ? tsc->khz : policy_time.tsc_khz) * 1000ull;
        return !(features & HVMPV_no_freq);
    case HV_APIC_FREQUENCY:
        *val = APIC_HZ;
        return !(features & HVMPV_no_freq);
    }
    return false;
}

bool viridian_wrmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t val)
{
    struct hvm_domain *hd = hvm_domain_of(v);

    if (!__atomic_load_n(&hd->x.viridian, __ATOMIC_RELAXED))
        return false;
    switch (msr) {
    case HV_GUEST_OS_ID:
        __atomic_store_n(&hd->hv_guest_os, val, __ATOMIC_RELAXED);
        if (!val && !(__atomic_load_n(&hd->hv_hypercall, __ATOMIC_RELAXED) & HYPERCALL_LOCKED))
            __atomic_fetch_and(&hd->hv_hypercall, ~HYPERCALL_ON, __ATOMIC_RELAXED);
        return true;
    case HV_HYPERCALL:
        return write_hypercall(v, val);
    case XEN_HYPERCALL_MSR_HV:
        return hvm_write_hypercall_page(v, val);
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * The wall clock in another domain's shared page: libxl clears that page once the domain is made,
 * so it is written when vCPU 0 gets its context, at settime and at changes of the domain's offset.
 */
#include "domain.h"

#include <xen/platform.h>

#define WINDOW TEST_VA

static struct xen_platform_op platform = { .cmd = XENPF_settime64,
                                           .interface_version = XENPF_INTERFACE_VERSION };
static vcpu_guest_context_t context;

/* A domain of one page, which is an empty root of page tables. */
static unsigned long create(void)
{
    xen_pfn_t page;
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE };

    domain_make(2, 4, 64, &page, 1);
    pin.arg1.mfn = page;
    CHECK_EQ(hc_mmuext_op(&pin, 1, NULL, dom), 0, "pin");
    return page;
}

static volatile struct shared_info *map_shared(void)
{
    struct mmu_update u = { .ptr = va_pte_maddr(WINDOW, 1) };

    CHECK_EQ(do_domctl(XEN_DOMCTL_getdomaininfo), 0, "getdomaininfo");
    u.val = mk_pte(domctl.u.getdomaininfo.shared_info_frame, KERN_RW);
    CHECK_EQ(hc_mmu_update(&u, 1, NULL, dom), 0, "map its shared page");
    return (volatile struct shared_info *)WINDOW;
}

static void set_context(unsigned int vcpu, unsigned long root)
{
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = context.kernel_ss = FLAT_KERNEL_SS;
    context.ctrlreg[3] = root << 12;
    domctl.u.vcpucontext.vcpu = vcpu;
    domctl.u.vcpucontext.ctxt.p = &context;
    CHECK_EQ(do_domctl(XEN_DOMCTL_setvcpucontext), 0, "setvcpucontext");
}

static void set_time(uint64_t secs, uint32_t nsecs, uint64_t at)
{
    platform.u.settime64.secs = secs;
    platform.u.settime64.nsecs = nsecs;
    platform.u.settime64.system_time = at;
    platform.u.settime64.mbz = 0;
    CHECK_EQ(HC1(__HYPERVISOR_platform_op, &platform), 0, "settime64");
}

static void set_offset(int64_t seconds)
{
    domctl.u.settimeoffset.time_offset_seconds = seconds;
    CHECK_EQ(do_domctl(XEN_DOMCTL_settimeoffset), 0, "settimeoffset");
}

void guest_main(void)
{
    volatile struct shared_info *its;
    uint32_t mine = shared->wc_sec, version;
    unsigned long root;

    map_page(WINDOW, 0);
    root = create();
    its = map_shared();
    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
        ((volatile uint64_t *)its)[i] = 0;
    set_context(1, root);
    CHECK_EQ(its->wc_sec, 0, "after vCPU 1's context");
    set_context(0, root);
    CHECK_EQ(its->wc_sec, mine, "after vCPU 0's context");
    CHECK_EQ(its->wc_sec_hi, 0, "its upper half");
    CHECK_EQ(its->wc_nsec, shared->wc_nsec, "nanoseconds");
    version = its->wc_version;
    CHECK(version && version % 2 == 0, "version %u", version);
    set_offset(3600);
    CHECK_EQ(its->wc_sec, mine + 3600, "an hour ahead");
    CHECK_EQ(shared->wc_sec, mine, "Domain 0's own");
    CHECK(its->wc_version != version && its->wc_version % 2 == 0, "version %u", its->wc_version);
    set_time((1ul << 33) + 100, 5, 0);
    CHECK_EQ(its->wc_sec, 3700, "after settime");
    CHECK_EQ(its->wc_sec_hi, 2, "its upper half");
    CHECK_EQ(its->wc_nsec, 5, "nanoseconds");
    CHECK_EQ(shared->wc_sec, 100, "Domain 0's own, after settime");
    set_offset(-50);
    CHECK_EQ(its->wc_sec, 50, "an offset behind");
    CHECK_EQ(mmu_set(va_pte_maddr(WINDOW, 1), 0), 0, "unmap");
    mmuext1(MMUEXT_INVLPG_ALL, WINDOW, 0);
    CHECK_EQ(do_domctl(XEN_DOMCTL_destroydomain), 0, "destroydomain");
}

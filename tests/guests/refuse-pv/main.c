/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor refuses of a PV kernel that only a real processor shows: callbacks, pointers
 * into its own memory, lists that wrap around, gates without a handler, blocking with something to
 * do.
 */
#include "guest.h"

#include <xen/arch-x86/xen-mca.h>
#include <xen/nmi.h>
#include <xen/platform.h>

#define UNMAPPED ((void *)0x1000)
#define HV_DIRECT 0xffff830000000000ul /* where the hypervisor sees all of memory */
#define GATE 0x40                      /* of no handler */

static void check_callbacks(void)
{
    ANSWER(hc_callback_op(CALLBACKOP_register, UNMAPPED), -EFAULT);
    ANSWER(hc_callback_op(CALLBACKOP_unregister, UNMAPPED), -EFAULT);
    ANSWER(HC2(__HYPERVISOR_nmi_op, XENNMI_register_callback, UNMAPPED), -EFAULT);
}

/* The kernel's own page, by an address that only the hypervisor may use. */
static void check_pointers(void)
{
    unsigned long pfn = alloc_pfn();
    void *hv = (void *)(HV_DIRECT + (p2m[pfn] << 12));

    ANSWER(hc_xen_version(XENVER_extraversion, hv), -EFAULT);
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        if (!CHECK_EQ(((uint8_t *)pfn_virt(pfn))[i], 0, "byte %u", i))
            break;
    free_pfn(pfn);
}

#define END 0ul /* of all addresses */

static void *before_end(size_t n)
{
    return (void *)(END - n);
}

/* The last page is the kernel's, and nothing comes behind it. */
static void check_wraps(void)
{
    static struct xen_mc mc = { .interface_version = XEN_MCA_INTERFACE_VERSION,
                                .cmd = XEN_MC_physcpuinfo };
    static struct xen_platform_op po = { .cmd = XENPF_getidletime,
                                         .interface_version = XENPF_INTERFACE_VERSION };
    struct trap_info *gate = before_end(sizeof(*gate));
    uint8_t cpus = 3;
    long rc;

    map_page(END - PAGE_SIZE, mk_pte(p2m[alloc_pfn()], KERN_RW));
    *gate = (struct trap_info){ .vector = GATE + 1, .cs = FLAT_KERNEL_CS, .address = 1 };
    ANSWER(HC1(__HYPERVISOR_set_trap_table, gate), -EFAULT);
    mc.u.mc_physcpuinfo.ncpus = 2;
    mc.u.mc_physcpuinfo.info.p = before_end(sizeof(xen_mc_logical_cpu_t));
    ANSWER(HC1(__HYPERVISOR_mca, &mc), -EFAULT);
    po.u.getidletime.cpumap_nr_cpus = 2;
    po.u.getidletime.cpumap_bitmap.p = &cpus;
    po.u.getidletime.idletime.p = before_end(sizeof(uint64_t));
    rc = HC1(__HYPERVISOR_platform_op, &po);
    CHECK(rc == -EFAULT || rc == -ENOSYS, "idle times: %ld", rc); /* Xen may have none to tell */
}

/* A page for hypercalls where there is no memory. */
static void check_hypercall_page(void)
{
    CHECK_EQ(try_wrmsr(0x40000000, 0xffffff000), VEC_GP, "no such page");
}

/* Only a context, not set_trap_table, can give a gate a privilege and no handler. */
static void use_gate(void *arg)
{
    struct xennmi_callback nmi = { .handler_address = (unsigned long)nmi_entry };

    (void)arg;
    EITHER(HC2(__HYPERVISOR_nmi_op, XENNMI_register_callback, &nmi), 0, -EINVAL);
    CHECK_EQ(TRY("int $0x40", "i"(0)), VEC_GP, "a gate without a handler");
    /* QEMU 7.2 has twice the vector there. */
    CHECK(this_cpu()->error == GATE * 8 + 2 || this_cpu()->error == GATE * 16 + 2,
          "its error code");
}

static void check_gate(void)
{
    static struct vcpu_guest_context ctx;

    cpu_context(1, &ctx);
    ctx.trap_ctxt[GATE] = (struct trap_info){ .vector = GATE, .flags = 3, .cs = FLAT_KERNEL_CS };
    if (!CHECK_EQ(hc_vcpu_op(VCPUOP_initialise, 1, &ctx), 0, "VCPUOP_initialise"))
        return;
    cpus[1] = (struct cpu *)ctx.user_regs.rdi; /* so cpu_start() leaves the context alone */
    if (cpu_start(1, use_gate, NULL))
        cpu_wait(1);
}

static volatile unsigned int nmis;

static bool count_nmi(struct regs *r)
{
    if (r->vector != VEC_NMI_CALLBACK && r->vector != VEC_NMI)
        return false;
    nmis++;
    return true;
}

/* An NMI that is there already: the block ends at once. */
static void check_block(void)
{
    struct callback_register cb = { .type = CALLBACKTYPE_nmi, .address = (unsigned long)nmi_entry };
    struct multicall_entry calls[2] = {
        { .op = __HYPERVISOR_vcpu_op, .args = { VCPUOP_send_nmi, 0, 0 } },
        { .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_block, 0 } },
    };

    events_on();
    events_off();
    trap_hook = count_nmi;
    CHECK_EQ(hc_callback_op(CALLBACKOP_register, &cb), 0, "an NMI's callback");
    CHECK_EQ(hc_multicall(calls, 2), 0, "NMI and block");
    CHECK_EQ(nmis, 1, "the NMI");
    trap_hook = NULL;
    events_off();
}

void guest_main(void)
{
    check_callbacks();
    check_pointers();
    check_wraps();
    check_hypercall_page();
    /* Xen takes a gate's error code, which QEMU 7.2 has wrong, for int 0x80's; its block does not
     * look for NMIs. */
    if (!option("audit"))
        return;
    check_gate();
    check_block();
}

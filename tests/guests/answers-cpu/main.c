/* SPDX-License-Identifier: MIT */
/*
 * Answers of the hypercalls that concern a vCPU and its domain, and what privileged instructions
 * do: a row for each refusal that kernels see, with Xen's error. Run on Debian's Xen it shows that
 * the rows are right. What differs on purpose is in docs/abi.md, and here EITHER.
 */
#include "guest.h"

#include <xen/nmi.h>

#define NONCANON 0x8000000000000000ul
#define HYPERVISOR (HYPERVISOR_VIRT_START + (5ul << 39))
#define UNMAPPED ((void *)0x1000)
#define NO_FRAME 0x40000000ul
#define CR4_DE 0x8ul
#define CR4_OSXSAVE 0x40000ul

static unsigned long page, ro; /* writable, read-only */

/* --- descriptor tables --- */

#define SYSTEM(type, dpl)                                                                       \
    (0x00afa0000000fffful & ~(0xfful << 40)) | (uint64_t)(type) << 40 | (uint64_t)(dpl) << 45 | \
        1ul << 47

static void gdt(void)
{
    unsigned long rw_frame = p2m[page], ro_frame = p2m[ro], none = NO_FRAME;
    unsigned long l4 = p2m[kernel_l4_pfn];

    ANSWER(hc_set_gdt(&rw_frame, 512), -EINVAL);
    ANSWER(hc_set_gdt(&l4, 512), -EINVAL);
    ANSWER(hc_set_gdt(&none, 512), -EINVAL);
    ANSWER(hc_set_gdt(UNMAPPED, 512), -EFAULT);
    ANSWER(hc_set_gdt(UNMAPPED, FIRST_RESERVED_GDT_ENTRY + 1), -EINVAL);
    ANSWER(hc_set_gdt(UNMAPPED, 0), 0);
    ANSWER(hc_set_gdt(&ro_frame, 8), 0);
    ANSWER(hc_set_gdt(NULL, 0), 0);
}

/* A system descriptor of type 0 is the upper half of a gate; a call gate stays, but is of no use.
 */
static void descriptors(void)
{
    uint64_t at = (uint64_t)p2m[page] << 12;
    volatile uint64_t *now = pfn_virt(page);

    ANSWER(hc_update_descriptor(NO_FRAME << 12, 0), -EINVAL);
    ANSWER(hc_update_descriptor(at + 4, 0), -EINVAL);
    for (unsigned int type = 0; type < 16; type++)
        for (unsigned int dpl = 0; dpl < 4; dpl += 3)
            ANSWER(hc_update_descriptor(at, SYSTEM(type, dpl)),
                   type == 0 || type == 12 ? 0 : -EINVAL);
    ANSWER(hc_update_descriptor(at, 0x0000ec00e0330000), 0);
    ANSWER(*now, 0x00008c00e0330000);
    ANSWER(hc_update_descriptor(at, 0x0000ec00e0080000), -EINVAL); /* to the hypervisor's code */
    ANSWER(*now, 0x00008c00e0330000);
    ANSWER(hc_update_descriptor(at, 0), 0);
}

/* Selectors that name nothing clear ZF and leave the register, in the GDT's end and beyond. */
static void access_rights(void)
{
    static const uint16_t none[] = {
        0, 8, 0x38, 0x1000, 0xdff8, 0xe008, 0xe018, 0xe078, 0xfff0, 4
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
        uint64_t lar = 77, lsl = 77, sel = none[i];
        uint8_t zf[4] = { 0 };

        fault_clear();
        __asm__ volatile(EX("lar %4, %0") "setz %2\n" EX("lsl %4, %1") "setz %3"
                         : "+r"(lar), "+r"(lsl), "+m"(zf[0]), "+m"(zf[1])
                         : "r"(sel)
                         : "cc");
        __asm__ volatile("xor %%eax, %%eax\n" EX("verr %w2") "setz %0\n xor %%eax, %%eax\n" EX(
                             "verw %w2") "setz %1"
                         : "+m"(zf[2]), "+m"(zf[3])
                         : "r"(sel)
                         : "cc", "rax");
        CHECK_EQ(faulted(), NO_FAULT, "lar, lsl, verr, verw of %#lx", sel);
        CHECK_EQ(zf[0] | zf[1] | zf[2] | zf[3], 0, "ZF for %#lx", sel);
        CHECK(lar == 77 && lsl == 77, "lar %#lx, lsl %#lx of %#lx", lar, lsl, sel);
    }
}

/* --- entry points --- */

static long one_trap(uint64_t address, uint16_t cs)
{
    struct trap_info t[2] = { trap_table[VEC_BR] };

    t[0].address = address;
    t[0].cs = cs;
    return hc_set_trap_table(t);
}

static void traps(void)
{
    uint64_t handler = trap_table[VEC_UD].address;
    static const uint16_t any[] = { 0, 3, 7, 8, 0xe008, 0xe030, 0xffff };
    struct trap_info t[2] = { trap_table[VEC_UD] };

    ANSWER(one_trap(NONCANON, FLAT_KERNEL_CS), -EINVAL);
    ANSWER(one_trap(HYPERVISOR, FLAT_KERNEL_CS), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(any); i++)
        ANSWER(one_trap(handler, any[i]), 0);
    ANSWER(hc_set_trap_table(UNMAPPED), -EFAULT);
    /* Whatever the selector was, the handler runs in the kernel's segment. */
    t[0].cs = 0xe008;
    ANSWER(hc_set_trap_table(t), 0);
    ANSWER(TRY("ud2", "i"(0)), VEC_UD);
    ANSWER(this_cpu()->regs.cs, FLAT_KERNEL_CS & ~3);
    ANSWER(hc_set_trap_table(trap_table), 0);
    ANSWER(hc_stack_switch(FLAT_KERNEL_SS, HYPERVISOR), 0);
    ANSWER(hc_stack_switch(FLAT_KERNEL_SS, NONCANON), 0);
    ANSWER(hc_stack_switch(0xe010, 0), 0);
    ANSWER(hc_stack_switch(FLAT_KERNEL_SS, (uint64_t)this_cpu() + CPU_TRAP_STACK), 0);
    ANSWER(hc_set_callbacks(NONCANON, HYPERVISOR, NONCANON), 0);
    trap_init();
}

static long callback(int op, uint16_t type, uint64_t address)
{
    struct callback_register r = { .type = type, .address = address };
    struct callback_unregister u = { .type = type };

    return hc_callback_op(op, op == CALLBACKOP_register ? (void *)&r : &u);
}

static void callbacks(void)
{
    static const struct {
        long set, remove;
    } want[] = {
        [CALLBACKTYPE_event] = { 0, -EINVAL },
        [CALLBACKTYPE_failsafe] = { 0, -EINVAL },
        [CALLBACKTYPE_syscall] = { 0, -EINVAL },
        [CALLBACKTYPE_sysenter_deprecated] = { -ENOSYS, -ENOSYS },
        [CALLBACKTYPE_nmi] = { 0, 0 },
        [CALLBACKTYPE_sysenter] = { 0, -EINVAL },
        [6] = { -ENOSYS, -ENOSYS },
        [CALLBACKTYPE_syscall32] = { 0, -EINVAL },
        [8] = { -ENOSYS, -ENOSYS },
    };
    struct xennmi_callback nmi = { .handler_address = NONCANON };

    for (uint16_t i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK_EQ(callback(CALLBACKOP_register, i, (uint64_t)trap_stubs), want[i].set, "register %u",
                 i);
        CHECK_EQ(callback(CALLBACKOP_register, i, HYPERVISOR), want[i].set, "register %u", i);
        CHECK_EQ(callback(CALLBACKOP_register, i, NONCANON), -EINVAL, "register %u", i);
        CHECK_EQ(callback(CALLBACKOP_unregister, i, 0), want[i].remove, "unregister %u", i);
    }
    ANSWER(hc_callback_op(CALLBACKOP_register, UNMAPPED), -EFAULT);
    ANSWER(hc_callback_op(2, UNMAPPED), -ENOSYS);
    trap_init();
    ANSWER(HC2(__HYPERVISOR_nmi_op, XENNMI_register_callback, &nmi), -EINVAL);
    ANSWER(HC2(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, NULL), 0);
    ANSWER(HC2(__HYPERVISOR_nmi_op, 2, NULL), -ENOSYS);
}

/* `int n`: the ABI counts the kernel as ring 1. */
static bool step_over(struct regs *r)
{
    this_cpu()->vector = (int)r->vector;
    this_cpu()->error = r->error;
    if (r->vector == VEC_GP)
        r->rip += 2;
    return true;
}

static void software_interrupts(void)
{
    for (unsigned int dpl = 0; dpl < 4; dpl++) {
        struct trap_info t[2] = { trap_table[0x85] };

        t[0].flags = (uint8_t)dpl;
        ANSWER(hc_set_trap_table(t), 0);
        trap_hook = step_over;
        fault_clear();
        __asm__ volatile("int $0x85" : : : "memory");
        trap_hook = NULL;
        /* With QEMU 7.2 Xen sees a wrong error code and passes it on. */
        CHECK(faulted() == (dpl ? 0x85 : VEC_GP) || this_cpu()->error == 0x85 * 16 + 2,
              "int with DPL %u: %d", dpl, faulted());
        if (faulted() == VEC_GP && this_cpu()->error != 0x85 * 16 + 2)
            CHECK_EQ(this_cpu()->error, 0x85 * 8 + 2, "error code");
    }
    ANSWER(hc_set_trap_table(trap_table), 0);
}

/* --- registers --- */

static uint64_t read_cr4(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static void write_cr4(uint64_t v)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(v));
}

static void debug_registers(void)
{
    for (int i = 0; i < 4; i++) {
        ANSWER(hc_set_debugreg(i, HYPERVISOR), -EPERM);
        ANSWER(hc_set_debugreg(i, NONCANON), -EPERM);
        ANSWER(hc_set_debugreg(i, 0x00007ffffffffff9), 0);
        ANSWER(hc_get_debugreg(i), 0x00007ffffffffff9);
        ANSWER(hc_set_debugreg(i, 0), 0);
    }
    for (int i = 4; i < 8; i += 2) { /* 4 is 6, 5 is 7 */
        ANSWER(hc_set_debugreg(i, 1ul << 32), -EINVAL);
        ANSWER(hc_set_debugreg(i, 0x401), 0);
        ANSWER(hc_get_debugreg(i), 0xffff0ff1);
        ANSWER(hc_set_debugreg(i, 0), 0);
        ANSWER(hc_set_debugreg(i + 1, 1ul << 32), -EINVAL);
        ANSWER(hc_set_debugreg(i + 1, 0x2000), -EPERM);  /* general detect */
        ANSWER(hc_set_debugreg(i + 1, 0x20402), -EPERM); /* ports, without CR4.DE */
        ANSWER(hc_set_debugreg(i + 1, 0xf0402), 0);
        ANSWER(hc_get_debugreg(i + 1), 0xf0402);
        ANSWER(hc_set_debugreg(i + 1, 0), 0);
    }
    for (int i = 8; i < 10; i++) {
        ANSWER(hc_set_debugreg(i, 0), -ENODEV);
        ANSWER(hc_get_debugreg(i), -ENODEV);
    }
    ANSWER(hc_get_debugreg(-1), -ENODEV);
}

static bool resume(struct regs *r)
{
    this_cpu()->vector = (int)r->vector;
    this_cpu()->regs = *r;
    return true;
}

static void debug_extensions(void)
{
    write_cr4(read_cr4() | CR4_DE);
    ANSWER(TRY(".byte 0x0f, 0x21, 0xe0", "i"(0) : "rax"), VEC_UD); /* mov %dr4, %rax */
    ANSWER(TRY(".byte 0x0f, 0x23, 0xe8", "a"(0)), VEC_UD);         /* mov %rax, %dr5 */
    ANSWER(hc_get_debugreg(4), -ENODEV);
    ANSWER(hc_set_debugreg(5, 0), -ENODEV);
    ANSWER(hc_set_debugreg(0, 0x80), 0);
    ANSWER(hc_set_debugreg(7, 0x20402), 0); /* port 0x80 */
    ANSWER(hc_get_debugreg(7), 0x20402);
    ANSWER(hc_set_debugreg(6, 0), 0);
    trap_hook = resume;
    fault_clear();
    __asm__ volatile("out %%al, $0x80" : : "a"(0));
    ANSWER(faulted(), VEC_DB);
    ANSWER(hc_get_debugreg(6) & 15, 1);
    fault_clear();
    __asm__ volatile("in $0x84, %%al" : : : "rax");
    ANSWER(faulted(), NO_FAULT);
    trap_hook = NULL;
    ANSWER(hc_set_debugreg(7, 0), 0);
    write_cr4(read_cr4() & ~CR4_DE);
    ANSWER(TRY(".byte 0x0f, 0x21, 0xe0", "i"(0) : "rax"), NO_FAULT);
}

static void control_registers(void)
{
    uint64_t start = read_cr4();

    ANSWER(start & 0x4006f8, 0x660); /* PAE, MCE, OSFXSR, OSXMMEXCPT */
    ANSWER(start & CR4_OSXSAVE, 0);
    ANSWER(TRY("xsetbv", "a"(7), "d"(0), "c"(0)), VEC_UD);
    write_cr4(start ^ 0x40 ^ 0x20);
    ANSWER(read_cr4(), start);
    write_cr4(start | CR4_OSXSAVE);
    ANSWER(read_cr4(), start | CR4_OSXSAVE);
    ANSWER(TRY("xsetbv", "a"(7), "d"(0), "c"(0)), NO_FAULT);
    ANSWER(TRY("xsetbv", "a"(0), "d"(0), "c"(0)), VEC_GP);
    write_cr4(start);
    ANSWER(TRY("invlpg (%0)", "r"(TEST_VA)), VEC_GP);
    ANSWER(TRY("lmsw %w0", "r"(0x3b)), VEC_GP);
    ANSWER(TRY("wbinvd", "i"(0)), NO_FAULT);
    if (option("qemu7")) /* QEMU 10 takes it in ring 3 */
        ANSWER(TRY("invd", "i"(0)), VEC_GP);
}

static void assists(void)
{
    for (unsigned int type = 0; type < 66; type++) {
        bool known = type < 6 || type == VMASST_TYPE_m2p_strict;

        CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, type), known ? 0 : -EINVAL, "vm_assist %u", type);
        CHECK_EQ(hc_vm_assist(VMASST_CMD_disable, type), known ? 0 : -EINVAL, "vm_assist %u", type);
    }
    ANSWER(hc_vm_assist(2, VMASST_TYPE_writable_pagetables), -ENOSYS);
}

static void segment_bases(void)
{
    for (int which = 0; which < 3; which++) {
        ANSWER(hc_set_segment_base(which, NONCANON), -EINVAL);
        ANSWER(hc_set_segment_base(which, 0), 0);
    }
    ANSWER(hc_set_segment_base(4, 0), -EINVAL);
}

/* --- vCPUs and what is left --- */

static long info_at(uint64_t mfn, uint32_t offset)
{
    struct vcpu_register_vcpu_info r = { .mfn = mfn, .offset = offset };

    return hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &r);
}

static long context(void (*spoil)(struct vcpu_guest_context *c))
{
    static struct vcpu_guest_context c;

    cpu_context(1, &c);
    spoil(&c);
    return hc_vcpu_op(VCPUOP_initialise, 1, &c);
}

#define SPOIL(name, change)                        \
    static void name(struct vcpu_guest_context *c) \
    {                                              \
        change;                                    \
    }
SPOIL(no_cr3, c->ctrlreg[3] = xen_pfn_to_cr3(NO_FRAME))
SPOIL(data_cr3, c->ctrlreg[3] = xen_pfn_to_cr3(p2m[page]))
SPOIL(data_gdt, (c->gdt_ents = 8, c->gdt_frames[0] = p2m[page]))
SPOIL(long_gdt, c->gdt_ents = 8192)
SPOIL(long_ldt, c->ldt_ents = 8193)
SPOIL(bad_event, c->event_callback_eip = NONCANON)
SPOIL(bad_trap, c->trap_ctxt[3].address = NONCANON)
SPOIL(bad_fs, c->fs_base = NONCANON)
SPOIL(bad_rip, c->user_regs.rip = NONCANON)

static void vcpus(void)
{
    struct vcpu_set_periodic_timer p = { .period_ns = 1ul << 62 };

    ANSWER(hc_vcpu_op(VCPUOP_initialise, 0, UNMAPPED), -EFAULT);
    ANSWER(hc_vcpu_op(VCPUOP_is_up, 77, NULL), -ENOENT);
    ANSWER(hc_vcpu_op(99, 0, NULL), -ENOSYS);
    ANSWER(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &p), -EINVAL);
    ANSWER(hc_vcpu_op(VCPUOP_set_singleshot_timer, 1, &p), -EINVAL);
    ANSWER(hc_vcpu_op(VCPUOP_get_physid, 0, &p), -EINVAL);
    ANSWER(info_at(p2m[page], PAGE_SIZE - 63), -ENXIO);
    ANSWER(info_at(p2m[page], 4), -ENXIO);
    ANSWER(info_at(NO_FRAME, 12), -ENXIO);
    ANSWER(info_at(NO_FRAME, 0), -EINVAL);
    ANSWER(info_at(p2m[kernel_l4_pfn], 0), -EINVAL);
    ANSWER(hc_vcpu_op(VCPUOP_up, 1, NULL), -EINVAL);
    ANSWER(context(no_cr3), -EINVAL);
    ANSWER(context(data_cr3), -EINVAL);
    ANSWER(context(data_gdt), -EINVAL);
    ANSWER(context(long_gdt), -EINVAL);
    ANSWER(context(long_ldt), -EINVAL);
    ANSWER(context(bad_event), -EINVAL);
    ANSWER(context(bad_trap), -EINVAL);
    ANSWER(context(bad_fs), -EINVAL);
    ANSWER(context(bad_rip), -EINVAL);
}

/* The forms of before 2005. */
static void old_calls(void)
{
    struct evtchn_op e = { .cmd = EVTCHNOP_alloc_unbound };
    struct physdev_op p = { .cmd = PHYSDEVOP_set_iopl };

    ANSWER(HC2(__HYPERVISOR_sched_op_compat, SCHEDOP_yield, 0), 0);
    ANSWER(HC2(__HYPERVISOR_sched_op_compat, SCHEDOP_poll, 0), -ENOSYS);
    e.u.alloc_unbound.dom = e.u.alloc_unbound.remote_dom = DOMID_SELF;
    ANSWER(HC1(__HYPERVISOR_event_channel_op_compat, &e), 0);
    CHECK(e.u.alloc_unbound.port != 0, "the port came back");
    ANSWER(event_close(e.u.alloc_unbound.port), 0);
    e.cmd = 77;
    ANSWER(HC1(__HYPERVISOR_event_channel_op_compat, &e), -ENOSYS);
    ANSWER(HC1(__HYPERVISOR_event_channel_op_compat, UNMAPPED), -EFAULT);
    p.u.set_iopl.iopl = 4;
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, &p), -EINVAL);
    p.u.set_iopl.iopl = 1;
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, &p), 0);
    p.cmd = PHYSDEVOP_IRQ_UNMASK_NOTIFY;
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, &p), 0);
    p.cmd = 77;
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, &p), -ENOSYS);
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, UNMAPPED), -EFAULT);
}

static void features(void)
{
    struct xen_feature_info f = { .submap_idx = 0 };

    ANSWER(hc_xen_version(XENVER_get_features, &f), 0);
    ANSWER(f.submap, 0x228f0); /* bit 4: by the kernel's note; bit 11: Domain 0 */
    ANSWER(hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_pae_extended_cr3), 0);
    ANSWER(hc_xen_version(XENVER_get_features, &f), 0);
    ANSWER(f.submap, 0x228e0);
    ANSWER(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    ANSWER(hc_xen_version(XENVER_pagesize, NULL), 4096);
    ANSWER(hc_xen_version(XENVER_pagesize, UNMAPPED), -EINVAL);
}

void guest_main(void)
{
    struct account before;

    page = alloc_pfn();
    ro = alloc_pfn();
    CHECK_EQ(direct_set(ro, KERN_RO), 0, "read-only");
    event_close((unsigned int)event_bind_virq(VIRQ_DEBUG, 0)); /* the first port needs a page */
    account_take(&before);
    features();
    gdt();
    descriptors();
    access_rights();
    traps();
    callbacks();
    software_interrupts();
    debug_registers();
    old_calls(); /* I/O privilege 1 from here on */
    debug_extensions();
    control_registers();
    assists();
    segment_bases();
    vcpus();
    account_check(&before, "answers");
}

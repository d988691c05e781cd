/* SPDX-License-Identifier: MIT */
/* vm_assist: runstate's update flag, architectural IOPL, M2P for the kernel only; unknown types. */
#include "guest.h"

USER_CODE_BYTES(u_read, "mov (%rdi), %rax; ud2");
USER_CODE_BYTES(u_in, "in $0x80, %al; ud2");

static int user_read(uint64_t va)
{
    struct regs r;

    memcpy(user_code(), u_read, (size_t)(u_read_end - u_read));
    user_regs_init(&r);
    r.rdi = va;
    return user_run(&r);
}

static void check_arguments(void)
{
    static const unsigned int bad[] = { 6, 7, 31, 33, 63, 64, 1000, ~0u };

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(hc_vm_assist(VMASST_CMD_enable, bad[i]) < 0, "type %u", bad[i]);
    CHECK(hc_vm_assist(2, VMASST_TYPE_writable_pagetables) < 0, "command 2");
    CHECK(hc_vm_assist(~0u, 0) < 0, "command -1");
    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0,
             "writable tables");
    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0, "twice");
    CHECK_EQ(hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0, "disable");
}

static void check_runstate_flag(void)
{
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };

    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0, "update flag");
    CHECK_EQ(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0, "area");
    hc_sched_op(SCHEDOP_yield, NULL);
    CHECK_EQ(area.state_entry_time & XEN_RUNSTATE_UPDATE, 0, "the flag outside of updates");
    CHECK_EQ(area.state, RUNSTATE_running, "state");
    reg.addr.v = NULL;
    hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
}

/* Programs run on this root from now on. */
static void user_base(unsigned long pfn)
{
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0, "no user base");
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[pfn], 0), 0, "a user base");
}

/*
 * A kernel that has one root for itself and its programs sees the machine-to-physical table there,
 * unless it asked for the strict form. A root that is only the programs' never shows it.
 */
static void check_m2p(void)
{
    uint64_t slot0 = (uint64_t)p2m[kernel_l4_pfn] << 12;

    user_init();
    CHECK_EQ(mmu_set(slot0, pte_read((uint64_t)p2m[user_l4_pfn] << 12)), 0, "programs' slot");
    CHECK_EQ(user_read(MACH2PHYS_VIRT_START), VEC_PF, "M2P in user mode");
    user_base(kernel_l4_pfn);
    CHECK_EQ(user_read(MACH2PHYS_VIRT_START), VEC_UD, "M2P by a shared root, in user mode");
    CHECK_EQ(M2P[p2m[10]], 10, "M2P by a shared root");
    user_base(user_l4_pfn);

    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_m2p_strict), 0, "m2p_strict");
    CHECK_EQ(M2P[p2m[10]], 10, "M2P in the kernel");
    user_base(user_l4_pfn);
    CHECK_EQ(user_read(MACH2PHYS_VIRT_START), VEC_PF, "strict: M2P in user mode");
    CHECK_EQ(M2P[p2m[10]], 10, "strict: M2P in the kernel");
    user_base(kernel_l4_pfn);
    CHECK_EQ(user_read(MACH2PHYS_VIRT_START), VEC_PF, "strict: M2P by a shared root");
    user_base(user_l4_pfn);
    CHECK_EQ(mmu_set(slot0, 0), 0, "no programs' slot");
}

/* With architectural IOPL the level comes from the frame of iret, as a kernel expects of hardware.
 */
static void check_iopl(void)
{
    struct regs r;
    long rc = hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_architectural_iopl);

    CHECK(rc == 0 || rc == -EINVAL, "architectural_iopl: %ld", rc);
    if (rc)
        return;
    memcpy(user_code(), u_in, (size_t)(u_in_end - u_in));
    user_regs_init(&r);
    CHECK_EQ(user_run(&r), VEC_GP, "in with IOPL 0");
    user_regs_init(&r);
    r.rflags = 0x3202;
    CHECK_EQ(user_run(&r), VEC_UD, "in with IOPL 3");
    CHECK_EQ(r.rflags & 0x3000, 0x3000, "IOPL in the frame");
    user_regs_init(&r);
    CHECK_EQ(user_run(&r), VEC_GP, "in with IOPL 0 again");
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    check_arguments();
    check_runstate_flag();
    check_m2p();
    check_iopl();
    account_check(&before, "vm_assist");
}

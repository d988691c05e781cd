/* SPDX-License-Identifier: MIT */
/*
 * What leaves a guest no way on: the domain is crashed, with a line in the log, and the hypervisor
 * lives. One case a boot; the runner wants the line "Domain 0 (vcpu#0) crashed".
 */
#include "guest.h"

USER_CODE_BYTES(u_int3, "int3; ud2");

static void trap_on_stack(uint64_t rsp)
{
    __asm__ volatile("mov %0, %%rsp; ud2" : : "r"(rsp) : "memory");
}

static void stack_unmapped(void)
{
    trap_on_stack(TEST_VA + PAGE_SIZE);
}

static void stack_hypervisor(void)
{
    trap_on_stack(HYPERVISOR_VIRT_START + (5ul << 39) + 0x1000);
}

static void stack_readonly(void)
{
    unsigned long pfn = alloc_pfn();

    map_page(TEST_VA, pfn_pte(pfn, KERN_RO));
    trap_on_stack(TEST_VA + PAGE_SIZE);
}

static void stack_noncanonical(void)
{
    trap_on_stack(0x8000000000001000);
}

static void no_handler(void)
{
    struct trap_info t[2] = { { .vector = VEC_UD, .cs = 0, .address = 0x1000 } };

    hc_set_trap_table(NULL);
    hc_set_trap_table(t);
    __asm__ volatile("ud2");
}

static void no_table(void)
{
    hc_set_trap_table(NULL);
    __asm__ volatile("ud2");
}

static void kernel_stack(void)
{
    struct regs r;

    user_init();
    if (hc_stack_switch(FLAT_KERNEL_SS, HYPERVISOR_VIRT_START + (5ul << 39) + 0x1000) < 0)
        return; /* refused: as good */
    USER_RUN(u_int3, &r);
    CHECK(false, "a trap onto the hypervisor's memory went on");
}

static void iret_stack(void)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" : : "r"(TEST_VA) : "memory");
}

static void iret_noncanonical_stack(void)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall"
                     :
                     : "r"(0x8000000000000000)
                     : "memory");
}

static void no_user_base(void)
{
    struct regs r;

    user_init();
    mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    USER_RUN(u_int3, &r);
}

/* A handler at an address without code: each fault faults again, until the stack ends. */
static void handler_loop(void)
{
    struct trap_info t[2] = {
        { .vector = VEC_PF, .cs = FLAT_KERNEL_CS, .address = TEST_VA },
    };

    hc_set_trap_table(t);
    trap_on_stack((uint64_t)_image_start + 0x100);
}

/* An L4 without the kernel: nothing is mapped after the hypercall. */
static void bad_base(void)
{
    unsigned long pfn = alloc_table();

    mmuext1(MMUEXT_NEW_BASEPTR, p2m[pfn], 0);
}

/* An entry that a grant mapping put there, taken away as if it were an ordinary one. */
static void grant_unmapped(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
    struct gnttab_map_grant_ref op = { .host_addr = TEST_VA, .flags = GNTMAP_host_map, .ref = 9 };
    grant_entry_v1_t *table = (grant_entry_v1_t *)(TEST_VA + PAGE_SIZE);
    struct gnttab_unmap_grant_ref undo = { .host_addr = TEST_VA };
    unsigned long pfn = alloc_pfn();

    setup.frame_list.p = &frame;
    hc_grant_table_op(GNTTABOP_setup_table, &setup, 1);
    map_page((uint64_t)table, mk_pte(frame, KERN_RW));
    table[9].frame = (uint32_t)p2m[pfn];
    table[9].flags = GTF_permit_access;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0, "map");
    CHECK_EQ(op.status, 0, "map");
    CHECK_EQ(hc_update_va_mapping(TEST_VA, pfn_pte(kernel_l4_pfn, KERN_RO), UVMF_INVLPG) <= 0, 1,
             "replace the entry");
    undo.handle = op.handle;
    hc_grant_table_op(GNTTABOP_unmap_grant_ref, &undo, 1);
    hc_update_va_mapping(TEST_VA, 0, UVMF_INVLPG);
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "alive");
}

static const struct guest_case list[] = {
    { "stack-unmapped", stack_unmapped },
    { "stack-hypervisor", stack_hypervisor },
    { "stack-readonly", stack_readonly },
    { "stack-noncanonical", stack_noncanonical },
    { "no-handler", no_handler },
    { "no-table", no_table },
    { "kernel-stack", kernel_stack },
    { "iret-stack", iret_stack },
    { "iret-noncanonical-stack", iret_noncanonical_stack },
    { "no-user-base", no_user_base },
    { "handler-loop", handler_loop },
    { "bad-base", bad_base },
    { "grant-unmapped", grant_unmapped },
};

void guest_main(void)
{
    map_page(TEST_VA, 0);
    run_case(list, ARRAY_SIZE(list));
}

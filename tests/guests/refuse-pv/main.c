/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor refuses of a PV kernel that only a real processor shows: callbacks, pointers
 * into its own memory, gates without a handler, blocking with something to do.
 */
#include "guest.h"

#define UNMAPPED ((void *)0x1000)
#define HV_DIRECT 0xffff830000000000ul /* where the hypervisor sees all of memory */
#define GATE 0x40                      /* of no handler */

static void check_callbacks(void)
{
    ANSWER(hc_callback_op(CALLBACKOP_register, UNMAPPED), -EFAULT);
    ANSWER(hc_callback_op(CALLBACKOP_unregister, UNMAPPED), -EFAULT);
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

/* Only a context, not set_trap_table, can give a gate a privilege and no handler. */
static void use_gate(void *arg)
{
    (void)arg;
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
    check_gate();
    check_block();
}

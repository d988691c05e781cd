/* SPDX-License-Identifier: MIT */
/* Further CPUs by vcpu_op: each runs one function on its own area, then goes down. */
#include "guest.h"

#define MAX_CPUS 8

static uint8_t areas[MAX_CPUS - 1][CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
static struct vcpu_guest_context context;

extern char ap_entry[];
void ap_start(struct cpu *cpu);

void ap_start(struct cpu *cpu)
{
    for (;;) {
        cpu->ap_begun = true;
        if (!cpu->ap_done)
            cpu->ap_fn(cpu->ap_arg);
        cpu->ap_done = true;
        hc_vcpu_op(VCPUOP_down, cpu->id, NULL); /* until cpu_start() brings it up again */
    }
}

void cpu_nothing(void *arg)
{
    (void)arg;
}

unsigned int vcpu_count(void)
{
    unsigned int n = 0;

    while (n < XEN_LEGACY_MAX_VCPUS && hc_vcpu_op(VCPUOP_is_up, n, NULL) >= 0)
        n++;
    return n;
}

void cpu_context(unsigned int id, struct vcpu_guest_context *ctx)
{
    struct cpu *cpu = (struct cpu *)areas[id - 1];

    memset(ctx, 0, sizeof(*ctx));
    ctx->flags = VGCF_IN_KERNEL;
    ctx->user_regs.rip = (unsigned long)ap_entry;
    ctx->user_regs.rsp = (unsigned long)cpu + CPU_AREA_SIZE;
    ctx->user_regs.rdi = (unsigned long)cpu;
    ctx->user_regs.cs = FLAT_KERNEL_CS;
    ctx->user_regs.ss = FLAT_KERNEL_SS;
    ctx->user_regs.rflags = 0x1000; /* IOPL 1 is the kernel's, as Linux sets it */
    memcpy(ctx->trap_ctxt, trap_table, sizeof(ctx->trap_ctxt));
    ctx->kernel_ss = FLAT_KERNEL_SS;
    ctx->kernel_sp = (unsigned long)cpu + CPU_TRAP_STACK;
    ctx->ctrlreg[3] = xen_pfn_to_cr3(p2m[kernel_l4_pfn]);
    ctx->event_callback_eip = (unsigned long)event_entry;
    ctx->failsafe_callback_eip = (unsigned long)failsafe_entry;
    ctx->syscall_callback_eip = (unsigned long)syscall_entry;
}

bool cpu_start(unsigned int id, void (*fn)(void *), void *arg)
{
    struct cpu *cpu = (struct cpu *)areas[id - 1];
    long rc = 0;

    if (!cpus[id]) {
        cpu_context(id, &context);
        rc = hc_vcpu_op(VCPUOP_initialise, id, &context);
    }
    if (!CHECK_EQ(rc, 0, "VCPUOP_initialise"))
        return false;
    cpus[id] = cpu;
    cpu->id = id;
    cpu->vector = NO_FAULT;
    cpu->ap_fn = fn;
    cpu->ap_arg = arg;
    cpu->ap_begun = cpu->ap_done = false;
    if (!CHECK_EQ(hc_vcpu_op(VCPUOP_up, id, NULL), 0, "VCPUOP_up"))
        return false;
    while (!cpu->ap_begun)
        hc_sched_op(SCHEDOP_yield, NULL);
    return true;
}

void cpu_wait(unsigned int id)
{
    while (!cpus[id]->ap_done || hc_vcpu_op(VCPUOP_is_up, id, NULL) == 1)
        cpu_relax();
}

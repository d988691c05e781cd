/* SPDX-License-Identifier: MIT */
/*
 * Three vCPUs on one CPU keep their own x87, SSE, debug and segment state across switches, and a
 * selector that can no longer be loaded ends in the failsafe callback.
 */
#include "guest.h"

#define MS 1000000ul
#define ROUNDS 60

static volatile unsigned int running;
static unsigned int wrong_sse, wrong_x87, wrong_dr, wrong_fs, wrong_gs, wrong_mxcsr, wrong_gpr;
static uint64_t areas[4][2];

static void load_state(uint64_t id)
{
    uint64_t xmm[2] = { id * 0x1111111111111111, ~id };
    uint32_t mxcsr = 0x1f80 | (uint32_t)(id << 13);
    uint64_t n = id * 1000003;

    __asm__ volatile("movdqu %0, %%xmm0; movdqu %0, %%xmm15; ldmxcsr %1; fninit; fildll %2"
                     :
                     : "m"(xmm), "m"(mxcsr), "m"(n));
    hc_set_segment_base(SEGBASE_FS, (uint64_t)areas[id]);
    hc_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)&areas[id][1]);
    hc_set_debugreg(3, 0x1000 * id);
    areas[id][0] = id + 100;
    areas[id][1] = id + 200;
}

static void check_state(uint64_t id)
{
    uint64_t a[2], b[2], n, fs, gs;
    uint32_t mxcsr;

    __asm__ volatile("movdqu %%xmm0, %0; movdqu %%xmm15, %1; stmxcsr %2; fistpll %3; fildll %3"
                     : "=m"(a), "=m"(b), "=m"(mxcsr), "=m"(n));
    __asm__ volatile("mov %%fs:0, %0; mov %%gs:0, %1" : "=r"(fs), "=r"(gs));
    wrong_sse += a[0] != id * 0x1111111111111111 || a[1] != ~id || b[0] != a[0] || b[1] != a[1];
    wrong_x87 += n != id * 1000003;
    wrong_mxcsr += mxcsr >> 13 != id;
    wrong_fs += fs != id + 100;
    wrong_gs += gs != id + 200;
    wrong_dr += hc_get_debugreg(3) != (long)(0x1000 * id);
}

static void spin_a_while(uint64_t id)
{
    uint64_t rbx = id, r15 = ~id;

    __asm__ volatile("mov $20000, %%rcx; 1: dec %%rcx; jnz 1b" : "+b"(rbx) : : "rcx", "cc");
    __asm__ volatile("" : "+r"(r15));
    wrong_gpr += rbx != id || r15 != ~id;
}

static void worker(void *arg)
{
    uint64_t id = this_cpu()->id + 1;

    __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
    load_state(id);
    for (int i = 0; i < ROUNDS; i++) {
        check_state(id);
        if (i & 1)
            hc_sched_op(SCHEDOP_yield, NULL);
        else
            spin_a_while(id);
        check_state(id);
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
}

static void check_switches(void)
{
    CHECK(cpu_start(1, worker, NULL));
    CHECK(cpu_start(2, worker, NULL));
    worker(NULL);
    cpu_wait(1);
    cpu_wait(2);
    CHECK_EQ(wrong_sse, 0, "SSE registers");
    CHECK_EQ(wrong_x87, 0, "x87 registers");
    CHECK_EQ(wrong_mxcsr, 0, "MXCSR");
    CHECK_EQ(wrong_fs, 0, "FS base");
    CHECK_EQ(wrong_gs, 0, "GS base");
    CHECK_EQ(wrong_dr, 0, "debug register 3");
    CHECK_EQ(wrong_gpr, 0, "general registers");
}

/* A new vCPU sees nothing of the others: clean registers, no leftovers of the hypervisor. */
static uint64_t fresh[16];

static void look(void *arg)
{
    uint64_t xmm[2];
    uint16_t cw;

    __asm__ volatile("movdqu %%xmm7, %0; fnstcw %1" : "=m"(xmm), "=m"(cw));
    fresh[0] = xmm[0];
    fresh[1] = xmm[1];
    fresh[2] = cw;
    for (int i = 0; i < 4; i++)
        fresh[4 + i] = (uint64_t)hc_get_debugreg(i);
    fresh[8] = (uint64_t)hc_get_debugreg(7);
}

static void check_fresh(void)
{
    uint64_t secret[2] = { 0x5ec4e7, 0x5ec4e7 };

    __asm__ volatile("movdqu %0, %%xmm7" : : "m"(secret));
    hc_set_debugreg(2, 0x5ec4e7);
    CHECK(cpu_start(1, look, NULL));
    cpu_wait(1);
    CHECK(fresh[0] == 0 && fresh[1] == 0, "xmm7 of a new vCPU: %#lx %#lx", fresh[0], fresh[1]);
    CHECK_EQ(fresh[2], 0x37f, "x87 control word of a new vCPU");
    for (int i = 0; i < 4; i++)
        CHECK_EQ(fresh[4 + i], 0, "debug register %d of a new vCPU", i);
    CHECK(fresh[8] == 0 || fresh[8] == 0x400, "DR7 of a new vCPU: %#lx", fresh[8]);
}

/* CR0.TS belongs to the vCPU, and a task switch by it costs no state. */
static void check_ts(void)
{
    load_state(1);
    CHECK_EQ(hc_fpu_taskswitch(1), 0, "TS");
    CHECK(cpu_start(2, look, NULL));
    cpu_wait(2);
    hc_sched_op(SCHEDOP_yield, NULL);
    CHECK_EQ(TRY("fnop", "i"(0)), VEC_NM, "fnop with TS");
    /* Delivering #NM clears TS. */
    CHECK_EQ(TRY("fnop", "i"(0)), NO_FAULT, "fnop after #NM");
    check_state(1);
    CHECK_EQ(wrong_sse + wrong_x87 + wrong_mxcsr, 0, "state after TS");
}

static volatile bool stop;

static void yielder(void *arg)
{
    while (!stop)
        hc_sched_op(SCHEDOP_yield, NULL);
}

static volatile int failsafes;

static bool on_failsafe(struct regs *r)
{
    if (r->vector != VEC_FAILSAFE)
        return false;
    failsafes++;
    return true;
}

/* A segment register whose descriptor went away while another vCPU ran. */
static void check_failsafe(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t *ldt = pfn_virt(pfn);
    uint16_t es = 0x5555;

    ldt[0] = 0x00cff3000000ffff;
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, (uint64_t)ldt, 16), 0, "LDT");
    CHECK_EQ(TRY("mov %w0, %%es", "r"(7)), NO_FAULT, "load es");
    stop = false;
    CHECK(cpu_start(1, yielder, NULL));
    trap_hook = on_failsafe;
    for (int i = 0; i < 20; i++)
        hc_sched_op(SCHEDOP_yield, NULL);
    CHECK_EQ(failsafes, 0, "failsafe with a good selector");
    __asm__ volatile("mov %%es, %0" : "=r"(es));
    CHECK_EQ(es, 7, "es after switches");
    /* In one go, so that no switch comes between: the selector stays loaded without an LDT. */
    CHECK_EQ(TRY("mov %w0, %%es", "r"(7)), NO_FAULT, "load es");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, 0, 0), 0, "no LDT");
    for (int i = 0; i < 50 && !failsafes; i++)
        hc_sched_op(SCHEDOP_yield, NULL);
    __asm__ volatile("mov %%es, %0" : "=r"(es));
    CHECK(failsafes >= 1 || es == 0, "no failsafe: es %#x", es);
    CHECK(es != 7 || failsafes == 0, "es still holds the selector");
    __asm__ volatile("mov %w0, %%es" : : "r"(0));
    stop = true;
    cpu_wait(1);
    trap_hook = NULL;
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
}

static void set_bad_fs(void *arg)
{
    __asm__ volatile("wrfsbase %0" : : "r"(0x8000000000000000ul));
}

/* QEMU's WRFSBASE takes what is not canonical: the switch must not fault in the hypervisor. */
static void check_bad_fs(void)
{
    uint64_t cr4 = 0;
    int v;

    fault_clear();
    __asm__ volatile(EX("mov %%cr4, %0") : "+r"(cr4));
    TRY("mov %0, %%cr4", "r"(cr4 | 0x10000));
    v = try_call(set_bad_fs, NULL);

    printk("note: wrfsbase of a bad value gives %d\n", v);
    if (v != NO_FAULT)
        return;
    stop = false;
    CHECK(cpu_start(1, yielder, NULL));
    for (int i = 0; i < 20; i++)
        hc_sched_op(SCHEDOP_yield, NULL);
    stop = true;
    cpu_wait(1);
    CHECK_EQ(hc_set_segment_base(SEGBASE_FS, 0), 0, "fs base");
}

USER_CODE_BYTES(u_spin, "1: pause; cmpb $0, (%rdi); je 1b; ud2");

static struct vcpu_runstate_info runstate;

static void spin_in_user_mode(void *arg)
{
    struct vcpu_register_runstate_memory_area area = { .addr.v = &runstate };
    struct regs r;

    (void)arg;
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[user_l4_pfn], 0), 0, "user baseptr of vCPU 1");
    CHECK_EQ(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 1, &area), 0, "runstate area");
    memcpy(user_code(), u_spin, (size_t)(u_spin_end - u_spin));
    user_regs_init(&r);
    r.rdi = USER_DATA;
    CHECK_EQ(user_run(&r), VEC_UD, "the end of the program");
}

/* The kernel's record of the time is kept although only the program runs, with its own tables. */
static void check_runstate_of_program(void)
{
    volatile uint64_t *entered = &runstate.state_entry_time;
    uint64_t last, end;
    unsigned int changes = 0;

    user_init();
    memset(user_data(), 0, PAGE_SIZE);
    CHECK(cpu_start(1, spin_in_user_mode, NULL));
    delay_ns(100 * MS); /* it is in its program by then */
    last = *entered;
    for (end = system_time() + 400 * MS; system_time() < end;) {
        changes += *entered != last;
        last = *entered;
    }
    *(volatile uint8_t *)user_data() = 1;
    cpu_wait(1);
    CHECK(changes >= 3, "%u switches were recorded", changes);
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    check_fresh();
    check_switches();
    check_ts();
    check_failsafe();
    check_bad_fs();
    check_runstate_of_program();
    struct account after;
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}

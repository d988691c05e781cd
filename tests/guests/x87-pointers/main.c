/* SPDX-License-Identifier: MIT */
/*
 * The addresses of the last x87 instruction and its operand, as FXSAVE shows them, are a vCPU's own
 * after a switch. AMD's older processors save and restore them only while an exception is pending:
 * another vCPU's would show through. So does a pending exception stay with its vCPU. QEMU stores
 * zeros and restores nothing, so there FXSAVE proves little.
 */
#include "guest.h"

#define ROUNDS 40
#define FSW_ES 0x80u
#define CW_NO_ZM 0x37bu /* division by zero is not masked */

struct image {
    uint16_t fcw, fsw;
    uint8_t ftw, zero;
    uint16_t fop;
    uint64_t fip, fdp;
    uint8_t rest[488];
} __attribute__((aligned(16)));

/* FNSTENV in 64-bit mode: the 32-bit form, the lower halves of both addresses; FLDENV leaves only
 * these. */
struct environment {
    uint32_t fcw, fsw, ftw, fip, fcs, fdp, fds;
};

static double operand[2] = { 1.5, 2.5 };
static volatile uint64_t own_fip[2];
static volatile unsigned int turns;
static volatile bool stop;
static unsigned int foreign, changed, lost, stray;
static bool told;   /* this processor's FXSAVE gives the addresses */
static bool hidden; /* by FNSTENV nothing of another vCPU may be seen */

static void save(struct image *m)
{
    memset(m, 0, sizeof(*m)); /* what FXSAVE leaves out reads as 0 */
    __asm__ volatile("fxsave64 %0" : "=m"(*m));
}

/* Two places, so that the addresses tell who it was. */
static void __attribute__((noinline)) load_first(void)
{
    __asm__ volatile("fninit; lea 1f(%%rip), %0; 1: fldl %1" : "=r"(own_fip[0]) : "m"(operand[0]));
}

static void __attribute__((noinline)) load_second(void)
{
    __asm__ volatile("fninit; lea 1f(%%rip), %0; 1: fldl %1" : "=r"(own_fip[1]) : "m"(operand[1]));
}

static bool is_of(const struct image *m, unsigned int who)
{
    return m->fip == own_fip[who] || m->fdp == (uint64_t)&operand[who];
}

static void compare(const struct image *now, const struct image *was, unsigned int who)
{
    struct environment env;

    foreign += is_of(now, !who);
    changed += now->fip != was->fip || now->fdp != was->fdp || now->fop != was->fop;
    if (!hidden)
        return;
    __asm__ volatile("fnstenv %0; fldenv %0" : "+m"(env));
    foreign += env.fip == (uint32_t)own_fip[!who] || env.fdp == (uint32_t)(uint64_t)&operand[!who];
}

/* The other vCPU has had the CPU, and has used its x87. */
static void switch_over(void)
{
    unsigned int was = turns;

    while (turns == was)
        hc_sched_op(SCHEDOP_yield, NULL);
}

static void other(void *arg)
{
    static struct image was, now; /* aligned, whatever the stack */

    (void)arg;
    while (!stop) {
        load_second();
        stray += TRY("fwait", "i"(0)) != NO_FAULT;
        save(&was);
        turns++;
        hc_sched_op(SCHEDOP_yield, NULL);
        save(&now);
        compare(&now, &was, 1);
    }
}

static void check_pointers(void)
{
    static struct image was, now;

    load_first();
    save(&was);
    told = was.fip == own_fip[0];
    hidden |= told;
    printk("note: FXSAVE gives %#lx for an instruction at %#lx\n", was.fip, own_fip[0]);
    for (int i = 0; i < ROUNDS; i++) {
        load_first();
        save(&was);
        switch_over();
        save(&now);
        compare(&now, &was, 0);
    }
    CHECK_EQ(foreign, 0, "addresses of the other vCPU");
    CHECK_EQ(changed, 0, "addresses that changed");
}

/* 1 / 0; the next waiting instruction faults. */
static void check_pending(void)
{
    uint16_t cw = CW_NO_ZM;
    static struct image was, now;

    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp %%st, %%st(1)" : : "m"(cw));
        save(&was);
        switch_over();
        save(&now);
        lost += !(now.fsw & FSW_ES);
        compare(&now, &was, 0);
        lost += TRY("fwait", "i"(0)) != VEC_MF;
        __asm__ volatile("fninit");
    }
    CHECK_EQ(lost, 0, "pending exceptions that were lost");
    CHECK_EQ(stray, 0, "exceptions of the other vCPU");
    CHECK_EQ(foreign, 0, "addresses of the other vCPU, with an exception pending");
    CHECK_EQ(changed, 0, "addresses that changed, with an exception pending");
}

void guest_main(void)
{
    uint32_t a = 0, b, c, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    hidden = b == 0x68747541; /* AuthenticAMD: the hypervisor has to see to it */
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    load_first(); /* from here on its address is known to the other */
    if (!CHECK(cpu_start(1, other, NULL)))
        return;
    check_pointers();
    check_pending();
    stop = true;
    while (!cpus[1]->ap_done) /* Bochs lets nobody interrupt a wait with interrupts off */
        hc_sched_op(SCHEDOP_yield, NULL);
    cpu_wait(1);
}

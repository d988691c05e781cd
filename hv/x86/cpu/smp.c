/* SPDX-License-Identifier: MIT */
/*
 * Bringing up the other CPUs, one after the other: each starts in real mode on a copy of the
 * trampoline (boot/head.S) below 1 MiB, gets its stack from ap_stack and arrives in ap_main().
 */
#include "core/bug.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/mc.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/spec.h"
#include "x86/cpu/watchdog.h"
#include "x86/irq/lapic.h"
#include "x86/mm/paging.h"
#include "x86/time/tsc.h"
#include "x86/trap.h"

#define LOW_FIRST 0x8000ull
#define LOW_END 0x9f000ull /* the BIOS keeps what is behind */
#define START_LIMIT_US 1000000
#define START_STEP_US 50

enum { AP_NONE, AP_EXPECTED, AP_ARRIVED };

extern const char ap_tramp_start[], ap_tramp_end[];
extern uint64_t ap_stack;
void ap_main(void);

static uint32_t ap_state;   /* atomic */
static uint32_t ap_apic_id; /* of the CPU that is expected */

static uint32_t own_initial_apic_id(void)
{
    uint32_t a, b, c, d;

    cpuid(1, 0, &a, &b, &c, &d);
    return b >> 24;
}

/* A CPU's first C code: on its own stack, with boot_l4 and the boot GDT. */
void ap_main(void)
{
    uint32_t expected = AP_EXPECTED;

    /* One that comes too late must not take another one's place. */
    if (own_initial_apic_id() != (ap_apic_id & 0xff) ||
        !__atomic_compare_exchange_n(&ap_state, &expected, AP_ARRIVED, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        for (;;)
            __asm__ volatile("cli; hlt");
    write_cr3(idle_cr3);
    cpu_init_this(this_x86());
    lapic_init_cpu();
    tsc_sync_ap();
    spec_init_cpu();
    mc_init_cpu();
    pcpu_online(cpu_info()->pcpu);
    watchdog_start_cpu();
    start_guests();
}

/* The highest page of RAM that real mode reaches; 0: none. */
static uint64_t find_low_page(void)
{
    uint64_t best = 0;

    for (unsigned int i = 0; i < boot_info.nr_mem; i++) {
        const struct boot_memory *m = &boot_info.mem[i];
        uint64_t end = MIN(ALIGN_DOWN(m->base + m->len, PAGE_SIZE), LOW_END);
        if (m->type == 1 && end >= m->base + PAGE_SIZE && end >= LOW_FIRST + PAGE_SIZE)
            best = MAX(best, end - PAGE_SIZE);
    }
    return best;
}

static bool wait_for(const uint32_t *what, uint32_t value)
{
    for (unsigned int us = 0; us < START_LIMIT_US; us += START_STEP_US) {
        if (__atomic_load_n(what, __ATOMIC_ACQUIRE) == value)
            return true;
        tsc_delay_us(START_STEP_US);
    }
    return false;
}

static bool start_one(struct x86_pcpu *xp, uint8_t page)
{
    uint32_t expected = AP_EXPECTED;
    unsigned int online = nr_pcpus;

    ap_stack = STACKS_BASE + (uint64_t)(xp->p.id + 1) * STACK_SLOT - sizeof(struct cpu_info);
    ap_apic_id = xp->apic_id;
    __atomic_store_n(&ap_state, AP_EXPECTED, __ATOMIC_SEQ_CST);
    lapic_start_cpu(xp->apic_id, page);
    if (!wait_for(&ap_state, AP_ARRIVED) &&
        __atomic_compare_exchange_n(&ap_state, &expected, AP_NONE, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        return false;
    tsc_sync_bsp();
    /* It has taken its place: from here on it is part of us, so it must come. */
    if (!wait_for(&nr_pcpus, online + 1))
        panic("CPU %u (APIC id %u) stopped while it started", xp->p.id, xp->apic_id);
    return true;
}

void smp_boot(const uint32_t *apic_ids, unsigned int n)
{
    static uint8_t saved[PAGE_SIZE];
    uint64_t page = n ? find_low_page() : 0;

    if (!page) {
        if (n)
            log_warn("CPUs: no RAM below 1 MiB to start the other %u from", n);
        return;
    }
    memcpy(saved, direct(page), PAGE_SIZE);
    memcpy(direct(page), ap_tramp_start, (size_t)(ap_tramp_end - ap_tramp_start));
    for (unsigned int i = 0; i < n && nr_pcpus < MAX_CPUS; i++) {
        unsigned int id = nr_pcpus;
        struct x86_pcpu *xp = cpu_create(id, apic_ids[i]);

        if (!xp) {
            log_warn("CPUs: out of memory after %u", id);
            break;
        }
        if (!start_one(xp, (uint8_t)(page >> PAGE_SHIFT))) {
            log_warn("CPUs: the one with APIC id %u did not start; going on without", apic_ids[i]);
            pcpus[id] = NULL; /* its record is lost, its number goes to the next */
        }
    }
    memcpy(direct(page), saved, PAGE_SIZE);
}

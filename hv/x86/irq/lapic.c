/* SPDX-License-Identifier: MIT */
/*
 * Each CPU touches its own local APIC only, with interrupts off: no locks. The mode and the
 * timer's rate are found at boot and constant.
 */
#include "x86/irq/lapic.h"

#include "core/bug.h"
#include "core/log.h"
#include "lib/format.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/mm/vmap.h"
#include "x86/time/tsc.h"

#define APIC_BASE_X2 0x400
#define APIC_BASE_ON 0x800
#define APIC_BASE_ADDR 0x000ffffffffff000ull

#define SVR_ON 0x100
#define LVT_MASKED 0x10000
#define LVT_NMI 0x400
#define LVT_TIMER_DEADLINE 0x40000
#define TIMER_DIVIDE_BY_16 0x3

#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING 0x1000
#define ICR_ASSERT 0x4000
#define ICR_LEVEL 0x8000
#define ICR_SELF 0x40000
#define ICR_OTHERS 0xc0000

/* Looks at the delivery status before an IPI is sent anyway: only a broken bus takes this long. */
#define ICR_SPINS 1000000

volatile uint32_t *lapic_regs;
bool lapic_timer_by_deadline;
static bool mode_known; /* lapic_init_bsp() ran: registers may be read */

static struct {
    uint64_t hz;
    uint32_t errors; /* seen, all CPUs; atomic */
} timer_state;

bool lapic_want_x2apic(const struct lapic_choice *c)
{
    if (!c->available)
        return false;
    /*
     * Leaving x2APIC mode means switching the APIC off, and ids from 255 on exist in it only.
     * Without interrupt remapping a machine's chipset may not know the mode's messages, so on
     * hardware it stays as the firmware left it; a virtual machine's is safe and cheaper.
     */
    if (c->enabled || c->max_apic_id >= 255)
        return true;
    return c->option >= 0 ? c->option == 1 : c->hypervisor;
}

static void enable_mode(bool x2apic)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!(base & APIC_BASE_ON))
        wrmsr(MSR_APIC_BASE, base |= APIC_BASE_ON);
    if (x2apic && !(base & APIC_BASE_X2))
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
}

void lapic_init_bsp(uint32_t max_apic_id, int x2apic_option)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    uint32_t a, b, c, d;
    struct lapic_choice choice = { .available = cpu_feat.x2apic,
                                   .enabled = base & APIC_BASE_X2,
                                   .max_apic_id = max_apic_id,
                                   .option = x2apic_option };

    cpuid(1, 0, &a, &b, &c, &d);
    choice.hypervisor = c >> 31;
    if (!lapic_want_x2apic(&choice)) {
        lapic_regs = vmap(MADDR(base & APIC_BASE_ADDR), PAGE_SIZE, VMAP_UC);
        if (!lapic_regs)
            panic("no address space for the local APIC");
    }
    lapic_init_cpu();
    mode_known = true;
    log_info("local APIC: %s mode, version 0x%x", lapic_regs ? "xAPIC" : "x2APIC",
             lapic_read(LAPIC_VERSION) & 0xff);
}

/* What the firmware left in service would hold back all vectors below it. */
static void acknowledge_leftovers(void)
{
    for (unsigned int round = 0; round < 256; round++) {
        uint32_t any = 0;

        for (unsigned int i = 0; i < 8; i++)
            any |= lapic_read(LAPIC_ISR + 16 * i);
        if (!any)
            return;
        lapic_eoi();
    }
}

void lapic_init_cpu(void)
{
    unsigned int max_lvt;

    enable_mode(!lapic_regs);
    max_lvt = lapic_read(LAPIC_VERSION) >> 16 & 0xff;
    if (lapic_regs) { /* fixed in x2APIC mode; we only use physical destinations */
        lapic_write(LAPIC_DFR, 0xffffffff);
        lapic_write(LAPIC_LDR, 0);
    }
    lapic_write(LAPIC_SVR, SVR_ON | VEC_SPURIOUS);
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
    if (max_lvt >= 4)
        lapic_write(LAPIC_LVT_PERF, LVT_MASKED);
    if (max_lvt >= 5)
        lapic_write(LAPIC_LVT_THERMAL, LVT_MASKED | VEC_THERMAL);
    if (max_lvt >= 6)
        lapic_write(LAPIC_LVT_CMCI, LVT_MASKED | VEC_THERMAL);
    acknowledge_leftovers();
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_LVT_ERROR, VEC_ERROR);
    if (timer_state.hz)
        lapic_timer_init_cpu();
}

uint32_t lapic_id(void)
{
    uint32_t id = lapic_read(LAPIC_ID);

    return lapic_regs ? id >> 24 : id;
}

bool lapic_test_vector(unsigned int reg, uint8_t vector)
{
    return lapic_read(reg + 16 * (vector / 32)) >> (vector % 32) & 1;
}

static void wait_icr(void)
{
    for (unsigned int i = 0; i < ICR_SPINS && (lapic_read(LAPIC_ICR) & ICR_PENDING); i++)
        cpu_pause();
}

/* Interrupts are off everywhere but in idle's halt, so nothing comes between the two writes. */
static void send(uint32_t apic_id, uint32_t command)
{
    if (!lapic_regs) {
        /* An MSR write of the x2APIC is no barrier: what the IPI tells of must be visible first. */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + LAPIC_ICR / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    wait_icr();
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR, command);
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
    send(apic_id, ICR_ASSERT | vector);
}

void lapic_send_self(uint8_t vector)
{
    if (!lapic_regs) {
        wrmsr_safe(MSR_X2APIC + LAPIC_SELF_IPI / 16, vector); /* an NMI may come very early */
        return;
    }
    wait_icr();
    lapic_write(LAPIC_ICR, ICR_SELF | ICR_ASSERT | vector);
}

void lapic_send_nmi_others(void)
{
    send(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
}

void lapic_start_cpu(uint32_t apic_id, uint8_t page)
{
    send(apic_id, ICR_INIT | ICR_LEVEL | ICR_ASSERT);
    tsc_delay_us(200);
    if (lapic_regs) { /* the de-assertion that the first local APICs wanted */
        wait_icr();
        send(apic_id, ICR_INIT | ICR_LEVEL);
    }
    tsc_delay_us(500);
    for (unsigned int i = 0; i < 2; i++) {
        send(apic_id, ICR_STARTUP | ICR_ASSERT | page);
        tsc_delay_us(200);
    }
}

void lapic_handle_error(void)
{
    uint32_t esr, seen;

    lapic_write(LAPIC_ESR, 0); /* latches what happened */
    esr = lapic_read(LAPIC_ESR);
    seen = __atomic_fetch_add(&timer_state.errors, 1, __ATOMIC_RELAXED);
    if (seen < 10)
        log_warn("local APIC of CPU%u: error status 0x%x%s%s%s", this_cpu_id(), esr,
                 esr & 0x20 ? ", sent illegal vector" : "",
                 esr & 0x40 ? ", received illegal vector" : "",
                 esr & 0x80 ? ", illegal register" : "");
}

void lapic_eoi_again(void)
{
    static uint32_t seen; /* atomic */

    if (!lapic_own_in_service()) /* a read can be as wrong */
        return;
    if (__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED) < 10)
        log_warn("CPU %u would idle with vectors in service (%#x of f0 to ff): an end of interrupt "
                 "was lost on its way to the local APIC, and is sent again",
                 this_cpu_id(), lapic_own_in_service());
    for (unsigned int i = VEC_OWN_FIRST; i <= 0xff && lapic_own_in_service(); i++)
        lapic_eoi();
}

/* The vectors in one of the three bitmaps, in hexadecimal, after `what`; nothing if there is none.
 */
static void append_vectors(char *line, size_t size, const char *what, unsigned int reg)
{
    bool first = true;

    for (unsigned int v = 0; v < 256; v++) {
        if (v % 32 == 0 && !lapic_read(reg + 16 * (v / 32)))
            v += 31;
        else if (lapic_test_vector(reg, (uint8_t)v)) {
            fmt_append(line, size, "%s %x", first ? what : "", v);
            first = false;
        }
    }
}

void lapic_log_pending(void)
{
    char line[160] = "";

    if (!mode_known)
        return;
    append_vectors(line, sizeof(line), " in service", LAPIC_ISR);
    append_vectors(line, sizeof(line), " requested", LAPIC_IRR);
    if (line[0])
        log_err("Local APIC of CPU %u: vectors%s", this_cpu_id(), line);
}

void lapic_timer_start_counting(void)
{
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_16);
    lapic_write(LAPIC_TIMER_INITIAL, 0xffffffff);
}

uint32_t lapic_timer_elapsed(void)
{
    return 0xffffffff - lapic_read(LAPIC_TIMER_CURRENT);
}

void lapic_timer_calibrated(uint64_t ticks_per_second, bool use_tsc_deadline)
{
    timer_state.hz = ticks_per_second ? ticks_per_second : 1;
    lapic_timer_by_deadline = use_tsc_deadline;
    lapic_timer_init_cpu();
}

void lapic_timer_init_cpu(void)
{
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (lapic_timer_by_deadline) {
        lapic_write(LAPIC_LVT_TIMER, LVT_TIMER_DEADLINE | VEC_TIMER);
        /* The SDM wants the mode change ordered before the first deadline. */
        __asm__ volatile("mfence" ::: "memory");
        return;
    }
    lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_16);
    lapic_write(LAPIC_LVT_TIMER, VEC_TIMER);
}

void lapic_timer_set_tsc(uint64_t tsc)
{
    wrmsr(MSR_TSC_DEADLINE, tsc);
}

void lapic_timer_set_ticks(uint32_t ticks)
{
    lapic_write(LAPIC_TIMER_INITIAL, ticks);
}

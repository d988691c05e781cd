/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of each CPU: end of interrupt, interprocessor interrupts, the timer. xAPIC (memory
 * mapped) and x2APIC (MSRs) behind the same functions. Intel SDM volume 3, chapter 11.
 */
#ifndef X86_IRQ_LAPIC_H
#define X86_IRQ_LAPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/irq/vectors.h"

#define LAPIC_ID 0x20
#define LAPIC_VERSION 0x30
#define LAPIC_TPR 0x80
#define LAPIC_EOI 0xb0
#define LAPIC_LDR 0xd0
#define LAPIC_DFR 0xe0
#define LAPIC_SVR 0xf0
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200
#define LAPIC_ESR 0x280
#define LAPIC_LVT_CMCI 0x2f0
#define LAPIC_ICR 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_THERMAL 0x330
#define LAPIC_LVT_PERF 0x340
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LAPIC_SELF_IPI 0x3f0 /* x2APIC only */

extern volatile uint32_t *lapic_regs; /* NULL: x2APIC mode */

static inline uint32_t lapic_read(unsigned int reg)
{
    return lapic_regs ? lapic_regs[reg / 4] : (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
}

static inline void lapic_write(unsigned int reg, uint32_t v)
{
    if (lapic_regs)
        lapic_regs[reg / 4] = v;
    else
        wrmsr(MSR_X2APIC + reg / 16, v);
}

/* The interrupt in service is done with. */
static inline void lapic_eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

/* What decides between the two modes; lapic_want_x2apic() is pure, for the tests. */
struct lapic_choice {
    bool available;       /* CPUID says so */
    bool enabled;         /* the firmware left it on */
    bool hypervisor;      /* CPUID says that we run on one */
    uint32_t max_apic_id; /* of all usable CPUs */
    int option;           /* x2apic=: -1 not given, 0, 1 */
};
bool lapic_want_x2apic(const struct lapic_choice *c);

/*
 * First CPU: choose the mode, map the registers if needed (vmap must work), then as lapic_init_cpu.
 * max_apic_id: the highest in the MADT; x2apic_option as in lapic_choice.
 */
void lapic_init_bsp(uint32_t max_apic_id, int x2apic_option);
/*
 * This CPU: on, all local interrupts masked but NMI on LINT1 and the error vector, in-service
 * leftovers of the firmware acknowledged. Later CPUs call it as well.
 */
void lapic_init_cpu(void);

/* This CPU's APIC id. */
uint32_t lapic_id(void);
/* True if `reg`'s in-service or request bitmap (LAPIC_ISR, LAPIC_IRR) has `vector`. */
bool lapic_test_vector(unsigned int reg, uint8_t vector);

/* Interrupt `vector` on the CPU of that id; NMI likewise. Waits for the previous one to leave. */
void lapic_send_ipi(uint32_t apic_id, uint8_t vector);
/*
 * Interrupt `vector` on this CPU. From an NMI as well: the interrupted code may stand between the
 * two writes of an IPI of its own, and this one leaves the destination alone.
 */
void lapic_send_self(uint8_t vector);
/* NMI to all CPUs but this: panic. */
void lapic_send_nmi_others(void);
/* INIT, then twice SIPI: the CPU begins at `page` << 12 (below 1 MiB) in real mode. */
void lapic_start_cpu(uint32_t apic_id, uint8_t page);

/* The error interrupt's work: names the error in the log (rate-limited). EOI is the caller's. */
void lapic_handle_error(void);

/* Bit n: vector VEC_OWN_FIRST + n, which this CPU's handlers acknowledge before all else. */
static inline uint32_t lapic_own_in_service(void)
{
    return lapic_read(LAPIC_ISR + 16 * (VEC_OWN_FIRST / 32)) >> VEC_OWN_FIRST % 32;
}

/*
 * Before this CPU halts: one of the hypervisor's own vectors in service would hold back all of them
 * for ever, and none can be between two interrupts but by an end of interrupt that got lost. Says
 * so in the log and acknowledges it. QEMU drops accesses to the registers when CPUs meet there
 * (docs/testing.md, "Faults of the emulator").
 */
void lapic_eoi_again(void);
static inline void lapic_before_idle(void)
{
    if (__builtin_expect(lapic_own_in_service() != 0, 0))
        lapic_eoi_again();
}

/*
 * Logs which vectors this CPU has in service and which wait, if any (SDM 3, 11.8.4): for a panic,
 * where a vector in service on a CPU that idles says that an end of interrupt was lost.
 */
void lapic_log_pending(void);

/*
 * The one-shot timer (VEC_TIMER). By TSC deadline where the CPU has it, else a counter whose
 * frequency lapic_timer_calibrated() was told.
 */
void lapic_timer_start_counting(void); /* masked, from the top: for calibration */
uint32_t lapic_timer_elapsed(void);    /* ticks since then */
/* This is how fast it counts (behind the divider): what time/ found. Once, first CPU. */
void lapic_timer_calibrated(uint64_t ticks_per_second, bool use_tsc_deadline);
extern bool lapic_timer_by_deadline; /* constant then */
/* Arm the timer: deadline mode takes a TSC value, 0 stops; count mode takes ticks, 0 stops. */
void lapic_timer_set_tsc(uint64_t tsc);
void lapic_timer_set_ticks(uint32_t ticks);
/* This CPU's timer made ready after lapic_timer_calibrated(); each CPU calls it. */
void lapic_timer_init_cpu(void);

#endif

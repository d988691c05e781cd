/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's local APIC: registers, priorities, timer, messages. AMD APM volume 2, chapter 16; Intel
 * SDM volume 3, chapter 11.
 *
 * Who touches what: `posted`, TMR and the error bits may be posted to by any CPU, atomically. All
 * else belongs to the CPU on which the vCPU runs, or to whoever has it paused. No locks.
 *
 * A processor that virtualises the APIC itself (VMX) works on the same page of registers while its
 * guest runs: `assisted`. It takes from IRR and puts into ISR, so nothing that follows from these
 * two is remembered then, and no other CPU writes to them.
 */
#ifndef X86_HVM_VLAPIC_H
#define X86_HVM_VLAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

struct vlapic;

#define VLAPIC_NONE (~0ull)   /* no deadline */
#define VLAPIC_CYCLE_NS 10ull /* its timer counts at 100 MHz, before the divider */

/* What an APIC needs of the vCPU that owns it. Calls marked `any` come from any CPU. */
struct vlapic_ops {
    /* The clock of its timer, in ns. */
    uint64_t (*now)(const struct vlapic *v);
    /* vlapic_timer_fired() is wanted at `deadline` of that clock, or VLAPIC_NONE: never. */
    void (*set_timer)(struct vlapic *v, uint64_t deadline);
    /* When the guest's TSC gets to `tsc`, by that clock; 0: it has passed. */
    uint64_t (*tsc_deadline)(struct vlapic *v, uint64_t tsc);
    /* An interrupt came in: the vCPU wakes, and looks before it runs on. any */
    void (*kick)(struct vlapic *v);
    void (*nmi)(struct vlapic *v); /* any */
    /* The vCPU resets, vlapic_reset(v, true) included, and waits for a SIPI. any */
    void (*init)(struct vlapic *v);
    void (*sipi)(struct vlapic *v, uint8_t vector); /* any */
    /* A level-triggered interrupt ended: the I/O APIC looks again. NULL: there is none. */
    void (*eoi)(struct vlapic *v, uint8_t vector);
    /* vlapic_assistable() may have changed, or all registers. NULL: nobody minds. any */
    void (*mode)(struct vlapic *v);
};

/* The APICs of one domain. */
struct vlapic_bus {
    const struct vlapic_ops *ops;
    struct vlapic **lapic; /* by vCPU; NULL where there is none */
    unsigned int nr;       /* entries of it */
    uint32_t turn;         /* atomic: who is asked first for a lowest-priority interrupt */
    uint8_t phys_bits;     /* of the guest's physical addresses */
    bool has_x2apic;       /* by the guest's CPUID */
    bool has_deadline;     /* so is the TSC-deadline timer */
};

#define VLAPIC_REG(offset) ((offset) / 4)

struct vlapic {
    uint32_t *regs; /* a page; the first KiB is its registers, as the record has them */
    struct vlapic_bus *bus;
    void *owner;           /* the vCPU, for ops */
    uint32_t id;           /* constant */
    uint32_t posted[8];    /* atomic: requests that are not in IRR yet */
    uint32_t posted_words; /* atomic: bit for each word of them in which something may be set */
    uint32_t irr_words;    /* the same of IRR */
    int32_t in_service;    /* highest vector in service, -1 none; stale while assisted */
    bool assisted;
    uint32_t errors;       /* atomic: what the next write to ESR shows */
    uint64_t apic_base;    /* MSR 0x1b */
    uint64_t tsc_deadline; /* MSR 0x6e0 */
    uint64_t timer_start;  /* by now(): when it had timer_count; VLAPIC_NONE: it stands still */
    uint32_t timer_count;
};

#define APIC_BASE_BSP 0x100ull
#define APIC_BASE_X2APIC 0x400ull
#define APIC_BASE_ENABLE 0x800ull
#define APIC_DEFAULT_BASE 0xfee00000ull

/*
 * The state after power-on; the vCPU that starts the machine is the one with id 0. `page` is its
 * own as long as it lives: 1 KiB, or 4 KiB by themselves where a processor may assist.
 */
void vlapic_init(struct vlapic *v, uint32_t *page, struct vlapic_bus *bus, void *owner,
                 uint32_t id);
/* RESET, or INIT, which keeps APIC_BASE. */
void vlapic_reset(struct vlapic *v, bool init);

static inline bool vlapic_enabled(const struct vlapic *v)
{
    return (v->apic_base & APIC_BASE_ENABLE) != 0;
}

static inline bool vlapic_x2apic(const struct vlapic *v)
{
    return (v->apic_base & APIC_BASE_X2APIC) != 0;
}

/* Is this guest-physical address in its page of registers? */
static inline bool vlapic_hit(const struct vlapic *v, uint64_t gpa)
{
    return (v->apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE &&
           (gpa ^ v->apic_base) >> 12 == 0;
}

/* A register at an offset in the page. Reads of 1, 2, 4 bytes; writes of 4 are those that count. */
uint64_t vlapic_mmio_read(struct vlapic *v, unsigned int offset, unsigned int size);
void vlapic_mmio_write(struct vlapic *v, unsigned int offset, unsigned int size, uint64_t val);
/* MSRs 0x1b, 0x6e0, 0x800 to 0x8ff. False: #GP. */
bool vlapic_rdmsr(struct vlapic *v, uint32_t msr, uint64_t *val);
bool vlapic_wrmsr(struct vlapic *v, uint32_t msr, uint64_t val);
/* CR8 is the upper half of the task priority. */
uint8_t vlapic_cr8(const struct vlapic *v);
void vlapic_set_cr8(struct vlapic *v, uint8_t cr8);

/* A fixed interrupt, from any CPU. Kicks the vCPU if it was not pending yet. */
void vlapic_post(struct vlapic *v, uint8_t vector, bool level);
/*
 * An event-channel upcall: it is kept while the guest has its APIC switched off, as on Xen, since
 * no second one comes while evtchn_upcall_pending is set. Linux sets its vector before that. The
 * guest sees it requested once the APIC is on.
 */
void vlapic_post_upcall(struct vlapic *v, uint8_t vector);
/* The vector that may be delivered now, or -1. */
int vlapic_pending(const struct vlapic *v);
/* The highest vector requested, whatever the priorities say, or -1: for the CR8 intercept. */
int vlapic_highest_request(const struct vlapic *v);
/* The CPU takes `vector`, which vlapic_pending() gave. */
void vlapic_accept(struct vlapic *v, uint8_t vector);
/* Highest vector in service, or -1. */
int vlapic_in_service(const struct vlapic *v);

/* For a vendor whose processor works on the page of registers; on the vCPU's CPU. */

/* May it? In x2APIC mode, and switched on by software: then it delivers what IRR says. */
bool vlapic_assistable(const struct vlapic *v);
/* It does from the next entry on, or does no more. Again after each vlapic_ops.mode(). */
void vlapic_assist(struct vlapic *v, bool on);
/* What was posted goes into IRR. */
void vlapic_pull(struct vlapic *v);
/* Bits: the vectors from 64 * i on whose end has to be told by vlapic_ended(); i < 4. */
uint64_t vlapic_level_triggered(const struct vlapic *v, unsigned int i);
void vlapic_ended(struct vlapic *v, uint8_t vector);
/* It has written the register itself, and says so. */
void vlapic_written(struct vlapic *v, unsigned int offset);

/* Does the PIC's output reach this CPU? */
bool vlapic_takes_extint(const struct vlapic *v);
/* Pin 0 or 1 was asserted: delivers what its entry says, unless that is ExtINT. */
void vlapic_lint(struct vlapic *v, unsigned int pin);
/* The time that set_timer() asked for has come. On the vCPU's CPU, or while it does not run. */
void vlapic_timer_fired(struct vlapic *v);

enum apic_delivery {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_NMI = 4,
    APIC_INIT,
    APIC_SIPI,
    APIC_EXTINT
};

struct apic_message {
    uint32_t dest;
    uint8_t vector;
    uint8_t mode; /* enum apic_delivery */
    bool logical; /* how dest is meant */
    bool wide;    /* dest has 32 bits (x2APIC), else 8 */
    bool level;   /* level-triggered */
};

/* Deliver to whom the message names, as I/O APICs and MSIs do. Any CPU. False: nobody took it. */
bool vlapic_send(struct vlapic_bus *b, const struct apic_message *m);
/* A write of `data` to `addr` in the range of MSIs, 0xfee00000 to 0xfeefffff. */
bool vlapic_send_msi(struct vlapic_bus *b, uint64_t addr, uint32_t data);
/* Is v among those that dest names? */
bool vlapic_matches(const struct vlapic *v, uint32_t dest, bool logical, bool wide);

/* The records of Xen's context. The vCPU is paused. Loading takes what hardware could hold only. */
void vlapic_save(const struct vlapic *v, struct hvm_hw_lapic *r);
void vlapic_save_regs(const struct vlapic *v, struct hvm_hw_lapic_regs *r);
/* May APIC_BASE have this value? */
bool vlapic_base_ok(const struct vlapic *v, uint64_t base);
/* 0 or -EINVAL: an APIC_BASE that cannot be. */
int vlapic_load(struct vlapic *v, const struct hvm_hw_lapic *r);
void vlapic_load_regs(struct vlapic *v, const struct hvm_hw_lapic_regs *r);

#endif

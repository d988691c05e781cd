/* SPDX-License-Identifier: MIT */
/*
 * The list of controllers is made at boot. Index and data of one are a pair under its lock
 * (RANK_MACHINE); what is written to a line's entry is the source's business (irq.c), under its
 * lock.
 */
#include "x86/irq/ioapic.h"

#include "core/log.h"
#include "x86/mm/vmap.h"

#define WINDOW_INDEX 0x00
#define WINDOW_DATA 0x10
#define REG_VERSION 0x01
#define REG_ENTRY(n) (0x10 + 2 * (n))

#define ENTRY_ACTIVE_LOW 0x2000
#define ENTRY_LEVEL 0x8000
#define ENTRY_MASKED 0x10000
#define MAX_LINES 240

static struct ioapic {
    volatile uint32_t *regs;
    uint64_t base;
    uint32_t gsi_base;
    uint32_t lines;
    spinlock_t lock; /* RANK_MACHINE: index and data window */
} ioapics[MAX_IOAPICS];
static unsigned int nr_ioapics;

uint32_t ioapic_entry_low(uint8_t vector, struct gsi_mode mode, bool masked)
{
    return vector | (mode.active_low ? ENTRY_ACTIVE_LOW : 0) | (mode.level ? ENTRY_LEVEL : 0) |
           (masked ? ENTRY_MASKED : 0);
}

static uint32_t window_read(struct ioapic *io, uint32_t reg)
{
    io->regs[WINDOW_INDEX / 4] = reg;
    return io->regs[WINDOW_DATA / 4];
}

static void window_write(struct ioapic *io, uint32_t reg, uint32_t v)
{
    io->regs[WINDOW_INDEX / 4] = reg;
    io->regs[WINDOW_DATA / 4] = v;
}

static struct ioapic *of_gsi(uint32_t gsi)
{
    for (unsigned int i = 0; i < nr_ioapics; i++)
        if (gsi - ioapics[i].gsi_base < ioapics[i].lines)
            return &ioapics[i];
    return NULL;
}

static struct ioapic *of_base(uint64_t base)
{
    for (unsigned int i = 0; i < nr_ioapics; i++)
        if (ioapics[i].base == base)
            return &ioapics[i];
    return NULL;
}

bool ioapic_add(uint8_t id, uint64_t base, uint32_t gsi_base)
{
    struct ioapic *io = &ioapics[nr_ioapics];
    uint32_t version;

    if (nr_ioapics == MAX_IOAPICS || gsi_base >= MAX_GSIS || of_base(base)) {
        log_warn("I/O APIC %u: too many, or listed twice; left out", id);
        return false;
    }
    io->regs = vmap(MADDR(base), PAGE_SIZE - base % PAGE_SIZE, VMAP_UC);
    if (!io->regs)
        return false;
    spin_init(&io->lock, RANK_MACHINE);
    io->base = base;
    io->gsi_base = gsi_base;
    version = window_read(io, REG_VERSION);
    io->lines = (version >> 16 & 0xff) + 1;
    if (version == 0xffffffff || io->lines > MAX_LINES || gsi_base + io->lines > MAX_GSIS ||
        of_gsi(gsi_base) || of_gsi(gsi_base + io->lines - 1)) {
        log_warn("I/O APIC %u at 0x%llx: no plausible registers or GSIs; left out", id,
                 (unsigned long long)base);
        vunmap((void *)(uintptr_t)io->regs, PAGE_SIZE - base % PAGE_SIZE);
        return false;
    }
    for (uint32_t n = 0; n < io->lines; n++)
        window_write(io, REG_ENTRY(n), ENTRY_MASKED);
    nr_ioapics++;
    log_info("I/O APIC %u: GSIs %u to %u, version 0x%x", id, gsi_base, gsi_base + io->lines - 1,
             version & 0xff);
    return true;
}

bool ioapic_has_gsi(uint32_t gsi)
{
    return of_gsi(gsi) != NULL;
}

uint32_t ioapic_nr_gsis(void)
{
    uint32_t n = 0;

    for (unsigned int i = 0; i < nr_ioapics; i++)
        n = MAX(n, ioapics[i].gsi_base + ioapics[i].lines);
    return n;
}

unsigned int ioapic_count(void)
{
    return nr_ioapics;
}

bool ioapic_is_register_frame(mfn_t mfn)
{
    for (unsigned int i = 0; i < nr_ioapics; i++)
        if (ioapics[i].base >> PAGE_SHIFT == mfn.v)
            return true;
    return false;
}

bool ioapic_register_gsi(uint64_t base, uint32_t reg, uint32_t *gsi)
{
    struct ioapic *io = of_base(base);

    if (!io || reg < REG_ENTRY(0) || reg >= REG_ENTRY(io->lines))
        return false;
    *gsi = io->gsi_base + (reg - REG_ENTRY(0)) / 2;
    return true;
}

bool ioapic_read_register(uint64_t base, uint32_t reg, uint32_t *value)
{
    struct ioapic *io = of_base(base);
    uint32_t gsi;

    if (!io || (reg > 3 && !ioapic_register_gsi(base, reg, &gsi)))
        return false;
    spin_lock(&io->lock);
    *value = window_read(io, reg);
    spin_unlock(&io->lock);
    return true;
}

static void write_low(struct irq *irq)
{
    struct ioapic *io = of_gsi(irq->gsi);

    spin_lock(&io->lock);
    window_write(io, REG_ENTRY(irq->gsi - io->gsi_base),
                 ioapic_entry_low(irq->vector, gsi_mode(irq->gsi), irq->masked));
    spin_unlock(&io->lock);
}

/* A live entry differs in the destination only, which is the high word: one write. */
static void program(struct irq *irq, uint32_t apic_id)
{
    struct ioapic *io = of_gsi(irq->gsi);
    uint32_t reg = REG_ENTRY(irq->gsi - io->gsi_base);

    spin_lock(&io->lock);
    window_write(io, reg + 1, apic_id << 24);
    window_write(io, reg, ioapic_entry_low(irq->vector, gsi_mode(irq->gsi), irq->masked));
    spin_unlock(&io->lock);
}

const struct irq_chip ioapic_chip = { "IO-APIC", program, write_low, write_low };

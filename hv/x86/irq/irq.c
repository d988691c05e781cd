/* SPDX-License-Identifier: MIT */
/*
 * Records, vectors and delivery of interrupt sources (irq.h says how they behave). A source's
 * state is under its own lock (RANK_IRQ); vector numbers, the pool of records and the table by
 * GSI are under vector_lock (RANK_MACHINE), taken inside. irq_handle() looks into its CPU's
 * vector table without a lock: a record in it is never freed to anything else.
 */
#include "x86/irq/irq.h"

#include <xen/errno.h>

#include "core/bug.h"
#include "core/evtchn.h"
#include "core/frame.h"
#include "core/log.h"
#include "core/param.h"
#include "core/pcpu.h"
#include "core/domain.h"
#include "lib/bitmap.h"
#include "lib/format.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/irq/ioapic.h"
#include "x86/irq/lapic.h"
#include "x86/irq/msi_msg.h"

#define NR_VECTORS 256
#define SPURIOUS_LOGGED 20
/* A level line with a handler of ours that fires this often in a second is stuck: masked for good.
 */
#define STORM_LIMIT 100000
#define STORM_WINDOW_NS 1000000000ull

typedef struct irq *vector_table[NR_VECTORS];

static spinlock_t vector_lock = SPINLOCK_INIT(RANK_MACHINE);
static vector_table
    *vectors[MAX_CPUS]; /* [vector_lock] to write, read anywhere; made when needed */
static uint8_t next_vector = VEC_DEVICE_FIRST; /* [vector_lock] */
static struct irq *free_irqs;                  /* [vector_lock] */
static struct irq *gsi_irqs[MAX_GSIS];         /* [vector_lock] to set; never goes */
static uint32_t spurious_seen;                 /* atomic */

/* --- records --- */

static bool grow_pool(void)
{
    struct irq *page = frame_alloc_hv();

    if (!page)
        return false;
    spin_lock(&vector_lock);
    for (size_t i = 0; i < PAGE_SIZE / sizeof(*page); i++) {
        spin_init(&page[i].lock, RANK_IRQ);
        page[i].next = free_irqs;
        free_irqs = &page[i];
    }
    spin_unlock(&vector_lock);
    return true;
}

struct irq *irq_alloc(const struct irq_chip *chip)
{
    struct irq *irq = NULL;

    do {
        spin_lock(&vector_lock);
        irq = free_irqs;
        if (irq)
            free_irqs = irq->next;
        spin_unlock(&vector_lock);
    } while (!irq && grow_pool());
    if (!irq)
        return NULL;
    spin_lock(&irq->lock);
    irq->chip = chip;
    irq->vector = 0;
    irq->level = irq->in_flight = irq->early = false;
    irq->masked = true;
    irq->user = IRQ_UNUSED;
    irq->count = 0;
    irq->storm = 0;
    irq->next = NULL;
    spin_unlock(&irq->lock);
    return irq;
}

static void release_vector(struct irq *irq)
{
    for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
        if (vectors[cpu] && (*vectors[cpu])[irq->vector] == irq)
            __atomic_store_n(&(*vectors[cpu])[irq->vector], NULL, __ATOMIC_RELEASE);
    irq->vector = 0;
}

void irq_free(struct irq *irq)
{
    spin_lock(&irq->lock);
    BUG_ON(irq->user != IRQ_UNUSED);
    irq->chip = NULL;
    spin_lock(&vector_lock);
    release_vector(irq);
    irq->next = free_irqs;
    free_irqs = irq;
    spin_unlock(&vector_lock);
    spin_unlock(&irq->lock);
}

struct irq *irq_of_gsi(uint32_t gsi)
{
    struct irq *irq, *other;

    if (gsi >= MAX_GSIS || !ioapic_has_gsi(gsi))
        return NULL;
    irq = __atomic_load_n(&gsi_irqs[gsi], __ATOMIC_ACQUIRE);
    if (irq)
        return irq;
    irq = irq_alloc(&ioapic_chip);
    if (!irq)
        return NULL;
    irq->gsi = gsi;
    irq->level = gsi_mode(gsi).level;
    spin_lock(&vector_lock);
    other = gsi_irqs[gsi];
    if (!other)
        __atomic_store_n(&gsi_irqs[gsi], irq, __ATOMIC_RELEASE);
    spin_unlock(&vector_lock);
    if (!other)
        return irq;
    irq_free(irq);
    return other;
}

/* --- vectors --- */

uint8_t irq_pick_vector(const unsigned long *used, uint8_t from)
{
    unsigned int v = from;

    for (unsigned int i = VEC_DEVICE_FIRST; i <= VEC_DEVICE_LAST; i++, v++) {
        if (v < VEC_DEVICE_FIRST || v > VEC_DEVICE_LAST)
            v = VEC_DEVICE_FIRST;
        if (v != VEC_INT80 && v != VEC_INT82 && !bitmap_test(used, v))
            return (uint8_t)v;
    }
    return 0;
}

/* CPU `cpu` can be told of interrupts, and has a table. */
static bool usable_cpu(unsigned int cpu)
{
    void *page;

    if (cpu >= MAX_CPUS || !pcpus[cpu] ||
        ((struct x86_pcpu *)pcpus[cpu])->apic_id > MSI_MAX_APIC_ID)
        return false;
    if (__atomic_load_n(&vectors[cpu], __ATOMIC_ACQUIRE))
        return true;
    page = frame_alloc_hv();
    if (!page)
        return false;
    spin_lock(&vector_lock);
    if (!vectors[cpu]) {
        __atomic_store_n(&vectors[cpu], page, __ATOMIC_RELEASE);
        page = NULL;
    }
    spin_unlock(&vector_lock);
    if (page)
        frame_free_hv(page);
    return true;
}

static uint32_t apic_id_of(unsigned int cpu)
{
    return ((struct x86_pcpu *)pcpus[cpu])->apic_id;
}

/* A free vector of that CPU becomes irq's; vectors rotate, so that moves seldom meet another. */
static bool take_vector(struct irq *irq, unsigned int cpu)
{
    DECLARE_BITMAP(used, NR_VECTORS);
    uint8_t v;

    bitmap_zero(used, NR_VECTORS);
    spin_lock(&vector_lock);
    for (unsigned int i = VEC_DEVICE_FIRST; i <= VEC_DEVICE_LAST; i++)
        if ((*vectors[cpu])[i])
            bitmap_set(used, i);
    v = irq_pick_vector(used, next_vector);
    if (v) {
        irq->vector = v;
        irq->cpu = cpu;
        __atomic_store_n(&(*vectors[cpu])[v], irq, __ATOMIC_RELEASE);
        next_vector = (uint8_t)(v + 1);
    }
    spin_unlock(&vector_lock);
    return v != 0;
}

/* irq->lock held. */
static int assign_vector(struct irq *irq, unsigned int cpu)
{
    unsigned int first = cpu < nr_pcpus ? cpu : 0;

    if (irq->vector)
        return 0;
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        unsigned int c = (first + i) % nr_pcpus;

        if (usable_cpu(c) && take_vector(irq, c)) {
            irq->chip->program(irq, apic_id_of(c));
            return 0;
        }
    }
    return -XEN_ENOSPC;
}

int irq_assign_vector(struct irq *irq, unsigned int cpu)
{
    int rc;

    spin_lock(&irq->lock);
    rc = assign_vector(irq, cpu);
    spin_unlock(&irq->lock);
    return rc;
}

/* Reserve irq's vector on another CPU; true if it is irq's there now. */
static bool share_vector(struct irq *irq, unsigned int cpu)
{
    struct irq **slot;
    bool ours;

    spin_lock(&vector_lock);
    slot = &(*vectors[cpu])[irq->vector];
    if (!*slot)
        __atomic_store_n(slot, irq, __ATOMIC_RELEASE);
    ours = *slot == irq;
    spin_unlock(&vector_lock);
    return ours;
}

void irq_set_cpu(struct irq *irq, unsigned int cpu)
{
    if (!usable_cpu(cpu))
        return;
    spin_lock(&irq->lock);
    if (irq->vector && irq->cpu != cpu && share_vector(irq, cpu)) {
        irq->cpu = cpu;
        irq->chip->program(irq, apic_id_of(cpu));
    }
    spin_unlock(&irq->lock);
}

/* --- users --- */

static void set_masked(struct irq *irq, bool masked)
{
    if (irq->masked == masked)
        return;
    irq->masked = masked;
    if (masked)
        irq->chip->mask(irq);
    else
        irq->chip->unmask(irq);
}

/* irq->lock held, vector to be had, nobody bound: the first half of binding. */
static int begin_use(struct irq *irq, unsigned int cpu)
{
    if (irq->user != IRQ_UNUSED)
        return -XEN_EBUSY;
    irq->in_flight = false;
    return assign_vector(irq, cpu);
}

int irq_bind_handler(struct irq *irq, unsigned int cpu, void (*fn)(void *arg), void *arg)
{
    int rc;

    spin_lock(&irq->lock);
    rc = begin_use(irq, cpu);
    if (rc == 0) {
        irq->user = IRQ_HANDLER;
        irq->handler.fn = fn;
        irq->handler.arg = arg;
        set_masked(irq, false);
    }
    spin_unlock(&irq->lock);
    return rc;
}

int irq_bind_guest(struct irq *irq, unsigned int cpu, struct domain *d, uint32_t port)
{
    int rc;

    spin_lock(&irq->lock);
    rc = begin_use(irq, cpu);
    if (rc == 0) {
        irq->user = IRQ_GUEST;
        irq->guest.d = d;
        irq->guest.port = port;
        set_masked(irq, false);
        if (irq->early) /* an edge is not repeated */
            evtchn_send_pirq(d, port);
        irq->early = false;
    }
    spin_unlock(&irq->lock);
    return rc;
}

void irq_unbind(struct irq *irq)
{
    spin_lock(&irq->lock);
    if (irq->user != IRQ_UNUSED)
        set_masked(irq, true);
    irq->user = IRQ_UNUSED;
    irq->in_flight = irq->early = false;
    spin_unlock(&irq->lock);
}

void irq_guest_eoi(struct irq *irq)
{
    spin_lock(&irq->lock);
    if (irq->in_flight && irq->user == IRQ_GUEST) {
        irq->in_flight = false;
        set_masked(irq, false);
    }
    spin_unlock(&irq->lock);
}

bool irq_needs_eoi(const struct irq *irq)
{
    return __atomic_load_n(&irq->level, __ATOMIC_RELAXED);
}

int irq_set_gsi_mode(uint32_t gsi, struct gsi_mode mode)
{
    struct irq *irq = irq_of_gsi(gsi);
    struct gsi_mode old = gsi_mode(gsi);
    int rc = 0;

    if (!irq)
        return -XEN_EINVAL;
    spin_lock(&irq->lock);
    if (old.level == mode.level && old.active_low == mode.active_low) {
        gsi_set_mode(gsi, mode);
    } else if (irq->user != IRQ_UNUSED) {
        rc = -XEN_EBUSY;
    } else {
        gsi_set_mode(gsi, mode);
        irq->level = mode.level;
        if (irq->vector)
            irq->chip->program(irq, apic_id_of(irq->cpu));
    }
    spin_unlock(&irq->lock);
    return rc;
}

int irq_bind_isa(unsigned int isa_irq, void (*fn)(void *arg), void *arg)
{
    struct irq *irq = isa_irq < NR_ISA_IRQS ? irq_of_gsi(gsi_of_isa(isa_irq)) : NULL;

    return irq ? irq_bind_handler(irq, 0, fn, arg) : -XEN_ENODEV;
}

/* --- delivery --- */

static void spurious(uint8_t vector)
{
    uint32_t seen = __atomic_fetch_add(&spurious_seen, 1, __ATOMIC_RELAXED);

    if (lapic_test_vector(LAPIC_ISR, vector))
        lapic_eoi();
    if (seen < SPURIOUS_LOGGED)
        log_warn("interrupt at vector 0x%02x of CPU%u belongs to no source", vector, this_cpu_id());
}

/* The rest of irq_handle() for a source of our own; irq->lock held, released here. */
static void run_handler(struct irq *irq)
{
    void (*fn)(void *) = irq->handler.fn;
    void *arg = irq->handler.arg;
    bool stuck;

    spin_unlock(&irq->lock);
    fn(arg);
    if (!irq->level)
        return;
    spin_lock(&irq->lock);
    if (arch_now() - irq->storm_start > STORM_WINDOW_NS) {
        irq->storm_start = arch_now();
        irq->storm = 0;
    }
    stuck = ++irq->storm == STORM_LIMIT;
    if (irq->user == IRQ_HANDLER && irq->storm < STORM_LIMIT)
        set_masked(irq, false);
    spin_unlock(&irq->lock);
    if (stuck)
        log_err("interrupt line %u never goes quiet: masked for good", irq->gsi);
}

void irq_handle(uint8_t vector)
{
    vector_table *table = vectors[this_cpu_id()];
    struct irq *irq = table ? __atomic_load_n(&(*table)[vector], __ATOMIC_ACQUIRE) : NULL;

    if (unlikely(!irq)) {
        spurious(vector);
        return;
    }
    spin_lock(&irq->lock);
    if (unlikely(!irq->chip || irq->vector != vector)) { /* freed meanwhile */
        spin_unlock(&irq->lock);
        spurious(vector);
        return;
    }
    irq->count++;
    if (irq->level)
        set_masked(irq, true);
    lapic_eoi();
    switch (irq->user) {
    case IRQ_GUEST:
        irq->in_flight = irq->level;
        evtchn_send_pirq(irq->guest.d, irq->guest.port);
        break;
    case IRQ_HANDLER:
        run_handler(irq);
        return;
    case IRQ_UNUSED:
        irq->early = !irq->level;
        break;
    }
    spin_unlock(&irq->lock);
}

/* --- the rest --- */

void irq_mask_8259(void)
{
    /* ICW1 to ICW4: vectors 0x20 and 0x28, cascade on line 2, 8086 mode; then all lines masked. */
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, VEC_DEVICE_FIRST);
    outb(0xa1, VEC_DEVICE_FIRST + 8);
    outb(0x21, 0x04);
    outb(0xa1, 0x02);
    outb(0x21, 0x01);
    outb(0xa1, 0x01);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

static void dump_one(const struct irq *irq)
{
    bool line = irq->chip == &ioapic_chip;
    char what[32] = "", who[32] = "nobody";

    if (line)
        fmt_snprintf(what, sizeof(what), "GSI %u", irq->gsi);
    else
        fmt_snprintf(what, sizeof(what), "%s %04x:%02x:%02x.%u %u", irq->msi.msix ? "MSI-X" : "MSI",
                     irq->msi.seg, irq->msi.bus, irq->msi.devfn >> 3, irq->msi.devfn & 7,
                     irq->msi.entry_nr);
    if (irq->user == IRQ_HANDLER)
        fmt_snprintf(who, sizeof(who), "the hypervisor");
    else if (irq->user == IRQ_GUEST)
        fmt_snprintf(who, sizeof(who), "d%u port %u", irq->guest.d->id, irq->guest.port);
    log_info("  vector 0x%02x CPU%u %s %s%s%s: for %s, %llu seen", irq->vector, irq->cpu, what,
             irq->level ? "level" : "edge", irq->masked ? " masked" : "",
             irq->in_flight ? " in flight" : "", who, (unsigned long long)irq->count);
}

void irq_dump(void)
{
    log_info("interrupt sources (%u vectors without one seen):", spurious_seen);
    for (unsigned int cpu = 0; cpu < nr_pcpus; cpu++)
        for (unsigned int v = VEC_DEVICE_FIRST; vectors[cpu] && v <= VEC_DEVICE_LAST; v++) {
            struct irq *irq = (*vectors[cpu])[v];

            if (irq && irq->chip && irq->cpu == cpu)
                dump_one(irq);
        }
}

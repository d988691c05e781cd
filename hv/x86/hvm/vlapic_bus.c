/* SPDX-License-Identifier: MIT */
/*
 * Messages between the local APICs of a domain, from its I/O APIC, and MSIs: who is meant, and what
 * they get. Any CPU; what is looked at of the receivers (mode, logical ids, priorities) may change
 * meanwhile, as on a real bus.
 */
#include "x86/hvm/vlapic_private.h"

#include "lib/macros.h"

static bool matches_logical(const struct vlapic *v, uint32_t dest, bool wide)
{
    uint32_t ldr = reg(v, APIC_LDR);

    if (vlapic_x2apic(v))
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
    if (wide && dest > 0xff)
        return false;
    ldr >>= 24;
    if (reg(v, APIC_DFR) >> 28 == 0xf) /* flat */
        return (dest & ldr) != 0;
    return (dest >> 4 == 0xf || dest >> 4 == ldr >> 4) && (dest & ldr & 15); /* clusters */
}

bool vlapic_matches(const struct vlapic *v, uint32_t dest, bool logical, bool wide)
{
    if (!vlapic_enabled(v))
        return false;
    if (dest == (wide ? ~0u : 0xffu))
        return true;
    return logical ? matches_logical(v, dest, wide) : dest == v->id;
}

/* One APIC gets the message. False: its mode is none. */
static bool take(struct vlapic *v, const struct apic_message *m)
{
    const struct vlapic_ops *ops = v->bus->ops;

    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        vlapic_post(v, m->vector, m->level);
        return true;
    case APIC_NMI:
        ops->nmi(v);
        return true;
    case APIC_INIT:
        ops->init(v);
        return true;
    case APIC_SIPI:
        ops->sipi(v, m->vector);
        return true;
    default: /* SMI: there is none. ExtINT: the PIC's business */
        return false;
    }
}

/* Of those that are meant the one of lowest priority; of equals, each in turn. */
static struct vlapic *lowest(struct vlapic_bus *b, const struct apic_message *m)
{
    unsigned int first = __atomic_load_n(&b->turn, __ATOMIC_RELAXED), best_at = 0;
    struct vlapic *best = NULL;

    for (unsigned int i = 0; i < b->nr; i++) {
        unsigned int at = (first + i) % b->nr;
        struct vlapic *v = b->lapic[at];

        if (!v || !vlapic_matches(v, m->dest, m->logical, m->wide) || !software_enabled(v))
            continue;
        if (!best || (reg(v, APIC_TPR) & 0xf0) < (reg(best, APIC_TPR) & 0xf0)) {
            best = v;
            best_at = at;
        }
    }
    if (best)
        __atomic_store_n(&b->turn, best_at + 1, __ATOMIC_RELAXED);
    return best;
}

bool vlapic_send(struct vlapic_bus *b, const struct apic_message *m)
{
    bool taken = false;

    if (m->mode == APIC_LOWEST) {
        struct vlapic *v = lowest(b, m);

        return v && take(v, m);
    }
    for (unsigned int i = 0; i < b->nr; i++)
        if (b->lapic[i] && vlapic_matches(b->lapic[i], m->dest, m->logical, m->wide))
            taken |= take(b->lapic[i], m);
    return taken;
}

void vlapic_send_ipi(struct vlapic *v, uint32_t icr, uint32_t dest)
{
    struct vlapic_bus *b = v->bus;
    unsigned int shorthand = (icr >> 18) & 3;
    struct apic_message m = { .dest = dest,
                              .vector = icr & 0xff,
                              .mode = (icr >> 8) & 7,
                              .logical = (icr & 0x800) != 0,
                              .wide = vlapic_x2apic(v) };

    if (m.mode == APIC_INIT && (icr & 0xc000) == 0x8000)
        return; /* level de-assert: of old APICs only */
    if (m.mode <= APIC_LOWEST && m.vector < 16) {
        vlapic_error(v, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == 0) {
        vlapic_send(b, &m);
    } else if (shorthand == 1) {
        if (m.mode == APIC_FIXED)
            take(v, &m);
    } else {
        for (unsigned int i = 0; i < b->nr; i++)
            if (b->lapic[i] && vlapic_enabled(b->lapic[i]) &&
                (b->lapic[i] != v || (shorthand == 2 && m.mode <= APIC_LOWEST)))
                take(b->lapic[i], &m);
    }
}

bool vlapic_send_msi(struct vlapic_bus *b, uint64_t addr, uint32_t data)
{
    struct apic_message m = { .dest = (addr >> 12) & 0xff,
                              .vector = data & 0xff,
                              .mode = (data >> 8) & 7,
                              .logical = (addr & 4) != 0,
                              .level = (data & 0x8000) != 0 };

    return addr >> 20 == APIC_DEFAULT_BASE >> 20 && vlapic_send(b, &m);
}

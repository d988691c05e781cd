/* SPDX-License-Identifier: MIT */
/*
 * A local APIC as a state machine over callbacks (vlapic.h). Requests come from any CPU by atomic
 * OR into `posted`, and a bit in posted_words says in which words to look; only the vCPU itself
 * takes them out, into IRR. Everything else is the vCPU's own.
 */
#include "x86/hvm/vlapic_private.h"

#include "lib/macros.h"
#include "lib/string.h"

/* --- requests and priorities --- */

static int highest_bit(uint32_t word)
{
    return 31 - __builtin_clz(word);
}

int vlapic_highest_request(const struct vlapic *v)
{
    uint32_t words = __atomic_load_n(&v->posted_words, __ATOMIC_ACQUIRE) | v->irr_words;

    while (words) {
        int i = highest_bit(words);
        uint32_t w = v->regs[VLAPIC_REG(APIC_IRR) + 4 * i] |
                     __atomic_load_n(&v->posted[i], __ATOMIC_RELAXED);

        if (w)
            return 32 * i + highest_bit(w);
        words &= ~(1u << i); /* the bit was early, or late */
    }
    return -1;
}

void vlapic_pull(struct vlapic *v)
{
    uint32_t words;

    if (!__atomic_load_n(&v->posted_words, __ATOMIC_RELAXED))
        return;
    words = __atomic_exchange_n(&v->posted_words, 0, __ATOMIC_ACQ_REL);
    while (words) {
        unsigned int i = (unsigned int)highest_bit(words);

        *vector_word(v, APIC_IRR, i) |= __atomic_exchange_n(&v->posted[i], 0, __ATOMIC_ACQ_REL);
        v->irr_words |= 1u << i;
        words &= ~(1u << i);
    }
}

static int find_in_service(const struct vlapic *v)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t w = v->regs[VLAPIC_REG(APIC_ISR) + 4 * i];

        if (w)
            return 32 * i + highest_bit(w);
    }
    return -1;
}

int vlapic_in_service(const struct vlapic *v)
{
    return v->assisted ? find_in_service(v) : v->in_service;
}

static void look_everywhere(struct vlapic *v)
{
    v->irr_words = 0xff;
    v->in_service = find_in_service(v);
}

void vlapic_registers_changed(struct vlapic *v)
{
    look_everywhere(v);
    if (v->bus->ops->mode)
        v->bus->ops->mode(v);
}

static uint32_t processor_priority(const struct vlapic *v)
{
    uint32_t tpr = reg(v, APIC_TPR) & 0xff;
    int in_service = vlapic_in_service(v);
    uint32_t isr = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;

    return (tpr & 0xf0) >= isr ? tpr : isr;
}

int vlapic_pending(const struct vlapic *v)
{
    int vector;

    if (!(__atomic_load_n(&v->posted_words, __ATOMIC_RELAXED) | v->irr_words))
        return -1;
    if (!vlapic_enabled(v) || !software_enabled(v))
        return -1;
    vector = vlapic_highest_request(v);
    return vector >= 0 && ((uint32_t)vector & 0xf0) > (processor_priority(v) & 0xf0) ? vector : -1;
}

void vlapic_accept(struct vlapic *v, uint8_t vector)
{
    unsigned int i = vector / 32;
    uint32_t bit = 1u << (vector % 32);

    vlapic_pull(v);
    *vector_word(v, APIC_IRR, i) &= ~bit;
    if (!*vector_word(v, APIC_IRR, i))
        v->irr_words &= ~(1u << i);
    *vector_word(v, APIC_ISR, i) |= bit;
    if (vector > v->in_service)
        v->in_service = vector;
}

/* Requests the vector, whether the APIC is on or not. */
static void request(struct vlapic *v, uint8_t vector, bool level)
{
    unsigned int i = vector / 32;
    uint32_t bit = 1u << (vector % 32), old;

    if (level)
        __atomic_fetch_or(vector_word(v, APIC_TMR, i), bit, __ATOMIC_RELAXED);
    else if (__atomic_load_n(vector_word(v, APIC_TMR, i), __ATOMIC_RELAXED) & bit)
        __atomic_fetch_and(vector_word(v, APIC_TMR, i), ~bit, __ATOMIC_RELAXED);
    old = __atomic_fetch_or(&v->posted[i], bit, __ATOMIC_ACQ_REL);
    __atomic_fetch_or(&v->posted_words, 1u << i, __ATOMIC_ACQ_REL);
    if (!(old & bit))
        v->bus->ops->kick(v);
}

void vlapic_post(struct vlapic *v, uint8_t vector, bool level)
{
    if (!vlapic_enabled(v) || !software_enabled(v))
        return;
    if (vector < 16)
        vlapic_error(v, ESR_RECEIVE_VECTOR);
    else
        request(v, vector, level);
}

void vlapic_post_upcall(struct vlapic *v, uint8_t vector)
{
    request(v, vector, false);
}

/* The priority may have fallen: what was held by it comes in now. */
static void look_again(struct vlapic *v)
{
    if (vlapic_pending(v) >= 0)
        v->bus->ops->kick(v);
}

void vlapic_ended(struct vlapic *v, uint8_t vector)
{
    if (v->bus->ops->eoi)
        v->bus->ops->eoi(v, vector);
}

static void end_of_interrupt(struct vlapic *v)
{
    int vector = vlapic_in_service(v);
    uint32_t bit;

    if (vector < 0)
        return;
    bit = 1u << (vector % 32);
    *vector_word(v, APIC_ISR, (unsigned int)vector / 32) &= ~bit;
    v->in_service = find_in_service(v);
    if (*vector_word(v, APIC_TMR, (unsigned int)vector / 32) & bit)
        vlapic_ended(v, (uint8_t)vector);
    look_again(v);
}

/* Delivers what an entry of the local vector table says. */
static void deliver_lvt(struct vlapic *v, uint32_t lvt)
{
    if (lvt & LVT_MASKED)
        return;
    switch ((lvt >> 8) & 7) {
    case APIC_FIXED:
        vlapic_post(v, lvt & 0xff, false);
        break;
    case APIC_NMI:
        v->bus->ops->nmi(v);
        break;
    case APIC_INIT:
        v->bus->ops->init(v);
        break;
    default:
        break; /* SMI: there is none. ExtINT: the PIC's vector, see vlapic_takes_extint() */
    }
}

void vlapic_error(struct vlapic *v, uint32_t bit)
{
    uint32_t lvt = reg(v, APIC_LVT_ERROR);

    if (__atomic_fetch_or(&v->errors, bit, __ATOMIC_RELAXED) & bit)
        return;
    if ((lvt & 0xff) >= 16) /* else it would report itself */
        deliver_lvt(v, lvt & (LVT_MASKED | 0xff));
}

bool vlapic_takes_extint(const struct vlapic *v)
{
    uint32_t lint0 = reg(v, APIC_LVT_LINT0);

    if (!vlapic_enabled(v))
        return (v->apic_base & APIC_BASE_BSP) != 0;
    return !(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) == APIC_EXTINT;
}

void vlapic_lint(struct vlapic *v, unsigned int pin)
{
    if (vlapic_enabled(v))
        deliver_lvt(v, reg(v, pin ? APIC_LVT_LINT1 : APIC_LVT_LINT0));
    else if (pin)
        v->bus->ops->nmi(v);
}

/* --- registers --- */

uint32_t vlapic_lvt_bits(const struct vlapic *v, unsigned int offset)
{
    switch (offset) {
    case APIC_LVT_TIMER:
        return 0xff | LVT_MASKED | (v->bus->has_deadline ? LVT_TIMER_MODE : TIMER_PERIODIC);
    case APIC_LVT_THERMAL:
    case APIC_LVT_PERF:
        return 0x7ff | LVT_MASKED;
    case APIC_LVT_LINT0:
    case APIC_LVT_LINT1:
        return 0x7ff | 0xa000 | LVT_MASKED; /* polarity and trigger too */
    case APIC_LVT_ERROR:
        return 0xff | LVT_MASKED;
    default:
        return 0;
    }
}

static void write_lvt(struct vlapic *v, enum apic_reg r, uint32_t val)
{
    uint32_t changed;

    val &= vlapic_lvt_bits(v, r);
    if (!software_enabled(v))
        val |= LVT_MASKED;
    changed = reg(v, r) ^ val;
    if (r == APIC_LVT_TIMER)
        vlapic_settle_timer(v);
    set_reg(v, r, val);
    if (r != APIC_LVT_TIMER)
        return;
    if (changed & TIMER_DEADLINE) { /* into that mode or out of it: the timer is disarmed */
        v->tsc_deadline = 0;
        set_reg(v, APIC_TMICT, 0);
        v->timer_start = VLAPIC_NONE;
        v->bus->ops->set_timer(v, VLAPIC_NONE);
    } else if (changed & (TIMER_PERIODIC | LVT_MASKED)) {
        vlapic_restart_timer(v);
    }
}

static void write_svr(struct vlapic *v, uint32_t val)
{
    bool changed = (reg(v, APIC_SVR) ^ val) & SVR_ENABLE;

    if (software_enabled(v))
        vlapic_pull(v); /* what came until now is seen afterwards, too */
    set_reg(v, APIC_SVR, val & 0x3ff);
    if (changed && v->bus->ops->mode)
        v->bus->ops->mode(v);
    if (val & SVR_ENABLE) {
        look_again(v); /* an upcall may have waited for that */
        return;
    }
    for (unsigned int r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 16)
        v->regs[VLAPIC_REG(r)] |= LVT_MASKED;
    vlapic_restart_timer(v);
}

static void write_reg(struct vlapic *v, enum apic_reg r, uint32_t val)
{
    switch (r) {
    case APIC_TPR:
        set_reg(v, r, val & 0xff);
        look_again(v);
        break;
    case APIC_EOI:
        end_of_interrupt(v);
        break;
    case APIC_LDR:
        set_reg(v, r, val & 0xff000000);
        break;
    case APIC_DFR:
        set_reg(v, r, val | 0x0fffffff);
        break;
    case APIC_SVR:
        write_svr(v, val);
        break;
    case APIC_ESR:
        set_reg(v, r, __atomic_exchange_n(&v->errors, 0, __ATOMIC_RELAXED));
        break;
    case APIC_ICR:
        set_reg(v, r, val & 0xccfff & ~0x1000u);
        vlapic_send_ipi(v, val, vlapic_x2apic(v) ? reg(v, APIC_ICR2) : reg(v, APIC_ICR2) >> 24);
        break;
    case APIC_ICR2:
        set_reg(v, r, vlapic_x2apic(v) ? val : val & 0xff000000);
        break;
    case APIC_TMICT:
        if (reg(v, APIC_LVT_TIMER) & TIMER_DEADLINE)
            break;
        set_reg(v, r, val);
        v->timer_start = v->bus->ops->now(v);
        v->timer_count = val;
        vlapic_restart_timer(v);
        break;
    case APIC_TDCR: {
        uint32_t count = vlapic_current_count(v);

        set_reg(v, r, val & 0xb);
        if (v->timer_start != VLAPIC_NONE) { /* it counts on at the new rate */
            v->timer_start = v->bus->ops->now(v);
            v->timer_count = count;
            vlapic_restart_timer(v);
        }
        break;
    }
    default:
        if (vlapic_lvt_bits(v, r))
            write_lvt(v, r, val);
        else if (r != APIC_ID && r != APIC_VERSION) /* read-only here */
            vlapic_error(v, ESR_REGISTER);
    }
}

static bool readable(unsigned int r)
{
    if (r >= APIC_ISR && r < APIC_ESR)
        return true;
    switch (r) {
    case APIC_ID:
    case APIC_VERSION:
    case APIC_TPR:
    case APIC_APR:
    case APIC_PPR:
    case APIC_LDR:
    case APIC_DFR:
    case APIC_SVR:
    case APIC_ESR:
    case APIC_ICR:
    case APIC_ICR2:
    case APIC_TMICT:
    case APIC_TMCCT:
    case APIC_TDCR:
        return true;
    default:
        return r >= APIC_LVT_TIMER && r <= APIC_LVT_ERROR;
    }
}

static uint32_t read_reg(struct vlapic *v, enum apic_reg r)
{
    if (r == APIC_PPR)
        return processor_priority(v);
    if (r == APIC_TMCCT)
        return vlapic_current_count(v);
    /* One that is off by software takes nothing in. Linux, before it switches it on, waits long for
     * what it would see requested to go. */
    if (r >= APIC_IRR && r < APIC_ESR && software_enabled(v))
        vlapic_pull(v);
    return __atomic_load_n(&v->regs[VLAPIC_REG(r)], __ATOMIC_RELAXED);
}

uint64_t vlapic_mmio_read(struct vlapic *v, unsigned int offset, unsigned int size)
{
    unsigned int r = offset & 0xff0, at = offset & 15;
    uint32_t val;

    if (!readable(r)) {
        vlapic_error(v, ESR_REGISTER);
        return 0;
    }
    if (at + size > 4) /* the three words behind a register are not there */
        return 0;
    val = read_reg(v, (enum apic_reg)r) >> (8 * at);
    return size < 4 ? val & ((1u << (8 * size)) - 1) : val;
}

void vlapic_mmio_write(struct vlapic *v, unsigned int offset, unsigned int size, uint64_t val)
{
    if (offset < 0x400 && size >= 4 && !(offset & 15))
        write_reg(v, (enum apic_reg)offset, (uint32_t)val);
}

uint8_t vlapic_cr8(const struct vlapic *v)
{
    return (reg(v, APIC_TPR) >> 4) & 15;
}

void vlapic_set_cr8(struct vlapic *v, uint8_t cr8)
{
    set_reg(v, APIC_TPR, (cr8 & 15u) << 4);
    look_again(v);
}

/* --- MSRs --- */

uint32_t vlapic_x2apic_ldr(const struct vlapic *v)
{
    return (v->id >> 4) << 16 | 1u << (v->id & 15);
}

/* Bits of an x2APIC register that may be written; 0: it is not there, or read-only. */
static uint64_t x2apic_writable(const struct vlapic *v, unsigned int r)
{
    switch (r) {
    case APIC_TPR:
    case APIC_SELF_IPI:
        return 0xff;
    case APIC_SVR:
        return 0x3ff;
    case APIC_ICR:
        return 0xffffffff000ccfffull;
    case APIC_TMICT:
        return 0xffffffff;
    case APIC_TDCR:
        return 0xb;
    default:
        return vlapic_lvt_bits(v, r);
    }
}

static bool x2apic_write(struct vlapic *v, unsigned int r, uint64_t val)
{
    if (r == APIC_EOI || r == APIC_ESR) {
        if (val)
            return false;
    } else if (!x2apic_writable(v, r) || (val & ~x2apic_writable(v, r))) {
        return false;
    }
    if (r == APIC_SELF_IPI) {
        vlapic_send_ipi(v, ICR_SELF | (uint32_t)val, 0);
        return true;
    }
    if (r == APIC_ICR)
        set_reg(v, APIC_ICR2, (uint32_t)(val >> 32));
    write_reg(v, (enum apic_reg)r, (uint32_t)val);
    return true;
}

static bool x2apic_read(struct vlapic *v, unsigned int r, uint64_t *val)
{
    if (!readable(r) || r == APIC_DFR || r == APIC_APR || r == APIC_ICR2)
        return false;
    *val = read_reg(v, (enum apic_reg)r);
    if (r == APIC_ICR)
        *val |= (uint64_t)reg(v, APIC_ICR2) << 32;
    return true;
}

bool vlapic_base_ok(const struct vlapic *v, uint64_t base)
{
    uint64_t known = APIC_BASE_BSP | APIC_BASE_ENABLE | (v->bus->has_x2apic ? APIC_BASE_X2APIC : 0);

    known |= (BIT(v->bus->phys_bits) - 1) & ~0xfffull;
    return !(base & ~known) && (base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) != APIC_BASE_X2APIC;
}

void vlapic_clear(struct vlapic *v)
{
    memset(v->regs, 0, VLAPIC_REGS_SIZE);
    for (unsigned int i = 0; i < 8; i++)
        __atomic_store_n(&v->posted[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&v->posted_words, 0, __ATOMIC_RELAXED);
}

/* The registers after RESET; what is common with INIT. */
static void reset_registers(struct vlapic *v)
{
    uint32_t x2apic = vlapic_x2apic(v);

    vlapic_clear(v);
    v->irr_words = 0;
    v->in_service = -1;
    v->errors = 0;
    v->tsc_deadline = 0;
    v->timer_start = VLAPIC_NONE;
    v->timer_count = 0;
    set_reg(v, APIC_ID, x2apic ? v->id : v->id << 24);
    set_reg(v, APIC_VERSION, VERSION_VALUE);
    set_reg(v, APIC_DFR, x2apic ? 0 : ~0u);
    set_reg(v, APIC_LDR, x2apic ? vlapic_x2apic_ldr(v) : 0);
    set_reg(v, APIC_SVR, 0xff);
    for (unsigned int r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 16)
        v->regs[VLAPIC_REG(r)] = LVT_MASKED;
    v->bus->ops->set_timer(v, VLAPIC_NONE);
}

static bool write_base(struct vlapic *v, uint64_t val)
{
    uint64_t old = v->apic_base;
    bool was_on = vlapic_enabled(v), was_x2 = vlapic_x2apic(v);
    bool on = val & APIC_BASE_ENABLE, x2 = val & APIC_BASE_X2APIC;

    if (!vlapic_base_ok(v, val))
        return false;
    if ((x2 && !was_on) || (was_x2 && on && !x2)) /* each has to go by way of the other */
        return false;
    v->apic_base = (val & ~APIC_BASE_BSP) | (old & APIC_BASE_BSP);
    if (was_on && !on)
        reset_registers(v);
    if (x2 && !was_x2) {
        set_reg(v, APIC_ID, v->id);
        set_reg(v, APIC_LDR, vlapic_x2apic_ldr(v));
        set_reg(v, APIC_ICR2, 0);
    } else if (was_x2 && !x2) {
        set_reg(v, APIC_ID, v->id << 24);
    }
    if (v->apic_base != old && v->bus->ops->mode)
        v->bus->ops->mode(v);
    return true;
}

bool vlapic_rdmsr(struct vlapic *v, uint32_t msr, uint64_t *val)
{
    if (msr == 0x1b) {
        *val = v->apic_base;
        return true;
    }
    if (msr == 0x6e0) {
        *val = v->tsc_deadline;
        return v->bus->has_deadline;
    }
    return msr >= 0x800 && msr < 0x840 && vlapic_x2apic(v) &&
           x2apic_read(v, (msr - 0x800) << 4, val);
}

static bool write_deadline(struct vlapic *v, uint64_t tsc)
{
    if (!v->bus->has_deadline)
        return false;
    if (vlapic_enabled(v) && (reg(v, APIC_LVT_TIMER) & LVT_TIMER_MODE) == TIMER_DEADLINE) {
        v->tsc_deadline = tsc;
        vlapic_restart_timer(v);
    }
    return true;
}

bool vlapic_wrmsr(struct vlapic *v, uint32_t msr, uint64_t val)
{
    if (msr == 0x1b)
        return write_base(v, val);
    if (msr == 0x6e0)
        return write_deadline(v, val);
    return msr >= 0x800 && msr < 0x840 && vlapic_x2apic(v) &&
           x2apic_write(v, (msr - 0x800) << 4, val);
}

/* --- a processor that helps --- */

bool vlapic_assistable(const struct vlapic *v)
{
    return vlapic_enabled(v) && vlapic_x2apic(v) && software_enabled(v);
}

void vlapic_assist(struct vlapic *v, bool on)
{
    v->assisted = on;
    look_everywhere(v);
}

void vlapic_written(struct vlapic *v, unsigned int offset)
{
    if (offset == APIC_SELF_IPI) /* of a vector below 16: an error; others it sends itself */
        vlapic_send_ipi(v, ICR_SELF | (reg(v, APIC_SELF_IPI) & 0xff), 0);
}

uint64_t vlapic_level_triggered(const struct vlapic *v, unsigned int i)
{
    return __atomic_load_n(&v->regs[VLAPIC_REG(APIC_TMR) + 8 * i], __ATOMIC_RELAXED) |
           (uint64_t)__atomic_load_n(&v->regs[VLAPIC_REG(APIC_TMR) + 8 * i + 4], __ATOMIC_RELAXED)
               << 32;
}

/* --- beginnings --- */

void vlapic_reset(struct vlapic *v, bool init)
{
    if (!init)
        v->apic_base = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (v->id ? 0 : APIC_BASE_BSP);
    reset_registers(v);
    if (v->bus->ops->mode)
        v->bus->ops->mode(v);
}

void vlapic_init(struct vlapic *v, uint32_t *page, struct vlapic_bus *bus, void *owner, uint32_t id)
{
    *v = (struct vlapic){ .regs = page, .bus = bus, .owner = owner, .id = id };
    vlapic_reset(v, false);
}

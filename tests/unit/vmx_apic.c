/* SPDX-License-Identifier: MIT */
/*
 * vmx/apic.c beside a processor that does what Intel SDM volume 3, chapter 30 says of virtual
 * interrupts: it works on the page and on the fields that vmx_deliver() wrote. A second local APIC
 * without help meets the same random events; both guests have to see the same interrupts in the
 * same order, and the I/O APIC the same ends.
 */
#include "unit.h"

#define vmread processor_vmread
#define vmwrite processor_vmwrite
#include "x86/hvm/vmx/vmcs.h"
#undef vmread
#undef vmwrite

static uint64_t fields[0x8000];

static uint64_t vmread(uint32_t field)
{
    return fields[field];
}

static void vmwrite(uint32_t field, uint64_t val)
{
    fields[field] = val;
}

#include "x86/hvm/vmx/apic.c"

#include "x86/hvm/vlapic_private.h"

#define CR8_EXITS (PROC_CR8_LOAD | PROC_CR8_STORE)

uint64_t vmx_msr_map_pa = 1, vmx_x2apic_map_pa = 2;
struct vmx_controls vmx_controls;

static struct hvm_vcpu helped, plain;
static struct vmx_vcpu control;
static uint32_t pages[2][1024];
static struct vlapic *const lapics[] = { &helped.lapic, &plain.lapic };
static struct vlapic_bus bus[2];
static bool asked; /* HVMX_INTERRUPT of `helped` */
static unsigned int ends[2][256];

static uint64_t op_now(const struct vlapic *v)
{
    (void)v;
    return 0;
}

static void op_set_timer(struct vlapic *v, uint64_t deadline)
{
    (void)v, (void)deadline;
}

static void op_ask(struct vlapic *v)
{
    asked |= v == &helped.lapic;
}

static void op_eoi(struct vlapic *v, uint8_t vector)
{
    ends[v == &plain.lapic][vector]++;
}

static const struct vlapic_ops ops = {
    .now = op_now, .set_timer = op_set_timer, .kick = op_ask, .mode = op_ask, .eoi = op_eoi
};

static void both_wrmsr(uint32_t msr, uint64_t val)
{
    for (unsigned int i = 0; i < 2; i++)
        CHECK(vlapic_wrmsr(lapics[i], msr, val));
}

static void fresh(void)
{
    vmx_controls.apic = true;
    helped.control = &control;
    memset(ends, 0, sizeof(ends));
    memset(&control, 0xff, sizeof(control));
    fields[F_PROC] = CR8_EXITS | PROC_HLT;
    fields[F_PROC2] = PROC2_EPT;
    fields[F_MSR_BITMAP] = vmx_msr_map_pa;
    for (unsigned int i = 0; i < 2; i++) {
        bus[i] = (struct vlapic_bus){ .ops = &ops,
                                      .lapic = (struct vlapic **)&lapics[i],
                                      .nr = 1,
                                      .phys_bits = 40,
                                      .has_x2apic = true };
        vlapic_init(lapics[i], pages[i], &bus[i], NULL, 0);
    }
    both_wrmsr(0x1b, APIC_DEFAULT_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

/* --- the processor, while `helped` runs --- */

static unsigned int status(unsigned int shift)
{
    return fields[F_INTERRUPT_STATUS] >> shift & 0xff;
}

static void set_status(unsigned int shift, int vector)
{
    fields[F_INTERRUPT_STATUS] = (fields[F_INTERRUPT_STATUS] & ~(0xffull << shift)) |
                                 (uint64_t)(vector < 0 ? 0 : vector) << shift;
}

static int highest_of(enum apic_reg bank)
{
    for (int i = 255; i >= 0; i--)
        if (*vector_word(&helped.lapic, bank, (unsigned int)i / 32) >> i % 32 & 1)
            return i;
    return -1;
}

/* The vector that goes in, or -1. */
static int processor_delivers(void)
{
    uint32_t tpr = reg(&helped.lapic, APIC_TPR) & 0xf0, isr = status(8) & 0xf0;
    unsigned int vector = status(0);

    if (!(fields[F_PROC2] & PROC2_APIC_DELIVERY) || (vector & 0xf0) <= (tpr > isr ? tpr : isr))
        return -1;
    *vector_word(&helped.lapic, APIC_ISR, vector / 32) |= 1u << vector % 32;
    *vector_word(&helped.lapic, APIC_IRR, vector / 32) &= ~(1u << vector % 32);
    set_status(8, (int)vector);
    set_status(0, highest_of(APIC_IRR));
    return (int)vector;
}

static void processor_ends(void)
{
    unsigned int vector = status(8);

    *vector_word(&helped.lapic, APIC_ISR, vector / 32) &= ~(1u << vector % 32);
    set_status(8, highest_of(APIC_ISR));
    if (fields[F_APIC_END + 2 * (vector / 64)] >> vector % 64 & 1)
        vlapic_ended(&helped.lapic, (uint8_t)vector);
}

static void processor_sends_itself(unsigned int vector)
{
    *vector_word(&helped.lapic, APIC_IRR, vector / 32) |= 1u << vector % 32;
    if (vector > status(0))
        set_status(0, (int)vector);
}

/* --- both --- */

static void entry(void)
{
    if (asked) {
        asked = false;
        CHECK_EQ(vmx_deliver(&helped), vlapic_assistable(&helped.lapic));
    }
    CHECK_EQ(helped.lapic.assisted, vlapic_assistable(&helped.lapic));
}

/* Each takes what it may; the same. */
static bool take(void)
{
    int a, b = vlapic_pending(&plain.lapic);

    entry();
    if (helped.lapic.assisted) {
        a = processor_delivers();
    } else if ((a = vlapic_pending(&helped.lapic)) >= 0) {
        vlapic_accept(&helped.lapic, (uint8_t)a);
    }
    if (b >= 0)
        vlapic_accept(&plain.lapic, (uint8_t)b);
    CHECK_EQ(a, b);
    CHECK_EQ(vlapic_in_service(&helped.lapic), vlapic_in_service(&plain.lapic));
    return a >= 0;
}

static void write_register(uint32_t msr, unsigned int val)
{
    entry();
    CHECK(vlapic_wrmsr(&plain.lapic, msr, val));
    if (!helped.lapic.assisted)
        CHECK(vlapic_wrmsr(&helped.lapic, msr, val));
    else if (msr == 0x808)
        set_reg(&helped.lapic, APIC_TPR, val);
    else if (msr == 0x80b && vlapic_in_service(&helped.lapic) >= 0)
        processor_ends();
    else if (msr == 0x83f)
        processor_sends_itself(val);
}

static void one_event(unsigned int r)
{
    unsigned int vector = 16 + r / 64 % 240;

    switch (r % 64) {
    case 0:
        both_wrmsr(0x80f, r & 0x1000 ? 0x1ff : 0xff);
        break;
    case 1:
        both_wrmsr(0x80f, 0x1ff);
        break;
    case 2 ... 5:
        write_register(0x808, r / 64 % 4 ? 0 : vector);
        break;
    case 6 ... 8:
        /* The processor leaves TMR as it is; the other one makes the vector edge-triggered. */
        write_register(0x83f, vector & ~1u);
        break;
    case 9 ... 13:
        for (unsigned int i = 0; i < 2; i++)
            vlapic_post(lapics[i], (uint8_t)vector, (vector & 1) && (r & 0x800000));
        break;
    case 14 ... 43:
        take();
        break;
    default:
        write_register(0x80b, 0);
    }
}

TEST(the_same_interrupts)
{
    unsigned int r = 1, taken = 0;

    fresh();
    both_wrmsr(0x80f, 0x1ff);
    for (unsigned int i = 0; i < 200000 && !unit_failures; i++) {
        r = r * 1664525u + 1013904223u;
        one_event(r >> 8);
    }
    both_wrmsr(0x80f, 0x1ff);
    write_register(0x808, 0);
    while (taken < 256 && take()) {
        write_register(0x80b, 0);
        taken++;
    }
    CHECK(memcmp(ends[0], ends[1], sizeof(ends[0])) == 0);
    for (unsigned int v = 17; v < 256; v += 2)
        CHECK(ends[0][v]);
}

TEST(fields_by_mode)
{
    fresh();
    CHECK(!vmx_deliver(&helped)); /* off by software */
    CHECK_EQ(fields[F_PROC], CR8_EXITS | PROC_HLT);
    both_wrmsr(0x80f, 0x1ff);
    CHECK(vmx_deliver(&helped));
    CHECK_EQ(fields[F_PROC], PROC_TPR_SHADOW | PROC_HLT);
    CHECK_EQ(fields[F_PROC2], PROC2_EPT | PROC2_APIC);
    CHECK_EQ(fields[F_MSR_BITMAP], vmx_x2apic_map_pa);
    CHECK_EQ(fields[F_VIRTUAL_APIC], direct_pa(pages[0]));
    vlapic_reset(&helped.lapic, true); /* INIT */
    CHECK(!vmx_deliver(&helped) && !helped.lapic.assisted);
    CHECK_EQ(fields[F_PROC], CR8_EXITS | PROC_HLT);
    CHECK_EQ(fields[F_PROC2], PROC2_EPT);
    CHECK_EQ(fields[F_MSR_BITMAP], vmx_msr_map_pa);
    both_wrmsr(0x80f, 0x1ff);
    vmx_controls.apic = false; /* a processor that has it not */
    CHECK(!vmx_deliver(&helped));
    CHECK_EQ(fields[F_PROC2], PROC2_EPT);
}

/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: the pages' type, what a descriptor may say, gates and system segments that
 * must never lead to ring 0, LDT pages that change, selectors of the hypervisor's own GDT.
 */
#include "guest.h"

#define DESC(type, dpl, flags)                                                   \
    (0x000f00000000fffful | ((uint64_t)(type) << 40) | ((uint64_t)(dpl) << 45) | \
     ((uint64_t)(flags) << 52) | (1ul << 47))
#define DATA3 DESC(0x13, 3, 0xc) /* read, write, accessed */
#define DATA0 DESC(0x13, 0, 0xc)
#define CODE64_3 DESC(0x1b, 3, 0xa)
#define CODE64_0 DESC(0x1b, 0, 0xa)
#define CODE64_CONF0 DESC(0x1f, 0, 0xa) /* conforming */
#define ABSENT (DATA3 & ~(1ul << 47))
#define LDT_DESC DESC(0x02, 0, 0)
#define TSS_DESC DESC(0x09, 3, 0)
#define INT_GATE DESC(0x0e, 3, 0)
#define SEL(index, table) ((index)*8 + (table)*4 + 3)

static unsigned long gdt_pfn, ldt_pfn;
static uint64_t *gdt, *ldt;

static int load_es(unsigned int sel)
{
    int v = TRY("mov %w0, %%es", "r"(sel));

    __asm__ volatile("mov %w0, %%es" : : "r"(0));
    return v;
}

static void check_set_gdt(void)
{
    unsigned long frame = p2m[gdt_pfn], bad = 0x40000000, l4 = p2m[kernel_l4_pfn];

    gdt[1] = DATA3;
    CHECK(hc_set_gdt(&frame, 512) < 0, "GDT in a writable page");
    CHECK_EQ(direct_set(gdt_pfn, KERN_RO), 0, "read-only");
    CHECK(hc_set_gdt(&frame, 8192) < 0, "8192 entries");
    CHECK(hc_set_gdt(&frame, FIRST_RESERVED_GDT_ENTRY + 1) < 0, "an entry too many");
    CHECK(hc_set_gdt(&frame, 0x80000001) < 0, "many entries");
    CHECK(hc_set_gdt(&bad, 512) < 0, "GDT at a frame that is not there");
    CHECK(hc_set_gdt(&l4, 512) < 0, "GDT in the L4");
    CHECK_EQ(hc_set_gdt((void *)0x1000, 512), -EFAULT, "frame list not mapped");
    CHECK_EQ(hc_set_gdt(&frame, 512), 0, "GDT");
    CHECK(direct_set(gdt_pfn, KERN_RW) < 0, "a live GDT page made writable");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, frame, 0) < 0, "a live GDT page as a table");
    CHECK_EQ(load_es(SEL(1, 0)), NO_FAULT, "a data segment of the GDT");
    CHECK_EQ(load_es(SEL(2, 0)), VEC_GP, "an empty descriptor");
    CHECK_EQ(this_cpu()->error, SEL(2, 0) & ~3, "error code");
    CHECK_EQ(load_es(SEL(600, 0)), VEC_GP, "beyond the GDT");
}

static long update(unsigned int index, uint64_t desc)
{
    return hc_update_descriptor((p2m[gdt_pfn] << 12) + 8 * index, desc);
}

/* What is refused leaves the old descriptor; what is accepted must not give ring 0. */
static void check_update(void)
{
    static const struct {
        const char *name;
        uint64_t desc;
    } hostile[] = {
        { "LDT descriptor", LDT_DESC },
        { "TSS descriptor", TSS_DESC },
        { "interrupt gate", INT_GATE },
        { "data with DPL 0", DATA0 },
        { "code with DPL 0", CODE64_0 },
        { "conforming code", CODE64_CONF0 },
        { "code with L and D", DESC(0x1b, 3, 0xe) },
        { "type 0", DESC(0, 3, 0) },
        { "type 8", DESC(8, 3, 0) },
        { "busy TSS", DESC(0xb, 3, 0) },
        { "trap gate", DESC(0xf, 3, 0) },
        { "task gate", DESC(5, 3, 0) },
    };
    unsigned long pfn = alloc_pfn();

    CHECK_EQ(update(3, DATA3), 0, "data");
    CHECK_EQ(gdt[3], DATA3, "data");
    CHECK_EQ(update(4, ABSENT), 0, "absent");
    CHECK_EQ(load_es(SEL(4, 0)), VEC_NP, "an absent segment");
    CHECK_EQ(this_cpu()->error, SEL(4, 0) & ~3, "error code");
    CHECK_EQ(update(5, 0), 0, "null");
    for (unsigned int i = 0; i < ARRAY_SIZE(hostile); i++) {
        uint64_t before = gdt[6];
        long rc = update(6, hostile[i].desc);

        if (rc)
            CHECK_EQ(gdt[6], before, "%s: refused, and changed", hostile[i].name);
        else
            printk("note: %s became %#lx\n", hostile[i].name, gdt[6]);
        if (!(hostile[i].desc >> 44 & 1) && (hostile[i].desc >> 40 & 15))
            CHECK(rc < 0 || !(gdt[6] >> 47 & 1), "%s accepted", hostile[i].name);
        load_es(SEL(6, 0));
        CHECK_EQ(update(6, DATA3), 0, "data again");
    }
    CHECK(hc_update_descriptor((p2m[gdt_pfn] << 12) + 4, DATA3) < 0, "not aligned");
    CHECK(hc_update_descriptor(0x40000000000, DATA3) < 0, "not there");
    CHECK(hc_update_descriptor(p2m[kernel_l4_pfn] << 12, DATA3) < 0, "in the L4");
    CHECK_EQ(hc_update_descriptor(p2m[pfn] << 12, DATA3), 0, "in a writable page");
    CHECK_EQ(*(uint64_t *)pfn_virt(pfn), DATA3, "in a writable page");
    free_pfn(pfn);
}

static unsigned int call_sel;

static void far_call(void *arg)
{
    struct {
        uint64_t offset;
        uint16_t sel;
    } __attribute__((packed)) target = { 0, call_sel };

    __asm__ volatile("lcall *%0" : : "m"(target) : "memory", "rax");
}

/* A call gate, and code segments without a gate: never ring 0. */
static void check_gates(void)
{
    uint64_t target = (uint64_t)trap_stubs;
    uint64_t low = (target & 0xffff) | ((uint64_t)FLAT_KERNEL_CS << 16) | 0x0000ec0000000000ul |
                   ((target >> 16 & 0xffff) << 48);

    if (update(8, low) == 0)
        update(9, target >> 32);
    call_sel = SEL(8, 0);
    CHECK(try_call(far_call, NULL) == VEC_GP || faulted() == VEC_NP, "call gate: %d", faulted());
    low = (low & ~0xffff0000ul) | 0xe0080000ul;
    if (update(8, low) == 0)
        update(9, target >> 32);
    CHECK(try_call(far_call, NULL) == VEC_GP || faulted() == VEC_NP, "gate to ring 0: %d",
          faulted());
    update(8, 0);
    update(9, 0);
}

/* Selectors of the hypervisor's part of the GDT. */
static void check_hypervisor_selectors(void)
{
    for (unsigned int sel = FIRST_RESERVED_GDT_BYTE; sel < FIRST_RESERVED_GDT_BYTE + 0x100;
         sel += 8) {
        int v;

        if ((sel | 3) == FLAT_RING3_DS32 || (sel | 3) == FLAT_RING3_CS32 ||
            (sel | 3) == FLAT_RING3_CS64)
            continue;
        v = load_es(sel | 3);
        CHECK(v == VEC_GP || v == VEC_NP || v == NO_FAULT, "selector %#x: %d", sel, v);
        v = TRY("mov %w0, %%ss", "r"(sel));
        if (v == NO_FAULT)
            __asm__ volatile("mov %w0, %%ss" : : "r"(FLAT_KERNEL_SS));
        CHECK(v != NO_FAULT, "ss %#x was loaded", sel);
    }
    CHECK_EQ(load_es(FLAT_RING3_DS32), NO_FAULT, "flat data");
    for (call_sel = FIRST_RESERVED_GDT_BYTE; call_sel < FIRST_RESERVED_GDT_BYTE + 0x40;
         call_sel += 8)
        if ((call_sel | 3) != FLAT_RING3_CS64 && (call_sel | 3) != FLAT_RING3_CS32)
            CHECK(try_call(far_call, NULL) != NO_FAULT, "far call to %#x", call_sel);
}

static void check_set_ldt(void)
{
    uint64_t va = (uint64_t)pfn_virt(ldt_pfn);

    ldt[0] = DATA3;
    ldt[1] = CODE64_0;
    CHECK(mmuext1(MMUEXT_SET_LDT, va + 8, 16) < 0, "LDT not aligned");
    CHECK(mmuext1(MMUEXT_SET_LDT, va, 8193) < 0, "8193 entries");
    CHECK(mmuext1(MMUEXT_SET_LDT, HYPERVISOR_VIRT_START + (5ul << 39), 16) < 0,
          "LDT in the hypervisor");
    CHECK(mmuext1(MMUEXT_SET_LDT, 0x8000000000000000ul, 16) < 0, "LDT not canonical");
    CHECK_EQ(load_es(SEL(0, 1)), VEC_GP, "no LDT");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, va, 16), 0, "LDT in a page still writable");
    CHECK(load_es(SEL(0, 1)) != NO_FAULT, "a segment of a writable page");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, 0, 0), 0, "no LDT");
    CHECK_EQ(direct_set(ldt_pfn, KERN_RO), 0, "read-only");
    ldt = pfn_virt(ldt_pfn);
}

static void check_use_ldt(void)
{
    uint64_t va = (uint64_t)pfn_virt(ldt_pfn);

    CHECK_EQ(hc_update_descriptor((p2m[ldt_pfn] << 12) + 8, 0), 0, "drop the DPL 0 descriptor");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, va, 16), 0, "LDT");
    CHECK_EQ(load_es(SEL(0, 1)), NO_FAULT, "a segment of the LDT");
    CHECK_EQ(load_es(SEL(3, 1)), VEC_GP, "an empty descriptor of the LDT");
    CHECK_EQ(this_cpu()->error, SEL(3, 1) & ~3, "error code");
    CHECK_EQ(load_es(SEL(16, 1)), VEC_GP, "beyond the LDT");
    CHECK(direct_set(ldt_pfn, KERN_RW) < 0, "a live LDT page made writable");
    CHECK(hc_update_descriptor((p2m[ldt_pfn] << 12) + 8, TSS_DESC) < 0, "a TSS in the LDT");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, 0, 0), 0, "no LDT");
    CHECK_EQ(load_es(SEL(0, 1)), VEC_GP, "a selector of the LDT that was");
    CHECK_EQ(direct_set(ldt_pfn, KERN_RW), 0, "writable after the LDT's end");
}

/* An LDT whose mapping goes away: the access faults in the guest, not in the hypervisor. */
static void check_lost_ldt(void)
{
    map_page(TEST_VA, pfn_pte(ldt_pfn, KERN_RO));
    CHECK_EQ(direct_set(ldt_pfn, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, TEST_VA, 16), 0, "LDT");
    map_page(TEST_VA, 0);
    CHECK(load_es(SEL(0, 1)) != NO_FAULT, "LDT without a mapping");
    printk("note: LDT without a mapping gives %d\n", faulted());
    map_page(TEST_VA, pfn_pte(kernel_l4_pfn, KERN_RO));
    CHECK(load_es(SEL(0, 1)) != NO_FAULT, "LDT in the L4");
    CHECK_EQ(mmuext1(MMUEXT_SET_LDT, 0, 0), 0, "no LDT");
    map_page(TEST_VA, 0);
    CHECK_EQ(direct_set(ldt_pfn, KERN_RW), 0, "writable again");
}

static void check_end(void)
{
    CHECK_EQ(hc_set_gdt(NULL, 0), 0, "no GDT");
    CHECK_EQ(load_es(SEL(1, 0)), VEC_GP, "a selector of the GDT that was");
    CHECK_EQ(direct_set(gdt_pfn, KERN_RW), 0, "writable after the GDT's end");
    gdt[3] = TSS_DESC;
    CHECK_EQ(direct_set(gdt_pfn, KERN_RO), 0, "read-only");
    unsigned long frame = p2m[gdt_pfn];
    CHECK(hc_set_gdt(&frame, 512) < 0, "a GDT page with a TSS");
    CHECK_EQ(direct_set(gdt_pfn, KERN_RW), 0, "writable after the refusal");
}

void guest_main(void)
{
    struct account before;

    gdt_pfn = alloc_pfn();
    ldt_pfn = alloc_pfn();
    gdt = pfn_virt(gdt_pfn);
    ldt = pfn_virt(ldt_pfn);
    map_page(TEST_VA, 0);
    account_take(&before);
    check_set_gdt();
    check_update();
    check_gates();
    check_hypervisor_selectors();
    check_set_ldt();
    check_use_ldt();
    check_lost_ldt();
    check_end();
    account_check(&before, "descriptors");
}

/* SPDX-License-Identifier: MIT */
/*
 * Accessed and Dirty bits, and writable page tables: a write to an L1 that the guest maps read-only
 * is carried out by the hypervisor if the new entry is legal, in all forms that kernels use.
 */
#include "guest.h"

static volatile pte_t *entry; /* the entry under test, read-only in the direct map */
static uint64_t entry_maddr, entry_va;
static unsigned long data_pfn, table_pfn;

static void set_up(void)
{
    map_page(TEST_VA, 0);
    data_pfn = alloc_pfn();
    entry_va = TEST_VA + 3 * PAGE_SIZE;
    entry_maddr = va_pte_maddr(entry_va, 1);
    table_pfn = M2P[entry_maddr >> 12];
    entry = (volatile pte_t *)((uint64_t)pfn_virt(table_pfn) + (entry_maddr & 0xfff));
}

static void set_entry(pte_t pte)
{
    CHECK_EQ(mmu_set(entry_maddr, pte), 0, "mmu_update");
    mmuext1(MMUEXT_INVLPG_LOCAL, entry_va, 0);
}

static void check_accessed_dirty(void)
{
    pte_t base = pfn_pte(data_pfn, PTE_P | PTE_RW | PTE_US);

    set_entry(base);
    CHECK_EQ(*entry & (PTE_A | PTE_D), 0, "fresh entry");
    CHECK_EQ(try_read8((void *)entry_va, NULL), NO_FAULT, "read");
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A, "after a read");
    CHECK_EQ(try_write8((void *)entry_va, 1), NO_FAULT, "write");
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A | PTE_D, "after a write");
    CHECK_EQ(mmu_set_cmd(entry_maddr, base | 0x400, MMU_PT_UPDATE_PRESERVE_AD), 0, "preserve");
    CHECK_EQ(*entry & (PTE_A | PTE_D | 0x400), PTE_A | PTE_D | 0x400, "preserved");
    CHECK_EQ(mmu_set_cmd(entry_maddr, base, MMU_NORMAL_PT_UPDATE), 0, "normal");
    CHECK_EQ(*entry & (PTE_A | PTE_D | 0x400), 0, "not preserved");
    CHECK_EQ(mmu_set_cmd(entry_maddr, base | PTE_A, MMU_PT_UPDATE_NO_TRANSLATE), 0, "no translate");
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A, "no translate");
    CHECK_EQ(hc_update_va_mapping(entry_va, base | PTE_D, UVMF_INVLPG), 0, "by va");
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_D, "by va");
}

/* Bits that are the kernel's own must come back as they were written. */
static void check_software_bits(void)
{
    static const pte_t bits[] = { 0x200, 0x400, 0x800, 1ul << 52, 1ul << 57, PTE_NX };

    for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++) {
        long rc = mmu_set(entry_maddr, pfn_pte(data_pfn, KERN_RW) | bits[i]);

        CHECK_EQ(rc, 0, "bit %#lx", bits[i]);
        CHECK_EQ(*entry & bits[i], bits[i], "bit %#lx", bits[i]);
    }
    set_entry(0);
}

/* ---- one function a form; each returns faulted() ---- */
static int f_mov(pte_t v)
{
    return try_write64((void *)entry, v);
}

static int f_xchg(pte_t v)
{
    pte_t old = *entry, got = v;

    fault_clear();
    __asm__ volatile(EX("xchg %0, %1") : "+r"(got), "+m"(*entry));
    if (faulted() == NO_FAULT)
        CHECK_EQ(got, old, "what xchg returned");
    return faulted();
}

static int f_cmpxchg(pte_t v)
{
    pte_t old = *entry, rax = old;
    uint8_t zf = 0;

    fault_clear();
    __asm__ volatile(EX("lock cmpxchg %3, %1") "setz %2"
                     : "+a"(rax), "+m"(*entry), "+q"(zf)
                     : "r"(v)
                     : "cc");
    if (faulted() != NO_FAULT)
        return faulted();
    CHECK(zf, "cmpxchg of the right value failed");
    rax = old ^ 0x1000000;
    __asm__ volatile(EX("lock cmpxchg %3, %1") "setz %2"
                     : "+a"(rax), "+m"(*entry), "+q"(zf)
                     : "r"(0ul)
                     : "cc");
    CHECK(!zf, "cmpxchg of a wrong value succeeded");
    CHECK_EQ(rax, *entry, "rax after a failed cmpxchg");
    return faulted();
}

static int f_and(pte_t v)
{
    return TRY("lock andq %0, (%1)", "r"(v), "r"(entry) : "cc", "memory");
}

static int f_or(pte_t v)
{
    return TRY("lock orq %0, (%1)", "r"(v), "r"(entry) : "cc", "memory");
}

static int f_btr(pte_t v)
{
    uint8_t cf = 2;

    fault_clear();
    __asm__ volatile(EX("lock btrq %2, %1") "setc %0" : "+q"(cf), "+m"(*entry) : "J"(1) : "cc");
    if (faulted() == NO_FAULT)
        CHECK_EQ(cf, 1, "carry of btr");
    return faulted();
}

static int f_bts(pte_t v)
{
    return TRY("lock btsq %0, (%1)", "J"(9), "r"(entry) : "cc", "memory");
}

static int f_mov_imm(pte_t v)
{
    return TRY("movq $0, (%0)", "r"(entry) : "memory");
}

static int f_andb(pte_t v)
{
    return TRY("lock andb $0xfd, (%0)", "r"(entry) : "cc", "memory");
}

static int f_mov_sib(pte_t v)
{
    return TRY("movq %0, -0x340(%1,%2,8)", "r"(v), "r"(entry), "r"(0x68ul) : "memory");
}

static int f_xadd(pte_t v)
{
    return TRY("lock xaddq %0, (%1)", "r"(0x200ul), "r"(entry) : "cc", "memory");
}

static int f_stos(pte_t v)
{
    return TRY("stosq", "D"(entry), "a"(v) : "memory");
}

static int f_mov32(pte_t v)
{
    return TRY("movl %0, (%1)", "r"((uint32_t)v), "r"(entry) : "memory");
}

/* One instruction on the entry, which %0 names. */
#define ON_ENTRY(name, insn)                                   \
    static int name(pte_t v)                                   \
    {                                                          \
        return TRY(insn, "r"(entry), "c"(v) : "cc", "memory"); \
    }

ON_ENTRY(f_add, "addq $0x200, (%0)")
ON_ENTRY(f_lock_add32, "lock addl $0x200, (%0)")
ON_ENTRY(f_sub16, "subw $0x200, (%0)")
ON_ENTRY(f_adc, "stc\n adcb $0, 7(%0)")
ON_ENTRY(f_inc8, "lock incb 7(%0)")
ON_ENTRY(f_dec8, "decb 7(%0)")
ON_ENTRY(f_neg8, "negb 7(%0)")
ON_ENTRY(f_shl8, "shlb $1, 7(%0)")
ON_ENTRY(f_shr16, "shrw %%cl, 6(%0)")
ON_ENTRY(f_rol8, "rolb $2, 7(%0)")
ON_ENTRY(f_btc, "lock btcq $9, (%0)")
ON_ENTRY(f_mov8, "movb %%cl, 7(%0)")
ON_ENTRY(f_mov16, "movw %%cx, 6(%0)")
ON_ENTRY(f_movnti, "movntiq %1, (%0)")
ON_ENTRY(f_push_pop, "pushq %1\n popq (%0)")

static int f_movs(pte_t v)
{
    return TRY("movsq", "D"(entry), "S"(&v) : "memory");
}

static int f_stosb(pte_t v)
{
    return TRY("stosb", "D"((uint8_t *)(uint64_t)entry + 7), "a"(v) : "memory");
}

struct form {
    const char *name;
    int (*fn)(pte_t v);
    pte_t from, arg, to;
    bool required;
};

/* The hypervisor may set G in what maps guest pages; it is left out of comparisons. */
#define BASE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define BIT56 (1ul << 56) /* software's own, in the last byte */

static const struct form forms[] = {
    { "mov", f_mov, BASE, BASE | 0x200, BASE | 0x200, true },
    { "mov with sib", f_mov_sib, BASE, BASE | 0x200, BASE | 0x200, true },
    { "xchg", f_xchg, BASE, BASE | 0x400, BASE | 0x400, true },
    { "cmpxchg", f_cmpxchg, BASE, BASE | 0x400, BASE | 0x400, true },
    { "lock and", f_and, BASE, ~PTE_RW, BASE & ~PTE_RW, true },
    { "lock or", f_or, BASE, 0x200, BASE | 0x200, true },
    { "lock btr", f_btr, BASE, 0, BASE & ~PTE_RW, true },
    { "lock bts", f_bts, BASE, 0, BASE | 0x200, true },
    { "lock andb", f_andb, BASE, 0, BASE & ~PTE_RW, true },
    { "lock xadd", f_xadd, BASE, 0, BASE | 0x200, true },
    { "stos", f_stos, BASE, BASE | 0x800, BASE | 0x800, true },
    { "mov 32 bits", f_mov32, BASE, BASE | 0x800, BASE | 0x800, true },
    { "add", f_add, BASE, 0, BASE | 0x200, true },
    { "lock add of 32 bits", f_lock_add32, BASE, 0, BASE | 0x200, true },
    { "sub of 16 bits", f_sub16, BASE | 0x200, 0, BASE, true },
    { "adc of 8 bits", f_adc, BASE, 0, BASE | BIT56, true },
    { "lock inc of 8 bits", f_inc8, BASE | BIT56, 0, BASE | BIT56 << 1, true },
    { "dec of 8 bits", f_dec8, BASE | BIT56 << 1, 0, BASE | BIT56, true },
    { "neg of 8 bits", f_neg8, BASE | BIT56 * 0x7f, 0, BASE | BIT56 * 0x81, true },
    { "shl of 8 bits", f_shl8, BASE | BIT56, 0, BASE | BIT56 << 1, true },
    { "shr of 16 bits", f_shr16, BASE | BIT56 << 1, 1, BASE | BIT56, true },
    { "rol of 8 bits", f_rol8, BASE | PTE_NX, 0, BASE | BIT56 << 1, true },
    { "lock btc", f_btc, BASE, 0, BASE | 0x200, true },
    { "mov of 8 bits", f_mov8, BASE, 2, BASE | BIT56 << 1, true },
    { "mov of 16 bits", f_mov16, BASE, 0x0200, BASE | BIT56 << 1, true },
    { "movnti", f_movnti, BASE, BASE | 0x800, BASE | 0x800, true },
    { "pop", f_push_pop, BASE, BASE | 0x800, BASE | 0x800, true },
    { "movs", f_movs, BASE, BASE | 0x800, BASE | 0x800, true },
    { "stos of 8 bits", f_stosb, BASE, 1, BASE | BIT56, true },
};

/* Does the form take a whole entry? */
static bool takes_entry(const struct form *f)
{
    return f->fn == f_mov || f->fn == f_mov_sib || f->fn == f_xchg || f->fn == f_cmpxchg ||
           f->fn == f_stos || f->fn == f_mov32 || f->fn == f_movnti || f->fn == f_push_pop ||
           f->fn == f_movs;
}

static void check_forms(void)
{
    pte_t frame = p2m[data_pfn] << 12;

    for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
        const struct form *f = &forms[i];
        pte_t arg = takes_entry(f) ? frame | f->arg : f->arg;
        int v;

        set_entry(frame | f->from);
        v = f->fn(arg);
        if (f->required)
            CHECK_EQ(v, NO_FAULT, "emulated %s", f->name);
        else if (v != NO_FAULT)
            printk("note: %s is not emulated: %d\n", f->name, v);
        CHECK_EQ(*entry & ~PTE_G, frame | (v == NO_FAULT ? f->to : f->from), "entry after %s",
                 f->name);
    }
    set_entry(frame | BASE);
    CHECK_EQ(f_mov_imm(0), NO_FAULT, "mov $0");
    CHECK_EQ(*entry, 0, "after mov $0");
}

/* An illegal result goes to the guest as a page fault at the address; the entry is as it was. */
static void check_illegal(void)
{
    pte_t old = pfn_pte(data_pfn, KERN_RW), bad[] = {
        pfn_pte(table_pfn, KERN_RW),
        pfn_pte(kernel_l4_pfn, KERN_RW),
        mk_pte(0x40000000, KERN_RW),
        mk_pte(0xfee00, KERN_RW),
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        set_entry(old);
        CHECK_EQ(f_mov(bad[i]), VEC_PF, "mov of %#lx", bad[i]);
        CHECK_EQ(this_cpu()->cr2, (uint64_t)entry, "cr2");
        CHECK_EQ(this_cpu()->error, 3, "error code");
        CHECK_EQ(f_xchg(bad[i]), VEC_PF, "xchg of %#lx", bad[i]);
        CHECK_EQ(f_cmpxchg(bad[i]), VEC_PF, "cmpxchg of %#lx", bad[i]);
        CHECK_EQ(*entry & ~PTE_G, old, "the entry");
    }
    /* Making the only read-only mapping writable by or: the frame is a table. */
    set_entry(pfn_pte(table_pfn, KERN_RO));
    CHECK_EQ(f_or(PTE_RW), VEC_PF, "or of RW into a table's mapping");
    CHECK_EQ(f_bts(0), NO_FAULT, "bts of a software bit");
    set_entry(0);
}

/* String instructions go as far as they can: registers tell how far, the fault where. */
static void check_strings(void)
{
    pte_t good = pfn_pte(data_pfn, KERN_RW), src[3] = { good, good | 0x200, good | 0x400 };
    pte_t *to = (pte_t *)(uint64_t)entry, *from = src;
    uint64_t n = 3;

    fault_clear();
    __asm__ volatile(EX("rep movsq") : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    CHECK_EQ(faulted(), NO_FAULT, "rep movs");
    CHECK(n == 0 && to == entry + 3 && from == src + 3, "registers after rep movs");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(entry[i] & ~PTE_G, src[i], "entry %d", i);
    to = (pte_t *)(uint64_t)entry;
    n = 3;
    fault_clear();
    __asm__ volatile(EX("rep stosq") : "+D"(to), "+c"(n) : "a"(0ul) : "memory");
    CHECK_EQ(faulted(), NO_FAULT, "rep stos");
    CHECK(n == 0 && to == entry + 3 && !entry[0] && !entry[1] && !entry[2], "rep stos");

    src[1] = pfn_pte(table_pfn, KERN_RW);
    to = (pte_t *)(uint64_t)entry;
    from = src;
    n = 3;
    fault_clear();
    __asm__ volatile(EX("rep movsq") : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    CHECK_EQ(faulted(), VEC_PF, "rep movs with a bad entry");
    CHECK_EQ(this_cpu()->cr2, (uint64_t)(entry + 1), "cr2");
    CHECK(n == 2 && to == entry + 1 && from == src + 1, "registers: %lu left", n);
    CHECK(entry[0] && !entry[1] && !entry[2], "only the first");
    set_entry(0);
}

/* Tables above L1 are written by hypercall only; entries that straddle are nobody's. */
static void check_upper(void)
{
    for (int level = 2; level <= 4; level++) {
        uint64_t maddr = va_pte_maddr(TEST_VA, level) + 8;
        pte_t *p = (pte_t *)((uint64_t)pfn_virt(M2P[maddr >> 12]) + (maddr & 0xfff));

        CHECK_EQ(try_write64(p, pfn_pte(table_pfn, PT_FLAGS)), VEC_PF, "write to an L%d", level);
        CHECK_EQ(*p, 0, "entry of the L%d", level);
    }
    set_entry(pfn_pte(data_pfn, KERN_RW));
    TRY("movq %0, 4(%1)", "r"(pfn_pte(table_pfn, KERN_RW)), "r"(entry) : "memory");
    CHECK_EQ(*entry >> 12, p2m[data_pfn], "frame after a write that straddles");
    CHECK(!(entry[1] & PTE_P), "the next entry %#lx", entry[1]);
    set_entry(0);
    mmu_set(entry_maddr + 8, 0);
}

/* The references that emulated writes took and dropped add up: the page can become a table. */
static void check_references(void)
{
    unsigned long pfn = alloc_pfn();

    for (int i = 0; i < 100; i++) {
        CHECK_EQ(f_mov(pfn_pte(pfn, KERN_RW)), NO_FAULT, "map");
        CHECK_EQ(f_xchg(pfn_pte(pfn, KERN_RO)), NO_FAULT, "read-only");
        CHECK_EQ(f_or(PTE_RW), NO_FAULT, "writable");
        CHECK_EQ(f_mov(0), NO_FAULT, "unmap");
    }
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0), 0, "pin");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0), 0, "unpin");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
    free_pfn(pfn);
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    set_up();
    check_accessed_dirty();
    check_software_bits();
    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0, "vm_assist");
    check_forms();
    check_illegal();
    check_strings();
    check_upper();
    check_references();
    account_check(&before, "writes");
}

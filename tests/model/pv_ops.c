/* SPDX-License-Identifier: MIT */
#include "model/pv_pick.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#include "core/audit.h"
#include "core/grant_private.h"
#include "core/hypercall.h"
#include "x86/pv/desc.h"
#include "x86/pv/domain.h"
#include "x86/pv/mm.h"
#include "x86/pv/traps.h"

struct domain *pv_dom[PV_DOMAINS];
__thread char pv_last[256];

uint32_t pv_taken[PV_DOMAINS][PV_VCPUS];

static unsigned long pick_uvm_flags(struct vcpu *v)
{
    static const unsigned long kinds[] = { 0, UVMF_TLB_FLUSH, UVMF_INVLPG, 3 };
    unsigned long f = kinds[below(one_in(8) ? 4 : 3)];

    if (one_in(4))
        f |= UVMF_ALL;
    else if (one_in(4))
        f |= args_va(v) + 0x800;
    return f;
}

static unsigned long pick_foreign(struct vcpu *v)
{
    if (v->domain->privileged && one_in(4))
        return one_in(8) ? DOMID_IO : below(PV_DOMAINS + 1);
    return one_in(30) ? rng_next(&rng) : DOMID_SELF;
}

static const struct domain *named(const struct vcpu *v, unsigned long foreign)
{
    return foreign < PV_DOMAINS ? pv_dom[foreign] : v->domain;
}

static void op_uvm(struct vcpu *v)
{
    uint64_t va = pick_va();
    unsigned long foreign = pick_foreign(v);
    pte_t e = pick_l1e(named(v, foreign));
    long rc;

    if (foreign == DOMID_SELF)
        rc = call(v, __HYPERVISOR_update_va_mapping, va, e, pick_uvm_flags(v), 0);
    else
        rc = call(v, __HYPERVISOR_update_va_mapping_otherdomain, va, e, pick_uvm_flags(v), foreign);
    note("d%uv%u update_va_mapping %#lx = %#lx of %#lx: %ld", v->domain->id, v->id, va, e, foreign,
         rc);
}

static struct mmu_update pick_update(struct vcpu *v, const struct domain *pt,
                                     const struct domain *pg)
{
    struct mmu_update u = { .val = 0 };

    if (one_in(12)) { /* M2P */
        u.ptr = pick_frame(pt) << PAGE_SHIFT | MMU_MACHPHYS_UPDATE;
        u.val = one_in(2) ? below(PV_RAM) : rng_next(&rng);
    } else if (one_in(2)) {
        u.ptr = pt == v->domain ? slot_entry(v, pick_slot())
                                : own_frame(pt, FT_L1) << PAGE_SHIFT | pick_index(1) * 8u;
        u.val = pick_l1e(pg);
    } else if (one_in(8)) {
        u.ptr = pick_frame(pt) << PAGE_SHIFT | (rng_next(&rng) & 0xff8);
        u.val = rng_next(&rng);
    } else {
        int level = 2 + (int)below(3);
        u.ptr = own_frame(pt, (unsigned int)level) << PAGE_SHIFT | pick_index(level) * 8u;
        u.val = pick_entry(pg, level);
        if (one_in(6)) /* what is there, with other flags */
            u.val = page(u.ptr >> PAGE_SHIFT)[u.ptr % PAGE_SIZE / 8] ^
                    (one_in(2) ? PTE_RW : PTE_NX);
    }
    if (one_in(4))
        u.ptr |= MMU_PT_UPDATE_PRESERVE_AD;
    if (one_in(60))
        u.ptr ^= 1ull << below(64);
    return u;
}

/* What goes through as a rule. */
static struct mmu_update plain_update(struct vcpu *v)
{
    struct mmu_update u = { .ptr = slot_entry(v, pick_slot()) };

    if (!u.ptr)
        u.ptr = own_frame(v->domain, FT_L1) << PAGE_SHIFT | pick_index(1) * 8u;
    if (!one_in(3))
        u.val = own_frame(v->domain, FT_WRITABLE) << PAGE_SHIFT |
                (one_in(2) ? FLAGS : FLAGS & ~PTE_RW);
    return u;
}

static void op_mmu(struct vcpu *v)
{
    unsigned int n = one_in(2) ? 1 : 1 + (unsigned int)below(40);
    unsigned long foreign = pick_foreign(v), pt = 0;
    const struct domain *ptd = v->domain;
    struct mmu_update u[40];
    long rc;

    if (v->domain->privileged && one_in(12)) {
        pt = below(PV_DOMAINS);
        ptd = pv_dom[pt++];
    }
    for (unsigned int i = 0; i < n; i++)
        u[i] = n > 3 && !one_in(20) ? plain_update(v) : pick_update(v, ptd, named(v, foreign));
    if (!put_args(v, 0, u, n * sizeof(u[0])))
        return;
    rc = call(v, __HYPERVISOR_mmu_update, args_va(v), n, one_in(2) ? 0 : args_va(v) + 0xf00,
              (foreign & 0xffff) | pt << 16);
    note("d%uv%u mmu_update %u of %#lx, tables of d%u, first %#lx = %#lx: %ld", v->domain->id,
         v->id, n, foreign, ptd->id, u[0].ptr, u[0].val, rc);
}

static struct mmuext_op pick_ext(struct vcpu *v, const struct domain *d)
{
    static const uint8_t common[] = {
        MMUEXT_PIN_L1_TABLE,     MMUEXT_PIN_L2_TABLE,     MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE,
        MMUEXT_UNPIN_TABLE,      MMUEXT_UNPIN_TABLE,      MMUEXT_UNPIN_TABLE,  MMUEXT_NEW_BASEPTR,
        MMUEXT_NEW_USER_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_SET_LDT,
    };
    struct mmuext_op op = { .cmd = common[below(ARRAY_SIZE(common))] };

    if (one_in(3))
        op.cmd = (unsigned int)below(MMUEXT_UNMARK_SUPER + 2);
    switch (op.cmd) {
    case MMUEXT_SET_LDT:
        op.arg1.linear_addr = pick_va();
        op.arg2.nr_ents = one_in(3) ? 0 : (unsigned int)below(1200);
        break;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
        op.arg1.linear_addr = pick_va();
        op.arg2.vcpumask.p = (void *)(one_in(8) ? pick_va() : args_va(v) + below(PAGE_SIZE));
        break;
    case MMUEXT_NEW_BASEPTR:
        op.arg1.mfn = one_in(2) ? first_l4[d->id] : own_frame(d, FT_L4);
        break;
    case MMUEXT_NEW_USER_BASEPTR:
        op.arg1.mfn = one_in(4) ? 0 : own_frame(d, one_in(3) ? FT_MAX : FT_L4);
        break;
    default:
        op.arg1.mfn = one_in(3) ? pick_frame(d) : own_frame(d, (op.cmd & 3) + 1);
        op.arg2.src_mfn = pick_frame(d);
    }
    return op;
}

static void op_ext(struct vcpu *v)
{
    unsigned int n = one_in(2) ? 1 : 1 + (unsigned int)below(6);
    unsigned long foreign = one_in(2) ? DOMID_SELF : pick_foreign(v);
    struct mmuext_op op[6];
    long rc;

    for (unsigned int i = 0; i < n; i++)
        op[i] = pick_ext(v, named(v, foreign));
    if (!put_args(v, 0, op, n * sizeof(op[0])))
        return;
    rc = call(v, __HYPERVISOR_mmuext_op, args_va(v), n, one_in(2) ? 0 : args_va(v) + 0xf00,
              foreign);
    note("d%uv%u mmuext %u of %#lx, first %u(%#lx): %ld", v->domain->id, v->id, n, foreign,
         op[0].cmd, (unsigned long)op[0].arg1.mfn, rc);
}

/* Where somebody mapped a frame, or anywhere. */
static unsigned int find_mapped(struct vcpu *v, uint64_t mfn)
{
    for (unsigned int i = 0, s = pick_slot(); i < PV_SLOTS; i++, s = (s + 1) % PV_SLOTS)
        if (slot_frame(v, s) == mfn)
            return s;
    return pick_slot();
}

/* A slot whose page the guest can write: its number, or PV_SLOTS. */
static unsigned int writable_slot(struct vcpu *v)
{
    for (unsigned int i = 0; i < 64; i++) {
        unsigned int slot = i == 0 ? find_mapped(v, hot_frame[below(ARRAY_SIZE(hot_frame))])
                                   : pick_slot();
        if (slot / ARGS_PAGES * ARGS_PAGES - ARGS_SLOT < PV_VCPUS * ARGS_PAGES)
            continue;
        if (slot_frame(v, slot) < PV_RAM && pv_access(PV_VA(slot), true))
            return slot;
    }
    return PV_SLOTS;
}

/* Fills a page that the guest can write as a table of `level` with `child` somewhere in it. */
static void fill_table(struct vcpu *v, unsigned int slot, int level, uint64_t child)
{
    unsigned int n = level == 1 && one_in(4) ? 512 : (unsigned int)below(8);
    const struct domain *d = v->domain;
    pte_t *t = pv_access(PV_VA(slot), true);

    if (!t)
        return;
    memset(t, 0, PAGE_SIZE);
    for (unsigned int i = 0; i < n; i++)
        t[n == 512 ? i : pick_index(level)] = level == 1
                                                  ? own_frame(d, FT_WRITABLE) << PAGE_SHIFT | FLAGS
                                                  : own_frame(d, (unsigned int)level - 1)
                                                            << PAGE_SHIFT |
                                                        (FLAGS & ~PTE_NX);
    if (one_in(6))
        t[pick_index(level)] = pick_entry(d, level);
    if (child)
        t[pick_index(level)] = child << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    if (level == 4 && !one_in(4)) /* so that it can be lived in */
        t[272] = page(first_l4[d->id])[272];
}

static long map_slot(struct vcpu *v, unsigned int slot, uint64_t mfn, pte_t flags)
{
    return call(v, __HYPERVISOR_update_va_mapping, PV_VA(slot), mfn << PAGE_SHIFT | flags,
                one_in(2) ? UVMF_INVLPG | UVMF_ALL : pick_uvm_flags(v), 0);
}

/* New tables from L1 up to some level, and one use of them. */
static void op_build(struct vcpu *v)
{
    int top = 1 + (int)below(4), level = one_in(2) ? top : 1;
    uint64_t child = 0;
    struct mmuext_op op;
    long rc = 0;

    for (; level <= top; level++) {
        unsigned int slot = writable_slot(v);
        uint64_t mfn = slot < PV_SLOTS ? slot_frame(v, slot) : 0;
        if (!mfn || mfn >= PV_RAM)
            return;
        fill_table(v, slot, level, child);
        map_slot(v, slot, mfn, FLAGS & ~PTE_RW);
        child = mfn;
    }
    op = (struct mmuext_op){ .cmd = MMUEXT_PIN_L1_TABLE + (unsigned int)top - 1,
                             .arg1.mfn = child };
    if (top == 4 && one_in(2))
        op.cmd = one_in(2) ? MMUEXT_NEW_BASEPTR : MMUEXT_NEW_USER_BASEPTR;
    if (put_args(v, 0, &op, sizeof(op)))
        rc = call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF);
    note("d%uv%u builds an L%d in frame %#lx: %ld", v->domain->id, v->id, top, child, rc);
}

static long ext_one(struct vcpu *v, unsigned int cmd, uint64_t mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };

    return put_args(v, 0, &op, sizeof(op))
               ? call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF)
               : -1;
}

/* In a page of the guest's, where its other vCPUs write too. */
static void set_entry(pte_t *e, pte_t val)
{
    __atomic_store_n(e, val, __ATOMIC_RELAXED);
}

/* Tables of one level that name each other, some of them from the first. */
static void op_linear(struct vcpu *v)
{
    const pte_t flags = FLAGS & ~(PTE_RW | PTE_NX);
    int level = 2 + (int)below(3);
    struct mmu_update u[8];
    uint64_t t[3];
    unsigned int n = 0;
    long rc = 0;

    while (n < 3) {
        unsigned int slot = writable_slot(v);
        uint64_t mfn = slot < PV_SLOTS ? slot_frame(v, slot) : 0;
        pte_t *table = mfn && mfn < PV_RAM ? pv_access(PV_VA(slot), true) : NULL;
        if (!table)
            return;
        for (unsigned int i = 0; i < 512; i++)
            set_entry(&table[i], 0);
        if (one_in(2))
            set_entry(&table[1],
                      own_frame(v->domain, (unsigned int)level - 1) << PAGE_SHIFT | flags | PTE_RW);
        if (one_in(3))
            set_entry(&table[pick_index(level)],
                      (n && one_in(2) ? t[n - 1] : mfn) << PAGE_SHIFT | flags);
        map_slot(v, slot, mfn, FLAGS & ~PTE_RW);
        ext_one(v, MMUEXT_PIN_L1_TABLE + (unsigned int)level - 1, mfn);
        t[n++] = mfn;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(u); i++) {
        u[i].ptr = t[below(3)] << PAGE_SHIFT | pick_index(level) * 8u;
        if (level == 4 && one_in(3)) /* in the one that it lives in, too */
            u[i].ptr = first_l4[v->domain->id] << PAGE_SHIFT | below(3) * 8;
        u[i].val = one_in(3) ? 0 : t[below(3)] << PAGE_SHIFT | flags | (one_in(8) ? PTE_RW : 0);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(u); i++) { /* one that is refused ends a call */
        if (!put_args(v, 0, &u[i], sizeof(u[0])))
            return;
        rc = call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_SELF);
        if (one_in(3))
            ext_one(v, MMUEXT_UNPIN_TABLE, t[below(3)]);
    }
    note("d%uv%u linear tables of level %d in %#lx, %#lx and %#lx: %ld", v->domain->id, v->id,
         level, t[0], t[1], t[2], rc);
}

/* The owner of the frame, if it runs on another CPU, makes a table of it. */
static void make_table(unsigned long dom, uint64_t mfn)
{
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = mfn };
    unsigned int here = arch_this_cpu()->id;

    for (unsigned int i = 0; i < PV_CPUS; i++) {
        struct vcpu *v = host_cpus[i].p.current;
        if (i == here || v->domain != pv_dom[dom] || !pv_vcpu(v)->kernel_mode)
            continue;
        host_be(i);
        while (pv_vcpu(v)->drop.any)
            pv_machine_exit(v);
        map_slot(v, find_mapped(v, mfn), mfn, FLAGS & ~PTE_RW);
        if (put_args(v, 0, &op, sizeof(op)))
            call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF);
        host_be(here);
        return;
    }
}

/* Dom0 looks at a page of another domain for a moment, and flushes afterwards or does not. */
static void op_peek(struct vcpu *v)
{
    unsigned int slot = pick_slot();
    unsigned long dom = below(PV_DOMAINS);
    uint64_t mfn = own_frame(pv_dom[dom], FT_WRITABLE);
    long rc;

    rc = call(v, __HYPERVISOR_update_va_mapping_otherdomain, PV_VA(slot), mfn << PAGE_SHIFT | FLAGS,
              pick_uvm_flags(v), dom);
    for (unsigned int i = 0; i < 4; i++)
        pv_access(PV_VA(slot), one_in(2));
    if (!one_in(4))
        call(v, __HYPERVISOR_update_va_mapping, PV_VA(slot), 0, one_in(2) ? 0 : UVMF_INVLPG, 0);
    hot_frame[below(ARRAY_SIZE(hot_frame))] = mfn;
    if (!pv_threaded && one_in(2))
        make_table(dom, mfn);
    note("d%uv%u peeks at frame %#lx of d%lu: %ld", v->domain->id, v->id, mfn, dom, rc);
}

/* An LDT in a page that nobody can write, and a touch of it. */
static void op_ldt(struct vcpu *v)
{
    unsigned int slot = writable_slot(v);
    uint64_t *t = slot < PV_SLOTS ? pv_access(PV_VA(slot), true) : NULL;
    struct mmuext_op op = { .cmd = MMUEXT_SET_LDT,
                            .arg1.linear_addr = PV_VA(slot),
                            .arg2.nr_ents = 1 + (unsigned int)below(700) };
    bool ok;

    if (!t)
        return;
    memset(t, 0, PAGE_SIZE);
    t[below(512)] = 0x00cff2000000ffffull;
    map_slot(v, slot, slot_frame(v, slot), FLAGS & ~PTE_RW);
    if (!put_args(v, 0, &op, sizeof(op)))
        return;
    call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF);
    if (arch_this_cpu()->current != v)
        return;
    ok = pv_map_ldt_fault(v, desc_window(arch_this_cpu()->id) + LDT_OFFSET + below(PAGE_SIZE));
    note("d%uv%u LDT at slot %u: %d", v->domain->id, v->id, slot, ok);
}

/* A write to a table that is mapped read-only, which traps. */
static void op_ptwr(struct vcpu *v)
{
    static const uint8_t code[][8] = {
        { 0x48, 0x89, 0x07, 0x90, 0x90, 0x90, 0x90, 0x90 },
        { 0x48, 0x87, 0x07, 0x90, 0x90, 0x90, 0x90 },
        { 0xf0, 0x48, 0x0f, 0xb1, 0x0f, 0x90, 0x90 },
        { 0xf0, 0x48, 0x21, 0x07, 0x90, 0x90, 0x90 },
        { 0xf0, 0x48, 0x0f, 0xba, 0x37, 0x01, 0x90 },
        { 0xf0, 0x48, 0x09, 0x07, 0x90, 0x90, 0x90 },
        { 0x89, 0x07, 0x90, 0x90, 0x90, 0x90, 0x90 },
        { 0xf0, 0x48, 0x0f, 0xba, 0x2f, 0x01, 0x90 },
        { 0x48, 0x01, 0x07, 0x90, 0x90, 0x90, 0x90 }, /* add */
        { 0xf0, 0x48, 0x0f, 0xc1, 0x0f, 0x90, 0x90 }, /* xadd */
        { 0x48, 0xff, 0x07, 0x90, 0x90, 0x90, 0x90 }, /* inc */
        { 0x48, 0xd1, 0x27, 0x90, 0x90, 0x90, 0x90 }, /* shl */
        { 0xf3, 0x48, 0xab, 0x90, 0x90, 0x90, 0x90 }, /* rep stos */
        { 0xf3, 0x48, 0xa5, 0x90, 0x90, 0x90, 0x90 }, /* rep movs */
        { 0x48, 0x0f, 0xc3, 0x07, 0x90, 0x90, 0x90 }, /* movnti */
        { 0x8f, 0x07, 0x90, 0x90, 0x90, 0x90, 0x90 }, /* pop */
        { 0x48, 0x0f, 0xc7, 0x0f, 0x90, 0x90, 0x90 }, /* cmpxchg16b */
    };
    struct x86_regs regs = { .rip = args_va(v), .cs = SEL_RING3_CS64 };
    uint8_t bytes[16] = { 0 };
    unsigned int slot;
    bool ok;

    for (unsigned int i = 0; i < 200; i++) {
        uint64_t m = slot_frame(v, slot = pick_slot());
        if (m < PV_RAM && frame_type_of(frame_table[m].state) == FT_L1)
            break;
    }
    memcpy(bytes, code[below(ARRAY_SIZE(code))], 8);
    if (one_in(20))
        bytes[below(8)] ^= (uint8_t)rng_next(&rng);
    if (!put_args(v, 0, bytes, sizeof(bytes)))
        return;
    uint64_t off = (one_in(3) ? below(512) : below(PAGES)) * 8;
    regs.rax = pick_l1e(v->domain);
    regs.rcx = pick_l1e(v->domain);
    if (one_in(8))
        off += below(8);
    regs.rdi = PV_VA(slot) + off;
    regs.rsi = PV_VA(pick_slot()) + below(512) * 8;
    regs.rsp = regs.rsi;
    if (one_in(2))
        regs.rcx = below(600);
    ok = pv_ptwrite(v, &regs, PV_VA(slot) + off);
    note("d%uv%u emulated write %02x%02x%02x%02x slot %u + %#lx, rax %#lx: %d", v->domain->id,
         v->id, bytes[0], bytes[1], bytes[2], bytes[3], slot, off, regs.rax, ok);
}

/* --- memory_op --- */

/* What tools say of a domain: memory set aside for it, its memory map; guests ask for theirs. */
static void op_told(struct vcpu *v)
{
    domid_t id = one_in(4) ? DOMID_SELF : (domid_t)below(PV_DOMAINS + 1);
    const struct domain *d = named(v, id);
    struct xen_memory_reservation r = { .domid = id };
    struct xen_foreign_memory_map map = { .domid = id };
    bool claims = one_in(2);
    long rc;

    r.nr_extents = one_in(3) || !d ? 0 : domain_pages(d) + below(one_in(4) ? PV_RAM : 10);
    map.map.nr_entries = (unsigned int)below(one_in(2) ? 4 : 120);
    map.map.buffer.p = (void *)(one_in(8) ? rng_next(&rng) : args_va(v) + 64);
    if (!put_args(v, 0, claims ? (void *)&r : &map, claims ? sizeof(r) : sizeof(map)))
        return;
    rc = call(v, __HYPERVISOR_memory_op, claims ? XENMEM_claim_pages : XENMEM_set_memory_map,
              args_va(v), 0, 0);
    note("d%uv%u %s %#x: %ld", v->domain->id, v->id, claims ? "claims for" : "memory map of", id,
         rc);
    map.map.nr_entries = (unsigned int)below(200);
    if (put_args(v, 0, &map.map, sizeof(map.map)))
        call(v, __HYPERVISOR_memory_op, XENMEM_memory_map, args_va(v), 0, 0);
}

static void op_memory(struct vcpu *v)
{
    static const uint8_t ops[] = { XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                   XENMEM_populate_physmap, XENMEM_populate_physmap };
    unsigned int n = 1 + (unsigned int)below(6), op = ops[below(4)];
    struct xen_memory_reservation r = { .nr_extents = n, .domid = DOMID_SELF };
    xen_pfn_t list[6];
    long rc;

    if (one_in(10)) {
        op_told(v);
        return;
    }
    r.extent_order = one_in(8) ? (unsigned int)below(4) : 0;
    if (v->domain->privileged && one_in(8))
        r.domid = (domid_t)below(PV_DOMAINS + 1);
    r.extent_start.p = (void *)(args_va(v) + 64);
    for (unsigned int i = 0; i < n; i++)
        list[i] = pick_frame(named(v, r.domid));
    if (!put_args(v, 0, &r, sizeof(r)) || !put_args(v, 64, list, n * sizeof(list[0])))
        return;
    rc = call(v, __HYPERVISOR_memory_op, op, args_va(v), 0, 0);
    if (rc > 0 && op != XENMEM_decrease_reservation && r.domid == DOMID_SELF &&
        get_args(v, 64, list, sizeof(list[0])))
        map_slot(v, pick_slot(), list[0], FLAGS);
    note("d%uv%u memory_op %u, %u extents of order %u for %#x, first %#lx: %ld", v->domain->id,
         v->id, op, n, r.extent_order, r.domid, list[0], rc);
}

/* A frame that nothing maps, if the guest finds one: it unmaps a page of its own first. */
static uint64_t unused_frame(struct vcpu *v)
{
    unsigned int slot = writable_slot(v);
    uint64_t m = slot < PV_SLOTS ? slot_frame(v, slot) : 0;

    if (m)
        call(v, __HYPERVISOR_update_va_mapping, PV_VA(slot), 0, UVMF_INVLPG, 0);
    return m;
}

static void op_exchange(struct vcpu *v)
{
    unsigned int n = 1 + (unsigned int)below(4);
    struct xen_memory_exchange x = { .in = { .nr_extents = n, .domid = DOMID_SELF },
                                     .out = { .nr_extents = n, .domid = DOMID_SELF } };
    xen_pfn_t list[8];
    long rc;

    if (one_in(3)) {
        n = 4;
        x.in.nr_extents = 4;
        x.out.nr_extents = 1;
        x.out.extent_order = 2;
    }
    for (unsigned int i = 0; i < n; i++) {
        list[i] = one_in(6) ? pick_frame(v->domain) : unused_frame(v);
        list[4 + i] = rng_next(&rng) & 0xfffff;
    }
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 288);
    if (!put_args(v, 0, &x, sizeof(x)) || !put_args(v, 256, list, sizeof(list)))
        return;
    rc = call(v, __HYPERVISOR_memory_op, XENMEM_exchange, args_va(v), 0, 0);
    if (!rc && get_args(v, 288, list, 8))
        map_slot(v, pick_slot(), list[0], FLAGS);
    note("d%uv%u exchange of %u, first %#lx: %ld", v->domain->id, v->id, n, list[0], rc);
}

/* --- grants --- */

/*
 * The table grows into the page that the guest has just given back, and that its other vCPUs go on
 * mapping: hot_frame says which.
 */
static void op_grow(struct vcpu *v)
{
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
    struct gnttab_setup_table op = { .dom = DOMID_SELF };
    xen_pfn_t m = unused_frame(v);
    long rc;

    op.nr_frames = 1 + (one_in(8) ? (uint32_t)below(200) : v->domain->grants->nr_frames);
    r.extent_start.p = (void *)(args_va(v) + 64);
    op.frame_list.p = (void *)(args_va(v) + 0x400);
    if (!m || !put_args(v, 64, &m, sizeof(m)) || !put_args(v, 0, &r, sizeof(r)))
        return;
    for (unsigned int i = 0; i < ARRAY_SIZE(hot_frame); i++)
        hot_frame[i] = m;
    call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, args_va(v), 0, 0);
    if (!put_args(v, 0, &op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, args_va(v), 1, 0);
    note("d%uv%u grant table of %u pages after giving back %#lx: %ld", v->domain->id, v->id,
         op.nr_frames, m, rc);
}

static void offer_grant(const struct domain *d, const struct domain *user, uint32_t ref)
{
    mfn_t table = grant_frame_mfn((struct domain *)d, 0);
    struct grant_entry_v1 *e;

    if (mfn_eq(table, MFN_NONE))
        return;
    e = (struct grant_entry_v1 *)arch_map(table) + ref;
    e->domid = one_in(8) ? (domid_t)below(PV_DOMAINS) : user->id;
    e->frame = (uint32_t)(one_in(3) ? pick_frame(d) : own_frame(d, FT_WRITABLE));
    e->flags = (uint16_t)(GTF_permit_access | (one_in(3) ? GTF_readonly : 0));
    if (one_in(6))
        e->flags = (uint16_t)rng_next(&rng);
}

static uint64_t grant_place(struct vcpu *v, uint32_t flags)
{
    unsigned int slot = pick_slot();

    if (!(flags & GNTMAP_contains_pte))
        return PV_VA(slot) + (one_in(20) ? below(PAGE_SIZE) : 0);
    return one_in(3) ? own_frame(v->domain, FT_L1) << PAGE_SHIFT | pick_index(1) * 8u
                     : slot_entry(v, slot);
}

static __thread struct {
    uint32_t handle, flags;
    uint64_t addr;
} held[PV_DOMAINS][16];

static void op_grant_map(struct vcpu *v)
{
    struct gnttab_map_grant_ref op = { .dom = (domid_t)below(PV_DOMAINS),
                                       .ref = (uint32_t)below(12) };
    unsigned int at = (unsigned int)below(16);
    long rc;

    if (!one_in(4))
        offer_grant(pv_dom[op.dom], v->domain, op.ref);
    op.flags = GNTMAP_host_map | (one_in(3) ? GNTMAP_readonly : 0) |
               (one_in(6) ? GNTMAP_device_map : 0) | (one_in(3) ? GNTMAP_contains_pte : 0);
    op.host_addr = grant_place(v, op.flags);
    if (!put_args(v, 0, &op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, args_va(v), 1, 0);
    if (get_args(v, 0, &op, sizeof(op)) && !rc && !op.status) {
        held[v->domain->id][at].handle = op.handle;
        held[v->domain->id][at].flags = op.flags;
        held[v->domain->id][at].addr = op.host_addr;
    }
    note("d%uv%u map grant %u of d%u at %#lx flags %#x: %ld/%d", v->domain->id, v->id, op.ref,
         op.dom, (unsigned long)op.host_addr, op.flags, rc, op.status);
}

static void op_grant_unmap(struct vcpu *v)
{
    unsigned int at = (unsigned int)below(16);
    union {
        struct gnttab_unmap_grant_ref u;
        struct gnttab_unmap_and_replace r;
    } op = { .u = { .host_addr = held[v->domain->id][at].addr,
                    .handle = held[v->domain->id][at].handle } };
    bool replace = one_in(3);
    long rc;

    if (one_in(6))
        op.u.host_addr = one_in(2) ? 0
                                   : PV_VA(find_mapped(v, pick_frame(pv_dom[below(PV_DOMAINS)])));
    if (one_in(8))
        op.u.handle = (uint32_t)below(20);
    if (replace) {
        op.r.new_addr = one_in(6) ? op.u.host_addr : PV_VA(pick_slot());
        op.r.handle = held[v->domain->id][at].handle;
    } else if (one_in(4)) {
        op.u.dev_bus_addr = pick_frame(pv_dom[below(PV_DOMAINS)]) << PAGE_SHIFT;
    }
    if (!put_args(v, 0, &op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_grant_table_op,
              replace ? GNTTABOP_unmap_and_replace : GNTTABOP_unmap_grant_ref, args_va(v), 1, 0);
    note("d%uv%u unmap grant handle %u at %#lx%s: %ld", v->domain->id, v->id, op.u.handle,
         (unsigned long)op.u.host_addr, replace ? ", replaced" : "", rc);
}

static void op_grant_copy(struct vcpu *v)
{
    struct gnttab_copy op[3];
    long rc;

    for (unsigned int i = 0; i < 3; i++) {
        op[i] = (struct gnttab_copy){ .len = (uint16_t)below(600) };
        op[i].source.u.gmfn = pick_frame(v->domain);
        op[i].source.domid = DOMID_SELF;
        op[i].dest.u.gmfn = pick_frame(v->domain);
        op[i].dest.domid = DOMID_SELF;
        if (one_in(2)) {
            op[i].dest.domid = (domid_t)below(PV_DOMAINS);
            op[i].dest.u.ref = (uint32_t)below(12);
            op[i].flags |= GNTCOPY_dest_gref;
            offer_grant(pv_dom[op[i].dest.domid], v->domain, op[i].dest.u.ref);
        }
    }
    if (!put_args(v, 0, op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_grant_table_op, GNTTABOP_copy, args_va(v), 3, 0);
    note("d%uv%u grant copy: %ld", v->domain->id, v->id, rc);
}

/* A page that nobody uses goes to who takes it, or to nobody. */
static void op_transfer(struct vcpu *v)
{
    struct gnttab_transfer op[2];
    long rc;

    for (unsigned int i = 0; i < 2; i++) {
        const struct domain *to = pv_dom[below(PV_DOMAINS)];
        mfn_t table = grant_frame_mfn((struct domain *)to, 0);
        uint32_t ref = (uint32_t)below(12);

        op[i] = (struct gnttab_transfer){ .domid = to->id, .ref = ref };
        op[i].mfn = one_in(3) ? pick_frame(v->domain) : own_frame(v->domain, FT_NONE);
        if (!mfn_eq(table, MFN_NONE) && !one_in(4)) {
            struct grant_entry_v1 *e = (struct grant_entry_v1 *)arch_map(table) + ref;

            __atomic_store_n((uint32_t *)(void *)e, GTF_accept_transfer | v->domain->id << 16,
                             __ATOMIC_RELAXED);
        }
    }
    if (!put_args(v, 0, op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_grant_table_op, GNTTABOP_transfer, args_va(v), 2, 0);
    note("d%uv%u transfers frame %#lx to d%u: %ld", v->domain->id, v->id, (unsigned long)op[0].mfn,
         op[0].domid, rc);
}

/* --- descriptors --- */

static uint64_t pick_descriptor(void)
{
    return one_in(4) ? rng_next(&rng) : 0x00cff2000000ffffull;
}

static void op_gdt(struct vcpu *v)
{
    unsigned int n = one_in(4) ? 0 : 1 + (unsigned int)below(3);
    uint64_t list[3];
    long rc;

    for (unsigned int i = 0; i < n; i++) {
        unsigned int slot = writable_slot(v);
        list[i] = own_frame(v->domain, FT_DESC);
        if (one_in(3) || slot == PV_SLOTS)
            continue;
        uint64_t *t = pv_access(PV_VA(slot), true);
        if (t) {
            memset(t, 0, PAGE_SIZE);
            t[below(512)] = pick_descriptor();
            list[i] = slot_frame(v, slot);
            map_slot(v, slot, list[i], FLAGS & ~PTE_RW);
        }
    }
    if (n && !put_args(v, 0, list, n * sizeof(list[0])))
        return;
    rc = call(v, __HYPERVISOR_set_gdt, args_va(v), n * 512 - (n && one_in(2)), 0, 0);
    note("d%uv%u set_gdt of %u pages: %ld", v->domain->id, v->id, n, rc);
}

static void op_descriptor(struct vcpu *v)
{
    uint64_t at = (one_in(3) ? pick_frame(v->domain) : own_frame(v->domain, FT_DESC)) << PAGE_SHIFT;
    long rc = call(v, __HYPERVISOR_update_descriptor, at | below(512) * 8, pick_descriptor(), 0, 0);

    note("d%uv%u update_descriptor at %#lx: %ld", v->domain->id, v->id, at, rc);
}

static void op_ldt_fault(struct vcpu *v)
{
    uint64_t cr2 = desc_window(arch_this_cpu()->id) + LDT_OFFSET + below(3 * PAGE_SIZE);
    bool ok = pv_map_ldt_fault(v, cr2);

    note("d%uv%u touches its LDT at %#lx: %d", v->domain->id, v->id, cr2, ok);
}

/* --- vCPUs and CPUs --- */

static void op_vcpu(struct vcpu *v)
{
    static __thread struct vcpu_guest_context c;
    struct vcpu_register_vcpu_info info = { .mfn = pick_frame(v->domain),
                                            .offset = (uint32_t)below(64) * 64 };
    unsigned int id = (unsigned int)below(PV_VCPUS);
    long rc;

    if (one_in(2)) {
        if (!put_args(v, 0, &info, sizeof(info)))
            return;
        rc = call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, id, args_va(v), 0);
        note("d%uv%u register_vcpu_info of %u in %#lx: %ld", v->domain->id, v->id, id,
             (unsigned long)info.mfn, rc);
        return;
    }
    memset(&c, 0, sizeof(c));
    c.ctrlreg[3] = own_frame(v->domain, one_in(4) ? FT_MAX : FT_L4) << PAGE_SHIFT;
    c.ctrlreg[1] = one_in(2) ? below(PAGE_SIZE) : pick_frame(v->domain) << PAGE_SHIFT;
    c.kernel_sp = PV_VA(4);
    c.flags = VGCF_in_kernel;
    c.gdt_ents = one_in(2) ? 0 : below(1000);
    for (unsigned int i = 0; i < 2; i++)
        c.gdt_frames[i] = one_in(2) ? pick_frame(v->domain) : own_frame(v->domain, FT_DESC);
    if (!put_args(v, 0, &c, sizeof(c)))
        return;
    rc = call(v, __HYPERVISOR_vcpu_op, VCPUOP_initialise, id, args_va(v), 0);
    note("d%uv%u initialise %u with L4 %#lx user %#lx: %ld", v->domain->id, v->id, id, c.ctrlreg[3],
         c.ctrlreg[1], rc);
}

static uint32_t *taken_by(const struct vcpu *v)
{
    return &pv_taken[v->domain->id][v->id];
}

/* The CPU of this thread goes on with v, which nobody else runs; NULL: it idles. */
static void go_on_with(struct vcpu *v)
{
    struct vcpu *old = arch_this_cpu()->current;

    pv_machine_run(v);
    if (old->domain && old != v)
        __atomic_store_n(taken_by(old), 0, __ATOMIC_RELEASE);
}

static void op_switch(void)
{
    struct vcpu *v = pv_dom[below(PV_DOMAINS)]->vcpu[below(PV_VCPUS)];

    if (!v || domain_dying(v->domain) || !v->initialised || one_in(8) ||
        __atomic_exchange_n(taken_by(v), 1, __ATOMIC_ACQUIRE))
        v = NULL;
    go_on_with(v);
    note("CPU %u goes on with d%dv%d", arch_this_cpu()->id, v ? v->domain->id : -1,
         v ? (int)v->id : -1);
}

static void op_mode(struct vcpu *v)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    if (pv->kernel_mode && one_in(2))
        ext_one(v, MMUEXT_NEW_USER_BASEPTR,
                one_in(2) ? own_frame(v->domain, FT_L4) : pv->cr3_kernel >> PAGE_SHIFT);
    if (!pv->kernel_mode || pv->cr3_user)
        pv_toggle_mode(pv);
    for (unsigned int i = 0; i < 32; i++) /* the program runs for a while */
        pv_machine_tick();
    note("d%uv%u is in its %s", v->domain->id, v->id, pv->kernel_mode ? "kernel" : "program");
}

/* Several calls in one, the second without the exit path between. */
static void op_multicall(struct vcpu *v)
{
    struct multicall_entry m[3] = { { .op = 0 } };
    struct mmu_update u[3];
    struct mmuext_op x = pick_ext(v, v->domain);
    long rc;

    for (unsigned int i = 0; i < 3; i++)
        u[i] = pick_update(v, v->domain, v->domain);
    m[0] = (struct multicall_entry){ .op = __HYPERVISOR_mmu_update,
                                     .args = { args_va(v) + 0x400, 3, 0, DOMID_SELF } };
    m[1] = (struct multicall_entry){ .op = __HYPERVISOR_mmuext_op,
                                     .args = { args_va(v) + 0x500, 1, 0, DOMID_SELF } };
    m[2] = (struct multicall_entry){ .op = __HYPERVISOR_update_va_mapping,
                                     .args = { PV_VA(pick_slot()), pick_l1e(v->domain), 0 } };
    if (one_in(2)) {
        m[2].op = __HYPERVISOR_vcpu_op;
        m[2].args[0] = VCPUOP_initialise;
        m[2].args[1] = below(PV_VCPUS);
        m[2].args[2] = args_va(v) + PAGE_SIZE; /* what an earlier step left there */
    }
    if (!put_args(v, 0, m, sizeof(m)) || !put_args(v, 0x400, u, sizeof(u)) ||
        !put_args(v, 0x500, &x, sizeof(x)))
        return;
    rc = call(v, __HYPERVISOR_multicall, args_va(v), 3, 0, 0);
    note("d%uv%u multicall: %ld", v->domain->id, v->id, rc);
}

static void op_unpin_all(struct vcpu *v)
{
    struct mmuext_op op = { .cmd = MMUEXT_UNPIN_TABLE };
    unsigned int n = 0;

    for (unsigned int m = 1; m < PV_RAM && n < 8; m++) {
        const struct frame *f = &frame_table[m];
        if (f->owner != v->domain->id || !(f->state & FRAME_PINNED) || one_in(2))
            continue;
        op.arg1.mfn = m;
        if (put_args(v, 0, &op, sizeof(op)))
            call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF);
        n++;
    }
    note("d%uv%u unpinned %u", v->domain->id, v->id, n);
}

/* --- steps --- */

static void op_call(struct vcpu *v)
{
    static void (*const ops[])(struct vcpu *) = {
        op_uvm,         op_uvm,         op_uvm,      op_peek,      op_mmu,       op_mmu,
        op_mmu,         op_ext,         op_ext,      op_build,     op_build,     op_ptwr,
        op_ptwr,        op_memory,      op_exchange, op_grant_map, op_grant_map, op_grant_unmap,
        op_grant_unmap, op_grant_copy,  op_transfer, op_gdt,       op_ldt,       op_descriptor,
        op_ldt_fault,   op_vcpu,        op_mode,     op_mode,      op_mode,      op_multicall,
        op_unpin_all,   pv_model_tools, op_grow,     op_linear,    op_linear,
    };
    unsigned int which = (unsigned int)below(ARRAY_SIZE(ops));

    if (!pv_vcpu(v)->kernel_mode)
        pv_toggle_mode(pv_vcpu(v));
    ops[which](v);
}

void pv_model_step_here(uint64_t word)
{
    struct vcpu *v = arch_this_cpu()->current;

    if (depth == 0)
        pv_machine_stir(word | 1);
    note("CPU %u: nothing", arch_this_cpu()->id);
    while (v->domain && pv_vcpu(v)->drop.any) /* as the exit path before it runs */
        pv_machine_exit(v);
    if (one_in(12) || !v->domain)
        op_switch();
    else if (v->domain->privileged && one_in(5))
        pv_model_log(v);
    else
        op_call(v);
    if (depth > 0)
        return;
    for (unsigned int i = 0; i < 16; i++)
        pv_machine_tick();
    pv_machine_stir(0);
    pv_check_tlbs();
}

void pv_model_seed(uint64_t seed)
{
    rng.s = seed;
}

void pv_model_forget_grants(domid_t holder)
{
    memset(held[holder], 0, sizeof(held[holder]));
}

void pv_model_forget(void)
{
    memset(held, 0, sizeof(held));
    memset(pv_hot_slot, 0, sizeof(pv_hot_slot));
    depth = 0;
}

void pv_model_choices(const uint8_t *bytes, size_t n)
{
    choices = bytes;
    choices_left = n;
}

size_t pv_model_choices_left(void)
{
    return choices_left;
}

/* A frame whose counters are nearly full during a step: they have to refuse, not to wrap. */
struct loaded {
    struct frame *f; /* NULL: none */
    bool typed;
    uint64_t added;
};

static void load_counters(struct loaded *l)
{
    const struct domain *d = pv_dom[below(PV_DOMAINS)];
    uint64_t mfn = own_frame(d, FT_MAX);
    struct frame *f = &frame_table[mfn];

    l->typed = frame_get_typed(f, (struct domain *)d, FT_WRITABLE) == 0;
    if (!l->typed && !frame_get(f, d))
        return;
    l->f = f;
    l->added = (FRAME_REF_MASK - frame_refs(f->state) - below(3)) *
               (FRAME_REF_ONE + (l->typed ? FRAME_TYPED_ONE : 0));
    __atomic_fetch_add(&f->state, l->added, __ATOMIC_SEQ_CST);
    for (unsigned int i = 0; i < ARRAY_SIZE(hot_frame); i++)
        hot_frame[i] = mfn;
}

static void unload_counters(struct loaded *l)
{
    if (!l->f)
        return;
    __atomic_fetch_sub(&l->f->state, l->added, __ATOMIC_SEQ_CST);
    if (l->typed)
        frame_put_typed(l->f);
    else
        frame_put(l->f);
}

void pv_model_step(uint64_t word)
{
    struct loaded l = { .f = NULL };

    pv_model_seed(word);
    host_be((unsigned int)below(PV_CPUS));
    if (depth == 0 && one_in(40)) {
        pv_model_end_one(1 + (unsigned int)below(PV_DOMAINS - 1));
        return;
    }
    if (depth == 0 && one_in(16))
        load_counters(&l);
    host_fail_every = one_in(8) ? 1 + (unsigned int)below(4) : 0;
    pv_model_step_here(word);
    host_fail_every = 0;
    unload_counters(&l);
}

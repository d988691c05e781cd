/* SPDX-License-Identifier: MIT */
/*
 * Types of descriptor pages are made under the domain's pt_lock, as those of page tables; the
 * window's entries are the CPU's own and hold for the vCPU that is resident there. The lists of
 * a vCPU's GDT and LDT pages change on its own CPU, or while it does not run.
 */
#include "x86/pv/desc.h"

#include "core/dirty.h"
#include "core/hypercall.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/segs.h"
#include "x86/mm/paging.h"
#include "x86/pv/callback.h"
#include "x86/pv/privop.h"
#include "x86/pv/ptable.h"
#include "x86/switch.h"

#define ENTRIES_PER_PAGE 512u
#define LDT_PTE (LDT_OFFSET >> PAGE_SHIFT) /* index of the first one in gdt_ptes */

#define DESC_S (1ull << 44)
#define DESC_P (1ull << 47)

/* --- the type --- */

/* Makes f, which nobody uses with a type, a descriptor page. [pt_lock] */
static int make_desc_page(struct frame *f, struct domain *d)
{
    /* untested: frame_get_typed() has just seen the same; another vCPU's call changed it since */
    int rc = frame_begin_type(f, d, FT_DESC, FRAME_TYPED_ONE);

    if (rc)
        return rc;
    rc = desc_validate_frame(f);
    dirty_note(d, f); /* what a guest may not say is mended */
    if (rc)
        frame_put_typed(f);
    else
        frame_set_validated(f);
    return rc;
}

int pv_get_desc_page(struct domain *d, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    int rc;

    if (!f)
        return -XEN_EINVAL;
    rc = frame_get_typed(f, d, FT_DESC);
    if (rc == -XEN_EAGAIN) {
        spin_lock(&pv_domain(d)->pt_lock);
        rc = frame_get_typed(f, d, FT_DESC); /* somebody else may have been quicker */
        if (rc == -XEN_EAGAIN)
            rc = make_desc_page(f, d);
        spin_unlock(&pv_domain(d)->pt_lock);
    }
    return rc == -XEN_EBUSY ? -XEN_EINVAL : rc;
}

static void put_desc_page(mfn_t mfn)
{
    frame_put_typed(frame_of(mfn));
}

/* --- the window --- */

static unsigned int pages_of(unsigned int ents)
{
    return (ents + ENTRIES_PER_PAGE - 1) / ENTRIES_PER_PAGE;
}

/* Page i of the window shows this frame; frame 0: none. */
static void set_window_page(unsigned int i, mfn_t mfn, bool flush)
{
    struct x86_pcpu *xp = this_x86();
    uint64_t none = i < LDT_PTE ? xp->gdt_none : 0;
    uint64_t pte = mfn.v ? mfn_maddr(mfn).v | PTE_P | PTE_A | nx_bit : none;

    if (xp->gdt_ptes[i] == pte)
        return;
    xp->gdt_ptes[i] = pte;
    if (flush)
        tlb_flush_va(desc_window(xp->p.id) + i * PAGE_SIZE);
}

static void load_gdt(const struct pv_vcpu *v, bool flush)
{
    struct x86_pcpu *xp = this_x86();
    unsigned int n = pages_of(v->gdt_ents), before = xp->gdt_shown;

    for (unsigned int i = 0; i < n; i++)
        set_window_page(i, v->gdt_mfn[i], flush);
    for (unsigned int i = n; i < before; i++)
        set_window_page(i, MFN(0), flush);
    xp->gdt_shown = n;
}

static void load_ldt(const struct pv_vcpu *v, bool flush)
{
    struct x86_pcpu *xp = this_x86();
    uint64_t *desc = &xp->gdt_page[(SEL_LDT >> 3) % ENTRIES_PER_PAGE];
    uint64_t base = desc_window(xp->p.id) + LDT_OFFSET, low = 0;

    if (v->ldt_ents == 0 && desc[0] == 0)
        return; /* no LDT before or after */
    for (unsigned int i = 0; i < LDT_MAX_ENTRIES / ENTRIES_PER_PAGE; i++)
        set_window_page(LDT_PTE + i, v->ldt_mfn[i], flush);
    if (v->ldt_ents)
        low = (v->ldt_ents * 8 - 1) | (base & 0xffffff) << 16 | 0x82ull << 40 |
              (base >> 24 & 0xff) << 56;
    if (desc[0] == low)
        return;
    desc[0] = low;
    desc[1] = base >> 32;
    lldt(low ? SEL_LDT : 0);
}

void desc_load(const struct pv_vcpu *v, bool flush)
{
    load_gdt(v, flush);
    load_ldt(v, flush);
}

static bool is_current(const struct vcpu *v)
{
    return cpu_info()->current == v;
}

/* --- GDT --- */

static int get_gdt_pages(struct vcpu *v, const mfn_t *mfns, unsigned int pages)
{
    for (unsigned int i = 0; i < pages; i++) {
        int rc = pv_get_desc_page(v->domain, mfns[i]);
        if (rc) {
            log_refusal(v->domain, "frame %#lx as a GDT page: error %d", mfns[i].v, rc);
            while (i-- > 0)
                put_desc_page(mfns[i]);
            return rc;
        }
    }
    return 0;
}

int pv_set_gdt(struct vcpu *v, const mfn_t *mfns, unsigned int ents)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    mfn_t old[GDT_GUEST_PAGES];
    unsigned int had = pages_of(pv->gdt_ents), pages;
    int rc;

    if (ents > GDT_GUEST_ENTRIES)
        return -XEN_EINVAL;
    pages = pages_of(ents);
    rc = get_gdt_pages(v, mfns, pages);
    if (rc)
        return rc;
    if (!is_current(v))
        switch_sync(v);
    for (unsigned int i = 0; i < had; i++)
        old[i] = pv->gdt_mfn[i];
    for (unsigned int i = 0; i < pages; i++)
        pv->gdt_mfn[i] = mfns[i];
    pv->gdt_ents = ents;
    if (is_current(v))
        load_gdt(pv, true);
    for (unsigned int i = 0; i < had; i++)
        put_desc_page(old[i]);
    return 0;
}

long hc_set_gdt(struct vcpu *v, const struct hc_args *args)
{
    mfn_t mfns[GDT_GUEST_PAGES];
    uint32_t ents = (uint32_t)args->a[1];

    if (ents > GDT_GUEST_ENTRIES)
        return E(EINVAL);
    if (ents && guest_read(v, mfns, GPTR(args->a[0]), pages_of(ents) * sizeof(mfns[0])))
        return E(EFAULT);
    return pv_set_gdt(v, mfns, ents);
}

/* --- LDT --- */

int pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int ents)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    mfn_t old[ARRAY_SIZE(pv->ldt_mfn)];

    if (ents > LDT_MAX_ENTRIES || (ents && (base % PAGE_SIZE || !pv_range_ok(base, ents * 8ull))))
        return -XEN_EINVAL;
    if (!is_current(v))
        switch_sync(v);
    else if (!ents && !pv->ldt_ents)
        return 0;
    memcpy(old, pv->ldt_mfn, sizeof(old));
    memset(pv->ldt_mfn, 0, sizeof(pv->ldt_mfn));
    pv->ldt_base = ents ? base : 0;
    pv->ldt_ents = ents;
    if (is_current(v))
        load_ldt(pv, true);
    for (unsigned int i = 0; i < ARRAY_SIZE(old); i++)
        if (old[i].v)
            put_desc_page(old[i]);
    return 0;
}

/* The frame of an LDT page by the guest kernel's page tables: a program's do not map it. */
static bool find_ldt_page(struct pv_vcpu *pv, unsigned int page, mfn_t *mfn)
{
    bool mode = pv->kernel_mode, found;
    uint64_t l1e = 0;

    pv->kernel_mode = true;
    found = pv_read_guest_pte(&pv->x.v, pv->ldt_base + page * PAGE_SIZE, &l1e);
    pv->kernel_mode = mode;
    *mfn = pte_mfn(l1e);
    return found;
}

bool pv_map_ldt_fault(struct vcpu *v, uint64_t cr2)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t off = cr2 - desc_window(this_cpu_id()) - LDT_OFFSET;
    unsigned int page = (unsigned int)(off >> PAGE_SHIFT);
    mfn_t mfn;

    if (v->domain == NULL || off >= GDT_WINDOW_USED - LDT_OFFSET ||
        page >= pages_of(pv->ldt_ents) || pv->ldt_mfn[page].v)
        return false;
    if (!find_ldt_page(pv, page, &mfn) || pv_get_desc_page(v->domain, mfn)) {
        log_refusal(v->domain, "page %u of the LDT at %#lx is not there, or writable", page,
                    pv->ldt_base);
        return false;
    }
    pv->ldt_mfn[page] = mfn;
    set_window_page(LDT_PTE + page, mfn, true);
    return true;
}

/* --- update_descriptor --- */

/* Write one checked descriptor into a frame of the guest's, in whatever use that allows it. */
static long write_desc(struct vcpu *v, struct frame *f, unsigned int index, uint64_t desc)
{
    uint64_t *table = arch_map(frame_mfn(f));
    long rc = frame_get_typed(f, v->domain, FT_DESC);

    if (rc)
        rc = frame_get_typed(f, v->domain, FT_WRITABLE);
    if (rc == -XEN_EBUSY)
        return E(EINVAL); /* a page table */
    if (rc)
        return rc;
    __atomic_store_n(&table[index], desc, __ATOMIC_RELEASE);
    dirty_note(v->domain, f);
    frame_put_typed(f);
    return 0;
}

long hc_update_descriptor(struct vcpu *v, const struct hc_args *args)
{
    unsigned long maddr = args->a[0];
    unsigned long desc = args->a[1];
    struct frame *f = frame_of(MFN(maddr >> PAGE_SHIFT));
    uint64_t fixed = desc;
    long rc = E(EINVAL);

    if (f && maddr % sizeof(uint64_t) == 0 && desc_ok(&fixed))
        rc = write_desc(v, f, maddr % PAGE_SIZE / sizeof(uint64_t), fixed);
    if (rc)
        log_refusal(v->domain, "descriptor %#lx at machine address %#lx: refused", desc, maddr);
    return rc;
}

/* --- for the emulation of privileged instructions --- */

/* The descriptor that v's selector names; false: null, beyond the table, or not there. */
static bool read_desc(struct pv_vcpu *v, uint16_t sel, uint64_t *desc)
{
    unsigned int index = sel >> 3, page = index / ENTRIES_PER_PAGE;
    bool ldt = sel & 4;
    mfn_t mfn;

    if (!(sel & 0xfffc) || index >= (ldt ? v->ldt_ents : v->gdt_ents))
        return false;
    if (ldt && !v->ldt_mfn[page].v &&
        !pv_map_ldt_fault(&v->x.v, desc_window(this_cpu_id()) + LDT_OFFSET + index * 8ull))
        return false;
    mfn = ldt ? v->ldt_mfn[page] : v->gdt_mfn[page];
    *desc = __atomic_load_n(&((uint64_t *)arch_map(mfn))[index % ENTRIES_PER_PAGE],
                            __ATOMIC_RELAXED);
    return (*desc & DESC_P) && (*desc & DESC_S);
}

static uint64_t base_of(uint64_t desc)
{
    return (desc >> 16 & 0xffffff) | (desc >> 56) << 24;
}

static bool is_flat(uint16_t sel)
{
    uint16_t s = (uint16_t)(sel | 3);

    return s == SEL_RING3_CS32 || s == SEL_RING3_DS || s == SEL_RING3_CS64;
}

bool pv_segment_base(struct pv_vcpu *v, const struct x86_regs *regs, enum insn_seg seg,
                     uint64_t *base)
{
    bool fsgs = this_x86()->cr4 & PV_CR4_LIVE & 0x10000, code;
    uint64_t desc;
    uint16_t sel;

    switch (seg) {
    /* clang-format off */
    case SEG_FS: *base = read_fs_base(fsgs); return true;
    case SEG_GS: *base = read_gs_base(fsgs); return true;
    case SEG_CS: sel = (uint16_t)regs->cs; break;
    case SEG_SS: sel = (uint16_t)regs->ss; break;
    case SEG_DS: sel = read_ds(); break;
    default: sel = read_es(); break;
        /* clang-format on */
    }
    *base = 0;
    if (is_flat(sel))
        return true;
    if (!read_desc(v, sel, &desc))
        return false;
    *base = base_of(desc);
    code = desc >> 43 & 1;
    return !code || (desc >> 41 & 1); /* data, or code that may be read */
}

bool pv_code_segment(struct pv_vcpu *v, uint16_t cs, enum insn_mode *mode, uint64_t *base)
{
    uint64_t desc;

    if (!read_desc(v, cs, &desc) || !(desc >> 43 & 1))
        return false;
    *base = 0;
    if (desc >> 53 & 1) {
        *mode = INSN_MODE_64;
        return true;
    }
    *mode = desc >> 54 & 1 ? INSN_MODE_32 : INSN_MODE_16;
    *base = base_of(desc);
    return true;
}

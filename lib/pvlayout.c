/* SPDX-License-Identifier: MIT */
#include "lib/pvlayout.h"

#include <xen/elfnote.h>

#include "lib/macros.h"
#include "lib/string.h"

#define PAGE_SHIFT 12
#define PAGE UINT64_C(4096)
#define L2_SHIFT 21 /* what one L2 entry, so one L1 table, covers */
#define L3_SHIFT 30
#define L4_SHIFT 39
#define REGION_ALIGN MIB(4)
#define REGION_SLACK KIB(512)
#define LOW_END (UINT64_C(1) << 47)   /* canonical addresses: below this, or from -LOW_END on */
#define MAX_PAGES (UINT64_C(1) << 31) /* 8 TiB; so no sum below overflows */

static uint64_t pages_of(uint64_t bytes)
{
    return bytes / PAGE + (bytes % PAGE != 0);
}

/* Tables of one level that cover [start, end). */
static uint64_t tables_for(uint64_t start, uint64_t end, unsigned shift)
{
    return ((end - 1) >> shift) - (start >> shift) + 1;
}

static void count_tables(uint64_t start, uint64_t end, struct pv_table_counts *t)
{
    t->l1 = tables_for(start, end, L2_SHIFT);
    t->l2 = tables_for(start, end, L3_SHIFT);
    t->l3 = tables_for(start, end, L4_SHIFT);
}

/*
 * Is [start, start + size) usable by the guest: canonical, no wrap, clear of the hypervisor? size >
 * 0.
 */
static bool va_range_ok(const struct pv_layout_input *in, uint64_t start, uint64_t size)
{
    uint64_t last = start + size - 1;

    if (last < start || (start < LOW_END && last >= LOW_END) ||
        (start >= LOW_END && start < -LOW_END))
        return false;
    return last < in->hv_start || start >= in->hv_end;
}

uint64_t pv_layout_va(const struct xen_notes *notes, uint64_t paddr)
{
    return paddr - notes->paddr_offset + notes->virt_base;
}

uint64_t pv_layout_pfn(const struct xen_notes *notes, uint64_t paddr)
{
    return (paddr - notes->paddr_offset) >> PAGE_SHIFT;
}

uint64_t pv_layout_first_p2m_pfn(const struct pv_layout *l)
{
    return l->p2m_outside ? l->part[PV_P2M].pfn : 0;
}

uint64_t pv_layout_nr_p2m_frames(const struct pv_layout *l)
{
    return l->p2m_outside ? l->part[PV_P2M].pages + l->part[PV_P2M_TABLES].pages : 0;
}

/* Gives a part the next pfns of the region, where its virtual address follows from the pfn. */
static void place_inside(struct pv_layout *l, enum pv_part part, uint64_t pages)
{
    struct pv_range *r = &l->part[part];

    r->pfn = l->used_pages;
    r->pages = pages;
    r->va = pages ? l->v_start + (l->used_pages << PAGE_SHIFT) : PV_NO_VA;
    l->used_pages += pages;
}

static void place_outside(struct pv_layout *l, enum pv_part part, uint64_t pages, uint64_t va)
{
    place_inside(l, part, pages);
    l->part[part].va = pages ? va : PV_NO_VA;
}

static const char *check_input(const struct pv_layout_input *in)
{
    const struct xen_notes *n = in->notes;

    if (in->nr_pages == 0 || in->nr_pages > MAX_PAGES || in->p2m_entries > MAX_PAGES ||
        pages_of(in->initrd_bytes) > MAX_PAGES)
        return "the guest's size is out of range";
    if (n->virt_base % PAGE)
        return "the kernel's VIRT_BASE is not page-aligned";
    if (in->kernel_low >= in->kernel_high)
        return "the kernel has nothing to load";
    if (in->kernel_low < n->paddr_offset)
        return "the kernel's segments lie below its PADDR_OFFSET";
    if (in->kernel_high - n->paddr_offset > MAX_PAGES << PAGE_SHIFT)
        return "the kernel's segments lie too high";
    return NULL;
}

static void place_kernel(const struct pv_layout_input *in, struct pv_layout *l)
{
    l->used_pages = pv_layout_pfn(in->notes, in->kernel_low);
    place_inside(l, PV_KERNEL, pages_of(in->kernel_high - in->notes->paddr_offset) - l->used_pages);
}

/* True if [va, va + size) lies in the loaded kernel. */
static bool in_kernel(const struct pv_layout_input *in, uint64_t va, uint64_t size)
{
    uint64_t low = pv_layout_va(in->notes, in->kernel_low);
    uint64_t length = in->kernel_high - in->kernel_low;

    return va >= low && va - low < length && size <= length - (va - low);
}

static const char *check_addresses(const struct pv_layout_input *in, struct pv_layout *l)
{
    const struct xen_notes *n = in->notes;

    l->entry = n->entry;
    l->hypercall_page = PV_NO_VA;
    if (!in_kernel(in, n->entry, 1))
        return "the kernel's entry point lies outside of the kernel";
    if (xennote_has(n, XEN_ELFNOTE_HYPERCALL_PAGE)) {
        if (n->hypercall_page % PAGE || !in_kernel(in, n->hypercall_page, PAGE))
            return "the kernel's hypercall page lies outside of the kernel or is not page-aligned";
        l->hypercall_page = n->hypercall_page;
    }
    return NULL;
}

/*
 * Page tables, stack and padding: the tables must also map themselves, so their number is found by
 * growing it.
 */
static const char *close_region(const struct pv_layout_input *in, struct pv_layout *l)
{
    uint64_t count = 3, used = l->used_pages, length;

    for (;;) {
        uint64_t need;

        length = ((used + count + 1) << PAGE_SHIFT) + REGION_SLACK;
        /* It is v_end that must be aligned; v_start's own offset shifts it. */
        length += -(l->v_start + length) & (REGION_ALIGN - 1);
        if (!va_range_ok(in, l->v_start, length))
            return "the kernel's start region runs into the hypervisor's or impossible addresses";
        l->v_end = l->v_start + length;
        count_tables(l->v_start, l->v_end, &l->tables);
        need = 1 + l->tables.l3 + l->tables.l2 + l->tables.l1;
        if (need <= count)
            break;
        count = need;
    }
    place_inside(l, PV_TABLES, 1 + l->tables.l3 + l->tables.l2 + l->tables.l1);
    place_inside(l, PV_STACK, 1);
    l->region_pages = length >> PAGE_SHIFT;
    l->used_pages = l->region_pages;
    return NULL;
}

/* The p2m list at the address that the kernel asks for, with tables of its own behind it. */
static const char *place_p2m_outside(const struct pv_layout_input *in, struct pv_layout *l,
                                     uint64_t pages)
{
    uint64_t va = in->notes->init_p2m, size = pages << PAGE_SHIFT;
    struct pv_table_counts *t = &l->p2m_tables;

    if (va % PAGE || !va_range_ok(in, va, size))
        return "the kernel's INIT_P2M is no usable address";
    if (va >> L4_SHIFT <= (l->v_end - 1) >> L4_SHIFT &&
        (va + size - 1) >> L4_SHIFT >= l->v_start >> L4_SHIFT)
        return "the kernel's INIT_P2M is too close to its start region";
    count_tables(va, va + size, t);
    place_outside(l, PV_P2M, pages, va);
    place_outside(l, PV_P2M_TABLES, t->l1 + t->l2 + t->l3, PV_NO_VA);
    return NULL;
}

const char *pv_layout_plan(const struct pv_layout_input *in, struct pv_layout *out)
{
    uint64_t initrd = pages_of(in->initrd_bytes);
    uint64_t p2m = pages_of(MAX(in->p2m_entries, in->nr_pages) * 8);
    const char *why;

    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < PV_PARTS; i++)
        out->part[i].va = PV_NO_VA;
    why = check_input(in);
    if (why)
        return why;
    out->v_start = in->notes->virt_base;
    out->p2m_outside = xennote_has(in->notes, XEN_ELFNOTE_INIT_P2M);
    out->initrd_by_pfn = initrd && in->notes->mod_start_pfn;
    place_kernel(in, out);
    why = check_addresses(in, out);
    if (why)
        return why;
    if (!out->initrd_by_pfn)
        place_inside(out, PV_INITRD, initrd);
    if (!out->p2m_outside)
        place_inside(out, PV_P2M, p2m);
    place_inside(out, PV_START_INFO, 1);
    place_inside(out, PV_STORE, !in->dom0);
    place_inside(out, PV_CONSOLE, !in->dom0);
    why = close_region(in, out);
    if (!why && out->p2m_outside)
        why = place_p2m_outside(in, out, p2m);
    if (why)
        return why;
    if (out->initrd_by_pfn)
        place_outside(out, PV_INITRD, initrd, PV_NO_VA);
    if (out->used_pages > in->nr_pages)
        return "the guest's memory is too small for its kernel, initramfs and page tables";
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <xen/elfnote.h>

#include "lib/macros.h"
#include "lib/pvlayout.h"

#define HV_START 0xffff800000000000ull
#define HV_END 0xffff880000000000ull

static struct xen_notes notes;
static struct pv_layout_input in;
static struct pv_layout l;

/* Debian's 6.1 kernel. */
static void debian(void)
{
    memset(&notes, 0, sizeof(notes));
    notes.virt_base = 0xffffffff80000000ull;
    notes.entry = 0xffffffff830791c0ull;
    notes.init_p2m = 0x8000000000ull;
    notes.present = BIT(XEN_ELFNOTE_INIT_P2M) | BIT(XEN_ELFNOTE_ENTRY);
    notes.mod_start_pfn = true;
    in = (struct pv_layout_input){ .notes = &notes,
                                   .kernel_low = 0x1000000,
                                   .kernel_high = 0x4a00000,
                                   .nr_pages = 0x20000,
                                   .initrd_bytes = 5000001,
                                   .dom0 = true,
                                   .hv_start = HV_START,
                                   .hv_end = HV_END };
}

/* What must hold for every plan that is not refused. */
static void check_plan(void)
{
    CHECK_EQ(l.v_start, notes.virt_base);
    CHECK_EQ(l.v_end & (MIB(4) - 1), 0);
    CHECK_EQ(l.v_end - l.v_start, l.region_pages * 4096);
    CHECK(l.v_end - (l.part[PV_STACK].va + 4096) >= KIB(512));
    CHECK(l.used_pages <= in.nr_pages);
    for (int i = 0; i < PV_PARTS; i++) {
        const struct pv_range *r = &l.part[i];

        if (r->va != PV_NO_VA && !(i == PV_P2M && l.p2m_outside))
            CHECK_EQ(r->va - l.v_start, r->pfn * 4096);
        CHECK(r->pfn + r->pages <= l.used_pages);
        for (int j = 0; j < i; j++) {
            const struct pv_range *s = &l.part[j];

            CHECK(!r->pages || !s->pages || r->pfn >= s->pfn + s->pages ||
                  s->pfn >= r->pfn + r->pages);
        }
    }
    CHECK_EQ(l.part[PV_TABLES].pages, 1 + l.tables.l1 + l.tables.l2 + l.tables.l3);
    CHECK_EQ(l.part[PV_STACK].pfn, l.part[PV_TABLES].pfn + l.part[PV_TABLES].pages);
}

TEST(pvlayout_debian)
{
    debian();
    CHECK_NULL(pv_layout_plan(&in, &l));
    check_plan();
    CHECK_EQ(l.part[PV_KERNEL].va, 0xffffffff81000000ull);
    CHECK_EQ(l.part[PV_KERNEL].pfn, 0x1000);
    CHECK_EQ(l.part[PV_KERNEL].pages, 0x3a00);
    CHECK_EQ(l.part[PV_START_INFO].va, 0xffffffff84a00000ull);
    CHECK_EQ(l.part[PV_TABLES].va, 0xffffffff84a01000ull);
    CHECK(l.part[PV_STORE].pages == 0 && l.part[PV_CONSOLE].pages == 0);
    CHECK_EQ(l.tables.l2, 1);
    CHECK_EQ(l.tables.l3, 1);
    CHECK_EQ(l.v_end, 0xffffffff84c00000ull);
    CHECK_EQ(l.tables.l1, 0x4c00000 >> 21);
    CHECK(l.p2m_outside && l.initrd_by_pfn);
    CHECK_EQ(l.part[PV_P2M].va, 0x8000000000ull);
    CHECK_EQ(l.part[PV_P2M].pages, 256);
    CHECK_EQ(pv_layout_first_p2m_pfn(&l), l.region_pages);
    CHECK_EQ(pv_layout_nr_p2m_frames(&l), 256 + 3);
    CHECK_EQ(l.part[PV_INITRD].pages, 1221);
    CHECK_EQ(l.part[PV_INITRD].va, PV_NO_VA);
    CHECK_EQ(l.hypercall_page, PV_NO_VA);
    CHECK_EQ(pv_layout_va(&notes, 0x3044000), 0xffffffff83044000ull);
}

TEST(pvlayout_all_inside)
{
    debian();
    notes.present = BIT(XEN_ELFNOTE_HYPERCALL_PAGE);
    notes.hypercall_page = 0xffffffff82000000ull;
    notes.mod_start_pfn = false;
    in.dom0 = false;
    in.p2m_entries = 0x40000;
    CHECK_NULL(pv_layout_plan(&in, &l));
    check_plan();
    CHECK(!l.p2m_outside && !l.initrd_by_pfn);
    CHECK_EQ(l.part[PV_INITRD].va, 0xffffffff84a00000ull);
    CHECK_EQ(l.part[PV_P2M].pfn, 0x4a00 + 1221);
    CHECK_EQ(l.part[PV_P2M].pages, 512);
    CHECK(l.part[PV_STORE].pages == 1 && l.part[PV_CONSOLE].pages == 1);
    CHECK_EQ(l.part[PV_CONSOLE].pfn, l.part[PV_START_INFO].pfn + 2);
    CHECK_EQ(pv_layout_first_p2m_pfn(&l) + pv_layout_nr_p2m_frames(&l), 0);
    CHECK_EQ(l.hypercall_page, notes.hypercall_page);
}

TEST(pvlayout_virt_base_0)
{
    debian();
    memset(&notes, 0, sizeof(notes));
    in.kernel_low = 0;
    in.kernel_high = 0x12345;
    in.initrd_bytes = 0;
    CHECK_NULL(pv_layout_plan(&in, &l));
    check_plan();
    CHECK_EQ(l.part[PV_KERNEL].va, 0);
    CHECK_EQ(l.part[PV_KERNEL].pages, 0x13);
    CHECK_EQ(l.part[PV_INITRD].pages, 0);
    CHECK_EQ(l.v_end, MIB(4));
}

TEST(pvlayout_paddr_offset)
{
    debian();
    notes.paddr_offset = 0xffffffff80000000ull;
    in.kernel_low += notes.paddr_offset;
    in.kernel_high += notes.paddr_offset;
    CHECK_NULL(pv_layout_plan(&in, &l));
    check_plan();
    CHECK_EQ(l.part[PV_KERNEL].va, 0xffffffff81000000ull);
}

TEST(pvlayout_many_sizes)
{
    for (uint64_t pages = 0x8000; pages < 0x80000000; pages = pages * 3 + 1) {
        debian();
        in.nr_pages = pages;
        CHECK_NULL(pv_layout_plan(&in, &l));
        check_plan();
    }
    for (uint64_t high = 0x3ff0000; high < 0x4410000; high += 4096) {
        debian();
        in.kernel_high = high;
        notes.present = 0;
        CHECK_NULL(pv_layout_plan(&in, &l));
        check_plan();
    }
}

TEST(pvlayout_refusals)
{
    debian();
    in.nr_pages = l.used_pages - 1;
    CHECK_WHY(pv_layout_plan(&in, &l), "too small");
    CHECK(l.used_pages > in.nr_pages);
    debian();
    notes.entry = 0xffffffff80000000ull;
    CHECK_WHY(pv_layout_plan(&in, &l), "entry");
    debian();
    notes.virt_base++;
    CHECK_WHY(pv_layout_plan(&in, &l), "VIRT_BASE");
    debian();
    notes.paddr_offset = 0x1001000;
    CHECK_WHY(pv_layout_plan(&in, &l), "PADDR_OFFSET");
    debian();
    in.kernel_high = UINT64_MAX;
    CHECK_WHY(pv_layout_plan(&in, &l), "too high");
    debian();
    in.kernel_high = in.kernel_low;
    CHECK_WHY(pv_layout_plan(&in, &l), "nothing");
    debian();
    notes.init_p2m = HV_START;
    CHECK_WHY(pv_layout_plan(&in, &l), "INIT_P2M");
    notes.init_p2m = 0xffffff8000000000ull;
    CHECK_WHY(pv_layout_plan(&in, &l), "close");
    notes.init_p2m = 0x7ffffffff000ull;
    CHECK_WHY(pv_layout_plan(&in, &l), "INIT_P2M");
    debian();
    notes.present |= BIT(XEN_ELFNOTE_HYPERCALL_PAGE);
    notes.hypercall_page = 0xffffffff84a00000ull;
    CHECK_WHY(pv_layout_plan(&in, &l), "hypercall");
    debian();
    notes.virt_base = HV_START;
    notes.entry = HV_START + 0x1000000;
    CHECK_WHY(pv_layout_plan(&in, &l), "hypervisor");
    notes.virt_base = 0xfffffffffc000000ull;
    notes.entry = notes.virt_base + 0x1000000;
    CHECK_WHY(pv_layout_plan(&in, &l), "hypervisor");
    debian();
    in.initrd_bytes = UINT64_MAX;
    CHECK_WHY(pv_layout_plan(&in, &l), "size");
    debian();
    in.nr_pages = 0;
    CHECK_WHY(pv_layout_plan(&in, &l), "size");
}

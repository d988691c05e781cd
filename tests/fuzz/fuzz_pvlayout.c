/* SPDX-License-Identifier: MIT */
/* The layout from raw numbers; what a plan that is not refused promises is checked. */
#include <stdlib.h>
#include <string.h>

#include <xen/elfnote.h>

#include "lib/pvlayout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond) \
    do {              \
        if (!(cond))  \
            abort();  \
    } while (0)

static void check(const struct pv_layout_input *in, const struct pv_layout *l)
{
    REQUIRE(l->used_pages <= in->nr_pages);
    REQUIRE(l->v_end % (4 << 20) == 0 && l->region_pages <= l->used_pages);
    REQUIRE(l->v_end - l->part[PV_STACK].va >= 4096 + (512 << 10));
    REQUIRE(l->v_start + (l->region_pages << 12) == l->v_end);
    for (int i = 0; i < PV_PARTS; i++) {
        const struct pv_range *r = &l->part[i];

        REQUIRE(r->pfn <= l->used_pages && r->pages <= l->used_pages - r->pfn);
        for (int j = 0; j < i; j++) {
            const struct pv_range *s = &l->part[j];

            REQUIRE(!r->pages || !s->pages || r->pfn >= s->pfn + s->pages ||
                    s->pfn >= r->pfn + r->pages);
        }
        /* Whatever is mapped is clear of the hypervisor. */
        if (r->pages && r->va != PV_NO_VA)
            REQUIRE(r->va + (r->pages << 12) - 1 < in->hv_start || r->va >= in->hv_end);
    }
    REQUIRE(l->entry - l->part[PV_KERNEL].va < l->part[PV_KERNEL].pages << 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_layout_input in = { .hv_start = 0xffff800000000000, .hv_end = 0xffff880000000000 };
    struct xen_notes notes = { 0 };
    struct pv_layout l;
    uint64_t v[10];

    if (size < sizeof(v) + 1)
        return 0;
    memcpy(v, data, sizeof(v));
    if (data[sizeof(v)] & 1)
        notes.present |= 1u << XEN_ELFNOTE_INIT_P2M;
    if (data[sizeof(v)] & 2)
        notes.present |= 1u << XEN_ELFNOTE_HYPERCALL_PAGE;
    notes.mod_start_pfn = data[sizeof(v)] & 4;
    in.dom0 = data[sizeof(v)] & 8;
    notes.virt_base = v[0];
    notes.paddr_offset = v[1];
    notes.entry = v[2];
    notes.init_p2m = v[3];
    notes.hypercall_page = v[4];
    in.kernel_low = v[5];
    in.kernel_high = v[6];
    in.nr_pages = v[7];
    in.p2m_entries = v[8];
    in.initrd_bytes = v[9];
    in.notes = &notes;
    if (pv_layout_plan(&in, &l) == NULL)
        check(&in, &l);
    return 0;
}

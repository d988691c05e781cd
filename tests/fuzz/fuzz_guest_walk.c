/* SPDX-License-Identifier: MIT */
/*
 * Walks of a guest's tables against the model of tests/unit/walk_model.h: the input gives the
 * registers, the address, and entries that are strewn over a few pages.
 */
#include <stdlib.h>

#include "walk_model.h"

static const struct guest_walk_ops ops = { .get = wm_get };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct walk_memory m, copy;
    struct head {
        uint64_t cr3, va;
        uint32_t flags;
        uint16_t access;
        uint8_t phys_bits, entries;
    } h;
    struct guest_paging g;
    struct guest_walk out;
    struct wm_result want;
    enum guest_walk_result got;

    if (size < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    data += sizeof(h);
    size -= sizeof(h);
    g = (struct guest_paging){ .cr0 = h.flags & (1u << 31 | 1u << 16),
                               .cr3 = h.cr3 & (WM_PAGES * 4096 - 1),
                               .cr4 = h.flags & (0x30 | 3u << 20),
                               .efer = h.flags & 0xc00,
                               .rflags = h.flags & 1u << 18,
                               .phys_bits = (uint8_t)(32 + h.phys_bits % 21),
                               .page1gb = h.flags & 1 };
    if (!(g.cr4 & 0x20))
        g.efer &= ~0x400ull;
    h.va &= g.efer & 0x400 ? 0x7fffffffffff : 0xffffffff;
    h.access &= PFEC_U | PFEC_W | PFEC_I | WALK_IMPLICIT | WALK_LOOK;
    if (h.access & PFEC_I)
        h.access &= (uint16_t)~PFEC_W;
    for (size_t p = 0; p < WM_PAGES; p++)
        for (size_t i = 0; i < 512; i++)
            if (size >= 8)
                memcpy(&m.page[p][i], data + (p * 3 + i) % (size / 8) * 8, 8);
            else
                m.page[p][i] = (i + 1) % WM_PAGES << 12 | 7;
    copy = m;
    got = guest_walk(&g, &ops, &m, h.va, h.access, &out);
    want = wm_walk(&g, &copy, h.va, h.access);
    if (got != want.r || (got == WALK_FAULT ? out.pfec != want.pfec : out.gpa != want.gpa) ||
        (got != WALK_NO_TABLE && memcmp(&m, &copy, sizeof(m)) != 0))
        abort();
    return 0;
}

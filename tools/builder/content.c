/* SPDX-License-Identifier: MIT */
#include "tools/builder/content.h"

#include <string.h>

#include "lib/pvstart.h"

void content_p2m(const struct pv_layout *l, const struct memory *m, const struct window *w)
{
    uint64_t *list = window_page(w, l->part[PV_P2M].pfn);

    for (uint64_t pfn = 0; pfn < m->nr_pages; pfn++)
        list[pfn] = memory_mfn(m, pfn);
}

/* --- page tables --- */

struct target {
    const struct memory *m;
    const struct window *w;
};

static uint64_t mfn_of(const void *target, uint64_t pfn)
{
    return memory_mfn(((const struct target *)target)->m, pfn);
}

static void *page_of(const void *target, uint64_t pfn)
{
    return window_page(((const struct target *)target)->w, pfn);
}

void content_tables(const struct pv_layout *l, const struct memory *m, const struct window *w)
{
    const struct target t = { .m = m, .w = w };
    const struct pv_memory memory = { .arg = &t, .mfn = mfn_of, .page = page_of };

    pv_start_tables(l, &memory);
}

/* --- start info --- */

void content_start_info(const struct pv_layout *l, const struct memory *m,
                        const struct content_info *info, void *page)
{
    struct start_info *si = page;

    pv_start_info(l, m->nr_pages, info->initrd_bytes, info->flags, si);
    si->shared_info = info->shared_info_mfn << PAGE_SHIFT;
    si->store_mfn = memory_mfn(m, l->part[PV_STORE].pfn);
    si->store_evtchn = info->store_port;
    si->console.domU.mfn = memory_mfn(m, l->part[PV_CONSOLE].pfn);
    si->console.domU.evtchn = info->console_port;
    memcpy(si->cmd_line, info->cmdline, strlen(info->cmdline) + 1);
}

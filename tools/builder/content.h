/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest finds in its memory at its start besides kernel and initramfs, by the plan of
 * lib/pvlayout.h: p2m list, page tables, start info. Pure functions over mapped pages that were
 * zero before.
 */
#ifndef BUILDER_CONTENT_H
#define BUILDER_CONTENT_H

#include <stdint.h>

#include <xen/event_channel.h>

#include "tools/builder/memory.h"
#include "lib/pvlayout.h"

/* The frames of PV_P2M must be in the window, in one piece. */
void content_p2m(const struct pv_layout *l, const struct memory *m, const struct window *w);

/* The frames of PV_TABLES and PV_P2M_TABLES must be in the window. */
void content_tables(const struct pv_layout *l, const struct memory *m, const struct window *w);

struct content_info {
    xen_pfn_t shared_info_mfn;
    evtchn_port_t console_port, store_port;
    uint32_t flags; /* SIF_ bits besides SIF_MOD_START_PFN */
    uint64_t initrd_bytes;
    const char *cmdline; /* shorter than MAX_GUEST_CMDLINE */
};

/* `page` is that of PV_START_INFO. */
void content_start_info(const struct pv_layout *l, const struct memory *m,
                        const struct content_info *info, void *page);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The Xen notes of a kernel (see <xen/elfnote.h>): what it is, what it needs, where it wants to be.
 */
#ifndef LIB_XENNOTE_H
#define LIB_XENNOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/elf.h"

#define XENNOTE_TEXT_MAX 32

struct xen_notes {
    uint32_t present; /* bit XEN_ELFNOTE_x: the note was there and could be read */

    uint64_t entry;                         /* virtual; the ELF header's if there is no such note */
    uint64_t virt_base;                     /* virtual address of pseudo-physical 0; 0 by default */
    uint64_t paddr_offset;                  /* what p_paddr has too much; 0 by default */
    uint64_t hypercall_page;                /* virtual */
    uint64_t init_p2m;                      /* virtual */
    uint64_t hv_start_low;                  /* virtual */
    uint64_t l1_valid_mask, l1_valid_value; /* the first pair */
    uint64_t phys32_entry;                  /* physical, for PVH */

    uint32_t features_supported; /* bit XENFEAT_x, from both notes; includes the required ones */
    uint32_t features_required;
    bool unknown_required; /* requires a feature that <xen/features.h> does not name */

    bool mod_start_pfn; /* the initramfs may lie outside of the initial mapping */
    bool suspend_cancel;
    bool bsd_symtab; /* wants its symbols behind itself: elf_bsd_symtab() */
    bool pae;

    char guest_os[XENNOTE_TEXT_MAX]; /* "" when missing, cut when longer */
    char guest_version[XENNOTE_TEXT_MAX];
    char xen_version[XENNOTE_TEXT_MAX];
    char loader[XENNOTE_TEXT_MAX];
};

static inline bool xennote_has(const struct xen_notes *n, unsigned note)
{
    return n->present >> note & 1;
}

/*
 * Collects the notes of an opened image; where one occurs twice, the first counts (so PT_NOTE
 * before sections). An image without any may have the older section __xen_guest. Notes that are
 * unknown here, or that no PV guest is built by and cannot be read, are passed over. Returns NULL,
 * or what is wrong: no Xen notes at all, or one of the wrong size.
 */
const char *xennote_parse(const struct elf_image *e, struct xen_notes *out);

/*
 * May this kernel run as a 64-bit PV guest? `offered` has the XENFEAT_ bits that the hypervisor
 * gives such a guest, `hv_start` is the lowest virtual address that it keeps for itself. Returns
 * NULL or why not.
 */
const char *xennote_check_pv(const struct xen_notes *n, const struct elf_image *e,
                             uint64_t hv_start, uint32_t offered, bool dom0);

#endif

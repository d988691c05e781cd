/* SPDX-License-Identifier: MIT */
/*
 * What a descriptor of a PV guest may say. Its kernel runs in ring 3 like its programs, so all that
 * matters is that no segment leads below ring 3, and that the processor never writes a table:
 *
 *   not present      anything; it can only raise #NP
 *   code, data       DPL becomes 3 (conforming code too), Accessed is set
 *   call gates       DPL becomes 0, so that every use of them raises #GP; RPL becomes 3
 *   type 0           the upper half of a call gate: using it raises #GP
 *   other systems'   refused: gates lead to other rings, a TSS or LDT is the hypervisor's to set up
 */
#include "core/arch.h"
#include "core/log.h"
#include "x86/layout.h"
#include "x86/pv/desc.h"

#include <xen/errno.h>

#define ENTRIES_PER_PAGE 512u

/* Bits of a descriptor. */
#define DESC_ACCESSED (1ull << 40)
#define DESC_S (1ull << 44) /* code or data */
#define DESC_DPL3 (3ull << 45)
#define DESC_P (1ull << 47)
#define GATE_RPL3 (3ull << 16)

#define TYPE_UPPER_HALF 0
#define TYPE_CALL_GATE 12

static unsigned int desc_type(uint64_t desc)
{
    return desc >> 40 & 15;
}

bool desc_ok(uint64_t *desc)
{
    if (!(*desc & DESC_P)) /* loading it raises #NP, whatever else it says */
        return true;
    if (*desc & DESC_S) {
        *desc |= DESC_DPL3 | DESC_ACCESSED;
        return true;
    }
    if (desc_type(*desc) == TYPE_CALL_GATE && pv_selector_ok((uint16_t)(*desc >> 16))) {
        *desc = (*desc & ~DESC_DPL3) | GATE_RPL3;
        return true;
    }
    return desc_type(*desc) == TYPE_UPPER_HALF;
}

int desc_validate_frame(struct frame *f)
{
    uint64_t *table = arch_map(frame_mfn(f));

    for (unsigned int i = 0; i < ENTRIES_PER_PAGE; i++) {
        uint64_t d = table[i], fixed = d;
        if (!desc_ok(&fixed)) {
            log_refusal(NULL, "descriptor %u of frame %#lx: %#lx is a system segment", i,
                        frame_mfn(f).v, d);
            return -XEN_EINVAL;
        }
        if (fixed != d)
            table[i] = fixed;
    }
    return 0;
}

bool pv_selector_ok(uint16_t sel)
{
    uint16_t s = (uint16_t)(sel | 3);

    return (sel & 4) || sel < GDT_GUEST_ENTRIES * 8 || s == SEL_RING3_CS32 || s == SEL_RING3_DS ||
           s == SEL_RING3_CS64;
}

/* SPDX-License-Identifier: MIT */
/*
 * What emulation of privileged instructions keeps for a PV vCPU. Each field belongs to the vCPU
 * itself: it is read and written while the vCPU is current, or before it ever ran.
 */
#ifndef X86_PV_PRIVSTATE_H
#define X86_PV_PRIVSTATE_H

#include "core/types.h"

struct pv_privstate {
    uint64_t cr0;            /* as the guest sees it, but TS: that is pv_vcpu.ts */
    uint64_t cr4;            /* as the guest sees it */
    uint8_t iopl;            /* PHYSDEVOP_set_iopl: 0 nobody, 1 and 2 kernel, 3 programs too */
    uint32_t iobitmap_ports; /* ports covered by the bitmap; 0: none */
    gptr_t iobitmap;         /* PHYSDEVOP_set_iobitmap: a clear bit permits the port */
    uint32_t tsc_aux;        /* MSR_TSC_AUX: the CPU must hold it while this vCPU runs */
};

#endif

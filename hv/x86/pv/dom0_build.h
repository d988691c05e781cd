/* SPDX-License-Identifier: MIT */
/* Domain 0: built at boot from the loader's modules. */
#ifndef X86_PV_DOM0_BUILD_H
#define X86_PV_DOM0_BUILD_H

#include "lib/cmdline.h"
#include "x86/pv/ioport.h"

struct dom0_options {
    const struct cmdline_dom0_mem *mem; /* dom0_mem= */
    unsigned int min_vcpus, max_vcpus;  /* dom0_max_vcpus=; 0: not given */
    struct ioport_machine ports;        /* what stays the hypervisor's */
};

/*
 * Build Domain 0 from module 0 (kernel) and module 1 (initramfs), both of which go back to the
 * allocator, and make its first vCPU runnable. All CPUs are up, the allocator runs, the
 * decompressors are still there; they are given back. NULL, or why there is no Domain 0: then the
 * machine cannot go on, and nothing has been cleaned up. One CPU, at boot.
 */
const char *dom0_build(const struct dom0_options *o);

#endif

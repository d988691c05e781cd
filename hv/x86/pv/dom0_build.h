/* SPDX-License-Identifier: MIT */
/* Domain 0: built at boot from the loader's modules. */
#ifndef X86_PV_DOM0_BUILD_H
#define X86_PV_DOM0_BUILD_H

#include "x86/boot/dom0_image.h"
#include "x86/pv/ioport.h"

struct dom0_options {
    const struct cmdline_dom0_mem *mem; /* dom0_mem= */
    unsigned int vcpus;
    struct ioport_machine ports; /* what stays the hypervisor's */
};

/*
 * Build Domain 0 as a PV guest from an opened image, whose sources go back to the allocator, and
 * make its first vCPU runnable. All CPUs are up. NULL, or why there is no Domain 0: then the
 * machine cannot go on, and nothing has been cleaned up. One CPU, at boot.
 */
const char *dom0_build(struct dom0_image *im, const struct dom0_options *o);

#endif

/* SPDX-License-Identifier: MIT */
/* Domain 0 as a PVH guest (option dom0=pvh). */
#ifndef X86_HVM_DOM0_H
#define X86_HVM_DOM0_H

#include "x86/boot/dom0_image.h"

/*
 * Build it from an opened image, whose sources go back to the allocator, and make its first vCPU
 * runnable. NULL, or why there is none: then the machine cannot go on. Once, at boot.
 */
const char *pvh_dom0_build(struct dom0_image *im, const struct cmdline_dom0_mem *mem,
                           unsigned int vcpus);

#endif

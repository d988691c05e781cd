/* SPDX-License-Identifier: MIT */
/* Family, model and stepping out of CPUID leaf 1's EAX (Intel SDM volume 2, CPUID). Pure. */
#ifndef X86_CPU_SIGNATURE_H
#define X86_CPU_SIGNATURE_H

#include <stdint.h>

struct cpu_signature {
    unsigned int family, model, stepping;
};

/* The model's upper half counts in families 6 and 15 and on, the family's upper part behind 15. */
static inline struct cpu_signature cpu_signature(uint32_t eax)
{
    struct cpu_signature s = { eax >> 8 & 15, eax >> 4 & 15, eax & 15 };

    if (s.family == 6 || s.family == 15)
        s.model |= eax >> 12 & 0xf0;
    if (s.family == 15)
        s.family += eax >> 20 & 0xff;
    return s;
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the tools tell a domain about its machine: CPU policy and memory map. */
#ifndef X86_POLICY_TOLD_H
#define X86_POLICY_TOLD_H

#include "lib/cpu_policy.h"
#include "x86/vcpu.h"

/* An entry as the BIOS call E820 returns it. */
struct e820_entry {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

#define MAX_E820 100

/* A page of its own: Dom0, and a domain that is told nothing, has none. */
struct x86_told {
    struct cpu_policy cpu; /* [domctl lock; constant once the domain runs] if has_cpu */
    bool has_cpu;
    uint32_t nr_e820; /* 0: it has no map */
    struct e820_entry e820[MAX_E820];
};
_Static_assert(sizeof(struct x86_told) <= PAGE_SIZE, "one page");

/* d's record, made if there is none; NULL: no memory. It goes with d's own. */
struct x86_told *told_get(struct domain *d);
void told_free(struct domain *d);

/* XENMEM_set_memory_map, and XENMEM_memory_map of v's own domain. */
long told_set_memory_map(struct vcpu *v, gptr_t arg);
long told_memory_map(struct vcpu *v, gptr_t arg);

#endif

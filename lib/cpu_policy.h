/* SPDX-License-Identifier: MIT */
/*
 * A CPU policy: the CPUID leaves and constant MSRs that a guest finds. Pure functions; the numbers
 * and the exchange format are those of <xen/arch-x86/xen.h> (xen_cpuid_leaf_t, xen_msr_entry_t), of
 * which a policy has at most CPU_POLICY_LEAVES and CPU_POLICY_MSRS. What depends on the vCPU or
 * changes while it runs (its APIC id, OSXSAVE, sizes by XCR0) is not part of it.
 */
#ifndef LIB_CPU_POLICY_H
#define LIB_CPU_POLICY_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
    uint32_t a, b, c, d;
};

/* As xen_cpuid_leaf_t and xen_msr_entry_t, which only x86's headers have. */
struct cpu_policy_leaf {
    uint32_t leaf, subleaf;
    struct cpuid_regs r;
};

struct cpu_policy_msr {
    uint32_t idx, flags;
    uint64_t val;
};

#define CPU_POLICY_LEAVES 120
#define CPU_POLICY_MSRS 2
#define CPU_POLICY_WORDS 19 /* of a featureset, in the order of <xen/arch-x86/cpufeatureset.h> */
#define CPU_POLICY_NOWHERE 0xffffffffu

#define CPU_POLICY_MAX_BASIC 0xdu
#define CPU_POLICY_MAX_EXT 0x80000021u

struct cpu_policy {
    struct cpuid_regs leaf[CPU_POLICY_LEAVES];
    struct {
        uint32_t lo, hi;
    } msr[CPU_POLICY_MSRS];
};

/* What a check objects to; CPU_POLICY_NOWHERE in what it is not about. */
struct cpu_policy_where {
    uint32_t leaf, subleaf, msr;
};

/* The registers of a leaf, whose sub-leaf matters only where it has any; NULL: not in a policy. */
struct cpuid_regs *cpu_policy_at(struct cpu_policy *p, uint32_t leaf, uint32_t sub);
/* As a guest finds it: zeros for what is not in p or is beyond its last leaf. */
struct cpuid_regs cpu_policy_ask(const struct cpu_policy *p, uint32_t leaf, uint32_t sub);
/* Word i < CPU_POLICY_WORDS of the featureset. */
uint32_t *cpu_policy_word(struct cpu_policy *p, unsigned int i);

/*
 * Fill p from a processor: ask(leaf, sub) executes CPUID. MSRs stay as they are. What is beyond the
 * processor's last leaf is zero.
 */
void cpu_policy_fill(struct cpu_policy *p,
                     void (*ask)(uint32_t leaf, uint32_t sub, struct cpuid_regs *out));

/*
 * One after the other, what tools are given of p: starts with *at == 0; false at the end. Leaves
 * that p's own limits (last leaf, last sub-leaf, states) rule out are left out.
 */
bool cpu_policy_next_leaf(const struct cpu_policy *p, unsigned int *at,
                          struct cpu_policy_leaf *out);
bool cpu_policy_next_msr(const struct cpu_policy *p, unsigned int *at, struct cpu_policy_msr *out);

/*
 * Take one entry over into p. 0, or a positive XEN_E* with *where: ERANGE for a leaf or MSR that
 * no policy has, EINVAL for reserved bits.
 */
int cpu_policy_put_leaf(struct cpu_policy *p, const struct cpu_policy_leaf *in,
                        struct cpu_policy_where *where);
int cpu_policy_put_msr(struct cpu_policy *p, const struct cpu_policy_msr *in,
                       struct cpu_policy_where *where);

/*
 * Could a guest with p run where `max` is the most that guests may have? False with *where: the
 * first limit, feature word or MSR that exceeds max.
 */
bool cpu_policy_fits(const struct cpu_policy *p, const struct cpu_policy *max,
                     struct cpu_policy_where *where);
/* The limits alone, which cannot be cut without lying to the guest about what is there: not where
 * the further leaves are empty. */
bool cpu_policy_limits_fit(const struct cpu_policy *p, const struct cpu_policy *max,
                           struct cpu_policy_where *where);
/*
 * Cut p to what max has too: features, states, last leaves, address bits. p keeps its signature
 * (family, model, stepping); what describes the machine (vendor, name, caches) becomes max's.
 */
void cpu_policy_level(struct cpu_policy *p, const struct cpu_policy *max);
/*
 * Make p consistent: features go that need states or features which are not there; sizes and
 * limits follow. Idempotent.
 */
void cpu_policy_settle(struct cpu_policy *p);

/* XCR0 bits that p offers. */
uint64_t cpu_policy_states(const struct cpu_policy *p);
/* Bytes of an XSAVE area of p for the states in `mask`, in standard or compacted form. */
uint32_t cpu_policy_xsave_size(const struct cpu_policy *p, uint64_t mask, bool compact);

#endif

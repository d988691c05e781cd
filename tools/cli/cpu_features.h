/* SPDX-License-Identifier: MIT */
/*
 * Features of processors, as the ABI numbers them (<xen/arch-x86/cpufeatureset.h>): words of 32
 * bits, each a register of a CPUID leaf. A guest has a policy: which of the host's features it
 * finds. What it found it may use for ever, so it can move only to a host that has them all.
 */
#ifndef TOOLS_CLI_CPU_FEATURES_H
#define TOOLS_CLI_CPU_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/domctl.h>

#define CPU_WORDS 11u /* those that guests find by CPUID and that a host may lack */
#define CPU_LEAVES 512u
#define CPU_MSRS 64u

struct error;
struct xen;

struct cpu_features {
    uint32_t word[CPU_WORDS];
};

/* What stands in CPUID leaves. */
void cpu_features_read(struct cpu_features *f, const xen_cpuid_leaf_t *leaves, unsigned int n);
/* The name of bit % 32 of word bit / 32, in small letters; NULL: it has none. */
const char *cpu_feature_name(unsigned int bit);
/* The bit of a name, also of xl's spelling; -1: nobody has heard of it. */
int cpu_feature_find(const char *name);
/* The register that a word stands in: "7:0 ebx". To free(). */
char *cpu_word_name(unsigned int word);
/*
 * Which features of a processor `have` lacks of `need`, by name, or by bit if they have none. To
 * free().
 */
char *cpu_features_missing(const struct cpu_features *need, const struct cpu_features *have);

/* Takes these out of CPUID leaves. */
void cpu_features_clear(const struct cpu_features *off, xen_cpuid_leaf_t *leaves, unsigned int n);

struct cpu_wish {
    struct cpu_features off, on;
};

/*
 * A configuration's cpuid=: "host,FEATURE=VALUE,...", where 0 takes the feature away, 1 insists on
 * it, and x, k and s leave it as the host has it. NULL, or what is wrong with it, to free().
 */
char *cpu_wish_parse(const char *text, struct cpu_wish *w);

/* --- cpu_policy.c --- */

/* What guests of a kind find on this host. -1 with e. */
int cpu_policy_of_host(struct xen *x, bool hvm, struct cpu_features *f, struct error *e);
/*
 * Gives the domain, which has its vCPUs and no memory yet, the policy that it asks for. -1 with e:
 * it insists on what this host does not have.
 */
int cpu_wish_apply(struct xen *x, unsigned int domid, const char *text, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Any entries, as a tool may hand them over, laid over a host's policy and levelled: the result
 * fits the host, is consistent, and comes back from its own entries as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cpu_policy.h"

#define MUST(cond)            \
    do {                      \
        if (!(cond))          \
            __builtin_trap(); \
    } while (0)

static struct cpu_policy max, p, q;

static void put(struct cpu_policy *to, const uint8_t *data, size_t size)
{
    struct cpu_policy_leaf l;
    struct cpu_policy_msr m;
    struct cpu_policy_where w;

    for (; size > sizeof(l); data += sizeof(l) + 1, size -= sizeof(l) + 1) {
        memcpy(&l, data + 1, sizeof(l));
        memcpy(&m, data + 1, sizeof(m));
        if (*data & 1) /* small numbers are met more often */
            l.leaf &= 0x8000003f, l.subleaf = *data & 2 ? CPU_POLICY_NOWHERE : l.subleaf & 63;
        if (*data & 128)
            (void)cpu_policy_put_msr(to, &m, &w);
        else
            (void)cpu_policy_put_leaf(to, &l, &w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpu_policy_leaf l;
    struct cpu_policy_msr m;
    struct cpu_policy_where w;
    unsigned int at = 0, n = 0;

    memset(&max, 0, sizeof(max));
    put(&max, data, size / 2);
    cpu_policy_settle(&max);
    q = max;
    cpu_policy_settle(&q);
    MUST(memcmp(&q, &max, sizeof(q)) == 0);
    p = max;
    put(&p, data + size / 2, size - size / 2);
    cpu_policy_level(&p, &max);
    MUST(cpu_policy_fits(&p, &max, &w));
    q = p;
    cpu_policy_level(&q, &max);
    MUST(memcmp(&q, &p, sizeof(q)) == 0);
    for (; cpu_policy_next_leaf(&p, &at, &l); n++) {
        struct cpuid_regs r = cpu_policy_ask(&p, l.leaf, l.subleaf);
        MUST(memcmp(&r, &l.r, sizeof(r)) == 0);
        MUST(cpu_policy_put_leaf(&q, &l, &w) == 0);
    }
    MUST(n <= CPU_POLICY_LEAVES);
    for (at = 0; cpu_policy_next_msr(&p, &at, &m);)
        MUST(cpu_policy_put_msr(&q, &m, &w) == 0);
    MUST(memcmp(&q, &p, sizeof(q)) == 0);
    MUST(cpu_policy_xsave_size(&p, cpu_policy_states(&p), false) >= 576 || !cpu_policy_states(&p));
    return 0;
}

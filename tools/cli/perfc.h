/* SPDX-License-Identifier: MIT */
/* The hypervisor's counters (sysctl perfc_op), as one moment's values under their names. */
#ifndef TOOLS_CLI_PERFC_H
#define TOOLS_CLI_PERFC_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lib/xen.h"

struct perfc_counter {
    char name[80];
    unsigned int nr;      /* values */
    const uint32_t *vals; /* in the record that holds it */
};

struct perfc {
    struct perfc_counter *counter;
    unsigned int nr;
    uint32_t *vals;
};

/* 0, or -errno (-ENOSYS and the like: this hypervisor counts nothing). The caller frees. */
int perfc_read(struct xen *x, struct perfc *p);
void perfc_free(struct perfc *p);
const struct perfc_counter *perfc_find(const struct perfc *p, const char *name);
/* The ABI's name of a hypercall's number, or NULL. */
const char *hypercall_name(unsigned int nr);

/*
 * What calls of a number have cost, in Orlop's histogram: n of them less than 128 * 4^n ns, the
 * last place is for what took longer. Orlop measures for 100 seconds after somebody read the
 * counters.
 */
#define CALL_NUMBERS 64
#define CALL_COSTS 8
struct call_cost {
    uint32_t calls;            /* all, measured or not */
    uint32_t took[CALL_COSTS]; /* of those that were measured */
    uint64_t ns;               /* their sum */
};
/* False if there is no name for the number, or nothing was counted. */
bool perfc_call(const struct perfc *p, unsigned int nr, struct call_cost *c);
/* The upper end of a place of the histogram but the last. */
static inline uint64_t call_cost_below_ns(unsigned int place)
{
    return 128ull << (2 * place);
}

#endif

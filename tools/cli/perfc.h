/* SPDX-License-Identifier: MIT */
/* The hypervisor's counters (sysctl perfc_op), as one moment's values under their names. */
#ifndef TOOLS_CLI_PERFC_H
#define TOOLS_CLI_PERFC_H

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

#endif

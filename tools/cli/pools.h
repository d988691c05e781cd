/* SPDX-License-Identifier: MIT */
/*
 * CPU pools as the tools see them: numbers and CPUs from the hypervisor, names from
 * /local/pool/N/name in xenstore, where xl keeps them too. Number 0 is Pool-0.
 */
#ifndef TOOLS_CLI_POOLS_H
#define TOOLS_CLI_POOLS_H

#include <stdint.h>

#include "tools/cli/config.h"
#include "tools/cli/host.h"

#define POOLS_MAX 64
#define POOL_NAME 64
#define POOL_ANY 0xffffffffu

struct pool {
    unsigned int id, domains, sched;
    char name[POOL_NAME]; /* cleaned (text.h); "Pool-N" when nobody wrote one */
    uint8_t cpus[CONFIG_MAX_CPUS / 8];
};

/* All pools by number: how many, or -1 with e. */
int pools_get(struct host *h, struct pool *out, struct error *e);
/* The pool of that name or number; -1 with e, which tells those that there are. */
int pool_find(struct host *h, const char *word, struct pool *out, struct error *e);
/* One operation of sysctl cpupool_op on a pool (XEN_SYSCTL_CPUPOOL_OP_*): -errno, or 0; *pool is
 * the pool that a creation made. */
int pool_op(struct xen *x, uint32_t op, uint32_t *pool, uint32_t domid, uint32_t cpu);
/* The CPUs in no pool. */
int pool_free_cpus(struct xen *x, uint8_t *cpus);
/* What a failed operation means, and what helps. Returns -1. */
int pool_error(struct error *e, int rc, const struct pool *p, const char *what);
/* "credit", or another one of Xen's. */
const char *pool_scheduler(const struct pool *p);
/* "0-3,5" of a bitmap, to free(); "none". */
char *pool_cpu_text(const uint8_t *cpus);

#endif

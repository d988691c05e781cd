/* SPDX-License-Identifier: MIT */
/* Where vCPUs may run. */
#ifndef TOOLS_CLI_CPUS_H
#define TOOLS_CLI_CPUS_H

#include <stdint.h>

struct affinity_config;
struct error;
struct xen;

/* Whether the host has the CPUs of all these lists; -1 with e. */
int cpus_check(struct xen *x, const struct affinity_config *a, const char *key, struct error *e);

/* hard or soft may be NULL: stays as it is. Lists as in cpus=. */
int cpus_pin(struct xen *x, unsigned int domid, unsigned int vcpu, const char *hard,
             const char *soft, struct error *e);

/* For all vCPUs of a new guest, as its configuration says. */
int cpus_apply(struct xen *x, unsigned int domid, unsigned int vcpus,
               const struct affinity_config *hard, const struct affinity_config *soft,
               struct error *e);

#endif

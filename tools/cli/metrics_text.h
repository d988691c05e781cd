/* SPDX-License-Identifier: MIT */
/* What `orlop metrics` prints. */
#ifndef TOOLS_CLI_METRICS_TEXT_H
#define TOOLS_CLI_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

#include "tools/cli/perfc.h"
#include "tools/cli/top.h"

/* One moment of a host. */
struct metrics {
    const struct top_sample *sample;
    const uint64_t *idle_ns;   /* of each of `cpus` CPUs */
    unsigned int cpus;         /* 0: the hypervisor did not tell */
    const struct perfc *perfc; /* or NULL: it counts nothing */
};

void metrics_text(FILE *out, const struct metrics *m);

#endif

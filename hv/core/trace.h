/* SPDX-License-Identifier: MIT */
/*
 * The event trace: each CPU writes what happens on it into a buffer of its own, in the ABI's record
 * format (<xen/trace.h>), which Domain 0's tools map and read. See trace.c.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <stdint.h>

#include <xen/trace.h>

#include "core/types.h"
#include "core/watch.h"
#include "lib/macros.h"

struct vcpu;
struct hc_args;

/*
 * Writes a record of `n` words (at most TRACE_EXTRA_MAX) into this CPU's buffer, if the masks want
 * it. Any locks: it takes none. Not from NMIs.
 */
void trace_record(uint32_t event, unsigned int n, const uint32_t *extra) __attribute__((cold));

/* A record with the words that follow; while tracing is off one branch, predicted so. */
#define TRACE(event, ...)                                    \
    do {                                                     \
        if (watching(WATCH_TRACE)) {                         \
            const uint32_t extra_[] = { __VA_ARGS__ };       \
            trace_record(event, ARRAY_SIZE(extra_), extra_); \
        }                                                    \
    } while (0)

/* How the records of the ABI name a vCPU: its domain's id above its own. */
uint32_t trace_vcpu(const struct vcpu *v);
/* v, current, is about to call hypercall nr: tells its first three arguments. */
void trace_hypercall(struct vcpu *v, unsigned long nr, const struct hc_args *args);

/*
 * Orlop's own records. The ABI has none for events between domains: who sent (dom << 16 | vcpu), to
 * whose port (dom << 16 | vCPU that the port notifies), and the port.
 */
#define TRC_ORLOP_EVENT (0x00011000 + 1) /* class "general", its first subclass */

/* Exit-path work WORK_TRACE: raises VIRQ_TBUF in Domain 0. */
void trace_notify(void);

#endif

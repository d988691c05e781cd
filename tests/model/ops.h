/* SPDX-License-Identifier: MIT */
/*
 * One step of the model test: a random word decides which hypercall, with what arguments and what
 * in the guest's memory. The same word in the same state does the same, so a stream of words can be
 * replayed and shrunk.
 */
#ifndef TESTS_MODEL_OPS_H
#define TESTS_MODEL_OPS_H

#include "host/host.h"
#include "model/stream.h"

#define MODEL_DOMAINS 3
#define MODEL_VCPUS 2
#define MODEL_PAGES 8

/* What a guest does to its own memory while others look at it: not the hypervisor's races. */
#define BY_GUEST __attribute__((no_sanitize("thread")))

extern struct domain *model_dom[MODEL_DOMAINS];

/* The domains, their vCPUs up. */
void model_setup(void);
/* v, which is current on this thread's CPU, does what `word` says. Returns the call's result. */
long model_step(struct vcpu *v, uint64_t word);
/* Give back all that streams may have taken; afterwards free memory is as after model_setup(). */
void model_teardown(void);
/* What the last step was, for reports. */
extern __thread char model_last[160];

#endif

/* SPDX-License-Identifier: MIT */
/* Steps of the PV model test: guests with real page tables, and what they may come up with. */
#ifndef TESTS_MODEL_PV_OPS_H
#define TESTS_MODEL_PV_OPS_H

#include "host/pv_machine.h"

#define PV_DOMAINS 3
#define PV_VCPUS 3 /* the last one of a domain is brought up by the stream */

extern struct domain *pv_dom[PV_DOMAINS];
extern uint32_t pv_taken[PV_DOMAINS][PV_VCPUS]; /* atomic: a CPU runs it, or is about to */
/* What the last step was, for reports. */
extern __thread char pv_last[256];

/* The domains, their first vCPUs with a context; each CPU runs one. */
void pv_model_setup(void);
/* Does what the word says. The same word in the same state does the same. */
void pv_model_step(uint64_t word);
/* For threads: the next steps' choices; a step of this thread's CPU. */
void pv_model_seed(uint64_t seed);
void pv_model_step_here(uint64_t word);
/* For the fuzzer: these bytes decide, two for each choice, as long as there are any. */
void pv_model_choices(const uint8_t *bytes, size_t n);
size_t pv_model_choices_left(void);
/* What a thread remembers of earlier steps goes. */
void pv_model_forget(void);
/* Destroys domain `id`, or builds it again when it is gone. Threads stand still meanwhile. */
void pv_model_end_one(unsigned int id);
/* v of Dom0 makes, fills, runs, destroys domains of its own by hypercalls. */
void pv_model_tools(struct vcpu *v);
/* v of Dom0 copies the memory of another domain that goes on, by the log of its writes. */
void pv_model_log(struct vcpu *v);
/* The grants that `holder` has mapped are gone with it. */
void pv_model_forget_grants(domid_t holder);
/* Takes the domains down; ends the program when a frame is left over. */
void pv_model_teardown(void);

#endif

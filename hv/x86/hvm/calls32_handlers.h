/* SPDX-License-Identifier: MIT */
/* Handlers of hypercalls from 32-bit code, for the table in glue/. */
#ifndef X86_HVM_CALLS32_HANDLERS_H
#define X86_HVM_CALLS32_HANDLERS_H

#include "core/hypercall.h"

hc_fn hc_xen_version32, hc_sched_op32, hc_set_timer_op32, hc_vcpu_op32, hc_memory_op32,
    hc_grant_table_op32, hc_multicall32;

#endif

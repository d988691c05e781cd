/* SPDX-License-Identifier: MIT */
/* hv/x86/mm/paging.h with the direct map at the simulated machine's memory. */
#ifndef TESTS_PV_PAGING_H
#define TESTS_PV_PAGING_H

#define direct(...) direct_by_layout(__VA_ARGS__)
#define direct_pa(...) direct_pa_by_layout(__VA_ARGS__)
#include "hv/x86/mm/paging.h"
#undef direct
#undef direct_pa
#undef m2p_rw

/* An address that faults where there is no RAM. */
void *direct(uint64_t pa);
uint64_t direct_pa(const void *p);
extern uint64_t *m2p_rw;

#endif

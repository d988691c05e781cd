/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the code under test, roughly: gcc calls us in each basic block of what is
 * compiled with -fsanitize-coverage=trace-pc, and the linker sends copies and clearing here.
 */
#include "host/cost.h"

#include <string.h>

#define BLOCK 6 /* a basic block of the hypervisor has 4 to 6 instructions */

uint64_t host_cost;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    host_cost += BLOCK;
}

void *__real_memcpy(void *dst, const void *src, size_t n);
void *__wrap_memcpy(void *dst, const void *src, size_t n);
void *__real_memset(void *dst, int c, size_t n);
void *__wrap_memset(void *dst, int c, size_t n);

void *__wrap_memcpy(void *dst, const void *src, size_t n)
{
    host_cost += BLOCK + n / 8;
    return __real_memcpy(dst, src, n);
}

void *__wrap_memset(void *dst, int c, size_t n)
{
    host_cost += BLOCK + n / 8;
    return __real_memset(dst, c, n);
}

/* SPDX-License-Identifier: MIT */
#include "core/hypercall.h"
long arch_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start);
long arch_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start)
{
    return E(ENOSYS);
}

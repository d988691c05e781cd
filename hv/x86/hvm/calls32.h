/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls from 32-bit kernels: pointers, `long`s and frame numbers have four bytes there, and
 * 64-bit values are aligned to four. A shape says how a structure of such a caller becomes the one
 * that the handlers know. The 32-bit layouts are those of gcc -m32 for the public headers.
 *
 * The structure that a handler gets lies in a stage, a few bytes of the vCPU's record that
 * hvm_copy_from() and hvm_copy_to() serve at addresses which no 32-bit pointer has. It holds
 * nothing but the caller's own values; a caller that finds a way to name it reads and writes these.
 */
#ifndef X86_HVM_CALLS32_H
#define X86_HVM_CALLS32_H

#include "core/hypercall.h"
#include "x86/hvm/hvm.h"

#define STAGE_BASE (1ull << 40)

/* A field: where it is on both sides; its bytes, or 0: 4 bytes that become 8. */
struct field32 {
    uint8_t at32, at64, bytes;
};

struct shape32 {
    uint8_t size32, size64, fields;
    struct field32 field[7];
};

void *stage(struct vcpu *v);
/* Both sides are whole: what no field names becomes zero. */
void widen(const struct shape32 *s, const void *from32, void *to64);
void narrow(const struct shape32 *s, const void *from64, void *to32);

/*
 * Calls fn with its structure, args[which], of shape s translated: in before, and out after a
 * result that is no error.
 */
enum { SHAPE_IN = 1, SHAPE_OUT = 2 };
long call_shaped(struct vcpu *v, hc_fn *fn, const struct hc_args *args, unsigned int which,
                 const struct shape32 *s, unsigned int ways);

/* A hypercall of v, current, from 32-bit code; args have no more than 32 bits each. */
long hypercall_dispatch32(struct vcpu *v, unsigned long nr, const struct hc_args *args);

#endif

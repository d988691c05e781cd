/* SPDX-License-Identifier: MIT */
/*
 * The only way to guest memory. Copies cannot fault the hypervisor and never reach its own range;
 * a guest may change the bytes at any time, so each is read once, into hypervisor memory, and
 * looked at there.
 */
#ifndef CORE_GUEST_H
#define CORE_GUEST_H

#include "core/domain.h"

/* 0 or -EFAULT. v is current on this CPU. */
static inline int guest_read(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    return v->domain->ops->copy_from(v, dst, src, n);
}

static inline int guest_write(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    return v->domain->ops->copy_to(v, dst, src, n);
}

static inline gptr_t gptr_add(gptr_t p, uint64_t bytes)
{
    return GPTR(p.v + bytes);
}

/* Element `i` of an array of `size`-byte elements; false when the address would wrap. */
static inline bool gptr_index(gptr_t base, uint64_t i, size_t size, gptr_t *out)
{
    uint64_t off, sum;
    if (__builtin_mul_overflow(i, size, &off) || __builtin_add_overflow(base.v, off, &sum))
        return false;
    *out = GPTR(sum);
    return true;
}

/* Copy a whole object: guest_get(v, &obj, ptr). */
#define guest_get(v, obj, src) guest_read((v), (obj), (src), sizeof(*(obj)))
#define guest_put(v, dst, obj) guest_write((v), (dst), (obj), sizeof(*(obj)))
/* The pointer inside an ABI structure's guest handle. */
#define HANDLE_PTR(h) GPTR((h).p)

/* Address of element i of the array behind a handle. */
#define HANDLE_AT(h, i) GPTR((uint64_t)(h).p + (uint64_t)(i) * sizeof(*(h).p))

#endif

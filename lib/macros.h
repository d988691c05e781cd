/* SPDX-License-Identifier: MIT */
/*
 * Small helpers without state. Arguments of MIN, MAX, ALIGN_* and DIV_ROUND_UP must be free of side
 * effects.
 */
#ifndef LIB_MACROS_H
#define LIB_MACROS_H

#include <stddef.h>
#include <stdint.h>

/* Refuses to compile for a pointer. */
#define ARRAY_SIZE(a)           \
    (sizeof(a) / sizeof(*(a)) + \
     0 * sizeof(char[1 - 2 * __builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0]))]))

#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The alignment must be a power of two; ALIGN_UP wraps to 0 at the top of the type. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

#define BIT(n) (1UL << (n))
#define BIT64(n) (UINT64_C(1) << (n))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define static_assert_size(type, size) \
    _Static_assert(sizeof(type) == (size), "sizeof(" #type ") is not " #size)
#define static_assert_offset(type, member, off)                                           \
    _Static_assert(offsetof(type, member) == (off), "offset of " #type "." #member " is " \
                                                    "not " #off)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Boxed integers for the number kinds that must never be mixed up. They stay structs in every
 * build: a one-word struct travels in a register on the ABIs we use.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>

#include "lib/macros.h"

/* Machine frame number: a 4 KiB frame of real memory. */
typedef struct {
    uint64_t v;
} mfn_t;

/* Guest frame number. For a PV guest gfn = mfn. */
typedef struct {
    uint64_t v;
} gfn_t;

/* Machine (physical) address in bytes. */
typedef struct {
    uint64_t v;
} maddr_t;

/* Address as a guest kernel passes it to a hypercall; never dereferenced outside guest access. */
typedef struct {
    uint64_t v;
} gptr_t;

/* Arguments of a hypercall as the guest passed them; what a call does not use is garbage. */
struct hc_args {
    unsigned long a[5];
};
#define HC_ARGS(...) ((struct hc_args){ { __VA_ARGS__ } })

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define MFN(x) ((mfn_t){ (x) })
#define GFN(x) ((gfn_t){ (x) })
#define MADDR(x) ((maddr_t){ (x) })
#define GPTR(x) ((gptr_t){ (uint64_t)(x) })
#define MFN_NONE MFN(~0ull)

static inline bool mfn_eq(mfn_t a, mfn_t b)
{
    return a.v == b.v;
}

static inline mfn_t mfn_add(mfn_t a, uint64_t n)
{
    return MFN(a.v + n);
}

static inline maddr_t mfn_maddr(mfn_t m)
{
    return MADDR(m.v << PAGE_SHIFT);
}

static inline mfn_t maddr_mfn(maddr_t a)
{
    return MFN(a.v >> PAGE_SHIFT);
}

#endif

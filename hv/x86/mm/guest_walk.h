/* SPDX-License-Identifier: MIT */
/*
 * A guest's own page tables, walked as its CPU would: AMD APM volume 2, chapter 5 and 15.25; Intel
 * SDM volume 3, chapter 4. Without paging, 32-bit tables with PSE, PAE, four levels. Memory is
 * reached through callbacks.
 */
#ifndef X86_MM_GUEST_WALK_H
#define X86_MM_GUEST_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* Bits of a page fault's error code; W, U and I also say what access is asked for. */
#define PFEC_P 0x01u
#define PFEC_W 0x02u
#define PFEC_U 0x04u
#define PFEC_RSVD 0x08u
#define PFEC_I 0x10u
#define WALK_IMPLICIT \
    0x100u               /* the CPU's own access, to a descriptor table: AC does not lift SMAP */
#define WALK_LOOK 0x200u /* leaves accessed and dirty bits as they are */

/* Registers that decide how a walk goes; bits that are not about paging are ignored. */
struct guest_paging {
    uint64_t cr0, cr3, cr4, efer, rflags;
    uint8_t phys_bits; /* of the guest's physical addresses: what is above is reserved */
    bool page1gb;      /* the guest's CPUID has pages of 1 GiB */
};

struct guest_walk_ops {
    /*
     * The page of guest frame gfn, to be read, or written too; NULL: no memory, or none that may be
     * accessed so. It stays valid until put().
     */
    void *(*get)(void *ctx, uint64_t gfn, bool write);
    void (*put)(void *ctx, uint64_t gfn, void *page); /* may be NULL */
};

enum guest_walk_result {
    WALK_OK,
    WALK_FAULT,    /* the guest's page fault: out->pfec is its error code */
    WALK_NO_TABLE, /* a table is where no memory is, or may not be written: out->gpa says where */
    WALK_AGAIN     /* another CPU of the guest keeps changing the tables: execute again */
};

struct guest_walk {
    uint64_t gpa;        /* guest-physical address of what was asked for */
    uint8_t order;       /* of the page it is in; 0, 9, 10 or 18 */
    bool writable, user; /* by the entries of all levels */
    uint32_t pfec;
};

/*
 * The guest-physical address of linear address va for an access of PFEC_W, PFEC_U, PFEC_I and
 * WALK_* bits. Sets accessed and dirty bits by compare-and-exchange, only if the access is allowed.
 * va is canonical, or below 4 GiB outside long mode: segments are the caller's business.
 */
enum guest_walk_result guest_walk(const struct guest_paging *g, const struct guest_walk_ops *ops,
                                  void *ctx, uint64_t va, uint32_t access, struct guest_walk *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor for tests of the builder: it has memory, one domain without any, and the calls that
 * the builder makes, checked as strictly as the real ones. It takes the place of tools/lib/xen.c
 * and libxenforeignmemory. Its state is shared with child processes.
 */
#ifndef TESTS_FAKE_XEN_H
#define TESTS_FAKE_XEN_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#define FAKE_DOMID 7
#define FAKE_FRAMES 32768ul /* 128 MiB */
#define FAKE_CALLS 400
#define FAKE_GFNS 0x100000u /* 4 GiB of a hardware-assisted guest's addresses */
#define FAKE_RANGES 4
#define FAKE_PARAMS 64
#define FAKE_CONTEXT 8192
#define FAKE_VCPUS 3 /* of such a guest */

struct fake_xen {
    /* Set by the test. */
    uint64_t limit;       /* pages that the domain may get */
    bool no_chunks;       /* memory comes in single pages only */
    bool odd_chunks_fail; /* every second extent of 2 MiB does not come in one piece */
    bool hvm;             /* frames are named by where they are in the guest */
    bool dirty;           /* memory comes with rubbish in it */
    unsigned int fail_at; /* this call (from 1 on) fails; 0: none */
    const char *shrink;   /* this file is cut to nothing at the first call */

    /* What the builder did. */
    unsigned int calls;
    uint64_t pages; /* given to the domain */
    uint32_t next_chunk, next_single;
    uint32_t pfn_of[FAKE_FRAMES];   /* the M2P; FAKE_FREE where the domain has none */
    uint16_t writable[FAKE_FRAMES]; /* mappings by the builder */
    xen_pfn_t pinned, hypercall_page;
    struct vcpu_guest_context vcpu;
    bool started;
    uint8_t map[FAKE_RANGES * 20];
    unsigned int map_entries;
    uint32_t mfn_of[FAKE_GFNS]; /* FAKE_FREE: nothing there */
    uint64_t params[FAKE_PARAMS];
    uint64_t pool; /* bytes for nested tables */
    uint8_t context[FAKE_CONTEXT];
    uint32_t context_len;
    uint32_t cleared;
};
#define FAKE_FREE UINT32_MAX
#define FAKE_SHARED_INFO (FAKE_FRAMES - 1)
#define FAKE_GRANTS (FAKE_FRAMES - 2)

extern struct fake_xen *fake;

void fake_reset(void);

/* A frame's bytes. */
void *fake_frame(xen_pfn_t mfn);

#endif

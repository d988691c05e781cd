/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's own table from its frame numbers to the machine's, as it tells the tools where it is
 * (struct arch_shared_info in <xen/arch-x86/xen.h>). The tools name a hardware-assisted guest's
 * frames as it does itself: its table says that each is its own.
 */
#ifndef TOOLS_CLI_P2M_H
#define TOOLS_CLI_P2M_H

#include "tools/cli/frame_set.h"

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>

#define P2M_PER_PAGE 512
#define P2M_NONE (~0ull)

struct error;
struct host;

#define P2M_LEVELS 4

struct p2m {
    struct host *h;
    unsigned int domid;
    bool hvm;
    uint64_t max_pfn;    /* the last one, and 1 */
    uint64_t list_list;  /* mfn of the list of lists; or */
    uint64_t vaddr, cr3; /* where the table lies in the guest's address space */
    void *shared;        /* PV: the shared info page, mapped */
    struct {
        uint64_t mfn;
        volatile uint64_t *page; /* mapped; NULL: none yet */
    } last[P2M_LEVELS];          /* the page that was looked at last at each level of the way */
    struct frame_set tables;     /* the pages of the table that were read */
};

/* -1 with e; the guest says nothing until its kernel has come up some way. */
int p2m_open(struct p2m *p, struct host *h, unsigned int domid, uint64_t shared_info_mfn,
             struct error *e);
/* Of a hardware-assisted guest. */
int p2m_open_hvm(struct p2m *p, struct host *h, unsigned int domid, struct error *e);
void p2m_close(struct p2m *p);

/*
 * The entries of pfns page * 512 on: machine frames, or P2M_NONE. A hostile table gives nonsense,
 * which mapping it finds. A page that the guest has in several places of its table is read in the
 * first: kernels share only pages without frames.
 */
void p2m_read(struct p2m *p, uint64_t page, uint64_t entry[P2M_PER_PAGE]);
/* Where this page of a PV guest's table lies: a machine frame, or P2M_NONE. */
uint64_t p2m_table(struct p2m *p, uint64_t page);

#endif

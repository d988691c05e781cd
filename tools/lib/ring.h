/* SPDX-License-Identifier: MIT */
/* What a daemon needs to serve guests' rings: their pages, event channels, whether they still live.
 */
#ifndef TOOLS_LIB_RING_H
#define TOOLS_LIB_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <xencall.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>

struct ring_host {
    xenevtchn_handle *evtchn;
    xengnttab_handle *gnttab; /* NULL without the module: rings are mapped by frame number then */
    xenforeignmemory_handle *fmem;
    xencall_handle *call;
};

/* Opens all; *fd, which does not block, is readable when an event is pending. NULL, or why not. */
const char *ring_open(struct ring_host *h, int *fd);

/*
 * The page of the reserved grant entry, which a builder prepares, or by frame number, the way of
 * older ones; *granted says which. NULL with errno.
 */
void *ring_map(struct ring_host *h, uint32_t domid, uint32_t reserved_ref, uint64_t gfn,
               bool *granted);
void ring_unmap(struct ring_host *h, void *page, bool granted);

/* 0 with the domain's XEN_DOMINF_* flags; -ESRCH: there is none; another -errno: nobody knows. */
int ring_domain_flags(struct ring_host *h, uint32_t domid, uint32_t *flags);

#endif

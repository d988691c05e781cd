/* SPDX-License-Identifier: MIT */
/*
 * Requests to device models: <xen/hvm/ioreq.h>. A server is one device model's claim to some
 * ports, memory and PCI functions, and two pages that it shares with the hypervisor: a slot for
 * each vCPU, and a ring for writes that nobody waits for.
 *
 * What is in the pages may be changed by the device model at any time: each field is read once,
 * and an answer is data, never an address. The domain's device lock is held.
 */
#ifndef X86_HVM_IOREQ_H
#define X86_HVM_IOREQ_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/ioreq.h>

#include "core/param.h"

#define IOREQ_SERVERS 8       /* of one domain */
#define IOREQ_RANGES_MAX 256u /* of one kind of one server: a page of them */

/* The kinds of ranges, as XEN_DMOP_IO_RANGE_* numbers them. */
enum ioreq_range_kind { IOREQ_PORTS, IOREQ_MEMORY, IOREQ_PCI, IOREQ_RANGE_KINDS };

struct ioreq_range {
    uint64_t first, last;
};

struct ioreq_server {
    bool used, enabled;
    uint8_t buffering; /* HVM_IOREQSRV_BUFIOREQ_* */
    domid_t owner;     /* the device model's domain */
    uint32_t serial;   /* no other server of the domain ever had it */
    uint16_t nr[IOREQ_RANGE_KINDS];
    struct ioreq_range *ranges[IOREQ_RANGE_KINDS]; /* sorted, apart from each other; a page each */
    shared_iopage_t *slots;
    buffered_iopage_t *ring;       /* NULL: no buffering */
    evtchn_port_t port[MAX_VCPUS]; /* of the guest's side, by vCPU */
    evtchn_port_t ring_port;
};

/* 0; -EINVAL: not a range; -EEXIST: it overlaps one of this server; -ENOSPC. */
int ioreq_add_range(struct ioreq_server *s, unsigned int kind, uint64_t first, uint64_t last);
/* Exactly this one: 0, -EINVAL, -ENOENT. */
int ioreq_remove_range(struct ioreq_server *s, unsigned int kind, uint64_t first, uint64_t last);
/* The enabled server that claims all of first to last; of several the one made last. NULL: none. */
struct ioreq_server *ioreq_find(struct ioreq_server *set, unsigned int kind, uint64_t first,
                                uint64_t last);
/*
 * The server that an access to a port belongs to; *r gets type and address. cf8: what the guest
 * wrote to port 0xcf8 last. Accesses to PCI configuration space go by function.
 */
struct ioreq_server *ioreq_find_port(struct ioreq_server *set, uint32_t cf8, ioreq_t *r);

/*
 * Puts vCPU's request into its slot; the caller notifies s->port[vcpu] then, and lets the vCPU
 * wait. False: the slot is not free, which is the device model's doing.
 */
bool ioreq_start(struct ioreq_server *s, unsigned int vcpu, const ioreq_t *r);

enum ioreq_state { IOREQ_WAITING, IOREQ_DONE, IOREQ_BROKEN };

/*
 * Is the request answered? DONE: *data is what was read, count how many elements, at most as many
 * as were asked for; the slot is free. BROKEN: the device model broke the protocol.
 */
enum ioreq_state ioreq_finish(struct ioreq_server *s, unsigned int vcpu, const ioreq_t *asked,
                              uint64_t *data, uint32_t *count);
/*
 * Puts a write into the ring; the caller notifies s->ring_port then. False: it has to go the usual
 * way, because the server has no ring, the ring is full, or it does not fit in a slot.
 */
bool ioreq_buffer(struct ioreq_server *s, const ioreq_t *r);

#endif

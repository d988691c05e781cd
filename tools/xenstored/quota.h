/* SPDX-License-Identifier: MIT */
/*
 * Limits for clients without privilege, and what each domain uses. Privileged clients are
 * bound only by the protocol's own sizes.
 */
#ifndef XENSTORED_QUOTA_H
#define XENSTORED_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define DOMIDS 0x7ff0 /* DOMID_FIRST_RESERVED */

struct quota {
    uint32_t nodes;        /* owned by a domain */
    uint32_t node_size;    /* bytes of a node: value and permissions */
    uint32_t perms;        /* entries of a node's permissions */
    uint32_t watches;      /* of a client */
    uint32_t transactions; /* open at once */
    uint32_t txn_ops;      /* nodes changed, and nodes looked at, in one transaction */
    uint32_t
        outstanding; /* bytes of replies that a client has not taken: no more requests until then */
    uint32_t events; /* bytes of watch events that a client has not taken: then they are merged */
    uint32_t memory; /* bytes of a domain's account, see account.h */
    uint32_t depth;  /* components of a path */
    uint32_t txn_idle; /* seconds: a transaction without a request for so long is given up */
    /* Not limits but what is used, by domain. */
    uint32_t owned[0x10000]; /* nodes */
    uint64_t bytes[0x10000];
};

void quota_init(struct quota *q);
/* "name=number", as on the command line. False: no such limit, or no number. */
bool quota_set(struct quota *q, const char *text);
/* The limits' names and values, one by one; NULL at the end. */
const char *quota_name(unsigned i);
uint32_t quota_value(const struct quota *q, unsigned i);

#endif

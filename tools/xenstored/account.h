/* SPDX-License-Identifier: MIT */
/*
 * What each domain costs this process in memory: one account of bytes over the nodes that it owns,
 * its transactions (what they changed and what they looked at), watches and buffers. A client
 * without privilege is refused what would bring its account over the limit `memory`; each refusal
 * by a limit names that limit in the log.
 */
#ifndef XENSTORED_ACCOUNT_H
#define XENSTORED_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xs;
struct client;
struct data;

/* A node's content comes to the store (1) or goes (-1): its owner's. */
void account_node(struct xs *xs, const struct data *d, int by);
/* Bytes of the domain's, other than nodes. */
void account_add(struct xs *xs, uint16_t domid, int64_t bytes);
/* All of a domain's, its connection's buffers included. */
uint64_t account_used(const struct xs *xs, uint16_t domid);

/*
 * 0 if the client may have `bytes` more on `domid`'s account (its own, or that of a node's owner),
 * or ENOSPC. Domain 0's account has no limit.
 */
int account_room(struct xs *xs, struct client *c, uint16_t domid, uint64_t bytes);

/* Says in the log which limit refuses the client; at most once a minute. Returns `err`. */
int account_refuse(struct xs *xs, struct client *c, const char *limit, int err);

#endif

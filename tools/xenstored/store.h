/* SPDX-License-Identifier: MIT */
/*
 * What requests do to nodes, in the store (`t` NULL) or in a transaction: permissions, quotas,
 * implicit parents, watches and journal. Functions return 0 or an errno value of the protocol, and
 * then nothing has changed. Paths are internal ones (wire.h).
 */
#ifndef XENSTORED_STORE_H
#define XENSTORED_STORE_H

#include "xenstored/tree.h"

struct xs;
struct client;
struct txn;

/* *out is valid until the next change. */
int store_read(struct xs *xs, struct client *c, struct txn *t, const char *path, struct data **out);
/* Appends the children's names from byte `from` of the whole list on, as long as they fit in `max`
 * bytes in all; *end says whether the list ended, *gen is the list's number. */
int store_list(struct xs *xs, struct client *c, struct txn *t, const char *path, uint64_t from,
               size_t max, struct buf *out, bool *end, uint64_t *gen);
int store_write(struct xs *xs, struct client *c, struct txn *t, const char *path, const void *value,
                uint32_t len);
int store_mkdir(struct xs *xs, struct client *c, struct txn *t, const char *path);
int store_rm(struct xs *xs, struct client *c, struct txn *t, const char *path);
int store_set_perms(struct xs *xs, struct client *c, struct txn *t, const char *path,
                    const struct perm *perms, uint32_t n);

/* Changes that are already allowed. set takes over the reference. */
void store_apply_set(struct xs *xs, struct data *d, bool quiet);
void store_apply_rm(struct xs *xs, const char *path);

#endif

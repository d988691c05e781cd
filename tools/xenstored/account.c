/* SPDX-License-Identifier: MIT */
/*
 * The account of bytes that each domain costs this process. What is charged is given back by the
 * same amount; a client without privilege is refused what exceeds the limit. One thread: no locks.
 */
#include "xenstored/account.h"
#include "xenstored/xs.h"

#include <errno.h>

#define SILENCE 60 /* seconds between two complaints about one client */

void account_node(struct xs *xs, const struct data *d, int by)
{
    uint16_t owner = d->perms[0].domid;

    xs->quota.owned[owner] += by;
    xs->quota.bytes[owner] += by * (int64_t)d->size;
}

void account_add(struct xs *xs, uint16_t domid, int64_t bytes)
{
    xs->quota.bytes[domid] += bytes;
}

uint64_t account_used(const struct xs *xs, uint16_t domid)
{
    const struct client *c = domid < DOMIDS ? xs->domains[domid] : NULL;
    uint64_t buffers = c ? c->in.cap + c->out.cap + c->events.cap : 0;

    return xs->quota.bytes[domid] + buffers;
}

int account_room(struct xs *xs, struct client *c, uint16_t domid, uint64_t bytes)
{
    if (c->id.privileged || domid == 0 || account_used(xs, domid) + bytes <= xs->quota.memory)
        return 0;
    return account_refuse(xs, c, "memory", ENOSPC);
}

int account_refuse(struct xs *xs, struct client *c, const char *limit, int err)
{
    if (!c->complained || xs->now - c->complained >= SILENCE) {
        c->complained = xs->now ? xs->now : 1;
        xs_log("domain %u is refused a request by the limit \"%s\" (it owns %u nodes and uses %llu "
               "bytes); xenstore-control quota shows the limits",
               c->id.domid, limit, xs->quota.owned[c->id.domid],
               (unsigned long long)account_used(xs, c->id.domid));
    }
    return err;
}

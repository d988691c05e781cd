/* SPDX-License-Identifier: MIT */
#include "xenstored/quota.h"
#include "xenstored/wire.h"

#include <string.h>

static const struct {
    const char *name;
    size_t offset;
    uint32_t initial;
} limits[] = {
    { "nodes", offsetof(struct quota, nodes), 1000 },
    { "node-size", offsetof(struct quota, node_size), 2048 },
    { "perms", offsetof(struct quota, perms), 5 },
    { "watches", offsetof(struct quota, watches), 128 },
    { "transactions", offsetof(struct quota, transactions), 10 },
    { "transaction-nodes", offsetof(struct quota, txn_ops), 1024 },
    { "outstanding", offsetof(struct quota, outstanding), 16384 },
    { "events", offsetof(struct quota, events), 65536 },
    { "memory", offsetof(struct quota, memory), 2 << 20 },
    { "depth", offsetof(struct quota, depth), 32 },
    { "transaction-idle", offsetof(struct quota, txn_idle), 60 },
};

void quota_init(struct quota *q)
{
    memset(q, 0, sizeof(*q));
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        *(uint32_t *)((char *)q + limits[i].offset) = limits[i].initial;
}

bool quota_set(struct quota *q, const char *text)
{
    const char *eq = strchr(text, '=');
    uint64_t v;

    if (!eq || !wire_number(eq + 1, 0x7fffffff, &v))
        return false;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strlen(limits[i].name) == (size_t)(eq - text) &&
            memcmp(limits[i].name, text, eq - text) == 0) {
            *(uint32_t *)((char *)q + limits[i].offset) = v;
            return true;
        }
    }
    return false;
}

const char *quota_name(unsigned i)
{
    return i < sizeof(limits) / sizeof(limits[0]) ? limits[i].name : NULL;
}

uint32_t quota_value(const struct quota *q, unsigned i)
{
    return *(const uint32_t *)((const char *)q + limits[i].offset);
}

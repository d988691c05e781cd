/* SPDX-License-Identifier: MIT */
#include "xenstored/perms.h"
#include "xenstored/wire.h"

#include <stdio.h>

static bool is(const struct identity *who, uint16_t domid)
{
    return who->domid == domid || (who->target != NO_TARGET && who->target == domid);
}

bool perms_owner(const struct identity *who, const struct data *d)
{
    return who->privileged || is(who, d->perms[0].domid);
}

bool perms_allow(const struct identity *who, const struct data *d, unsigned bits)
{
    if (perms_owner(who, d))
        return true;
    for (uint32_t i = 1; i < d->nperms; i++) {
        if (is(who, d->perms[i].domid))
            return (d->perms[i].bits & bits) == bits;
    }
    return (d->perms[0].bits & bits) == bits;
}

bool perm_parse(const char *s, struct perm *out)
{
    uint64_t domid;

    switch (s[0]) {
    case 'n':
        out->bits = PERM_NONE;
        break;
    case 'r':
        out->bits = PERM_READ;
        break;
    case 'w':
        out->bits = PERM_WRITE;
        break;
    case 'b':
        out->bits = PERM_READ | PERM_WRITE;
        break;
    default:
        return false;
    }
    if (!wire_number(s + 1, 0x7fff, &domid))
        return false;
    out->domid = domid;
    return true;
}

void perm_format(struct buf *b, const struct perm *p)
{
    char text[8];

    snprintf(text, sizeof(text), "%c%u", "nrwb"[p->bits & 3], (unsigned)(p->domid & 0x7fff));
    buf_str(b, text);
}

/* SPDX-License-Identifier: MIT */
/* Who may read and write a node, and the text form of permissions: n, r, w or b, then a domain id.
 */
#ifndef XENSTORED_PERMS_H
#define XENSTORED_PERMS_H

#include "xenstored/tree.h"

#define NO_TARGET 0xffff

struct identity {
    uint16_t domid;
    uint16_t target; /* a domain whose rights it has as well (set_target), or NO_TARGET */
    bool privileged; /* Domain 0: may do everything */
};

bool perms_owner(const struct identity *who, const struct data *d);
bool perms_allow(const struct identity *who, const struct data *d, unsigned bits);

bool perm_parse(const char *s, struct perm *out);
void perm_format(struct buf *b, const struct perm *p); /* with its NUL */

#endif

/* SPDX-License-Identifier: MIT */
/* Domains that were introduced: their coming and going. */
#ifndef XENSTORED_DOMAIN_H
#define XENSTORED_DOMAIN_H

#include <stdint.h>

struct xs;
struct client;

/* Connects a domain. 0, or EINVAL if its ring cannot be mapped. A known domain's port is bound
 * again. */
int domain_introduce(struct xs *xs, uint16_t domid, uint64_t gfn, uint32_t port);
/* Disconnects it. 0 or ENOENT. */
int domain_release(struct xs *xs, struct client *c);
/* Looks which domains have shut down or are gone, and tells @releaseDomain. */
void domain_check_all(struct xs *xs);
/* After recovery: maps the rings and goes on where the last process stopped. */
void domain_reconnect_all(struct xs *xs);

#endif

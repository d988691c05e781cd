/* SPDX-License-Identifier: MIT */
/* The requests of the protocol: decoding, checks of form and privilege, replies. */
#ifndef XENSTORED_REQUEST_H
#define XENSTORED_REQUEST_H

#include <stdint.h>

struct xs;
struct client;
struct xsd_sockmsg;

/* Carries one request out and queues its reply; events wait until client_send_events. */
void request_handle(struct xs *xs, struct client *c, const struct xsd_sockmsg *msg,
                    const uint8_t *payload);

#endif

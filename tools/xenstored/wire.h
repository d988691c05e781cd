/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the protocol: messages (<xen/io/xs_wire.h>), strings in payloads, and paths.
 *
 * Inside the daemon a path is absolute and the root is the empty string, so that "parent" and
 * "below" are the same for all nodes. Special paths begin with '@' and have no parent.
 */
#ifndef XENSTORED_WIRE_H
#define XENSTORED_WIRE_H

#include "xenstored/util.h"

#include <errno.h>
#include <xen/io/xs_wire.h>

#define WIRE_MAX_STRINGS 64

enum wire_state { WIRE_MORE, WIRE_MESSAGE, WIRE_BAD };

/*
 * Looks at the start of a byte stream. WIRE_MESSAGE: *msg is filled and the whole message is there.
 * WIRE_MORE: *need bytes are missing, as far as one can tell. WIRE_BAD: longer than the protocol
 * allows.
 */
enum wire_state wire_next(const uint8_t *p, size_t len, struct xsd_sockmsg *msg, size_t *need);

/* The NUL-terminated strings of a payload: how many (at most `max`), or -1 if bytes remain. */
int wire_strings(const uint8_t *p, size_t len, const char **out, int max);

/* The name of an errno value, "EINVAL" if the protocol has no name for it. */
const char *wire_error(int err);

/* Appends a message. */
void wire_put(struct buf *b, uint32_t type, uint32_t req, uint32_t tx, const void *p, size_t len);

/* A decimal number up to `max`, nothing around it. */
bool wire_number(const char *s, uint64_t max, uint64_t *out);

struct path {
    char s[XENSTORE_ABS_PATH_MAX + 1];
    unsigned rel; /* bytes at the start that the client did not write (relative path), or 0 */
};

/* What a client wrote, made absolute below /local/domain/<domid>. 0 or EINVAL. */
int path_resolve(struct path *out, const char *in, unsigned domid, bool special_ok);

/* Whether `path` is strictly below `parent`. */
bool path_below(const char *parent, const char *path);

/* Cuts the last component off; false for the root and special paths. */
bool path_up(char *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Unpacks a kernel's payload piece by piece, so that neither the packed nor the unpacked kernel has
 * to lie in memory as a whole. No limit but the announced size: more than that is an error, and so
 * is less.
 */
#ifndef BUILDER_UNPACK_H
#define BUILDER_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bzimage.h"

/* Takes the unpacked bytes in order, any number at a time. Returns NULL, or why it must end. */
struct unpack_sink {
    const char *(*put)(struct unpack_sink *sink, const void *data, size_t len);
};

/* Returns NULL or why not (the sink's reason if it gave one). */
const char *unpack_stream(const struct bz_payload *p, struct unpack_sink *sink);

#endif

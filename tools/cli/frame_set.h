/* SPDX-License-Identifier: MIT */
/*
 * A set of machine frames: bits in blocks that are made when the first frame of theirs comes. The
 * caller adds only frames that exist, so that the set grows with the machine's memory, not with
 * what a guest writes.
 */
#ifndef TOOLS_CLI_FRAME_SET_H
#define TOOLS_CLI_FRAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame_set {
    uint64_t **block; /* NULL: none of its frames is in the set */
    size_t nr_blocks;
};

bool frame_set_has(const struct frame_set *s, uint64_t frame);
void frame_set_add(struct frame_set *s, uint64_t frame);
void frame_set_free(struct frame_set *s);

#endif

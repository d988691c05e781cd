/* SPDX-License-Identifier: MIT */
/* A set of machine frames. */
#include "tools/cli/frame_set.h"
#include "tools/lib/util.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_FRAMES 32768ull /* 128 MiB of memory, 4 KiB of bits */
#define WORD_BITS 64

bool frame_set_has(const struct frame_set *s, uint64_t frame)
{
    uint64_t block = frame / BLOCK_FRAMES, bit = frame % BLOCK_FRAMES;

    return block < s->nr_blocks && s->block[block] &&
           s->block[block][bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

void frame_set_add(struct frame_set *s, uint64_t frame)
{
    uint64_t block = frame / BLOCK_FRAMES, bit = frame % BLOCK_FRAMES;

    if (block >= s->nr_blocks) {
        s->block = mem_grow(s->block, (block + 1) * sizeof(*s->block));
        memset(s->block + s->nr_blocks, 0, (block + 1 - s->nr_blocks) * sizeof(*s->block));
        s->nr_blocks = block + 1;
    }
    if (!s->block[block])
        s->block[block] = mem_alloc(BLOCK_FRAMES / 8);
    s->block[block][bit / WORD_BITS] |= UINT64_C(1) << bit % WORD_BITS;
}

void frame_set_free(struct frame_set *s)
{
    for (size_t i = 0; i < s->nr_blocks; i++)
        free(s->block[i]);
    free(s->block);
    *s = (struct frame_set){ NULL };
}

/* SPDX-License-Identifier: MIT */
/* Paints only: no state, and no lock but that of whoever has the screen (vga.c). */
#include "x86/picture.h"

static const uint8_t font[95][GLYPH_HEIGHT] = {
#include "font.h"
};

/* A colour's share of a pixel: light grey, as on a text screen. */
static uint32_t part(uint8_t pos, uint8_t size)
{
    return size ? (uint32_t)(0xaau >> (8 - size)) << pos : 0;
}

static bool part_fits(uint8_t pos, uint8_t size)
{
    return size <= 8 && pos + size <= 32;
}

bool picture_usable(const struct boot_screen *s)
{
    return s->base && s->bpp == 32 && s->pitch % 4 == 0 && s->width >= 80 * GLYPH_WIDTH &&
           s->height >= 25 * GLYPH_HEIGHT && s->width <= 32768 && s->height <= 32768 &&
           s->pitch >= s->width * 4 && s->pitch <= 1u << 18 && part_fits(s->red_pos, s->red_size) &&
           part_fits(s->green_pos, s->green_size) && part_fits(s->blue_pos, s->blue_size);
}

void picture_put(const struct boot_screen *s, volatile void *pixels, unsigned int col,
                 unsigned int row, uint8_t c)
{
    const uint8_t *glyph = font[c > ' ' && c < 0x7f ? c - ' ' : 0];
    uint32_t ink = part(s->red_pos, s->red_size) | part(s->green_pos, s->green_size) |
                   part(s->blue_pos, s->blue_size);

    for (unsigned int y = 0; y < GLYPH_HEIGHT; y++) {
        volatile uint32_t *line = (volatile uint32_t *)pixels +
                                  (uint64_t)(row * GLYPH_HEIGHT + y) * (s->pitch / 4) +
                                  col * GLYPH_WIDTH;
        for (unsigned int x = 0; x < GLYPH_WIDTH; x++)
            line[x] = glyph[y] & 0x80u >> x ? ink : 0;
    }
}

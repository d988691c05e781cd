/* SPDX-License-Identifier: MIT */
/* Letters on a framebuffer: the painting only, without state of its own (x86/vga.h has the text).
 */
#ifndef X86_PICTURE_H
#define X86_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/boot/boot.h"

#define GLYPH_WIDTH 8u
#define GLYPH_HEIGHT 16u

/* Letters can be painted there: 32 bits a pixel, at least 80 x 25 letters, sane sizes. */
bool picture_usable(const struct boot_screen *s);
/*
 * Paint character c (others than ASCII's visible ones as a space) in column `col`, row `row` of the
 * picture whose memory is mapped at `pixels`; the place is inside the picture.
 */
void picture_put(const struct boot_screen *s, volatile void *pixels, unsigned int col,
                 unsigned int row, uint8_t c);

#endif

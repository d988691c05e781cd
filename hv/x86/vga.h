/* SPDX-License-Identifier: MIT */
/*
 * The screen: a log sink until Dom0 takes it over. VGA's text mode of 80 x 25, or letters painted
 * on the picture that the loader set up (x86/picture.h).
 */
#ifndef X86_VGA_H
#define X86_VGA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct boot_screen;

#define VGA_TEXT_BASE 0xb8000ul
#define VGA_TEXT_SIZE (80 * 25 * 2)

/*
 * Begin to write at `text`, the hypervisor's mapping of VGA_TEXT_BASE (uncached or not, 4000
 * bytes); clears the screen. May be called again when the mapping moves: then the text stays.
 */
void vga_init(void *text);
/*
 * The same for a picture that picture_usable() takes, mapped at `pixels` (vga_picture_bytes() of
 * it). NULL: nothing is painted until the next call, and the text is kept.
 */
void vga_init_picture(const struct boot_screen *s, void *pixels);
/* Bytes of the picture's memory that are written, from its begin. */
size_t vga_picture_bytes(const struct boot_screen *s);
/* A log sink: writes n bytes, scrolling. Knows \n \r \t \b; skips other control characters. */
void vga_write(const char *text, size_t n);
/* Dom0 owns the screen from now on: vga_write does nothing more. */
void vga_release(void);
/* Take it back, empty, for a panic's last words. False: there is no screen, or it is ours. */
bool vga_reclaim(void);
/* Row and column of the cursor in text mode, for dom0_vga_console_info. */
void vga_cursor(uint16_t *column, uint16_t *row);

#endif

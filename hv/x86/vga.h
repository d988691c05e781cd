/* SPDX-License-Identifier: MIT */
/* The screen in VGA text mode, 80 x 25: a log sink until Dom0 takes it over. */
#ifndef X86_VGA_H
#define X86_VGA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VGA_TEXT_BASE 0xb8000ul
#define VGA_TEXT_SIZE (80 * 25 * 2)

/*
 * Begin to write at `text`, the hypervisor's mapping of VGA_TEXT_BASE (uncached or not, 4000
 * bytes); clears the screen. May be called again when the mapping moves: then the text stays.
 */
void vga_init(void *text);
/* A log sink: writes n bytes, scrolling. Knows \n \r \t \b; skips other control characters. */
void vga_write(const char *text, size_t n);
/* Dom0 owns the screen from now on: vga_write does nothing more. */
void vga_release(void);
/* Take it back for a panic's last words. */
void vga_reclaim(void);
/* Row and column of the cursor, for dom0_vga_console_info. */
void vga_cursor(uint16_t *column, uint16_t *row);

#endif

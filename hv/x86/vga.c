/* SPDX-License-Identifier: MIT */
/* Written by the log only, under its lock, until Domain 0 has the screen; a panic takes it back. */
#include "x86/vga.h"

#include "x86/cpu/ops.h"

#define COLS 80
#define ROWS 25
#define BLANK 0x0720 /* a space, light grey on black */

/* CRT controller: index and data ports, and the registers of the cursor's place. */
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW 0x0f

static struct {
    volatile uint16_t *cells; /* NULL: no screen */
    unsigned int row, col;
    bool released;
    uint16_t copy[ROWS * COLS]; /* what is shown: video memory is slow to read back */
} vga;

static void show_cursor(void)
{
    unsigned int at = vga.row * COLS + vga.col;

    outb(CRTC_INDEX, CRTC_CURSOR_HIGH);
    outb(CRTC_DATA, (uint8_t)(at >> 8));
    outb(CRTC_INDEX, CRTC_CURSOR_LOW);
    outb(CRTC_DATA, (uint8_t)at);
}

static void set_cell(unsigned int at, uint16_t cell)
{
    if (vga.copy[at] == cell)
        return;
    vga.copy[at] = cell;
    vga.cells[at] = cell;
}

static void scroll(void)
{
    for (unsigned int at = 0; at < (ROWS - 1) * COLS; at++)
        set_cell(at, vga.copy[at + COLS]);
    for (unsigned int at = (ROWS - 1) * COLS; at < ROWS * COLS; at++)
        set_cell(at, BLANK);
}

static void newline(void)
{
    vga.col = 0;
    if (vga.row + 1 < ROWS)
        vga.row++;
    else
        scroll();
}

static void put_char(uint8_t c)
{
    switch (c) {
    case '\n':
        newline();
        return;
    case '\r':
        vga.col = 0;
        return;
    case '\b':
        if (vga.col)
            vga.col--;
        return;
    case '\t':
        c = ' ';
        break;
    default:
        if (c < 0x20 || c == 0x7f)
            return;
    }
    if (vga.col == COLS)
        newline();
    set_cell(vga.row * COLS + vga.col, (uint16_t)(0x0700 | c));
    vga.col++;
}

/* Write everything again: the screen may show somebody else's text. */
static void repaint(void)
{
    for (unsigned int at = 0; at < ROWS * COLS; at++)
        vga.cells[at] = vga.copy[at];
}

void vga_init(void *text)
{
    bool first = !vga.cells;

    vga.cells = text;
    if (!first || !text)
        return;
    for (unsigned int at = 0; at < ROWS * COLS; at++)
        vga.copy[at] = BLANK;
    repaint();
    show_cursor();
}

void vga_write(const char *text, size_t n)
{
    if (!vga.cells || vga.released)
        return;
    for (size_t i = 0; i < n; i++)
        put_char((uint8_t)text[i]);
    show_cursor();
}

void vga_release(void)
{
    vga.released = true;
}

void vga_reclaim(void)
{
    if (!vga.released || !vga.cells)
        return;
    vga.released = false;
    repaint();
}

void vga_cursor(uint16_t *column, uint16_t *row)
{
    *column = (uint16_t)(vga.col < COLS ? vga.col : COLS - 1);
    *row = (uint16_t)vga.row;
}

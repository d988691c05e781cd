/* SPDX-License-Identifier: MIT */
/*
 * The screen as rows of letters. No lock of its own: the console's (RANK_CONSOLE), under which
 * sinks are called, or a panic, which is alone.
 */
#include "x86/vga.h"

#include "lib/macros.h"
#include "x86/boot/boot.h"
#include "x86/cpu/ops.h"
#include "x86/picture.h"

#define TEXT_COLS 80u
#define TEXT_ROWS 25u
#define MAX_COLS 160u
#define MAX_ROWS 64u
#define MAX_PICTURE_BYTES (8u << 20) /* of a picture's memory, for what it costs to map */
#define BLANK 0x0720                 /* a space, light grey on black */

/* CRT controller: index and data ports, and the registers of the cursor's place. */
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW 0x0f

static struct {
    bool on;                  /* there is a screen */
    volatile uint16_t *cells; /* VGA's text, or NULL */
    volatile void *pixels;    /* the picture, or NULL */
    struct boot_screen picture;
    unsigned int cols, rows, row, col;
    bool released;
    uint16_t copy[MAX_ROWS * MAX_COLS]; /* what is shown: video memory is slow to read back */
} vga;

static void show_cursor(void)
{
    unsigned int at = vga.row * vga.cols + vga.col;

    if (!vga.cells)
        return;
    outb(CRTC_INDEX, CRTC_CURSOR_HIGH);
    outb(CRTC_DATA, (uint8_t)(at >> 8));
    outb(CRTC_INDEX, CRTC_CURSOR_LOW);
    outb(CRTC_DATA, (uint8_t)at);
}

static void paint(unsigned int at)
{
    if (vga.cells)
        vga.cells[at] = vga.copy[at];
    else if (vga.pixels)
        picture_put(&vga.picture, vga.pixels, at % vga.cols, at / vga.cols, (uint8_t)vga.copy[at]);
}

static void set_cell(unsigned int at, uint16_t cell)
{
    if (vga.copy[at] == cell)
        return;
    vga.copy[at] = cell;
    paint(at);
}

/* A picture goes up by half of its rows at a time: to paint it takes a while. */
static void scroll(void)
{
    unsigned int by = vga.cells ? 1 : vga.rows / 2, end = vga.rows * vga.cols;

    for (unsigned int at = 0; at < end; at++)
        set_cell(at, at + by * vga.cols < end ? vga.copy[at + by * vga.cols] : BLANK);
    vga.row -= by - 1;
}

static void newline(void)
{
    vga.col = 0;
    if (vga.row + 1 < vga.rows)
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
    if (vga.col == vga.cols)
        newline();
    set_cell(vga.row * vga.cols + vga.col, (uint16_t)(0x0700 | c));
    vga.col++;
}

/* Write everything again: the screen may show somebody else's text. */
static void repaint(void)
{
    for (unsigned int at = 0; at < vga.rows * vga.cols; at++)
        paint(at);
}

/* An empty screen, its cursor in the corner. */
static void clear(void)
{
    for (unsigned int at = 0; at < vga.rows * vga.cols; at++)
        vga.copy[at] = BLANK;
    vga.row = vga.col = 0;
    repaint();
    show_cursor();
}

/* The mapping is there, or has moved; the first time the screen is cleared. */
static void begin(unsigned int cols, unsigned int rows)
{
    if (vga.on)
        return;
    vga.on = true;
    vga.cols = cols;
    vga.rows = rows;
    clear();
}

void vga_init(void *text)
{
    vga.cells = text;
    if (text)
        begin(TEXT_COLS, TEXT_ROWS);
}

static unsigned int picture_rows(const struct boot_screen *s)
{
    unsigned int rows = MIN(s->height / GLYPH_HEIGHT, MAX_ROWS);

    return MIN(rows, MAX_PICTURE_BYTES / (s->pitch * GLYPH_HEIGHT));
}

size_t vga_picture_bytes(const struct boot_screen *s)
{
    return (size_t)picture_rows(s) * GLYPH_HEIGHT * s->pitch;
}

void vga_init_picture(const struct boot_screen *s, void *pixels)
{
    bool late = vga.on && !vga.pixels;

    vga.picture = *s;
    vga.pixels = pixels;
    begin(MIN(s->width / GLYPH_WIDTH, MAX_COLS), picture_rows(s));
    if (late)
        repaint();
}

void vga_write(const char *text, size_t n)
{
    if (!vga.on || vga.released)
        return;
    for (size_t i = 0; i < n; i++)
        put_char((uint8_t)text[i]);
    show_cursor();
}

void vga_release(void)
{
    vga.released = true;
}

bool vga_reclaim(void)
{
    if (!vga.on || !vga.released)
        return false;
    vga.released = false;
    clear();
    return true;
}

void vga_cursor(uint16_t *column, uint16_t *row)
{
    *column = (uint16_t)(vga.col < TEXT_COLS ? vga.col : TEXT_COLS - 1);
    *row = (uint16_t)vga.row;
}

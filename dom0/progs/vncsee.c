/* SPDX-License-Identifier: MIT */
/*
 * vncsee ADDRESS PORT WHAT...: a VNC viewer without a screen (RFB 3.8: RFC 6143), which sees only
 * what the server sends by itself: after the first picture it asks for changes alone. WHAT is
 * done in order:
 *
 *   shot FILE        takes changes for a second or two, then writes the picture (PPM)
 *   key CHAR         presses and releases that key (ASCII, or Return)
 *   text ROM         the same, and prints its letters: a VGA BIOS has their forms
 *   see X,Y,RRGGBB   takes changes until that pixel has this colour, for a minute at most
 *
 * Exit code 0; 1 with a reason; 2 when the server wants a password.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int fd;
static unsigned int width, height;
static uint8_t *picture; /* four bytes a pixel: blue, green, red, nothing */
static int asked;        /* a request is on its way */

static void die(const char *why)
{
    fprintf(stderr, "vncsee: %s\n", why);
    exit(1);
}

static void get(void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)to + at, n - at);

        if (got <= 0)
            die("the server hung up");
        at += (size_t)got;
    }
}

static void put(const void *from, size_t n)
{
    if (write(fd, from, n) != (ssize_t)n)
        die("the server takes nothing");
}

static unsigned int get8(void)
{
    uint8_t b;

    get(&b, 1);
    return b;
}

static unsigned int get16(void)
{
    unsigned int high = get8();

    return high << 8 | get8();
}

static unsigned int get32(void)
{
    unsigned int high = get16();

    return high << 16 | get16();
}

static void skip(size_t n)
{
    while (n--)
        get8();
}

static void greet(void)
{
    static const uint8_t none = 1, shared = 1;
    char version[12];
    uint8_t types[255];
    unsigned int n;

    get(version, sizeof(version));
    if (memcmp(version, "RFB 003.", 8) != 0)
        die("this is no VNC server");
    put("RFB 003.008\n", 12);
    n = get8();
    get(types, n);
    if (!n)
        die("the server refuses everybody");
    if (!memchr(types, 1, n)) {
        printf("vncsee: a password is asked for\n");
        exit(2);
    }
    put(&none, 1);
    if (get32() != 0)
        die("the server refuses us");
    put(&shared, 1);
    width = get16();
    height = get16();
    skip(16);
    skip(get32()); /* the name */
}

static void resize(unsigned int w, unsigned int h)
{
    width = w;
    height = h;
    free(picture);
    picture = calloc((size_t)w * h, 4);
    if (!picture)
        die("no memory");
}

/* Plain colours, plain rectangles, and that sizes may change. */
static void configure(void)
{
    static const uint8_t
        format[20] = { 0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 },
        encodings[12] = { 2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21 };

    put(format, sizeof(format));
    put(encodings, sizeof(encodings));
    resize(width, height);
}

static void ask(int changes_only)
{
    uint8_t m[10] = { 3,
                      (uint8_t)changes_only,
                      0,
                      0,
                      0,
                      0,
                      (uint8_t)(width >> 8),
                      (uint8_t)width,
                      (uint8_t)(height >> 8),
                      (uint8_t)height };

    put(m, sizeof(m));
    asked = 1;
}

static void rectangle(void)
{
    unsigned int x = get16(), y = get16(), w = get16(), h = get16();
    int32_t encoding = (int32_t)get32();

    if (encoding == -223) {
        resize(w, h);
        return;
    }
    if (encoding != 0 || x + w > width || y + h > height)
        die("a rectangle that nobody asked for");
    for (unsigned int row = 0; row < h; row++)
        get(picture + 4 * ((size_t)(y + row) * width + x), 4 * (size_t)w);
}

/* One message of the server's; whether it was a change of the picture. */
static int message(void)
{
    unsigned int n;

    switch (get8()) {
    case 0:
        skip(1);
        for (n = get16(); n; n--)
            rectangle();
        asked = 0;
        return 1;
    case 1:
        skip(3);
        skip(6 * (size_t)get16());
        return 0;
    case 2:
        return 0;
    case 3:
        skip(3);
        skip(get32());
        return 0;
    default:
        die("a message that nobody knows");
    }
    return 0;
}

/* Takes what comes within the next 100 ms; a cursor that blinks changes the picture for ever. */
static void take(void)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    if (!asked)
        ask(1);
    if (poll(&p, 1, 100) > 0)
        message();
}

static void settle(void)
{
    for (time_t end = time(NULL) + 2; time(NULL) < end;)
        take();
}

static void shot(const char *file)
{
    FILE *f = fopen(file, "wb");

    if (!f)
        die("the picture's file");
    settle();
    fprintf(f, "P6\n%u %u\n255\n", width, height);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        uint8_t rgb[3] = { picture[4 * i + 2], picture[4 * i + 1], picture[4 * i] };

        fwrite(rgb, 3, 1, f);
    }
    fclose(f);
    printf("vncsee: %s: %u x %u\n", file, width, height);
}

#define CELL_HEIGHT 16

/* The forms of 256 letters, 16 bytes each: code 0 is empty, and code 1 laughs in every PC. */
static const uint8_t *font_of(const char *file)
{
    static const uint8_t smile[] = { 0,    0,    0x7e, 0x81, 0xa5, 0x81,
                                     0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e };
    static uint8_t rom[1 << 16];
    FILE *f = fopen(file, "rb");
    size_t n = f ? fread(rom, 1, sizeof(rom), f) : 0;
    const uint8_t *at = memmem(rom, n, smile, sizeof(smile));

    if (f)
        fclose(f);
    if (!at || at < rom + CELL_HEIGHT || at + 255 * CELL_HEIGHT > rom + n)
        die("no letters in that file");
    return at - CELL_HEIGHT;
}

static char letter_at(const uint8_t *font, unsigned int left, unsigned int top)
{
    uint8_t form[CELL_HEIGHT] = { 0 };

    for (unsigned int y = 0; y < CELL_HEIGHT; y++) {
        for (unsigned int x = 0; x < 8; x++) {
            const uint8_t *p = picture + 4 * ((size_t)(top + y) * width + left + x);
            const uint8_t *ground = picture + 4 * ((size_t)top * width + left);

            if (memcmp(p, ground, 3) != 0)
                form[y] |= (uint8_t)(0x80 >> x);
        }
    }
    for (unsigned int c = ' '; c < 0x7f; c++) {
        if (memcmp(form, font + CELL_HEIGHT * c, CELL_HEIGHT) == 0)
            return (char)c;
    }
    return '?';
}

/* Cells are 9 wide in a PC's text mode, else 8. */
static void text(const char *rom)
{
    const uint8_t *font = font_of(rom);
    unsigned int cell = width == 720 ? 9 : 8;

    settle();
    for (unsigned int top = 0; top + CELL_HEIGHT <= height; top += CELL_HEIGHT) {
        for (unsigned int left = 0; left + 8 <= width; left += cell)
            putchar(letter_at(font, left, top));
        putchar('\n');
    }
}

static void see(const char *what)
{
    unsigned int x, y, colour;
    time_t end = time(NULL) + 60;
    const uint8_t *p;

    if (sscanf(what, "%u,%u,%x", &x, &y, &colour) != 3)
        die("see X,Y,RRGGBB");
    for (;;) {
        p = picture + 4 * ((size_t)y * width + x);
        if (x < width && y < height && (p[0] | p[1] << 8 | p[2] << 16) == (int)colour)
            return;
        if (time(NULL) > end)
            die("that pixel does not get this colour");
        take();
    }
}

static void key(const char *name)
{
    uint8_t page = strcmp(name, "Return") == 0 ? 0xff : 0, c = page ? 0x0d : (uint8_t)name[0];
    uint8_t m[16] = { 4, 1, 0, 0, 0, 0, page, c, 4, 0, 0, 0, 0, 0, page, c };

    put(m, sizeof(m));
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };

    if (argc < 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        die("vncsee ADDRESS PORT WHAT...");
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("nobody listens there");
    greet();
    configure();
    ask(0);
    while (!message())
        ;
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "shot") == 0)
            shot(argv[i + 1]);
        else if (strcmp(argv[i], "text") == 0)
            text(argv[i + 1]);
        else if (strcmp(argv[i], "key") == 0)
            key(argv[i + 1]);
        else if (strcmp(argv[i], "see") == 0)
            see(argv[i + 1]);
        else
            die("shot, text, key or see");
    }
    return 0;
}

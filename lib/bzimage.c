/* SPDX-License-Identifier: MIT */
#include "lib/bzimage.h"

#include "lib/macros.h"
#include "lib/string.h"

/* The setup header's fields, offsets in the file. */
#define SETUP_SECTS 0x1f1    /* uint8_t; 0 means 4 */
#define BOOT_FLAG 0x1fe      /* uint16_t 0xaa55 */
#define HEADER 0x202         /* "HdrS" */
#define VERSION 0x206        /* uint16_t */
#define LOADFLAGS 0x211      /* uint8_t, bit 0: LOADED_HIGH */
#define PAYLOAD_OFFSET 0x248 /* uint32_t, from the start of the protected-mode code; since 2.08 */
#define PAYLOAD_LENGTH 0x24c /* uint32_t */
#define HEADER_END 0x250

#define GZIP_LEAST 18 /* header and trailer */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static const struct {
    enum bz_format format;
    uint8_t len;
    const char *magic;
    const char *name;
} formats[] = {
    { BZ_ELF, 4, "\177ELF", "uncompressed ELF" },
    { BZ_GZIP, 3, "\037\213\010", "gzip" },
    { BZ_XZ, 6, "\3757zXZ", "xz" }, /* the sixth byte is the terminator */
    { BZ_ZSTD, 4, "\050\265\057\375", "zstd" },
    { BZ_LZ4, 4, "\002\041\114\030", "lz4" },
    { BZ_BZIP2, 3, "BZh", "bzip2" },
    { BZ_LZMA, 3, "\135\0\0", "lzma" },
    { BZ_LZO, 4, "\211LZO", "lzo" },
};

enum bz_format bz_identify(const void *data, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (len >= formats[i].len && memcmp(data, formats[i].magic, formats[i].len) == 0)
            return formats[i].format;
    }
    return BZ_UNKNOWN;
}

const char *bz_format_name(enum bz_format format)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (formats[i].format == format)
            return formats[i].name;
    }
    return "unknown";
}

static const char *check_setup_header(const uint8_t *f, size_t len)
{
    if (len < HEADER_END || get16(f + BOOT_FLAG) != 0xaa55 || memcmp(f + HEADER, "HdrS", 4) != 0)
        return "neither a bzImage nor an ELF file";
    if (get16(f + VERSION) < 0x208)
        return "a Linux kernel with a boot protocol older than 2.08";
    if (!(f[LOADFLAGS] & 1))
        return "a zImage, not a bzImage";
    return NULL;
}

static const char *find_payload(const uint8_t *f, size_t len, struct bz_payload *out)
{
    uint64_t code = ((f[SETUP_SECTS] ? f[SETUP_SECTS] : 4u) + 1) * UINT64_C(512);
    uint64_t start = code + get32(f + PAYLOAD_OFFSET);
    uint64_t length = get32(f + PAYLOAD_LENGTH);

    if (length < 16)
        return "the bzImage has no payload";
    if (start > len || length > len - start)
        return "the bzImage's payload lies outside of the file (truncated?)";
    out->data = f + start;
    out->len = length;
    out->format = bz_identify(out->data, out->len);
    return NULL;
}

/* Every payload but an ELF ends in the unpacked size; for gzip that is the format's own trailer. */
static const char *take_size(struct bz_payload *out)
{
    const uint8_t *p = out->data;

    if (out->format == BZ_ELF) {
        out->unpacked_size = out->len;
        return NULL;
    }
    out->unpacked_size = get32(p + out->len - 4);
    if (out->format != BZ_GZIP)
        out->len -= 4;
    if (out->unpacked_size == 0)
        return "the kernel's payload claims to unpack to nothing";
    if (out->unpacked_size > BZ_MAX_UNPACKED)
        return "the kernel's payload claims to unpack to more than 1 GiB";
    return NULL;
}

/* A whole file packed by gzip: what is in it shows when it is unpacked. */
static const char *take_gzip(const void *file, size_t len, struct bz_payload *out)
{
    if (len < GZIP_LEAST)
        return "the gzip file ends within its header";
    out->format = BZ_GZIP;
    out->data = file;
    out->len = len;
    return take_size(out);
}

const char *bzimage_parse(const void *file, size_t len, struct bz_payload *out)
{
    const char *why;

    memset(out, 0, sizeof(*out));
    if (bz_identify(file, len) == BZ_ELF) {
        out->format = BZ_ELF;
        out->data = file;
        out->len = len;
        out->unpacked_size = len;
        return NULL;
    }
    if (bz_identify(file, len) == BZ_GZIP)
        return take_gzip(file, len, out);
    why = check_setup_header(file, len);
    if (why)
        return why;
    out->protocol = get16((const uint8_t *)file + VERSION);
    why = find_payload(file, len, out);
    if (why)
        return why;
    switch (out->format) {
    case BZ_UNKNOWN:
        return "the bzImage's payload has an unknown format";
    case BZ_BZIP2:
    case BZ_LZMA:
    case BZ_LZO:
        return "the bzImage's payload is bzip2, lzma or lzo; gzip, xz, zstd, lz4 and ELF are "
               "supported";
    default:
        return take_size(out);
    }
}

/* SPDX-License-Identifier: MIT */
#include "tools/builder/unpack.h"

#include <lz4.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/macros.h"

#define OUT_SIZE (256u << 10)
#define IN_MAX (1u << 30)      /* zlib counts in 32 bits */
#define XZ_MEMORY (256u << 20) /* kernels use a dictionary of 32 MiB at most */
/* liblzma copies that much at a time out of its dictionary; for more memcpy takes `rep movsb`. */
#define XZ_STEP 4096u
#define ZSTD_WINDOW_LOG 27 /* 128 MiB: what Linux's own build asks for */
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_LEGACY_BLOCK (8u << 20) /* a block of the legacy format never unpacks to more */

static const char no_memory[] = "there is not enough memory to unpack it";

struct stream {
    const struct bz_payload *p;
    struct unpack_sink *sink;
    uint64_t done;
    uint8_t *out;
};

static const char *put(struct stream *s, size_t len)
{
    if (len > s->p->unpacked_size - s->done)
        return "its payload unpacks to more than it announces: it is damaged";
    s->done += len;
    return len ? s->sink->put(s->sink, s->out, len) : NULL;
}

static const char *copy_elf(struct stream *s)
{
    s->done = s->p->len;
    return s->sink->put(s->sink, s->p->data, s->p->len);
}

static const char *xz_error(lzma_ret ret)
{
    switch (ret) {
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
        return no_memory;
    case LZMA_OPTIONS_ERROR:
        return "its xz payload uses a filter or option that liblzma does not know";
    case LZMA_BUF_ERROR:
        return "its xz payload is cut off";
    default:
        return "its xz payload is damaged";
    }
}

static const char *unpack_xz(struct stream *s)
{
    lzma_stream z = LZMA_STREAM_INIT;
    lzma_ret ret = lzma_stream_decoder(&z, XZ_MEMORY, 0);
    const char *why = NULL;

    z.next_in = s->p->data;
    z.avail_in = s->p->len;
    while (ret == LZMA_OK && !why) {
        size_t n = 0; /* in the buffer */

        while (ret == LZMA_OK && n < OUT_SIZE) {
            z.next_out = s->out + n;
            z.avail_out = MIN(XZ_STEP, OUT_SIZE - n);
            n += z.avail_out;
            ret = lzma_code(&z, LZMA_FINISH);
            n -= z.avail_out;
        }
        why = put(s, n);
    }
    lzma_end(&z);
    return why ? why : ret == LZMA_STREAM_END ? NULL : xz_error(ret);
}

static const char *unpack_gzip(struct stream *s)
{
    z_stream z = { .next_in = (z_const Bytef *)s->p->data };
    const char *why = NULL;
    int ret = s->p->len > IN_MAX ? Z_DATA_ERROR : inflateInit2(&z, 15 + 16); /* gzip's own frame */

    z.avail_in = (uInt)s->p->len;
    while (ret == Z_OK && !why) {
        z.next_out = s->out;
        z.avail_out = OUT_SIZE;
        ret = inflate(&z, Z_NO_FLUSH);
        if (ret == Z_OK || ret == Z_STREAM_END)
            why = put(s, OUT_SIZE - z.avail_out);
    }
    inflateEnd(&z);
    if (why || ret == Z_STREAM_END)
        return why;
    return ret == Z_MEM_ERROR   ? no_memory
           : ret == Z_BUF_ERROR ? "its gzip payload is cut off"
                                : "its gzip payload is damaged";
}

static const char *unpack_zstd(struct stream *s)
{
    ZSTD_inBuffer in = { .src = s->p->data, .size = s->p->len };
    ZSTD_DStream *z = ZSTD_createDStream();
    const char *why = z ? NULL : no_memory;
    size_t ret = 1;

    if (z)
        ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    while (!why && ret) {
        ZSTD_outBuffer out = { .dst = s->out, .size = OUT_SIZE };
        ret = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_isError(ret))
            why = "its zstd payload is damaged";
        else
            why = put(s, out.pos);
        if (!why && ret && !out.pos && in.pos == in.size)
            why = "its zstd payload is cut off";
    }
    ZSTD_freeDStream(z);
    return why;
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * The legacy frame: a magic number, then blocks of a 32-bit length and data, up to the end.
 * The output buffer is as large as a block may become.
 */
static const char *unpack_lz4(struct stream *s)
{
    const uint8_t *in = s->p->data;
    size_t left = s->p->len;
    const char *why = NULL;

    if (left < 4 || get32(in) != LZ4_LEGACY_MAGIC)
        return "its lz4 payload is not in the legacy format";
    while (left && !why) {
        uint32_t block = left < 4 ? 0 : get32(in);
        int n;

        if (block == LZ4_LEGACY_MAGIC) { /* the first, or another frame follows */
            in += 4;
            left -= 4;
            continue;
        }
        if (block == 0 || block > (uint32_t)LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK))
            return "its lz4 payload is damaged";
        if (block > left - 4)
            return "its lz4 payload is cut off";
        n = LZ4_decompress_safe((const char *)in + 4, (char *)s->out, (int)block, LZ4_LEGACY_BLOCK);
        why = n < 0 ? "its lz4 payload is damaged" : put(s, (size_t)n);
        in += 4 + block;
        left -= 4 + block;
    }
    return why;
}

static const char *unpack_any(struct stream *s)
{
    switch (s->p->format) {
    case BZ_XZ:
        return unpack_xz(s);
    case BZ_ZSTD:
        return unpack_zstd(s);
    case BZ_LZ4:
        return unpack_lz4(s);
    case BZ_GZIP:
        return unpack_gzip(s);
    default:
        return "its payload has a format that is not supported";
    }
}

const char *unpack_stream(const struct bz_payload *p, struct unpack_sink *sink)
{
    struct stream s = { .p = p, .sink = sink };
    const char *why;

    if (p->format == BZ_ELF)
        return copy_elf(&s);
    s.out = malloc(p->format == BZ_LZ4 ? LZ4_LEGACY_BLOCK : OUT_SIZE);
    why = s.out ? unpack_any(&s) : no_memory;
    free(s.out);
    if (!why && s.done != p->unpacked_size)
        why = "its payload unpacks to less than it announces: it is damaged";
    return why;
}

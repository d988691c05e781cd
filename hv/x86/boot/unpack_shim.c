/* SPDX-License-Identifier: MIT */
/*
 * The libraries' headers need libc's, so this file is compiled and linked apart (unpack.mk): all
 * symbols but those of unpack.h become local, and malloc, calloc and free below are the libraries'
 * only.
 */
#include <lz4.h>
#include <lzma.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "x86/boot/unpack.h"

#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_LEGACY_BLOCK (8u << 20) /* a block of the legacy format never unpacks to more */

/*
 * The heap: blocks one behind the other in the caller's working memory. Only the last block can be
 * taken back, which is enough: each call of unpack_payload starts with an empty heap.
 */
#define HEAP_ALIGN 64
static unsigned char *heap_base;
static size_t heap_size, heap_top, heap_last;
static int heap_exhausted;

static void heap_init(void *work, size_t len)
{
    size_t skip = -(uintptr_t)work & (HEAP_ALIGN - 1);

    heap_base = (unsigned char *)work + skip;
    heap_size = len > skip ? len - skip : 0;
    heap_top = 0;
    heap_last = SIZE_MAX;
    heap_exhausted = 0;
}

void *malloc(size_t n)
{
    size_t size = (n + HEAP_ALIGN - 1) & ~(size_t)(HEAP_ALIGN - 1);

    if (size < n || size > heap_size - heap_top) {
        heap_exhausted = 1;
        return NULL;
    }
    heap_last = heap_top;
    heap_top += size;
    return heap_base + heap_last;
}

void *calloc(size_t n, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    p = malloc(bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

void free(void *p)
{
    if (p && heap_last != SIZE_MAX && p == heap_base + heap_last) {
        heap_top = heap_last;
        heap_last = SIZE_MAX;
    }
}

/*
 * libzstd's weak hooks. Left undefined they would be calls of address 0, which a `call` at the
 * hypervisor's addresses cannot express. 0 says: not traced.
 */
unsigned long long ZSTD_trace_decompress_begin(const void *dctx);
unsigned long long ZSTD_trace_decompress_begin(const void *dctx)
{
    (void)dctx;
    return 0;
}

void ZSTD_trace_decompress_end(unsigned long long ctx, const void *trace);
void ZSTD_trace_decompress_end(unsigned long long ctx, const void *trace)
{
    (void)ctx;
    (void)trace;
}

_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void)
{
    __builtin_trap();
}

/*
 * The libraries' constructors, gathered by unpack.lds. They set pointers to functions and may run
 * again.
 */
typedef void constructor(void);
extern constructor *const unpack_ctors[] __attribute__((visibility("hidden")));
extern constructor *const unpack_ctors_end[] __attribute__((visibility("hidden")));

static void run_constructors(void)
{
    for (constructor *const *c = unpack_ctors; c < unpack_ctors_end; c++)
        (*c)();
}

static const char *unpack_xz(const uint8_t *in, size_t in_len, uint8_t *out, size_t cap,
                             size_t *len)
{
    uint64_t limit = UINT64_MAX; /* the heap is the limit */
    size_t in_pos = 0, out_pos = 0;
    lzma_ret ret = lzma_stream_buffer_decode(&limit, 0, NULL, in, &in_pos, in_len, out, &out_pos,
                                             cap);

    *len = out_pos;
    switch (ret) {
    case LZMA_OK:
        return NULL;
    case LZMA_MEM_ERROR:
        return "the xz payload needs more working memory";
    case LZMA_BUF_ERROR:
        return "the xz payload is truncated or larger than announced";
    case LZMA_OPTIONS_ERROR:
        return "the xz payload uses an unknown filter or option";
    default:
        return "the xz payload is damaged";
    }
}

static const char *unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t cap,
                               size_t *len)
{
    size_t ret = ZSTD_decompress(out, cap, in, in_len);

    if (heap_exhausted)
        return "the zstd payload needs more working memory";
    if (ZSTD_isError(ret) || in_len == 0)
        return "the zstd payload is damaged, truncated or larger than announced";
    *len = ret;
    return NULL;
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * The legacy frame, which kernels use: a magic number, then blocks of a 32-bit length and data, up
 * to the end.
 */
static const char *unpack_lz4(const uint8_t *in, size_t in_len, uint8_t *out, size_t cap,
                              size_t *len)
{
    size_t pos = 4, done = 0;

    if (in_len < 4 || get32(in) != LZ4_LEGACY_MAGIC)
        return "the lz4 payload is not in the legacy format";
    while (pos < in_len) {
        size_t room = cap - done < LZ4_LEGACY_BLOCK ? cap - done : LZ4_LEGACY_BLOCK;
        uint32_t block;
        int n;

        if (in_len - pos < 4)
            return "the lz4 payload is truncated";
        block = get32(in + pos);
        pos += 4;
        if (block == LZ4_LEGACY_MAGIC) /* another frame follows */
            continue;
        if (block == 0 || block > (uint32_t)LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK))
            return "the lz4 payload is damaged";
        if (block > in_len - pos)
            return "the lz4 payload is truncated";
        n = LZ4_decompress_safe((const char *)in + pos, (char *)out + done, (int)block, (int)room);
        if (n < 0)
            return "the lz4 payload is damaged or larger than announced";
        pos += block;
        done += (size_t)n;
    }
    *len = done;
    return NULL;
}

static const char *unpack_gzip(const uint8_t *in, size_t in_len, uint8_t *out, size_t cap,
                               size_t *len)
{
    z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)in, .next_out = out };
    int ret;

    if (in_len > UINT32_MAX || cap > UINT32_MAX)
        return "the gzip payload is too large";
    z.avail_in = (uInt)in_len;
    z.avail_out = (uInt)cap;
    ret = inflateInit2(&z, 15 + 16); /* the largest window, with gzip's header and trailer */
    if (ret == Z_OK)
        ret = inflate(&z, Z_FINISH);
    *len = z.total_out;
    switch (ret) {
    case Z_STREAM_END:
        return NULL;
    case Z_MEM_ERROR:
        return "the gzip payload needs more working memory";
    case Z_BUF_ERROR:
    case Z_OK:
        return "the gzip payload is truncated or larger than announced";
    default:
        return "the gzip payload is damaged";
    }
}

static const char *copy_elf(const uint8_t *in, size_t in_len, uint8_t *out, size_t cap, size_t *len)
{
    if (in_len > cap)
        return "the ELF payload is larger than announced";
    memcpy(out, in, in_len);
    *len = in_len;
    return NULL;
}

size_t unpack_work_size(enum bz_format format)
{
    switch (format) {
    case BZ_XZ:
        return (size_t)33 << 20;
    case BZ_ZSTD:
    case BZ_GZIP:
        return (size_t)1 << 20;
    default:
        return 0;
    }
}

const char *unpack_payload(enum bz_format format, const void *in, size_t in_len, void *out,
                           size_t out_cap, size_t *out_len, void *work, size_t work_len)
{
    run_constructors();
    heap_init(work, work_len);
    *out_len = 0;
    switch (format) {
    case BZ_ELF:
        return copy_elf(in, in_len, out, out_cap, out_len);
    case BZ_XZ:
        return unpack_xz(in, in_len, out, out_cap, out_len);
    case BZ_ZSTD:
        return unpack_zstd(in, in_len, out, out_cap, out_len);
    case BZ_LZ4:
        return unpack_lz4(in, in_len, out, out_cap, out_len);
    case BZ_GZIP:
        return unpack_gzip(in, in_len, out, out_cap, out_len);
    default:
        return "the payload's format is not supported";
    }
}

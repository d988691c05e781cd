/* SPDX-License-Identifier: MIT */
/* The writer of saved guests' streams; see stream_out.h, and docs/stream.md for the format. */
#include "lib/stream_out.h"
#include "lib/stream.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PIECES 1024u /* that one call of writev takes */
#define MARK_LIBXC 1u

/* Until something can be written. */
static void await(struct stream_out *o)
{
    struct pollfd p = { .fd = o->fd, .events = POLLOUT };
    int ready = o->stall_ms ? poll(&p, 1, o->stall_ms) : 1;

    if (o->stop && o->stop())
        o->err = EINTR;
    else if (ready == 0)
        o->err = ETIMEDOUT;
    else if (ready < 0 && errno != EINTR)
        o->err = errno;
}

/* How many pieces one call may write: up to the next hole. */
static unsigned int pieces(const struct iovec *v, unsigned int n)
{
    unsigned int m = 0;

    while (m < n && m < PIECES && (v[m].iov_base || !v[m].iov_len))
        m++;
    return m;
}

/* Something follows each hole, the records at the stream's end, so that the file has its length. */
static void leave_out(struct stream_out *o, size_t n)
{
    if (lseek(o->fd, (off_t)n, SEEK_CUR) < 0)
        o->err = errno;
    else
        o->bytes += n;
}

/* All of it, however often the kernel takes only a part. */
static bool put(struct stream_out *o, struct iovec *v, unsigned int n)
{
    while (n && !o->err) {
        unsigned int m = pieces(v, n);
        ssize_t done;

        if (!m) {
            leave_out(o, v->iov_len);
            v++;
            n--;
            continue;
        }
        done = writev(o->fd, v, m);
        if (done < 0 && errno == EAGAIN && o->stall_ms) {
            await(o);
            continue;
        }
        if (done < 0 && errno == EINTR && o->stop && o->stop())
            o->err = EINTR;
        if (done < 0 && errno != EINTR)
            o->err = errno;
        if (done < 0)
            continue;
        o->bytes += (size_t)done;
        for (; m && (size_t)done >= v->iov_len; v++, n--, m--)
            done -= (ssize_t)v->iov_len;
        if (m) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
    return !o->err;
}

bool stream_out_file(struct stream_out *o, const char *json)
{
    const uint32_t size = (uint32_t)strlen(json) + 1;
    struct {
        char magic[STREAM_XL_MAGIC_SIZE];
        uint32_t byte_order, mandatory, optional, length, config;
    } h = { .byte_order = STREAM_XL_BYTE_ORDER,
            .mandatory = STREAM_XL_FEATURES,
            .length = size + sizeof(size),
            .config = size };
    struct iovec v[] = { { &h, sizeof(h) }, { (void *)json, size } };

    if (h.length > STREAM_MAX_CONFIG) { /* nobody would read it */
        o->err = E2BIG;
        return false;
    }
    memcpy(h.magic, STREAM_XL_MAGIC, sizeof(h.magic));
    return put(o, v, 2);
}

bool stream_out_begin(struct stream_out *o, uint32_t xen_major, uint32_t xen_minor)
{
    struct {
        uint64_t ident;
        uint32_t version, options;
        uint32_t type, length;
    } libxl = { .ident = htobe64(STREAM_LIBXL_IDENT), .version = htobe32(2), .type = MARK_LIBXC };
    struct {
        uint64_t marker;
        uint32_t id, version;
        uint64_t options;
        uint32_t type;
        uint16_t page_shift, reserved;
        uint32_t xen_major, xen_minor;
    } libxc = { .marker = UINT64_MAX,
                .id = htobe32(STREAM_LIBXC_ID),
                .version = htobe32(3),
                .type = 1,
                .page_shift = 12,
                .xen_major = xen_major,
                .xen_minor = xen_minor };
    struct iovec v[] = { { &libxl, sizeof(libxl) }, { &libxc, sizeof(libxc) } };

    return put(o, v, 2);
}

bool stream_out_pieces(struct stream_out *o, uint32_t type, struct iovec *piece, unsigned int n)
{
    static const uint8_t zeros[8];
    uint32_t head[2] = { type, 0 };
    struct iovec pad;

    for (unsigned int i = 1; i < n; i++)
        head[1] += (uint32_t)piece[i].iov_len;
    piece[0] = (struct iovec){ head, sizeof(head) };
    pad = (struct iovec){ (void *)zeros, -head[1] & 7 };
    return put(o, piece, n) && put(o, &pad, 1);
}

bool stream_out_record(struct stream_out *o, uint32_t type, const void *body, uint32_t length)
{
    struct iovec v[2] = { { 0 }, { (void *)body, length } };

    return stream_out_pieces(o, type, v, 2);
}

bool stream_out_end(struct stream_out *o)
{
    /* libxl's own last record has the same form and number. */
    return stream_out_record(o, STREAM_END, NULL, 0) && stream_out_record(o, STREAM_END, NULL, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Writes what stream.h reads: libxl's stream with libxc's in it, and xl's header before them where
 * it is a file (docs/stream.md). The caller writes libxc's records in the order of the
 * specification; nothing of it is checked here.
 *
 * Belongs to one thread. After a failure all further calls fail too, so that a caller may look
 * once.
 */
#ifndef TOOLS_LIB_STREAM_OUT_H
#define TOOLS_LIB_STREAM_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct stream_out {
    int fd;
    int err;        /* errno of the first write that failed; 0: none did */
    uint64_t bytes; /* written, holes included */
    bool holes;     /* the caller's: a file that is empty where it is written; it may have holes */
    /*
     * Of a pipe or connection, which is then O_NONBLOCK: how long its reader may take none of it
     * (ETIMEDOUT), and whether to give up (EINTR). 0, NULL: it waits.
     */
    int stall_ms;
    bool (*stop)(void);
};

/* xl's header, with the guest's configuration as libxl's JSON. */
bool stream_out_file(struct stream_out *o, const char *json);
/* libxl's and libxc's headers; the hypervisor's version is told in them. */
bool stream_out_begin(struct stream_out *o, uint32_t xen_major, uint32_t xen_minor);
/* A record of libxc's. */
bool stream_out_record(struct stream_out *o, uint32_t type, const void *body, uint32_t length);
/*
 * The same from pieces, of which piece[0] is the caller's to leave empty; all are used up. A piece
 * without a base is so many zeros, as a hole in the file: only with `holes`.
 */
bool stream_out_pieces(struct stream_out *o, uint32_t type, struct iovec *piece, unsigned int n);
/* The ends of both streams. */
bool stream_out_end(struct stream_out *o);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Reads what a saved guest is kept in: libxl's stream with libxc's in it, and xl's header before
 * them where it is a file (docs/stream.md). Whoever wrote it is not to be trusted: each record is
 * checked by itself and for its place before it is handed out, so that who gets one may rely on its
 * lengths and numbers. What only the hypervisor can judge (page tables, registers) is left to it.
 *
 * A reader belongs to one thread. It reads forward only, never beyond the stream's end.
 */
#ifndef TOOLS_LIB_STREAM_H
#define TOOLS_LIB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types of libxc's records. */
enum stream_type {
    STREAM_END = 0x0,
    STREAM_PAGE_DATA = 0x1,
    STREAM_PV_INFO = 0x2,
    STREAM_PV_P2M_FRAMES = 0x3,
    STREAM_PV_VCPU_BASIC = 0x4,
    STREAM_PV_VCPU_EXTENDED = 0x5,
    STREAM_PV_VCPU_XSAVE = 0x6,
    STREAM_SHARED_INFO = 0x7,
    STREAM_TSC_INFO = 0x8,
    STREAM_HVM_CONTEXT = 0x9,
    STREAM_HVM_PARAMS = 0xa,
    STREAM_TOOLSTACK = 0xb,
    STREAM_PV_VCPU_MSRS = 0xc,
    STREAM_VERIFY = 0xd,
    STREAM_CHECKPOINT = 0xe,
    STREAM_DIRTY_LIST = 0xf,
    STREAM_STATIC_END = 0x10,
    STREAM_CPUID_POLICY = 0x11,
    STREAM_MSR_POLICY = 0x12,
    STREAM_TYPES
};

/* What the headers say, for reader and writer. */
#define STREAM_XL_MAGIC "Xen saved domain, xl format\n \0 \r"
#define STREAM_XL_MAGIC_SIZE 32u
#define STREAM_MAX_CONFIG (1u << 20) /* bytes of a configuration in it */
#define STREAM_XL_BYTE_ORDER 0x01020304u
#define STREAM_XL_FEATURES 0x3u /* the configuration is JSON; libxl's stream has its own header */
#define STREAM_LIBXL_IDENT 0x4c6962786c466d74ull
#define STREAM_LIBXC_ID 0x58454e46u

#define STREAM_PAGE 4096u
#define STREAM_BATCH 1024u /* pages of a PAGE_DATA record, at most */
#define STREAM_VCPUS 128u
/* A guest's table of frames may go somewhat beyond the pages that it may have. */
#define STREAM_MAX_PFNS(pages) (4 * (uint64_t)(pages) + (1u << 20))

/* A page's number and type in a PAGE_DATA record. */
#define STREAM_PFN(entry) ((entry) & ((1ull << 52) - 1))
#define STREAM_PAGE_TYPE(entry) ((unsigned int)((entry) >> 60)) /* XEN_DOMCTL_PFINFO_*, shifted */

struct stream_record {
    uint32_t type, length;
    /* Aligned to 8; until the next record is read. Of PAGE_DATA without the pages themselves. */
    const uint8_t *body;
};

struct stream {
    /* The caller's: exactly n bytes into buf; false: there are no more, or reading failed. */
    bool (*read)(void *arg, void *buf, size_t n);
    void *arg;

    /* After stream_open(). */
    char *config; /* xl's header: the guest's configuration as JSON; NULL: there was no header */
    uint32_t xen_major, xen_minor; /* of the saver */

    char why[240];   /* after a refusal: the record, where it is, and the reason */
    uint64_t offset; /* bytes read */

    /* The reader's own. */
    uint8_t *body;
    size_t room;   /* in body */
    uint32_t seen; /* a bit for each type that came */
    size_t pages;  /* bytes of a PAGE_DATA record that nobody has asked for yet */
    uint64_t max_pfn;
    uint8_t vcpu[STREAM_VCPUS]; /* a bit for each of a vCPU's records: 1 << (type - BASIC) */
    unsigned int record;        /* how many came */
    char missing[48];
};

/*
 * Reads the headers of a stream whose `read` and `arg` are set, the rest zero. With `file` xl's
 * header comes first. False: refused, `why` says the reason. stream_close() is due either way.
 */
bool stream_open(struct stream *s, bool file);
/*
 * The next of libxc's records that matter here: optional ones that nobody knows are skipped. After
 * STREAM_END, before which all that a guest needs has come, the rest of libxl's stream has been
 * read too. False: refused.
 */
bool stream_next(struct stream *s, struct stream_record *r);
/*
 * The next n bytes of the pages that belong to the PAGE_DATA record that came last, which has as
 * many: straight to where they are wanted, a guest's memory too. What is not asked for is skipped
 * by stream_next(). False: the stream ends.
 */
bool stream_pages(struct stream *s, void *to, size_t n);
void stream_close(struct stream *s);
/* The specification's name of a record type. */
const char *stream_type_name(uint32_t type);

#endif

/* SPDX-License-Identifier: MIT */
/* The reader of saved guests' streams; see stream.h, and docs/stream.md for the format. */
#include "lib/macros.h"
#include "lib/stream.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/domctl.h>

#define ALIGN8(n) (((n) + 7u) & ~7u)
#define MAX_BODY (ALIGN8(8 + 8 * STREAM_BATCH) + STREAM_BATCH * STREAM_PAGE) /* of any record */
#define MAX_XSAVE (1u << 16)
#define MAX_MSRS 4096u

#define SEEN(type) (1u << (type))
#define OPTIONAL 0x80000000u

/* libxl's records. */
enum { XL_END, XL_LIBXC, XL_EMULATOR_STORE, XL_EMULATOR_CONTEXT, XL_CHECKPOINT_END, XL_STATE };

static const char *const names[STREAM_TYPES] = {
    "END",
    "PAGE_DATA",
    "X86_PV_INFO",
    "X86_PV_P2M_FRAMES",
    "X86_PV_VCPU_BASIC",
    "X86_PV_VCPU_EXTENDED",
    "X86_PV_VCPU_XSAVE",
    "SHARED_INFO",
    "X86_TSC_INFO",
    "HVM_CONTEXT",
    "HVM_PARAMS",
    "TOOLSTACK",
    "X86_PV_VCPU_MSRS",
    "VERIFY",
    "CHECKPOINT",
    "CHECKPOINT_DIRTY_PFN_LIST",
    "STATIC_DATA_END",
    "X86_CPUID_POLICY",
    "X86_MSR_POLICY",
};

const char *stream_type_name(uint32_t type)
{
    return type < STREAM_TYPES ? names[type] : "unknown";
}

/* Sets the reason, unless there is one: the first says most. */
static bool __attribute__((format(printf, 2, 3))) refuse(struct stream *s, const char *fmt, ...)
{
    va_list ap;

    if (s->why[0])
        return false;
    va_start(ap, fmt);
    vsnprintf(s->why, sizeof(s->why), fmt, ap);
    va_end(ap);
    return false;
}

static bool refuse_record(struct stream *s, const struct stream_record *r, const char *reason)
{
    return refuse(s, "record %u (%s, at byte %llu): %s", s->record, stream_type_name(r->type),
                  (unsigned long long)s->offset, reason);
}

static bool take(struct stream *s, void *buf, size_t n, const char *what)
{
    if (n && !s->read(s->arg, buf, n))
        return refuse(s, "%s: the stream ends at byte %llu", what, (unsigned long long)s->offset);
    s->offset += n;
    return true;
}

/* --- headers --- */

struct xl_header {
    char magic[STREAM_XL_MAGIC_SIZE];
    uint32_t byte_order, mandatory, optional, length;
};

/* xl's header, and the configuration behind it: its length, then JSON with a zero at its end. */
static bool open_xl(struct stream *s)
{
    struct xl_header h;
    uint32_t length;

    if (!take(s, &h, sizeof(h), "xl's header"))
        return false;
    if (memcmp(h.magic, STREAM_XL_MAGIC, STREAM_XL_MAGIC_SIZE) != 0)
        return refuse(s, "this is no file that xl or orlop saved a guest into");
    if (h.byte_order != STREAM_XL_BYTE_ORDER)
        return refuse(s, "xl's header: another machine's byte order");
    if ((h.mandatory & ~STREAM_XL_FEATURES) || h.mandatory != STREAM_XL_FEATURES)
        return refuse(s, "xl's header: features %#x, here %#x: another version's file", h.mandatory,
                      STREAM_XL_FEATURES);
    if (h.length < sizeof(length) || h.length > STREAM_MAX_CONFIG)
        return refuse(s, "xl's header: a configuration of %u bytes", h.length);
    if (!take(s, &length, sizeof(length), "the configuration"))
        return false;
    if (length != h.length - sizeof(length))
        return refuse(s, "the configuration: %u bytes in %u", length, h.length);
    s->config = calloc(1, (size_t)length + 1);
    if (!s->config)
        return refuse(s, "no memory for the configuration");
    return take(s, s->config, length, "the configuration");
}

static bool open_libxl(struct stream *s)
{
    struct {
        uint64_t ident;
        uint32_t version, options;
    } h;

    if (!take(s, &h, sizeof(h), "libxl's header"))
        return false;
    if (be64toh(h.ident) != STREAM_LIBXL_IDENT)
        return refuse(s, "libxl's header: no stream of libxl's");
    if (be32toh(h.version) != 2)
        return refuse(s, "libxl's header: version %u, here 2", be32toh(h.version));
    if (be32toh(h.options) & 1)
        return refuse(s, "libxl's header: big-endian");
    if (be32toh(h.options))
        return refuse(s, "libxl's header: options %#x: a converted or unknown stream",
                      be32toh(h.options));
    return true;
}

static bool open_libxc(struct stream *s)
{
    struct {
        uint64_t marker;
        uint32_t id, version;
        uint16_t options, reserved[3];
    } h;
    struct {
        uint32_t type;
        uint16_t page_shift, reserved;
        uint32_t xen_major, xen_minor;
    } d;

    if (!take(s, &h, sizeof(h), "the image header") || !take(s, &d, sizeof(d), "the domain header"))
        return false;
    if (h.marker != UINT64_MAX || be32toh(h.id) != STREAM_LIBXC_ID)
        return refuse(s, "the image header: no stream of libxc's");
    if (be32toh(h.version) != 3)
        return refuse(s, "the image header: version %u, here 3", be32toh(h.version));
    if (be16toh(h.options))
        return refuse(s, "the image header: options %#x", be16toh(h.options));
    if (d.type == 2)
        return refuse(s, "the domain header: a PVH or HVM guest: only PV guests are restored here");
    if (d.type != 1)
        return refuse(s, "the domain header: a guest of kind %u", d.type);
    if (d.page_shift != 12)
        return refuse(s, "the domain header: pages of 2^%u bytes", d.page_shift);
    s->xen_major = d.xen_major;
    s->xen_minor = d.xen_minor;
    return true;
}

/* --- records --- */

/* Most records are short: there is room for the longest so far. */
static bool make_room(struct stream *s, size_t n)
{
    if (n <= s->room)
        return true;
    free(s->body);
    s->room = 0;
    s->body = malloc(n);
    if (!s->body)
        return refuse(s, "no memory for a record of %zu bytes", n);
    s->room = n;
    return true;
}

static bool read_header(struct stream *s, struct stream_record *r, const char *what)
{
    struct {
        uint32_t type, length;
    } h;

    if (!take(s, &h, sizeof(h), what))
        return false;
    s->record++;
    r->type = h.type;
    r->length = h.length;
    if (h.length > MAX_BODY)
        return refuse(s, "record %u (type %#x, at byte %llu): %u bytes, more than there can be",
                      s->record, h.type, (unsigned long long)s->offset, h.length);
    return true;
}

/* The body, zero-padded to 8 bytes, into s->body. */
static bool read_body(struct stream *s, struct stream_record *r, const char *what)
{
    if (!make_room(s, ALIGN8(r->length)))
        return false;
    r->body = s->body;
    return take(s, s->body, ALIGN8(r->length), what);
}

static bool read_record(struct stream *s, struct stream_record *r, const char *what)
{
    return read_header(s, r, what) && read_body(s, r, what);
}

static uint32_t u32(const struct stream_record *r, unsigned int offset)
{
    uint32_t v;

    memcpy(&v, r->body + offset, sizeof(v));
    return v;
}

/* Of a PAGE_DATA record the count and the list, as far as these can be right. */
static bool read_list(struct stream *s, struct stream_record *r, const char *what)
{
    size_t list = 0, all = ALIGN8(r->length);

    if (!make_room(s, 8 + 8 * STREAM_BATCH))
        return false;
    r->body = s->body;
    if (all >= 8) {
        if (!take(s, s->body, 8, what))
            return false;
        list = 8 * (size_t)u32(r, 0);
        if (list <= 8 * STREAM_BATCH && 8 + list <= all && !take(s, s->body + 8, list, what))
            return false;
    }
    s->pages = all - MIN(all, 8 + list);
    return true;
}

bool stream_pages(struct stream *s, void *to, size_t n)
{
    if (n > s->pages)
        return refuse(s, "a record's pages: %zu bytes were asked for, there are %zu", n, s->pages);
    s->pages -= n;
    return take(s, to, n, "a record's pages");
}

static bool skip_pages(struct stream *s)
{
    while (s->pages) /* into the list's room: nobody has the record any more */
        if (!stream_pages(s, s->body, MIN(s->pages, s->room)))
            return false;
    return true;
}

bool stream_open(struct stream *s, bool file)
{
    struct stream_record r;

    if ((file && !open_xl(s)) || !open_libxl(s) || !read_record(s, &r, "libxl's first record"))
        return false;
    if (r.type != XL_LIBXC || r.length)
        return refuse(s, "libxl's first record: of type %u with %u bytes, not libxc's part", r.type,
                      r.length);
    s->record = 0;
    return open_libxc(s);
}

void stream_close(struct stream *s)
{
    free(s->config);
    free(s->body);
    s->config = NULL;
    s->body = NULL;
}

/* What libxl says after libxc's part: of a PV guest whose disks QEMU serves, QEMU's state. */
static bool read_tail(struct stream *s)
{
    struct stream_record r;

    s->record = 0;
    do {
        if (!read_record(s, &r, "libxl's records"))
            return false;
        if (r.type == XL_CHECKPOINT_END || r.type == XL_STATE)
            return refuse(s, "libxl's record %u: a stream of checkpoints (Remus, COLO)", s->record);
        if (r.type == XL_LIBXC || (r.type > XL_STATE && !(r.type & OPTIONAL)))
            return refuse(s, "libxl's record %u: type %#x has no place here", s->record, r.type);
    } while (r.type != XL_END);
    return r.length ? refuse(s, "libxl's last record has %u bytes", r.length) : true;
}

static uint64_t u64(const struct stream_record *r, unsigned int offset)
{
    uint64_t v;

    memcpy(&v, r->body + offset, sizeof(v));
    return v;
}

/* Each check: what is wrong with the record, in words; NULL: nothing. */

static const char *check_pv_info(struct stream *s, const struct stream_record *r)
{
    if (r->length != 8)
        return "not 8 bytes";
    if (r->body[0] != 8 || r->body[1] != 4)
        return "a 32-bit guest: only 64-bit PV guests are restored here";
    return NULL;
}

static const char *check_p2m(struct stream *s, const struct stream_record *r)
{
    const uint64_t per_frame = STREAM_PAGE / 8;
    uint32_t first, last;

    if (r->length < 8)
        return "no range of pages";
    first = u32(r, 0);
    last = u32(r, 4);
    if (first > last)
        return "a range of pages that ends before it begins";
    if (r->length != 8 + 8 * (last / per_frame - first / per_frame + 1))
        return "not as many frames as its range of pages needs";
    if (first)
        return "does not begin with page 0";
    for (uint32_t at = 8; at < r->length; at += 8)
        if (u64(r, at) > last)
            return "a frame of the guest's table that is none of its pages";
    s->max_pfn = last;
    return NULL;
}

/* XEN_DOMCTL_PFINFO_*: no table, tables of level 1 to 4, the same pinned, broken, to be made, none.
 */
static bool page_type_ok(unsigned int type)
{
    return type <= 4 || type >= 9;
}

static bool has_data(unsigned int type)
{
    return type < 13;
}

static const char *check_pages(struct stream *s, const struct stream_record *r)
{
    uint32_t count, with_data = 0;

    if (r->length < 8)
        return "no count of pages";
    count = u32(r, 0);
    if (count == 0 || count > STREAM_BATCH)
        return "no pages, or more than 1024";
    if (r->length < 8 + 8 * count)
        return "shorter than its list of pages";
    for (uint32_t i = 0; i < count; i++) {
        uint64_t e = u64(r, 8 + 8 * i);

        if ((e >> 52 & 0xff) || !page_type_ok(STREAM_PAGE_TYPE(e)))
            return "a page of an unknown type";
        if (STREAM_PFN(e) > s->max_pfn)
            return "a page beyond the guest's last";
        with_data += has_data(STREAM_PAGE_TYPE(e));
    }
    return r->length == 8 + 8 * count + STREAM_PAGE * with_data
               ? NULL
               : "not as much data as its pages need";
}

static const char *check_vcpu(struct stream *s, const struct stream_record *r)
{
    const unsigned int bit = r->type == STREAM_PV_VCPU_MSRS ? 3 : r->type - STREAM_PV_VCPU_BASIC;
    uint32_t id, n = r->length - 8;
    bool fits;

    if (r->length < 8)
        return "no number of a vCPU";
    id = u32(r, 0);
    if (id >= STREAM_VCPUS)
        return "a vCPU of a number that there cannot be";
    if (s->vcpu[id] & 1u << bit)
        return "for the second time of the same vCPU";
    s->vcpu[id] |= 1u << bit;
    switch (r->type) {
    case STREAM_PV_VCPU_BASIC:
        fits = n == sizeof(struct vcpu_guest_context);
        break;
    case STREAM_PV_VCPU_EXTENDED:
        fits = n >= 8 && n <= 128;
        break;
    case STREAM_PV_VCPU_XSAVE:
        fits = n >= 16 + 512 + 64 && n <= MAX_XSAVE;
        break;
    default:
        fits = n && n % sizeof(struct xen_domctl_vcpu_msr) == 0 && n <= MAX_MSRS;
    }
    return fits ? NULL : "of another length than it can have";
}

static const char *check_length(const struct stream_record *r)
{
    switch (r->type) {
    case STREAM_SHARED_INFO:
        return r->length == STREAM_PAGE ? NULL : "not one page";
    case STREAM_TSC_INFO:
        return r->length == 24 ? NULL : "not 24 bytes";
    case STREAM_CPUID_POLICY:
        return r->length && r->length % 24 == 0 ? NULL : "no list of CPUID leaves";
    case STREAM_MSR_POLICY:
        return r->length && r->length % 16 == 0 ? NULL : "no list of MSRs";
    default: /* END, VERIFY, STATIC_DATA_END: marks */
        return r->length == 0 ? NULL : "a mark with something in it";
    }
}

/* The types that have to come before, and those that come once. */
static const struct {
    uint32_t before;
    bool once;
} order[STREAM_TYPES] = {
    [STREAM_END] = { SEEN(STREAM_PAGE_DATA) | SEEN(STREAM_SHARED_INFO) |
                         SEEN(STREAM_PV_VCPU_BASIC) | SEEN(STREAM_STATIC_END),
                     true },
    [STREAM_PAGE_DATA] = { SEEN(STREAM_PV_P2M_FRAMES), false },
    [STREAM_PV_INFO] = { 0, true },
    [STREAM_PV_P2M_FRAMES] = { SEEN(STREAM_PV_INFO) | SEEN(STREAM_STATIC_END), true },
    [STREAM_PV_VCPU_BASIC] = { SEEN(STREAM_PAGE_DATA), false },
    [STREAM_PV_VCPU_EXTENDED] = { SEEN(STREAM_PAGE_DATA), false },
    [STREAM_PV_VCPU_XSAVE] = { SEEN(STREAM_PAGE_DATA), false },
    [STREAM_PV_VCPU_MSRS] = { SEEN(STREAM_PAGE_DATA), false },
    [STREAM_SHARED_INFO] = { SEEN(STREAM_PV_INFO), true },
    [STREAM_TSC_INFO] = { 0, true },
    [STREAM_VERIFY] = { SEEN(STREAM_PAGE_DATA), true },
    [STREAM_STATIC_END] = { 0, true },
    [STREAM_CPUID_POLICY] = { 0, true },
    [STREAM_MSR_POLICY] = { 0, true },
};

/* Its place among the others, and whether a PV guest has such a thing at all. */
static const char *check_order(struct stream *s, const struct stream_record *r)
{
    switch (r->type) {
    case STREAM_HVM_CONTEXT:
    case STREAM_HVM_PARAMS:
        return "a PV guest has none";
    case STREAM_TOOLSTACK:
        return "of a version that is too old";
    case STREAM_CHECKPOINT:
    case STREAM_DIRTY_LIST:
        return "a stream of checkpoints (Remus, COLO) is not restored here";
    case STREAM_CPUID_POLICY:
    case STREAM_MSR_POLICY:
        if (s->seen & SEEN(STREAM_STATIC_END))
            return "after the end of static data";
        break;
    default:
        break;
    }
    if (order[r->type].once && (s->seen & SEEN(r->type)))
        return "for the second time";
    for (uint32_t t = 0; t < STREAM_TYPES; t++) {
        if (!(order[r->type].before & ~s->seen & SEEN(t)))
            continue;
        snprintf(s->missing, sizeof(s->missing), "before any %s", names[t]);
        return s->missing;
    }
    if (r->type == STREAM_END && !(s->vcpu[0] & 1))
        return "before vCPU 0's context";
    return NULL;
}

static const char *check_content(struct stream *s, const struct stream_record *r)
{
    switch (r->type) {
    case STREAM_PV_INFO:
        return check_pv_info(s, r);
    case STREAM_PV_P2M_FRAMES:
        return check_p2m(s, r);
    case STREAM_PAGE_DATA:
        return check_pages(s, r);
    case STREAM_PV_VCPU_BASIC:
    case STREAM_PV_VCPU_EXTENDED:
    case STREAM_PV_VCPU_XSAVE:
    case STREAM_PV_VCPU_MSRS:
        return check_vcpu(s, r);
    default:
        return check_length(r);
    }
}

bool stream_next(struct stream *s, struct stream_record *r)
{
    const char *why;

    do {
        if (!skip_pages(s) || !read_header(s, r, "a record"))
            return false;
        if (!(r->type == STREAM_PAGE_DATA ? read_list : read_body)(s, r, "a record"))
            return false;
    } while (r->type & OPTIONAL);
    if (r->type >= STREAM_TYPES)
        return refuse(s, "record %u (at byte %llu): type %#x, of a later version", s->record,
                      (unsigned long long)s->offset, r->type);
    why = check_order(s, r);
    if (!why)
        why = check_content(s, r);
    if (why)
        return refuse_record(s, r, why);
    s->seen |= SEEN(r->type);
    return r->type != STREAM_END || read_tail(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * The reader of saved guests' streams: a small good one is taken, each way to spoil it is refused
 * with the record and the reason, and so is each of its beginnings.
 */
#include "lib/stream.h"

#include <endian.h>
#include <xen/xen.h>

#include "unit.h"

#define PFNS 600u

/* --- a stream in memory --- */

static uint8_t text[1 << 20];
static size_t length, at;

static void put(const void *p, size_t n)
{
    if (n)
        memcpy(text + length, p, n);
    length += n;
}

static void put32(uint32_t v)
{
    put(&v, sizeof(v));
}

static void put64(uint64_t v)
{
    put(&v, sizeof(v));
}

static void record(uint32_t type, const void *body, uint32_t n)
{
    put32(type);
    put32(n);
    put(body, n);
    length += -n & 7;
}

static bool read_text(void *arg, void *buf, size_t n)
{
    if (n > length - at)
        return false;
    memcpy(buf, text + at, n);
    at += n;
    return true;
}

/* What a test changes: one record is left out, doubled, replaced, or comes before another. */
static struct {
    uint32_t without, twice, early, replaced;
    const void *body;
    uint32_t n;
} spoil;
#define NOBODY UINT32_MAX

static void part(uint32_t type, const void *body, uint32_t n)
{
    if (type == spoil.without)
        return;
    if (type == spoil.replaced)
        record(type, spoil.body, spoil.n);
    else
        record(type, body, n);
    if (type == spoil.twice)
        record(type, body, n);
}

static void headers(void)
{
    static const char config[] = "{\"c_info\":{}}";
    const uint32_t size = sizeof(config);

    put("Xen saved domain, xl format\n \0 \r", 32);
    put32(0x01020304);
    put32(3);
    put32(0);
    put32(4 + size);
    put32(size);
    put(config, size);
    put64(htobe64(0x4c6962786c466d74));
    put32(htobe32(2));
    put32(0);
    record(1, NULL, 0);
    put64(UINT64_MAX);
    put32(htobe32(0x58454e46));
    put32(htobe32(3));
    put64(0);
    put32(1);
    put32(12);
    put32(4);
    put32(17);
}

static uint64_t page_data[1 + 4 + 2 * 512];

static void build(void)
{
    static uint8_t zeros[8 + sizeof(struct vcpu_guest_context) + 4096];
    static const uint8_t info[8] = { 8, 4 };
    uint64_t p2m[3] = { (uint64_t)(PFNS - 1) << 32, 3, 4 };
    uint64_t msr[3] = { 0, 0xc0000103, 5 };

    memset(text, 0, sizeof(text));
    length = at = 0;
    headers();
    if (spoil.early != NOBODY)
        record(spoil.early, spoil.body, spoil.n);
    part(STREAM_PV_INFO, info, 8);
    part(STREAM_CPUID_POLICY, zeros, 48);
    part(STREAM_MSR_POLICY, zeros, 16);
    part(STREAM_STATIC_END, NULL, 0);
    part(STREAM_PV_P2M_FRAMES, p2m, sizeof(p2m));
    memset(page_data, 0, sizeof(page_data));
    page_data[0] = 4;
    page_data[1] = PFNS - 1;
    page_data[2] = 5 | 0xcull << 60; /* an L4, pinned */
    page_data[3] = 6 | 0xfull << 60; /* none */
    page_data[4] = 7 | 0xeull << 60; /* no data */
    for (unsigned int i = 0; i < 1024; i++)
        page_data[5 + i] = 0x1000 + i;
    part(STREAM_PAGE_DATA, page_data, sizeof(page_data));
    record(0x80000077, zeros, 5); /* optional: nobody knows it */
    part(STREAM_TSC_INFO, zeros, 24);
    part(STREAM_SHARED_INFO, zeros, 4096);
    part(STREAM_PV_VCPU_BASIC, zeros, 8 + sizeof(struct vcpu_guest_context));
    part(STREAM_PV_VCPU_EXTENDED, zeros, 8 + 128);
    part(STREAM_PV_VCPU_XSAVE, zeros, 8 + 16 + 576);
    part(STREAM_PV_VCPU_MSRS, msr, sizeof(msr));
    part(STREAM_VERIFY, NULL, 0);
    part(STREAM_END, NULL, 0);
    record(2, zeros, 24); /* libxl's: QEMU's nodes */
    record(0, NULL, 0);
}

/* Reads all that is there: how many records came before the end, or -1: refused. */
static int read_all(struct stream *s)
{
    struct stream_record r;
    int n = 0;

    *s = (struct stream){ .read = read_text };
    at = 0;
    if (!stream_open(s, true))
        return -1;
    do {
        if (!stream_next(s, &r))
            return -1;
        n++;
    } while (r.type != STREAM_END);
    return n;
}

static void start(void)
{
    spoil.without = spoil.twice = spoil.early = spoil.replaced = NOBODY;
}

/* The stream as it is built now is refused, with these words. */
static void refused(const char *words)
{
    struct stream s;

    build();
    if (read_all(&s) != -1 || !strstr(s.why, words)) {
        printf("\"%s\" instead of \"%s\"\n", s.why, words);
        unit_failures++;
    }
    stream_close(&s);
}

static void replaced(uint32_t type, const void *body, uint32_t n, const char *words)
{
    start();
    spoil.replaced = type;
    spoil.body = body;
    spoil.n = n;
    refused(words);
}

static void early(uint32_t type, uint32_t n, const char *words)
{
    static const uint8_t zeros[4096];

    start();
    spoil.early = type;
    spoil.body = zeros;
    spoil.n = n;
    refused(words);
}

TEST(a_good_one)
{
    struct stream s;

    start();
    build();
    CHECK_EQ(read_all(&s), 14);
    CHECK_STR(s.why, "");
    CHECK_STR(s.config, "{\"c_info\":{}}");
    CHECK(s.xen_major == 4 && s.xen_minor == 17);
    CHECK_EQ(s.offset, length);
    stream_close(&s);
}

/* Until the record of pages. */
static bool up_to_pages(struct stream *s, struct stream_record *r)
{
    *s = (struct stream){ .read = read_text };
    at = 0;
    if (!stream_open(s, true))
        return false;
    do
        if (!stream_next(s, r))
            return false;
    while (r->type != STREAM_PAGE_DATA);
    return true;
}

TEST(pages_go_where_they_are_wanted)
{
    static uint8_t to[2 * 4096];
    struct stream_record r;
    struct stream s;

    start();
    build();
    CHECK(up_to_pages(&s, &r));
    CHECK_EQ(r.length, sizeof(page_data));
    CHECK(stream_pages(&s, to, 100) && stream_pages(&s, to + 100, sizeof(to) - 100));
    CHECK(memcmp(to, page_data + 5, sizeof(to)) == 0);
    CHECK(stream_next(&s, &r));
    CHECK_EQ(r.type, STREAM_TSC_INFO);
    stream_close(&s);

    CHECK(up_to_pages(&s, &r)); /* the rest is skipped */
    CHECK(stream_pages(&s, to, 4097));
    CHECK(stream_next(&s, &r));
    CHECK_EQ(r.type, STREAM_TSC_INFO);
    CHECK(!stream_pages(&s, to, 1) && strstr(s.why, "there are 0"));
    stream_close(&s);

    CHECK(up_to_pages(&s, &r));
    CHECK(!stream_pages(&s, to, sizeof(to) + 1));
    CHECK(strstr(s.why, "8193 bytes were asked for"));
    stream_close(&s);
}

TEST(each_beginning)
{
    struct stream s;
    size_t whole;

    start();
    build();
    whole = length;
    for (length = 0; length < whole; length++) {
        if (read_all(&s) != -1 || !strstr(s.why, "the stream ends")) {
            printf("%zu bytes: %s\n", length, s.why);
            unit_failures++;
        }
        stream_close(&s);
    }
}

/* Each byte of the headers changed. (The configuration's own text is the caller's to judge.) */
TEST(headers_that_are_wrong)
{
    struct stream s;
    size_t end;

    start();
    build();
    for (end = 0; text[end] != 0xff; end++)
        ;
    end += 40;
    for (size_t i = 0; i < end; i++) {
        bool free = (i >= 40 && i < 44) || (i >= 52 && i < 66) || /* optional, JSON */
                    (i >= end - 22 && i < end - 16) ||            /* reserved */
                    (i >= end - 10 && i < end);                   /* reserved, Xen's version */

        text[i] ^= 0x80;
        if ((read_all(&s) == -1) == free) {
            printf("byte %zu: %s\n", i, s.why);
            unit_failures++;
        }
        stream_close(&s);
        text[i] ^= 0x80;
    }
}

TEST(records_at_a_wrong_place)
{
    static const uint32_t once[] = { STREAM_PV_INFO,       STREAM_CPUID_POLICY, STREAM_MSR_POLICY,
                                     STREAM_STATIC_END,    STREAM_TSC_INFO,     STREAM_SHARED_INFO,
                                     STREAM_PV_VCPU_BASIC, STREAM_PV_VCPU_MSRS, STREAM_VERIFY,
                                     STREAM_PV_P2M_FRAMES };
    static const uint32_t needed[] = { STREAM_PV_INFO,   STREAM_STATIC_END,  STREAM_PV_P2M_FRAMES,
                                       STREAM_PAGE_DATA, STREAM_SHARED_INFO, STREAM_PV_VCPU_BASIC };

    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        start();
        spoil.twice = once[i];
        refused("for the second time");
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        start();
        spoil.without = needed[i];
        refused("before any ");
    }
    early(STREAM_PAGE_DATA, 8, "record 1 (PAGE_DATA, at byte ");
    early(STREAM_PAGE_DATA, 8, "before any X86_PV_P2M_FRAMES");
    early(STREAM_PV_P2M_FRAMES, 16, "before any X86_PV_INFO");
    early(STREAM_PV_VCPU_XSAVE, 600, "before any PAGE_DATA");
    early(STREAM_SHARED_INFO, 4096, "before any X86_PV_INFO");
    early(STREAM_VERIFY, 0, "before any PAGE_DATA");
    early(STREAM_END, 0, "before any PAGE_DATA");
    early(STREAM_HVM_CONTEXT, 8, "a PV guest has none");
    early(STREAM_HVM_PARAMS, 8, "a PV guest has none");
    early(STREAM_TOOLSTACK, 8, "too old");
    early(STREAM_CHECKPOINT, 0, "checkpoints");
    early(STREAM_DIRTY_LIST, 8, "checkpoints");
    early(STREAM_TYPES, 0, "type 0x13, of a later version");
    early(0x7fffffff, 0, "type 0x7fffffff, of a later version");
}

TEST(lengths_that_cannot_be)
{
    static const uint8_t zeros[8192 + (1 << 16)];
    static const struct {
        uint32_t type, n;
    } rows[] = { { STREAM_PV_INFO, 7 },
                 { STREAM_PV_INFO, 9 },
                 { STREAM_CPUID_POLICY, 0 },
                 { STREAM_CPUID_POLICY, 25 },
                 { STREAM_MSR_POLICY, 8 },
                 { STREAM_STATIC_END, 1 },
                 { STREAM_PV_P2M_FRAMES, 7 },
                 { STREAM_PV_P2M_FRAMES, 8 },
                 { STREAM_PAGE_DATA, 7 },
                 { STREAM_TSC_INFO, 23 },
                 { STREAM_SHARED_INFO, 4095 },
                 { STREAM_SHARED_INFO, 4097 },
                 { STREAM_PV_VCPU_BASIC, 7 },
                 { STREAM_PV_VCPU_BASIC, 4096 },
                 { STREAM_PV_VCPU_EXTENDED, 8 },
                 { STREAM_PV_VCPU_EXTENDED, 8 + 129 },
                 { STREAM_PV_VCPU_XSAVE, 599 },
                 { STREAM_PV_VCPU_XSAVE, 8 + (1 << 16) + 8 },
                 { STREAM_PV_VCPU_MSRS, 8 },
                 { STREAM_PV_VCPU_MSRS, 8 + 4112 },
                 { STREAM_PV_VCPU_MSRS, 23 },
                 { STREAM_VERIFY, 8 },
                 { STREAM_END, 8 } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        replaced(rows[i].type, zeros, rows[i].n, stream_type_name(rows[i].type));
}

TEST(content_that_cannot_be)
{
    static const uint8_t narrow[8] = { 4, 4 }, levels[8] = { 8, 3 };
    uint64_t p2m[3] = { (uint64_t)(PFNS - 1) << 32, 3, 4 }, pages[1 + 2 + 512] = { 2, 1, 2 };
    static uint8_t vcpu[8 + sizeof(struct vcpu_guest_context)] = { STREAM_VCPUS };

    replaced(STREAM_PV_INFO, narrow, 8, "32-bit");
    replaced(STREAM_PV_INFO, levels, 8, "32-bit");
    p2m[2] = PFNS;
    replaced(STREAM_PV_P2M_FRAMES, p2m, sizeof(p2m), "none of its pages");
    p2m[2] = 4;
    p2m[0] = 100ull << 32 | 101;
    replaced(STREAM_PV_P2M_FRAMES, p2m, 16, "ends before it begins");
    p2m[0] = (uint64_t)(PFNS - 1) << 32 | 1;
    replaced(STREAM_PV_P2M_FRAMES, p2m, sizeof(p2m), "does not begin with page 0");
    p2m[0] = 1024ull << 32;
    replaced(STREAM_PV_P2M_FRAMES, p2m, sizeof(p2m), "not as many frames");
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "not as much data");
    pages[2] = PFNS | 0xfull << 60;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "beyond the guest's last");
    pages[2] = 2 | 0x5ull << 60;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "unknown type");
    pages[2] = 2 | 0x8ull << 60;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "unknown type");
    pages[2] = 2 | 0xfull << 60 | 1ull << 52;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "unknown type");
    pages[0] = 0;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "no pages");
    pages[0] = STREAM_BATCH + 1;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "no pages");
    pages[0] = STREAM_BATCH;
    replaced(STREAM_PAGE_DATA, pages, sizeof(pages), "shorter than its list");
    replaced(STREAM_PV_VCPU_BASIC, vcpu, sizeof(vcpu), "of a number that there cannot be");
    vcpu[0] = 1;
    replaced(STREAM_PV_VCPU_BASIC, vcpu, sizeof(vcpu), "before vCPU 0's context");
}

/* A record whose length would not fit into memory is refused before it is read. */
TEST(a_record_that_is_too_long)
{
    struct stream s;

    start();
    build();
    for (size_t i = 0; i < length; i++)
        if (memcmp(text + i, "\2\0\0\0\10\0\0\0", 8) == 0)
            memset(text + i + 4, 0xff, 4);
    CHECK_EQ(read_all(&s), -1);
    CHECK(strstr(s.why, "more than there can be") != NULL);
    stream_close(&s);
}

/* libxl's own records behind libxc's. */
TEST(the_tail)
{
    static const char *const words[] = { "has no place here", "checkpoints", "checkpoints",
                                         "has no place here" };
    static const uint8_t types[] = { 1, 4, 5, 6 };
    struct stream s;

    for (size_t i = 0; i < sizeof(types); i++) {
        start();
        build();
        text[length - 40] = types[i];
        CHECK_EQ(read_all(&s), -1);
        CHECK(strstr(s.why, words[i]) != NULL);
        stream_close(&s);
    }
}

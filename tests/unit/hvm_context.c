/* SPDX-License-Identifier: MIT */
/* The framing of a domain's records. */
#include "unit.h"

#include <xen/errno.h>

#include "x86/hvm/context.h"

struct domain {
    uint64_t cpu[3];
    bool there[3];
    uint32_t device[2];
    unsigned int loads;
};

static struct domain d;
static uint64_t scratch[CONTEXT_RECORD_MAX / 8];
static uint8_t buf[1024];

static uint32_t save_cpu(struct domain *dom, unsigned int i, void *rec)
{
    if (!dom->there[i])
        return 0;
    *(uint64_t *)rec = dom->cpu[i];
    return 16;
}

static int check_cpu(struct domain *dom, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    if (!dom->there[i])
        return -XEN_ENOENT;
    return ((const uint64_t *)rec)[1] ? -XEN_EINVAL : 0;
}

static void load_cpu(struct domain *dom, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    dom->cpu[i] = *(const uint64_t *)rec;
    dom->loads++;
}

static uint32_t save_device(struct domain *dom, unsigned int i, void *rec)
{
    *(uint32_t *)rec = dom->device[i];
    return 4;
}

static void load_device(struct domain *dom, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    dom->device[i] = *(const uint32_t *)rec;
    dom->loads++;
}

static const struct context_kind kinds[] = {
    { HVM_SAVE_CODE(CPU), 8, 16, 0, save_cpu, check_cpu, load_cpu },
    { HVM_SAVE_CODE(PIC), 4, 4, 2, save_device, NULL, load_device },
};
static const struct context_table table = { kinds, 2, 3, 0x800f12, 2000000 };

static void fresh(void)
{
    d = (struct domain){ .cpu = { 11, 22, 33 },
                         .there = { true, true, false },
                         .device = { 4, 5 } };
    memset(buf, 0xcc, sizeof(buf));
}

#define LENGTH (8 + 24 + 2 * (8 + 16) + 2 * (8 + 4) + 8)

TEST(a_stream_comes_back)
{
    struct hvm_save_descriptor desc;

    fresh();
    CHECK_EQ(context_size(&table), 8 + 24 + 3 * (8 + 16) + 2 * (8 + 4) + 8);
    CHECK_EQ(context_save(&table, &d, buf, sizeof(buf), scratch), LENGTH);
    CHECK_EQ(buf[LENGTH], 0xcc);
    memcpy(&desc, buf + 8 + 24 + 24, 8);
    CHECK(desc.typecode == 2 && desc.instance == 1 && desc.length == 16);
    memset(d.cpu, 0, sizeof(d.cpu));
    memset(d.device, 0, sizeof(d.device));
    CHECK_EQ(context_load(&table, &d, buf, LENGTH, scratch), 0);
    CHECK(d.cpu[0] == 11 && d.cpu[1] == 22 && d.device[1] == 5 && d.loads == 4);
    for (size_t n = 0; n < LENGTH; n++) {
        uint8_t small[LENGTH];

        CHECK_EQ(context_save(&table, &d, small, n, scratch), -XEN_ENOSPC);
        CHECK_EQ(context_load(&table, &d, buf, n, scratch), -XEN_EINVAL);
    }
    CHECK_EQ(d.loads, 4);
    CHECK_EQ(context_save_one(&table, &d, 2, 1, scratch), 16);
    CHECK_EQ(scratch[0], 22);
    CHECK_EQ(context_save_one(&table, &d, 2, 2, scratch), -XEN_ENOENT);
    CHECK_EQ(context_save_one(&table, &d, 2, 3, scratch), -XEN_ENOENT);
    CHECK_EQ(context_save_one(&table, &d, 9, 0, scratch), -XEN_ENOENT);
}

static size_t add(size_t at, uint16_t code, uint16_t instance, uint32_t len, uint64_t val)
{
    struct hvm_save_descriptor desc = { code, instance, len };

    memcpy(buf + at, &desc, 8);
    memset(buf + at + 8, 0, len);
    memcpy(buf + at + 8, &val, len < 8 ? len : 8);
    return at + 8 + len;
}

static int load_one(uint16_t code, uint16_t instance, uint32_t len, uint64_t val)
{
    struct hvm_save_header h = { .magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION };
    size_t at = add(0, 1, 0, sizeof(h), 0);

    memcpy(buf + 8, &h, sizeof(h));
    at = add(at, 3, 0, 4, 99); /* a good one first: all or none */
    at = add(at, code, instance, len, val);
    at = add(at, 0, 0, 0, 0);
    return context_load(&table, &d, buf, at, scratch);
}

TEST(all_or_none)
{
    fresh();
    CHECK_EQ(load_one(2, 0, 16, 77), 0);
    CHECK(d.cpu[0] == 77 && d.device[0] == 99);
    d.device[0] = d.loads = 0;
    CHECK_EQ(load_one(2, 1, 8, 78), 0); /* of an older system, shorter */
    CHECK_EQ(d.cpu[1], 78);
    d.device[0] = d.loads = 0;
    CHECK_EQ(load_one(2, 0, 7, 1), -XEN_EINVAL);
    CHECK_EQ(load_one(2, 0, 17, 1), -XEN_EINVAL);
    CHECK_EQ(load_one(2, 2, 16, 1), -XEN_ENOENT);
    CHECK_EQ(load_one(2, 3, 16, 1), -XEN_EINVAL);
    CHECK_EQ(load_one(3, 2, 4, 1), -XEN_EINVAL);
    CHECK_EQ(load_one(4, 0, 4, 1), -XEN_EINVAL);
    CHECK_EQ(load_one(1, 0, 24, 1), -XEN_EINVAL);
    CHECK_EQ(d.loads, 0);
    CHECK_EQ(d.device[0], 0);
    /* A length beyond the stream, and one that wraps. */
    add(8 + 24, 3, 0, 4, 1);
    struct hvm_save_descriptor desc = { 3, 0, 0xffffffff };
    memcpy(buf + 8 + 24, &desc, 8);
    CHECK_EQ(context_load(&table, &d, buf, 200, scratch), -XEN_EINVAL);
    buf[8] ^= 1; /* another magic */
    CHECK_EQ(load_one(2, 0, 16, 77), 0);
    buf[8] ^= 1;
    CHECK_EQ(context_load(&table, &d, buf, 100, scratch), -XEN_EINVAL);
}

/* SPDX-License-Identifier: MIT */
/* Requests to device models, with one that keeps to the rules and one that does not. */
#include "unit.h"

#include <xen/errno.h>

#include "x86/hvm/ioreq.h"

static struct ioreq_server set[IOREQ_SERVERS];
static struct ioreq_range ranges[IOREQ_SERVERS][IOREQ_RANGE_KINDS][IOREQ_RANGES_MAX];
static _Alignas(4096) uint8_t slots[4096], ring_page[4096];
#define RING ((buffered_iopage_t *)(void *)ring_page)

static void fresh(void)
{
    memset(set, 0, sizeof(set));
    memset(slots, 0, sizeof(slots));
    memset(ring_page, 0, sizeof(ring_page));
    for (unsigned int i = 0; i < IOREQ_SERVERS; i++)
        for (unsigned int k = 0; k < IOREQ_RANGE_KINDS; k++)
            set[i].ranges[k] = ranges[i][k];
    set[0].used = set[0].enabled = set[2].used = set[2].enabled = true;
    set[0].slots = (shared_iopage_t *)(void *)slots;
    set[0].ring = RING;
    set[0].buffering = HVM_IOREQSRV_BUFIOREQ_ATOMIC;
}

TEST(claimed_ranges)
{
    struct ioreq_server *s = &set[0];

    fresh();
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0x3f8, 0x3ff), 0);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0x60, 0x60), 0);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0x1f0, 0x1f7), 0);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0x3ff, 0x400), -XEN_EEXIST);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0x3f0, 0x3f8), -XEN_EEXIST);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 0, 0xffff), -XEN_EEXIST);
    CHECK_EQ(ioreq_add_range(s, IOREQ_PORTS, 5, 4), -XEN_EINVAL);
    CHECK_EQ(ioreq_add_range(s, 3, 5, 6), -XEN_EINVAL);
    CHECK(ioreq_find(set, IOREQ_PORTS, 0x3f8, 0x3f8) == s);
    CHECK(ioreq_find(set, IOREQ_PORTS, 0x3fc, 0x3ff) == s);
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0x3fe, 0x401)); /* a part is not enough */
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0x5f, 0x60));
    CHECK(!ioreq_find(set, IOREQ_MEMORY, 0x60, 0x60));
    CHECK_EQ(ioreq_add_range(&set[2], IOREQ_PORTS, 0, 0xffff), 0);
    CHECK(ioreq_find(set, IOREQ_PORTS, 0x60, 0x60) == &set[2]); /* the later one */
    set[2].enabled = false;
    CHECK(ioreq_find(set, IOREQ_PORTS, 0x60, 0x60) == s);
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0x70, 0x70));
    CHECK_EQ(ioreq_remove_range(s, IOREQ_PORTS, 0x1f0, 0x1f6), -XEN_ENOENT);
    CHECK_EQ(ioreq_remove_range(s, IOREQ_PORTS, 0x1f1, 0x1f7), -XEN_ENOENT);
    CHECK_EQ(ioreq_remove_range(s, IOREQ_PORTS, 0x1f0, 0x1f7), 0);
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0x1f0, 0x1f0));
    CHECK(ioreq_find(set, IOREQ_PORTS, 0x3f8, 0x3f8) == s);
    for (uint64_t i = 0; i < IOREQ_RANGES_MAX; i++)
        CHECK_EQ(ioreq_add_range(s, IOREQ_MEMORY, ~0ull - 2 * i, ~0ull - 2 * i), 0);
    CHECK_EQ(ioreq_add_range(s, IOREQ_MEMORY, 5, 5), -XEN_ENOSPC);
    CHECK(ioreq_find(set, IOREQ_MEMORY, ~0ull, ~0ull) == s);
    CHECK(!ioreq_find(set, IOREQ_MEMORY, ~0ull - 1, ~0ull - 1));
}

/* QEMU has a register at 0xcf9, within the four bytes of 0xcf8. */
TEST(ranges_without_a_gap_are_one)
{
    fresh();
    CHECK_EQ(ioreq_add_range(&set[0], IOREQ_PORTS, 0xcf8, 0xcf8), 0);
    CHECK_EQ(ioreq_add_range(&set[0], IOREQ_PORTS, 0xcfa, 0xcfb), 0);
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0xcf8, 0xcfb));
    CHECK_EQ(ioreq_add_range(&set[0], IOREQ_PORTS, 0xcf9, 0xcf9), 0);
    CHECK(ioreq_find(set, IOREQ_PORTS, 0xcf8, 0xcfb) == &set[0]);
    CHECK(ioreq_find(set, IOREQ_PORTS, 0xcf9, 0xcfa) == &set[0]);
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0xcf7, 0xcf8));
    CHECK(!ioreq_find(set, IOREQ_PORTS, 0xcfb, 0xcfc));
    CHECK_EQ(ioreq_add_range(&set[0], IOREQ_MEMORY, ~0ull, ~0ull), 0);
    CHECK(ioreq_find(set, IOREQ_MEMORY, ~0ull, ~0ull) == &set[0]);
}

TEST(pci_configuration_goes_by_function)
{
    ioreq_t r = { .addr = 0xcfe, .size = 2, .count = 1 };

    fresh();
    ioreq_add_range(&set[0], IOREQ_PCI, 0x0010, 0x0010); /* 00:02.0 */
    ioreq_add_range(&set[2], IOREQ_PORTS, 0xcf8, 0xcff);
    CHECK(ioreq_find_port(set, 0x80001044, &r) == &set[0]);
    CHECK(r.type == IOREQ_TYPE_PCI_CONFIG && r.addr == (0x10ull << 32 | 0x46));
    r = (ioreq_t){ .addr = 0xcfc, .size = 4 };
    CHECK(ioreq_find_port(set, 0x81001044, &r) == &set[0] && r.addr == (0x10ull << 32 | 0x144));
    r = (ioreq_t){ .addr = 0xcfc, .size = 4 };
    CHECK(ioreq_find_port(set, 0x80001844, &r) == &set[2]); /* another function */
    CHECK(r.type == IOREQ_TYPE_PIO && r.addr == 0xcfc);
    CHECK(ioreq_find_port(set, 0x00001044, &r) == &set[2]); /* not enabled */
}

TEST(a_request_and_its_answer)
{
    ioreq_t r = { .addr = 0x1f0,
                  .data = 0x5000,
                  .count = 256,
                  .size = 2,
                  .data_is_ptr = 1,
                  .dir = IOREQ_READ,
                  .type = IOREQ_TYPE_PIO };
    ioreq_t *slot = &set[0].slots->vcpu_ioreq[3];
    uint64_t data;
    uint32_t count;

    fresh();
    slot = &set[0].slots->vcpu_ioreq[3];
    set[0].port[3] = 17;
    CHECK(ioreq_start(&set[0], 3, &r));
    CHECK(slot->state == STATE_IOREQ_READY && slot->vp_eport == 17 && slot->count == 256);
    CHECK(!ioreq_start(&set[0], 3, &r)); /* one at a time */
    CHECK_EQ(ioreq_finish(&set[0], 3, &r, &data, &count), IOREQ_WAITING);
    slot->state = STATE_IOREQ_INPROCESS;
    CHECK_EQ(ioreq_finish(&set[0], 3, &r, &data, &count), IOREQ_WAITING);
    slot->data = 0x1234567890;
    slot->count = 1000; /* more than was asked for */
    slot->size = 8;
    slot->state = STATE_IORESP_READY;
    CHECK_EQ(ioreq_finish(&set[0], 3, &r, &data, &count), IOREQ_DONE);
    CHECK(data == 0x1234567890 && count == 256 && slot->state == STATE_IOREQ_NONE);
    CHECK_EQ(ioreq_finish(&set[0], 3, &r, &data, &count), IOREQ_BROKEN);
    slot->state = 9;
    CHECK_EQ(ioreq_finish(&set[0], 3, &r, &data, &count), IOREQ_BROKEN);
}

TEST(the_ring)
{
    ioreq_t w = { .addr = 0xa0010,
                  .data = 0x1122334455667788,
                  .count = 1,
                  .size = 4,
                  .dir = IOREQ_WRITE,
                  .type = IOREQ_TYPE_COPY },
            odd;
    unsigned int total = 0;

    fresh();
    CHECK(ioreq_buffer(&set[0], &w));
    CHECK(RING->write_pointer == 1 && RING->buf_ioreq[0].addr == 0xa0010);
    CHECK(RING->buf_ioreq[0].data == 0x55667788 && RING->buf_ioreq[0].size == 2);
    w.size = 8;
    CHECK(ioreq_buffer(&set[0], &w));
    CHECK(RING->write_pointer == 3 && RING->buf_ioreq[2].data == 0x11223344);
    for (unsigned int i = 0; i < 5; i++) { /* what does not fit */
        odd = w;
        if (i == 0)
            odd.addr = 0x100000;
        else if (i == 1)
            odd.count = 2;
        else if (i == 2)
            odd.data_is_ptr = 1;
        else if (i == 3)
            odd.dir = IOREQ_READ;
        else
            odd.size = 3;
        CHECK(!ioreq_buffer(&set[0], &odd));
    }
    CHECK(!ioreq_buffer(&set[2], &w)); /* it has no ring */
    w.size = 4;
    while (ioreq_buffer(&set[0], &w))
        total++;
    CHECK_EQ(total, 508);
    w.size = 8;
    RING->read_pointer = 1;
    CHECK(!ioreq_buffer(&set[0], &w)); /* one slot is not two */
    /* Counters are moved back together, and what is in the ring stays in order. */
    for (unsigned int i = 0; i < 5000; i++) {
        w.size = i & 1 ? 8 : 4;
        w.data = i;
        RING->read_pointer = RING->write_pointer; /* the device model took all */
        uint32_t at = RING->write_pointer % IOREQ_BUFFER_SLOT_NUM;
        CHECK(ioreq_buffer(&set[0], &w));
        CHECK_EQ(RING->buf_ioreq[at].data, i);
        CHECK(RING->write_pointer < 2 * IOREQ_BUFFER_SLOT_NUM + 2);
        CHECK_EQ(RING->write_pointer - RING->read_pointer, w.size / 4);
        CHECK_EQ(RING->read_pointer % IOREQ_BUFFER_SLOT_NUM, at);
    }
    RING->read_pointer = RING->write_pointer + 5; /* a lie */
    CHECK(!ioreq_buffer(&set[0], &w));
    for (unsigned int i = 0; i < 100; i++) {
        RING->read_pointer = 0x9e3779b9u * i;
        RING->write_pointer = 0x85ebca6bu * i;
        ioreq_buffer(&set[0], &w);
    }
}

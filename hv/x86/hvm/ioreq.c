/* SPDX-License-Identifier: MIT */
/*
 * Requests to device models. The shared pages are the device model's to change at any time, so each
 * field is read once and an answer is data, never an address. The domain's device lock is held.
 */
#include "x86/hvm/ioreq.h"

#include <xen/errno.h>

#include "lib/macros.h"
#include "lib/string.h"

#define CF8_ENABLE 0x80000000u

/* --- ranges --- */

/* The first range that ends at or behind `at`. */
static unsigned int position(const struct ioreq_server *s, unsigned int kind, uint64_t at)
{
    unsigned int low = 0, high = s->nr[kind];

    while (low < high) {
        unsigned int mid = (low + high) / 2;

        if (s->ranges[kind][mid].last < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int ioreq_add_range(struct ioreq_server *s, unsigned int kind, uint64_t first, uint64_t last)
{
    struct ioreq_range *r;
    unsigned int i;

    if (kind >= IOREQ_RANGE_KINDS || first > last)
        return -XEN_EINVAL;
    r = s->ranges[kind];
    i = position(s, kind, first);
    if (i < s->nr[kind] && r[i].first <= last)
        return -XEN_EEXIST;
    if (s->nr[kind] == IOREQ_RANGES_MAX)
        return -XEN_ENOSPC;
    memmove(&r[i + 1], &r[i], (s->nr[kind] - i) * sizeof(*r));
    r[i] = (struct ioreq_range){ first, last };
    s->nr[kind]++;
    return 0;
}

int ioreq_remove_range(struct ioreq_server *s, unsigned int kind, uint64_t first, uint64_t last)
{
    struct ioreq_range *r;
    unsigned int i;

    if (kind >= IOREQ_RANGE_KINDS || first > last)
        return -XEN_EINVAL;
    r = s->ranges[kind];
    i = position(s, kind, first);
    if (i == s->nr[kind] || r[i].first != first || r[i].last != last)
        return -XEN_ENOENT;
    s->nr[kind]--;
    memmove(&r[i], &r[i + 1], (s->nr[kind] - i) * sizeof(*r));
    return 0;
}

/* By one range, or by several without a gap: QEMU claims port 0xcf9 apart from 0xcf8 and 0xcfa. */
static bool claims(const struct ioreq_server *s, unsigned int kind, uint64_t first, uint64_t last)
{
    const struct ioreq_range *r = s->ranges[kind];

    for (unsigned int i = position(s, kind, first); i < s->nr[kind] && r[i].first <= first; i++) {
        if (r[i].last >= last)
            return true;
        first = r[i].last + 1;
    }
    return false;
}

struct ioreq_server *ioreq_find(struct ioreq_server *set, unsigned int kind, uint64_t first,
                                uint64_t last)
{
    for (unsigned int i = IOREQ_SERVERS; i-- > 0;)
        if (set[i].used && set[i].enabled && claims(&set[i], kind, first, last))
            return &set[i];
    return NULL;
}

struct ioreq_server *ioreq_find_port(struct ioreq_server *set, uint32_t cf8, ioreq_t *r)
{
    uint64_t port = r->addr & 0xffff, sbdf = (cf8 >> 8) & 0xffff;
    struct ioreq_server *s;

    r->type = IOREQ_TYPE_PIO;
    if (cf8 & CF8_ENABLE && (port & ~3ull) == 0xcfc) {
        s = ioreq_find(set, IOREQ_PCI, sbdf, sbdf);
        if (s) {
            r->type = IOREQ_TYPE_PCI_CONFIG;
            /* Bits 24 to 27 are the upper part of an extended register's number. */
            r->addr = sbdf << 32 | (cf8 & 0xfc) | ((cf8 >> 16) & 0xf00) | (port & 3);
            return s;
        }
    }
    return ioreq_find(set, IOREQ_PORTS, port, port + r->size - 1);
}

/* --- slots --- */

static uint8_t state_of(const ioreq_t *slot)
{
    /* A bit field: the byte that it is in, with what else is there. */
    const volatile ioreq_t *now = slot;

    return now->state;
}

bool ioreq_start(struct ioreq_server *s, unsigned int vcpu, const ioreq_t *r)
{
    ioreq_t *slot = &s->slots->vcpu_ioreq[vcpu], filled = *r;

    if (state_of(slot) != STATE_IOREQ_NONE)
        return false;
    filled.vp_eport = s->port[vcpu];
    filled.state = STATE_IOREQ_NONE;
    memcpy(slot, &filled, sizeof(*slot));
    __atomic_thread_fence(__ATOMIC_RELEASE);
    slot->state = STATE_IOREQ_READY;
    return true;
}

enum ioreq_state ioreq_finish(struct ioreq_server *s, unsigned int vcpu, const ioreq_t *asked,
                              uint64_t *data, uint32_t *count)
{
    ioreq_t *slot = &s->slots->vcpu_ioreq[vcpu];
    uint8_t state = state_of(slot);
    uint32_t left;

    if (state == STATE_IOREQ_READY || state == STATE_IOREQ_INPROCESS)
        return IOREQ_WAITING;
    if (state != STATE_IORESP_READY)
        return IOREQ_BROKEN;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    *data = __atomic_load_n(&slot->data, __ATOMIC_RELAXED);
    left = __atomic_load_n(&slot->count, __ATOMIC_RELAXED);
    *count = MIN(left, asked->count);
    slot->state = STATE_IOREQ_NONE;
    return IOREQ_DONE;
}

/* --- the ring --- */

/* The ring's two counters in one word, so that both can be moved back together. */
static uint64_t *counters(buffered_iopage_t *ring)
{
    return (uint64_t *)(void *)&ring->read_pointer;
}

static uint32_t reader(uint64_t both)
{
    return (uint32_t)both;
}

static uint32_t writer(uint64_t both)
{
    return (uint32_t)(both >> 32);
}

/*
 * Counters stay small: they count modulo 2^32, and that is no multiple of the ring's size. A device
 * model that reads just now is met a few times at most, and the next request tries again: one that
 * changes its counter without end must not keep the hypervisor here.
 */
static void move_back(buffered_iopage_t *ring)
{
    uint64_t old = __atomic_load_n(counters(ring), __ATOMIC_RELAXED), new;

    for (int tries = 0; tries < 4; tries++) {
        uint32_t back = reader(old) - reader(old) % IOREQ_BUFFER_SLOT_NUM;

        if (back == 0 || writer(old) < IOREQ_BUFFER_SLOT_NUM)
            return;
        new = (uint64_t)(writer(old) - back) << 32 | (reader(old) - back);
        if (__atomic_compare_exchange_n(counters(ring), &old, new, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return;
    }
}

static int size_code(uint32_t size)
{
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : -1;
}

bool ioreq_buffer(struct ioreq_server *s, const ioreq_t *r)
{
    uint32_t slots = r->size == 8 ? 2 : 1;
    uint64_t both;
    uint32_t at;
    buf_ioreq_t b;

    if (!s->ring || r->data_is_ptr || r->count != 1 || r->dir != IOREQ_WRITE || r->addr >> 20 ||
        size_code(r->size) < 0)
        return false;
    both = __atomic_load_n(counters(s->ring), __ATOMIC_ACQUIRE);
    at = writer(both);
    /* A reader ahead of the writer is the device model's mistake; its ring counts as full. */
    if (at - reader(both) > IOREQ_BUFFER_SLOT_NUM - slots)
        return false;
    memset(&b, 0, sizeof(b));
    b.type = r->type;
    b.dir = r->dir;
    b.size = (uint32_t)size_code(r->size) & 3;
    b.addr = (uint32_t)r->addr;
    b.data = (uint32_t)r->data;
    s->ring->buf_ioreq[at % IOREQ_BUFFER_SLOT_NUM] = b;
    if (slots == 2) {
        b.data = (uint32_t)(r->data >> 32);
        s->ring->buf_ioreq[(at + 1) % IOREQ_BUFFER_SLOT_NUM] = b;
    }
    __atomic_store_n(&s->ring->write_pointer, at + slots, __ATOMIC_RELEASE);
    if (s->buffering == HVM_IOREQSRV_BUFIOREQ_ATOMIC)
        move_back(s->ring);
    return true;
}

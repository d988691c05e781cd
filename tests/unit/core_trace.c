/* SPDX-License-Identifier: MIT */
/* Trace buffers: what sysctl tbuf_op answers, and that the records are what the ABI says. */
#include "core/types.h"

#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/trace.h>
#include <xen/vcpu.h>

#include "core/audit.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "lib/xenabi.h"
#include "unit.h"

static struct domain *d, *e;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 16, true);
    e = host_domain(1, 2, 4, false);
    host_up(d, 0);
    host_up(e, 0);
}

static struct xen_sysctl_tbuf_op last;

static long tbuf(struct xen_sysctl_tbuf_op with)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));
    long rc;

    *op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_tbuf_op,
                               .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    op->u.tbuf_op = with;
    host_be(d->vcpu[0]->cpu->id);
    rc = host_call(d->vcpu[0], __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0, 0);
    last = op->u.tbuf_op;
    return rc;
}

#define OP(what, ...) \
    tbuf((struct xen_sysctl_tbuf_op){ .cmd = XEN_SYSCTL_TBUFOP_##what, __VA_ARGS__ })
#define PAGES 2u
#define DATA (PAGES * PAGE_SIZE - sizeof(struct t_buf))

static long set_cpus(uint64_t cpus, unsigned int bits)
{
    struct xen_sysctl_tbuf_op op = { .cmd = XEN_SYSCTL_TBUFOP_set_cpu_mask };

    *(uint64_t *)host_guest(d, HOST_PAGE(1)) = cpus;
    op.cpu_mask.bitmap.p = (void *)HOST_PAGE(1);
    op.cpu_mask.nr_bits = bits;
    return tbuf(op);
}

/* --- the reader, who knows only what get_info told --- */

/* Asked once: the question is a hypercall, which may be in the trace. */
static struct t_info *info(void)
{
    static struct t_info *t;

    if (!t) {
        CHECK_EQ(OP(get_info), 0);
        t = arch_map(MFN(last.buffer_mfn));
    }
    return t;
}

static uint8_t *byte(unsigned int cpu, uint32_t at)
{
    struct t_info *i = info();
    uint32_t mfn = ((uint32_t *)i)[i->mfn_offset[cpu] + at / PAGE_SIZE];

    return (uint8_t *)arch_map(MFN(mfn)) + at % PAGE_SIZE;
}

static struct t_buf *head(unsigned int cpu)
{
    return (struct t_buf *)byte(cpu, 0);
}

struct record {
    uint32_t event, n, extra[TRACE_EXTRA_MAX];
    uint64_t cycles;
};
static struct record seen[4096];
static unsigned int nr_seen;
static uint64_t before; /* cycles of the last record */

/* All records that are in a CPU's buffer, which is empty after that. */
static void drain(unsigned int cpu)
{
    struct t_buf *b = head(cpu);
    uint32_t words[3 + TRACE_EXTRA_MAX], at = b->cons, prod = b->prod;

    nr_seen = 0;
    while (at != prod && nr_seen < ARRAY_SIZE(seen)) {
        struct record *r = &seen[nr_seen];
        uint32_t pos = at % DATA, len, skip;

        memcpy(words, byte(cpu, 8 + pos), 4);
        r->event = TRC_HD_TO_EVENT(words[0]);
        r->n = TRC_HD_EXTRA(words[0]);
        skip = TRC_HD_INCLUDES_CYCLE_COUNT(words[0]) ? 2 : 0;
        len = 4 * (1 + skip + r->n);
        if (pos + len > DATA) {
            CHECK(!"a record goes around the end");
            break;
        }
        for (uint32_t i = 0; i < len / 4; i++)
            memcpy(&words[i], byte(cpu, 8 + pos + 4 * i), 4);
        memcpy(r->extra, words + 1 + skip, 4 * r->n);
        r->cycles = words[1] | (uint64_t)words[2] << 32;
        at = (at + len) % (2 * DATA);
        if (r->event == TRC_TRACE_WRAP_BUFFER) {
            CHECK_EQ(at % DATA, 0);
            continue;
        }
        CHECK(skip && r->cycles >= before);
        before = r->cycles;
        nr_seen++;
    }
    CHECK_EQ(at, prod);
    b->cons = at;
}

static const struct record *find(uint32_t event)
{
    for (unsigned int i = 0; i < nr_seen; i++)
        if (seen[i].event == event)
            return &seen[i];
    return NULL;
}

static void start(uint32_t mask)
{
    CHECK_EQ(OP(set_evt_mask, .evt_mask = mask), 0);
    CHECK_EQ(set_cpus(~0ull, 64), 0);
    CHECK_EQ(OP(enable), 0);
    for (unsigned int i = 0; i < 2; i++) {
        before = 0;
        drain(i);
    }
    before = 0;
}

static void call(unsigned long n)
{
    host_call(d->vcpu[0], __HYPERVISOR_xen_version, 99, n, n << 32, 0);
}

/* --- tests, in this order --- */

TEST(nothing_before_there_are_buffers)
{
    uint64_t free = frame_free_count();

    CHECK_EQ(OP(get_info), 0);
    CHECK_EQ(last.buffer_mfn, 0);
    CHECK_EQ(last.size, 0);
    CHECK_EQ(OP(enable), E(EINVAL));
    CHECK_EQ(OP(disable), 0);
    CHECK_EQ(tbuf((struct xen_sysctl_tbuf_op){ .cmd = 6 }), E(EINVAL));
    CHECK_EQ(OP(set_size, .size = 0), E(EINVAL));
    CHECK_EQ(OP(set_size, .size = 40000), E(EINVAL)); /* an offset of 16 bits cannot name them */
    CHECK_EQ(OP(set_size, .size = 0x10001), E(EINVAL));
    CHECK_EQ(OP(set_size, .size = 1025), E(EINVAL)); /* too many to be made in one go */
    for (host_fail_every = 1; host_fail_every < 5; host_fail_every++)
        CHECK_EQ(OP(set_size, .size = PAGES), E(ENOMEM));
    host_fail_every = 0;
    CHECK_EQ(frame_free_count(), free);
    CHECK(!watching(WATCH_TRACE));
}

TEST(buffers_are_domid_xens)
{
    CHECK_EQ(OP(set_size, .size = PAGES), 0);
    CHECK_EQ(OP(set_size, .size = PAGES), 0);
    CHECK_EQ(OP(set_size, .size = PAGES + 1), E(EINVAL));
    CHECK_EQ(info()->tbuf_size, PAGES);
    CHECK_EQ(last.size, PAGE_SIZE);
    struct frame *f = frame_of(MFN(last.buffer_mfn));
    CHECK_EQ(f->owner, DOMID_XEN);
    CHECK(frame_type_of(f->state) != FT_WRITABLE && frame_typed(f->state) == 1);
    for (unsigned int i = 0; i < 2 * PAGES; i++) {
        f = frame_of(arch_unmap(byte(i / PAGES, i % PAGES * PAGE_SIZE)));
        CHECK_EQ(f->owner, DOMID_XEN);
        CHECK_EQ(frame_type_of(f->state), FT_WRITABLE);
    }
    CHECK(!frame_get(f, d) && !frame_get(f, e));
    CHECK_EQ(audit(), 0);
    CHECK_EQ(head(0)->prod, 0);
    call(1);
    CHECK_EQ(head(0)->prod, 0); /* it is off */
}

TEST(hypercalls)
{
    const struct record *r = NULL;

    start(TRC_ALL);
    call(7);
    drain(d->vcpu[0]->cpu->id);
    for (unsigned int i = 0; i < nr_seen; i++) {
        r = &seen[i];
        if (r->event == TRC_PV_HYPERCALL_V2 && (r->extra[0] & 0xfffff) == __HYPERVISOR_xen_version)
            break;
    }
    CHECK_EQ(r->n, 7);
    CHECK_EQ(r->extra[0] >> 20, 0x2a); /* three arguments of 64 bits */
    CHECK(r->extra[1] == 99 && r->extra[3] == 7 && r->extra[5] == 0 && r->extra[6] == 7);
    CHECK_EQ(OP(disable), 0);
    drain(d->vcpu[0]->cpu->id);
    call(8);
    drain(d->vcpu[0]->cpu->id);
    CHECK_EQ(nr_seen, 0);
}

TEST(states_and_events)
{
    struct vcpu *v = e->vcpu[0];
    unsigned int cpu = v->cpu->id;
    const struct record *r;

    start(TRC_SCHED);
    host_be(cpu);
    v->info->evtchn_upcall_pending = 0;
    host_call(v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
    host_settle();
    host_be(cpu);
    vcpu_mark_events_pending(v);
    host_settle();
    drain(cpu);
    r = find(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_running << 8 | RUNSTATE_blocked << 4);
    CHECK(r && r->n == 1 && r->extra[0] == (1u << 16 | 0));
    r = find(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_blocked << 8 | RUNSTATE_runnable << 4);
    CHECK(r && r->extra[0] == (1u << 16 | 0));
    r = find(TRC_SCHED_RUNSTATE_CHANGE | RUNSTATE_runnable << 8 | RUNSTATE_running << 4);
    CHECK(r && r->extra[0] == ((uint32_t)DOMID_IDLE << 16 | cpu)); /* first its CPU went idle */
    r = find(TRC_SCHED_WAKE);
    CHECK(r && r->n == 2 && r->extra[0] == 1 && r->extra[1] == 0);
    CHECK(!find(TRC_PV_HYPERCALL_V2)); /* not in the mask */
    CHECK_EQ(OP(disable), 0);
}

TEST(masks)
{
    unsigned int cpu = d->vcpu[0]->cpu->id;

    start(TRC_PV_ENTRY);
    call(1);
    drain(cpu);
    CHECK(find(TRC_PV_HYPERCALL_V2));
    CHECK_EQ(OP(set_evt_mask, .evt_mask = TRC_PV_SUBCALL), 0); /* another subclass */
    drain(cpu);
    call(1);
    drain(cpu);
    CHECK_EQ(nr_seen, 0);
    start(TRC_ALL);
    CHECK_EQ(set_cpus(~(1ull << cpu), 64), 0);
    drain(cpu);
    call(1);
    drain(cpu);
    CHECK_EQ(nr_seen, 0);
    CHECK_EQ(set_cpus(1ull << cpu, cpu), 0); /* too short a bitmap: no CPU */
    call(1);
    drain(cpu);
    CHECK_EQ(nr_seen, 0);
    CHECK_EQ(OP(disable), 0);
}

/* Round and round the end, with records of two lengths: each is there, in order. */
TEST(a_reader_who_keeps_up)
{
    unsigned int cpu = d->vcpu[0]->cpu->id;
    uint32_t next = 0;

    start(TRC_PV);
    for (uint32_t n = 0; n < 4000;) {
        drain(cpu);
        for (unsigned int i = 0; i < nr_seen; i++) {
            if (seen[i].event == 0x00201fff) {
                CHECK_EQ(seen[i].extra[0], next);
                CHECK_EQ(seen[i].n, 1 + next % 7);
                next++;
            }
        }
        CHECK_EQ(next, n);
        for (uint32_t k = 0; k < 1 + n % 90; k++, n++)
            trace_record(0x00201fff, 1 + n % 7, (uint32_t[7]){ n });
    }
    CHECK(!find(TRC_LOST_RECORDS));
    CHECK_EQ(OP(disable), 0);
}

TEST(lost_records_are_counted)
{
    unsigned int cpu = d->vcpu[0]->cpu->id, kept = 0;
    const struct record *r;

    start(TRC_PV);
    drain(cpu);
    host_be(cpu);
    for (uint32_t n = 0; n < 1000; n++)
        trace_record(0x00201fff, 1, &n);
    drain(cpu);
    for (unsigned int i = 0; i < nr_seen; i++)
        kept += seen[i].event == 0x00201fff;
    CHECK(kept > DATA / 16 - 8 && kept <= DATA / 16);
    CHECK(!find(TRC_LOST_RECORDS));
    host_be(cpu);
    trace_record(0x00201fff, 1, &(uint32_t){ 1000 });
    drain(cpu);
    CHECK(seen[0].event == TRC_LOST_RECORDS && seen[1].event == 0x00201fff);
    r = &seen[0];
    CHECK(r->n == 4);
    CHECK_EQ(r->extra[0], 1000 - kept);
    CHECK(r->extra[2] != 0);
    CHECK_EQ(OP(disable), 0);
}

TEST(a_hostile_reader)
{
    static const uint32_t bad[] = { ~0u, 2 * DATA, 3 * DATA, 1, 2, 3, 0x80000000, 2 * DATA - 4 };
    unsigned int cpu = d->vcpu[0]->cpu->id;
    struct t_buf *b;
    uint32_t at;

    start(TRC_PV);
    b = head(cpu);
    for (unsigned int i = 0; i < 20000; i++) {
        __atomic_store_n(&b->cons, i % 3 ? bad[i % ARRAY_SIZE(bad)] : i * 2654435761u,
                         __ATOMIC_RELAXED);
        b->prod = i * 40503u; /* what is there is never read */
        host_be(cpu);
        trace_record(0x00201fff, 1 + i % 7, (uint32_t[7]){ i });
        CHECK(b->prod < 2 * DATA || b->prod == i * 40503u);
    }
    /* A reader who has taken all; then one who is a whole turn ahead, which makes no sense: nothing
     * is written. */
    b->prod = ~0u;
    for (b->cons = 0; b->prod == ~0u && b->cons < 2 * DATA; b->cons += 256)
        trace_record(0x00201fff, 1, (uint32_t[1]){ 0 });
    CHECK(b->prod != ~0u);
    b->cons = b->prod + 2 * DATA;
    at = b->prod;
    trace_record(0x00201fff, 1, (uint32_t[1]){ 0 });
    CHECK_EQ(b->prod, at);
    b->cons = at;
    trace_record(0x00201fff, 1, (uint32_t[1]){ 0 });
    CHECK(b->prod != at);
    CHECK_EQ(OP(disable), 0);
    CHECK_EQ(audit(), 0);
}

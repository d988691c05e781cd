/* SPDX-License-Identifier: MIT */
/* Event channels in the FIFO form: taken as a guest should, and its memory full of rubbish. */
#include "guest.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define LINK ((uint32_t)EVTCHN_FIFO_LINK_MASK)
#define USUAL EVTCHN_FIFO_PRIORITY_DEFAULT
#define PAGES 6 /* of words */
#define WORDS_PER_PAGE 1024

static unsigned long word_pfn[PAGES], control_pfn[2];
static unsigned int nr_words;
static uint32_t local_head[2][16];
static unsigned int order[64], taken; /* what vCPU 0 took, in order */
static volatile unsigned int hits[2]; /* events that each vCPU took */
static volatile bool stop;

static uint32_t *word(unsigned int port)
{
    return (uint32_t *)pfn_virt(word_pfn[port / WORDS_PER_PAGE]) + port % WORDS_PER_PAGE;
}

static struct evtchn_fifo_control_block *control(unsigned int cpu)
{
    return pfn_virt(control_pfn[cpu]);
}

static long init_control(unsigned int cpu, unsigned long mfn, unsigned int offset)
{
    struct evtchn_init_control op = { .control_gfn = mfn, .offset = offset, .vcpu = cpu };
    long rc = hc_event_channel_op(EVTCHNOP_init_control, &op);

    if (rc == 0)
        CHECK_EQ(op.link_bits, EVTCHN_FIFO_LINK_BITS, "link bits");
    return rc;
}

static long expand_array(unsigned long mfn)
{
    struct evtchn_expand_array op = { .array_gfn = mfn };

    return hc_event_channel_op(EVTCHNOP_expand_array, &op);
}

static long set_priority(unsigned int port, unsigned int priority)
{
    struct evtchn_set_priority op = { .port = port, .priority = priority };

    return hc_event_channel_op(EVTCHNOP_set_priority, &op);
}

static long send(unsigned int port)
{
    struct evtchn_send op = { .port = port };

    return hc_event_channel_op(EVTCHNOP_send, &op);
}

static long move_to(unsigned int port, unsigned int cpu)
{
    struct evtchn_bind_vcpu op = { .port = port, .vcpu = cpu };

    return hc_event_channel_op(EVTCHNOP_bind_vcpu, &op);
}

static long reset(void)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };

    return hc_event_channel_op(EVTCHNOP_reset, &op);
}

static long bind_ipi(unsigned int cpu)
{
    struct evtchn_bind_ipi op = { .vcpu = cpu };
    long rc = hc_event_channel_op(EVTCHNOP_bind_ipi, &op);

    return rc ? rc : (long)op.port;
}

/* Two ends of a channel within the domain. */
static void open_pair(unsigned int *from, unsigned int *to)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0, "alloc_unbound");
    bind.remote_port = alloc.port;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0, "bind_interdomain");
    *to = alloc.port;
    *from = bind.local_port;
}

/* Takes the first event off a queue; clears it if it is to be had. */
static void take_one(unsigned int cpu, unsigned int priority, uint32_t *ready)
{
    uint32_t *head = &local_head[cpu][priority], port, *w;

    if (*head == 0)
        *head = __atomic_load_n(&control(cpu)->head[priority], __ATOMIC_ACQUIRE);
    port = *head;
    if (port == 0 || port >= nr_words) {
        *ready &= ~(1u << priority); /* rubbish of our own */
        *head = 0;
        return;
    }
    w = word(port);
    *head = __atomic_fetch_and(w, ~(LINKED | LINK), __ATOMIC_SEQ_CST) & LINK;
    if (*head == 0)
        *ready &= ~(1u << priority);
    if ((__atomic_load_n(w, __ATOMIC_SEQ_CST) & (PENDING | MASKED)) != PENDING)
        return;
    __atomic_fetch_and(w, ~PENDING, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&hits[cpu], 1, __ATOMIC_SEQ_CST);
    if (cpu == 0)
        order[taken++ % ARRAY_SIZE(order)] = port;
}

static void take_events(struct regs *r)
{
    unsigned int cpu = this_cpu()->id;
    uint32_t ready;

    (void)r;
    __atomic_store_n(&shared->vcpu_info[cpu].evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    ready = __atomic_exchange_n(&control(cpu)->ready, 0, __ATOMIC_SEQ_CST) & 0xffff;
    while (ready) {
        take_one(cpu, (unsigned int)__builtin_ctz(ready), &ready);
        ready |= __atomic_exchange_n(&control(cpu)->ready, 0, __ATOMIC_SEQ_CST) & 0xffff;
    }
}

static void upcalls_on(void)
{
    event_hook = take_events;
    shared->vcpu_info[this_cpu()->id].evtchn_upcall_mask = 0;
    BARRIER();
    hc_xen_version(XENVER_version, NULL); /* any hypercall delivers what is pending */
}

static void begin(void)
{
    memset(local_head, 0, sizeof(local_head));
    nr_words = 0;
    for (unsigned int cpu = 0; cpu < 2; cpu++) {
        memset(control(cpu), 0, PAGE_SIZE);
        CHECK_EQ(init_control(cpu, p2m[control_pfn[cpu]], 0), 0, "init_control of vCPU %u", cpu);
    }
    for (unsigned int i = 0; i < PAGES; i++) {
        uint32_t *w = pfn_virt(word_pfn[i]);

        for (unsigned int n = 0; n < WORDS_PER_PAGE; n++)
            w[n] = MASKED;
        CHECK_EQ(expand_array(p2m[word_pfn[i]]), 0, "page %u of words", i);
        nr_words += WORDS_PER_PAGE;
    }
}

static void check_arguments(void)
{
    unsigned long mfn = p2m[control_pfn[0]], table = alloc_table();

    CHECK(expand_array(mfn) < 0, "words without a control block");
    CHECK(init_control(77, mfn, 0) < 0, "vCPU 77");
    CHECK(init_control(~0u, mfn, 0) < 0, "vCPU -1");
    CHECK(init_control(0, mfn, 4) < 0, "offset 4");
    CHECK(init_control(0, mfn, PAGE_SIZE - 64) < 0, "over the page's end");
    CHECK(init_control(0, mfn, ~7u) < 0, "offset -8");
    CHECK(init_control(0, ~0ul, 0) < 0, "frame -1");
    CHECK(init_control(0, 1, 0) < 0, "somebody else's frame");
    CHECK(init_control(0, p2m[kernel_l4_pfn], 0) < 0, "a page table");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[table], 0), 0, "pin");
    begin();
    CHECK(init_control(0, mfn, 0) < 0, "a control block twice");
    CHECK(expand_array(p2m[table]) < 0, "a page table as words");
    CHECK(expand_array(~0ul) < 0, "frame -1");
    CHECK(set_priority(1, 0) < 0, "priority of a closed port");
    CHECK(set_priority(~0u, 0) < 0, "priority of port -1");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[table], 0), 0, "unpin");
    free_table(table);
    CHECK_EQ(reset(), 0, "reset");
}

/* While it is in use, a page of words cannot become a page table; afterwards it can. */
static void check_types(void)
{
    begin();
    CHECK_EQ(direct_set(word_pfn[0], KERN_RO), 0, "read-only");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[word_pfn[0]], 0) < 0, "words as a page table");
    CHECK_EQ(direct_set(control_pfn[0], KERN_RO), 0, "read-only");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[control_pfn[0]], 0) < 0, "control block as table");
    CHECK_EQ(reset(), 0, "reset");
    CHECK_EQ(direct_set(word_pfn[0], KERN_RW), 0, "writable");
    memset(pfn_virt(word_pfn[0]), 0, PAGE_SIZE);
    CHECK_EQ(direct_set(word_pfn[0], KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[word_pfn[0]], 0), 0, "a page table after reset");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[word_pfn[0]], 0), 0, "unpin");
    CHECK_EQ(direct_set(word_pfn[0], KERN_RW), 0, "writable");
    CHECK_EQ(direct_set(control_pfn[0], KERN_RW), 0, "writable");
}

static void check_delivery(void)
{
    unsigned int from[3], to[3];

    events_off();
    begin();
    for (unsigned int i = 0; i < 3; i++) {
        open_pair(&from[i], &to[i]);
        event_port_unmask(to[i]);
    }
    upcalls_on();
    events_off();
    taken = 0;
    for (unsigned int i = 0; i < 3; i++)
        CHECK_EQ(send(from[i]), 0, "send");
    CHECK_EQ(*word(to[0]) & (PENDING | LINKED), PENDING | LINKED, "the word");
    CHECK_EQ(*word(to[0]) & LINK, to[1], "the link");
    CHECK_EQ(control(0)->ready, 1u << USUAL, "ready");
    send(from[0]);
    CHECK_EQ(taken, 0, "taken while upcalls are off");
    upcalls_on();
    CHECK(taken == 3 && order[0] == to[0] && order[1] == to[1] && order[2] == to[2],
          "%u events: %u %u %u", taken, order[0], order[1], order[2]);
    events_off();
    taken = 0;
    CHECK_EQ(set_priority(to[2], EVTCHN_FIFO_PRIORITY_MAX), 0, "set_priority");
    CHECK_EQ(set_priority(to[0], EVTCHN_FIFO_PRIORITY_MIN), 0, "set_priority");
    CHECK(set_priority(to[0], EVTCHN_FIFO_PRIORITY_MIN + 1) < 0, "priority 16");
    for (unsigned int i = 0; i < 3; i++)
        send(from[i]);
    upcalls_on();
    CHECK(taken == 3 && order[0] == to[2] && order[1] == to[1] && order[2] == to[0],
          "%u events: %u %u %u", taken, order[0], order[1], order[2]);
    taken = 0;
    __atomic_fetch_or(word(to[1]), MASKED, __ATOMIC_SEQ_CST);
    send(from[1]);
    CHECK(taken == 0 && (*word(to[1]) & PENDING), "a masked port: %u", taken);
    event_port_unmask(to[1]);
    CHECK_EQ(taken, 1, "after unmask");
    send(from[1]);
    CHECK_EQ(taken, 2, "delivery at once");
    events_off();
    CHECK_EQ(event_close(to[1]), 0, "close");
    CHECK_EQ(*word(to[1]) & PENDING, 0, "pending after close");
    CHECK_EQ(reset(), 0, "reset");
}

static void serve(void *arg)
{
    upcalls_on();
    while (!stop)
        hc_sched_op(SCHEDOP_yield, NULL);
    events_off();
}

/* Gives the vCPUs time to take what is pending at the port, a minute if it must be. */
static void settle(unsigned int port)
{
    uint64_t end = system_time() + 60000000000ul;

    while (system_time() < end && (*(volatile uint32_t *)word(port) & PENDING))
        hc_sched_op(SCHEDOP_yield, NULL);
}

/* Events move with their port to another vCPU, while both take theirs; none stays behind. */
static void check_moves(void)
{
    unsigned int from, to, other = 0;

    events_off();
    begin();
    open_pair(&from, &to);
    event_port_unmask(to);
    upcalls_on();
    hits[0] = hits[1] = 0;
    stop = false;
    CHECK(cpu_start(1, serve, NULL));
    for (unsigned int i = 0; i < 2000; i++) {
        if (i % 3 == 0)
            CHECK_EQ(move_to(to, other = !other), 0, "bind_vcpu");
        if (i % 7 == 0)
            set_priority(to, i % 16);
        send(from);
        if (i % 5 == 0)
            settle(to);
    }
    settle(to);
    CHECK_EQ(*word(to) & (PENDING | LINKED), 0, "an event was left behind");
    CHECK(hits[0] && hits[1], "taken: %u and %u", hits[0], hits[1]);
    stop = true;
    cpu_wait(1);
    events_off();
    CHECK_EQ(reset(), 0, "reset");
}

/* More ports than two levels have. */
static void check_many(void)
{
    long p = 0, ports[8] = { 0 };

    events_off();
    begin();
    for (unsigned int i = 0; i < 5000; i++) {
        p = bind_ipi(0);
        if (!CHECK(p > 0, "port %u: %ld", i, p))
            break;
        ports[i % 8] = p;
    }
    CHECK(p > 4096 && p < (long)nr_words, "port %ld", p);
    upcalls_on();
    taken = 0;
    for (unsigned int i = 0; i < 8; i++) {
        event_port_unmask((unsigned int)ports[i]);
        send((unsigned int)ports[i]);
    }
    CHECK_EQ(taken, 8, "events");
    events_off();
    CHECK_EQ(reset(), 0, "reset");
    CHECK(send((unsigned int)p) < 0, "port %ld after reset", p);
}

static uint32_t rnd = 1;

static uint32_t random32(void)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 17;
    rnd ^= rnd << 5;
    return rnd;
}

/* Rubbish with a taste for what matters: circles, links to itself and beyond the end. */
static uint32_t rubbish(void)
{
    uint32_t r = random32();

    return r % 3 ? (r & 0xf0000000) | r % 40 : r;
}

static void scribble(void *arg)
{
    uint32_t r = 77;

    while (!stop) {
        r = r * 1664525 + 1013904223;
        *(volatile uint32_t *)word(r >> 8 & 31) = r >> 16 & 1 ? r & 0xf000001f : r;
        *(volatile uint32_t *)&control(r >> 20 & 1)->head[r >> 24 & 15] = r;
        *(volatile uint32_t *)&control(r >> 21 & 1)->ready = r >> 9;
    }
}

/* The same operations as ever, on words that change under them. */
static void use_rubbish(unsigned int rounds)
{
    unsigned int from[4], to[4];

    for (unsigned int i = 0; i < 4; i++)
        open_pair(&from[i], &to[i]);
    for (unsigned int i = 0; i < rounds; i++) {
        uint32_t r = random32();

        *word(random32() % 40) = rubbish();
        control(0)->head[r >> 4 & 15] = rubbish();
        control(0)->ready = rubbish();
        send(from[r & 3]);
        event_port_unmask(to[r >> 2 & 3]);
        set_priority(to[r >> 8 & 3], r >> 10 & 15);
        move_to(to[r >> 14 & 3], r >> 16 & 1);
    }
    for (unsigned int i = 0; i < 4; i++)
        event_close(from[i]);
}

static void check_rubbish(void)
{
    unsigned int from, to;

    events_off();
    begin();
    use_rubbish(5000);
    CHECK_EQ(reset(), 0, "reset");
    begin();
    stop = false;
    CHECK(cpu_start(1, scribble, NULL));
    use_rubbish(5000);
    stop = true;
    cpu_wait(1);
    CHECK_EQ(reset(), 0, "reset");
    begin(); /* all is well again */
    open_pair(&from, &to);
    event_port_unmask(to);
    upcalls_on();
    events_off();
    taken = 0;
    send(from);
    upcalls_on();
    CHECK_EQ(taken, 1, "an event after all that");
    events_off();
    CHECK_EQ(reset(), 0, "reset");
}

/* A page that the domain gives back while it holds words is not written by others' data. */
static void check_given_back(void)
{
    unsigned long pfn = alloc_pfn();
    xen_pfn_t frame = p2m[pfn];
    struct xen_memory_reservation res = { .nr_extents = 1, .domid = DOMID_SELF };
    unsigned int from, to;

    begin();
    CHECK_EQ(expand_array(frame), 0, "one more page");
    open_pair(&from, &to);
    CHECK_EQ(direct_set(pfn, 0), 0, "unmapped");
    res.extent_start.p = &frame;
    CHECK_EQ(hc_memory_op(XENMEM_decrease_reservation, &res), 1, "given back");
    CHECK_EQ(send(from), 0, "send");
    CHECK_EQ(reset(), 0, "reset");
    frame = pfn;
    CHECK_EQ(hc_memory_op(XENMEM_populate_physmap, &res), 1, "a new one");
    p2m[pfn] = frame;
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "mapped");
    free_pfn(pfn);
}

/* The two levels are as they were. */
static void check_two_levels(void)
{
    unsigned int from, to;

    open_pair(&from, &to);
    events_off();
    event_clear(to);
    CHECK_EQ(send(from), 0, "send");
    CHECK(event_pending(to), "in the bitmap");
    CHECK(set_priority(to, 3) < 0, "a priority with two levels");
    event_close(from);
    event_close(to);
    event_clear(to);
}

void guest_main(void)
{
    struct account before, after;

    for (unsigned int i = 0; i < PAGES; i++)
        word_pfn[i] = alloc_pfn();
    control_pfn[0] = alloc_pfn();
    control_pfn[1] = alloc_pfn();
    account_take(&before);
    check_arguments();
    check_types();
    check_delivery();
    check_moves();
    check_many();
    check_rubbish();
    check_given_back();
    check_two_levels();
    account_take(&after); /* buckets of ports stay */
    CHECK(after.free_pages + 128 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
    CHECK_EQ(after.reservation, before.reservation, "the domain's pages");
}

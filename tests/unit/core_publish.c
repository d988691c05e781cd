/* SPDX-License-Identifier: MIT */
/*
 * How a frame becomes a domain's: after each instruction of the call that gives it, another CPU of
 * that domain does with the frame what it may from then on.
 */
#include "core/types.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "core/ptype.h"
#include "host/host.h"
#include "host/step.h"
#include "unit.h"

static struct domain *tools, *a, *b;

#define ARG HOST_PAGE(3)
#define LIST HOST_PAGE(2)

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    tools = host_domain(0, 1, 4, true);
    a = host_domain(1, 1, 4, false);
    b = host_domain(2, 1, 4, false);
}

/* The frames that the next allocations give, as far as the test looks at them. */
#define NEXT 4
static struct frame *next[NEXT];
static uint64_t taken[NEXT];

static void foresee(void)
{
    for (unsigned int i = 0; i < NEXT; i++)
        next[i] = frame_alloc(0, 0);
    for (unsigned int i = NEXT; i-- > 0;)
        frame_free(next[i], 0);
    memset(taken, 0, sizeof(taken));
}

/* a's other vCPU maps them, again and again. */
static void map_them(void *arg)
{
    (void)arg;
    for (unsigned int i = 0; i < NEXT; i++)
        taken[i] += frame_get_typed(next[i], a, FT_WRITABLE) == 0;
}

/* Whoever counted, its count is there. Then they unmap. */
static uint64_t check_counts(void)
{
    uint64_t all = 0;

    for (unsigned int i = 0; i < NEXT; i++) {
        uint64_t own = (next[i]->state & FRAME_HV) != 0;

        all += taken[i];
        if (!taken[i])
            continue;
        CHECK_EQ(frame_refs(next[i]->state), 1 + taken[i]);
        CHECK_EQ(frame_typed(next[i]->state), own + taken[i]);
        CHECK_EQ(next[i]->owner, a->id);
        while (frame_typed(next[i]->state) > own)
            frame_put_typed(next[i]);
    }
    CHECK_EQ(audit(), 0);
    return all;
}

static void grow_table(void *arg)
{
    struct gnttab_setup_table *op = host_guest(a, ARG);

    *op = (struct gnttab_setup_table){ .dom = DOMID_SELF,
                                       .nr_frames = *(unsigned int *)arg,
                                       .frame_list = { (void *)LIST } };
    CHECK_EQ(host_call(a->vcpu[0], __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0),
             0);
    CHECK_EQ(op->status, GNTST_okay);
}

TEST(pages_of_the_grant_table)
{
    unsigned int nr = 3;

    foresee();
    host_step(grow_table, map_them, &nr, 1);
    CHECK(check_counts() > 0);
}

static void share_it(void *arg)
{
    struct frame *f = frame_of(arch_unmap(frame_alloc_hv()));

    frame_share(f, a, *(bool *)arg);
}

TEST(shared_pages)
{
    bool writable = true;

    foresee();
    host_step(share_it, map_them, &writable, 1);
    CHECK(check_counts() > 0);
    frame_unshare(arch_map(frame_mfn(next[0])));
    writable = false; /* a typed use without a type: none of theirs may come before it */
    foresee();
    host_step(share_it, map_them, &writable, 1);
    CHECK_EQ(check_counts(), 0);
    frame_unshare(arch_map(frame_mfn(next[0])));
}

/* One extent at guest frame gfn of d; false: refused. */
static bool populate(struct domain *d, unsigned int order, xen_pfn_t gfn)
{
    struct xen_memory_reservation *r = host_guest(d, ARG);

    *(xen_pfn_t *)host_guest(d, LIST) = gfn;
    *r = (struct xen_memory_reservation){ .extent_start = { (void *)LIST },
                                          .nr_extents = 1,
                                          .extent_order = order,
                                          .domid = DOMID_SELF };
    return host_call(d->vcpu[0], __HYPERVISOR_memory_op, XENMEM_populate_physmap, ARG, 0, 0) == 1;
}

static void populate_a(void *arg)
{
    CHECK(populate(a, *(unsigned int *)arg, 100));
}

TEST(new_memory)
{
    unsigned int order = 0;

    foresee();
    host_step(populate_a, map_them, &order, 1);
    CHECK(check_counts() > 0);
    order = 1;
    foresee();
    host_step(populate_a, map_them, &order, 1);
    check_counts();
}

static bool passed_on;

/* As soon as the frame is a's, a gives it back, and b gets it. */
static void pass_it_on(void *arg)
{
    (void)arg;
    if (passed_on || next[0]->owner != a->id || spin_is_locked(&a->page_lock))
        return;
    passed_on = true;
    CHECK(frame_release(next[0], a));
    CHECK(populate(b, 0, 200));
    CHECK_EQ(next[0]->owner, b->id);
}

TEST(m2p_entries)
{
    unsigned int order = 0;

    foresee();
    passed_on = false;
    host_step(populate_a, pass_it_on, &order, 1);
    CHECK(passed_on);
    CHECK_EQ(host_m2p[frame_mfn(next[0]).v], 200);
    CHECK_EQ(audit(), 0);
}

/* What was taken back leaves no entry. */
TEST(m2p_of_what_was_not_given)
{
    foresee();
    a->max_pages = a->tot_pages;
    CHECK(!populate(a, 0, 300));
    a->max_pages = 1u << 20;
    CHECK_EQ(host_m2p[frame_mfn(next[0]).v], GFN_INVALID);
}

/* --- who counts a frame that changes hands --- */

static struct frame *moving;
static unsigned int steps, move_at;
static bool got;
static enum { PLAIN, PLAIN_FAST, WRITABLE, WRITABLE_NEW, WRITABLE_FAST, WAYS } way;

static void get_it(void *arg)
{
    (void)arg;
    switch (way) {
    case PLAIN:
        got = frame_get(moving, a);
        break;
    case PLAIN_FAST:
        got = frame_get_fast(moving, a->id, 0);
        break;
    case WRITABLE:
        got = frame_get_typed(moving, a, FT_WRITABLE) == 0;
        break;
    case WRITABLE_NEW:
        got = frame_get_writable(moving, a) == 0;
        break;
    default:
        got = frame_get_writable_fast(moving, a->id, 0);
        break;
    }
}

/* What the fast way is for: a frame that was data before. */
static void as_data(void)
{
    if (way == WRITABLE_FAST)
        moving->state |= (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT;
}

/* At one of the steps the frame goes from a to b, with the same word in its record. */
static void move_it(void *arg)
{
    (void)arg;
    if (steps++ != move_at || frame_refs(moving->state) != 1)
        return;
    CHECK(frame_take(moving, a));
    CHECK_EQ(frame_assign(moving, 0, b), 0);
    as_data();
}

static void moves_under_a_reference(void)
{
    bool moved_once = false;

    for (move_at = 0; move_at == 0 || move_at <= steps; move_at++) {
        steps = 0;
        moving = frame_alloc(0, 0);
        CHECK_EQ(frame_assign(moving, 0, a), 0);
        as_data();
        host_step(get_it, move_it, NULL, 1);
        moved_once |= moving->owner == b->id;
        CHECK(!got || moving->owner == a->id);
        CHECK_EQ(frame_refs(moving->state), 1 + got);
        CHECK_EQ(frame_typed(moving->state), got && way >= WRITABLE);
        if (got && way >= WRITABLE)
            frame_put_typed(moving);
        else if (got)
            frame_put(moving);
        CHECK(frame_release(moving, moving->owner == a->id ? a : b));
    }
    CHECK(moved_once);
    CHECK_EQ(audit(), 0);
}

TEST(a_reference_is_on_a_frame_of_the_owner)
{
    for (way = PLAIN; way < WAYS; way++)
        moves_under_a_reference();
}

static enum { TAKE, TAKE_HOLD, TAKE_WAYS } take_way;
static bool took;

static void take_it(void *arg)
{
    (void)arg;
    took = take_way == TAKE ? frame_take(moving, a) : frame_take_only_hold(moving, a);
}

/* At one of the steps somebody counts. */
static void count_it(void *arg)
{
    (void)arg;
    if (steps++ == move_at)
        got = frame_get(moving, a);
}

static void taken_while_counted(void)
{
    bool lost = false;

    for (move_at = 0; move_at == 0 || move_at <= steps; move_at++) {
        steps = 0;
        got = false;
        moving = frame_alloc(0, 0);
        CHECK_EQ(frame_assign(moving, 0, a), 0);
        host_step(take_it, count_it, NULL, 1);
        lost |= !took;
        CHECK_EQ(frame_refs(moving->state), got + !(took && take_way == TAKE));
        CHECK_EQ(moving->state & FRAME_ALLOCATED, took ? 0 : FRAME_ALLOCATED);
        CHECK(!(took && got && take_way == TAKE));
        if (took && take_way == TAKE_HOLD)
            frame_return_hold(moving);
        if (got)
            frame_put(moving);
        if (took && take_way == TAKE)
            frame_free(moving, 0);
        else
            CHECK(frame_release(moving, a));
    }
    CHECK(lost);
}

TEST(what_is_taken_is_nobody_elses)
{
    for (take_way = TAKE; take_way < TAKE_WAYS; take_way++)
        taken_while_counted();
    CHECK_EQ(audit(), 0);
}

static uint64_t word;
static bool touched;

static void take_foreign(void *arg)
{
    got = *(bool *)arg ? frame_get(moving, b) : frame_take_only_hold(moving, b);
}

static void watch_word(void *arg)
{
    (void)arg;
    touched |= moving->state != word;
}

/* Not for a moment: its owner may be about to give it away. */
TEST(foreign_frames_are_left_alone)
{
    bool how = false;

    moving = frame_alloc(0, 0);
    CHECK_EQ(frame_assign(moving, 0, a), 0);
    word = moving->state;
    for (unsigned int i = 0; i < 2; i++, how = !how) {
        touched = false;
        host_step(take_foreign, watch_word, &how, 1);
        CHECK(!got);
        CHECK(!touched);
    }
    CHECK(frame_release(moving, a));
}

TEST(references_on_what_has_none_or_too_many)
{
    struct frame *f = frame_alloc(0, 0);
    uint64_t saved;

    CHECK_EQ(frame_assign(f, 0, a), 0);
    saved = f->state;
    for (uint64_t refs = 0; refs <= FRAME_REF_MASK; refs += FRAME_REF_MASK) {
        f->state = (saved & ~FRAME_REF_MASK) | refs;
        CHECK(!frame_get_more(f));
        CHECK(!frame_get(f, a));
        CHECK_EQ(frame_refs(f->state), refs);
    }
    f->state = saved;
    CHECK(frame_get_more(f));
    frame_put(f);
    CHECK(frame_release(f, a));
}

/* A page that was never written may still be in TLBs: who gets it next makes them forget. */
TEST(freed_frames_are_flushed)
{
    struct frame *f = frame_alloc(0, 0);
    uint64_t before;

    CHECK_EQ(frame_assign(f, 0, a), 0);
    CHECK_EQ(f->stamp, 0);
    CHECK(frame_release(f, a));
    CHECK(f->stamp != 0);
    before = pcpus[1]->tlb_flushed;
    foresee();
    CHECK(pcpus[1]->tlb_flushed > before);
}

/* Who is about to mark an event in a page is past it before the page goes: each CPU is asked. */
TEST(pages_of_vcpus_go_after_their_writers)
{
    struct domain *d = host_domain(5, 1, 1, false);
    uint32_t before = host_cpus[1].called;

    host_be(0);
    domain_drop_infos(d);
    CHECK_EQ(host_cpus[1].called, before + 1);
    CHECK(d->vcpu[0]->info == &d->vcpu[0]->own_info);
    while (domain_kill(d) == E(EAGAIN))
        ;
    host_settle();
}

/* audit() looks at each page through which a guest and the hypervisor talk. */
TEST(audit_sees_pages_that_went)
{
    static const struct {
        uint64_t keep, add;
    } broken[] = {
        { 0, FRAME_RAM | FRAME_FREE }, { ~0ull, FRAME_FREE },
        { ~0ull, FRAME_ALLOCATED },    { ~(uint64_t)FRAME_REF_MASK, 0 },
        { ~(uint64_t)FRAME_HV, 0 },    { ~FRAME_TYPE_MASK, (uint64_t)FT_NONE << FRAME_TYPE_SHIFT },
    };
    struct frame *f = frame_of(grant_frame_mfn(a, 0)), saved = *f;
    void *page;

    f->owner = b->id;
    CHECK(audit() != 0);
    *f = saved;
    f->state &= ~FRAME_HV;
    CHECK(audit() != 0);
    *f = saved;
    f->state -= FRAME_TYPED_ONE;
    CHECK(audit() != 0);
    *f = saved;
    f = frame_of(a->shared_mfn);
    saved = *f;
    for (unsigned int i = 0; i < ARRAY_SIZE(broken); i++) {
        f->state = (saved.state & broken[i].keep) | broken[i].add;
        CHECK(audit() != 0);
        *f = saved;
    }
    page = a->shared;
    a->shared = arch_map(MFN(0)); /* as of no page of memory */
    CHECK(audit() != 0);
    a->shared = page;
    CHECK_EQ(audit(), 0);
}

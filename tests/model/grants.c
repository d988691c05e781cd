/* SPDX-License-Identifier: MIT */
/*
 * The model test of grants: hostile domains that offer, revoke, map, copy, transfer, die in small
 * steps and come again, in any order, while memory runs out now and then and a tool in Dom0 maps
 * what it likes. After each step audit() counts, and nothing may have been done that the entry did
 * not permit when the call was made. At the end everything is back.
 *
 *   grants [-s seed] [-n steps] [-r streams], grants -w word,word,...
 */
#include "core/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/grant_table.h>

#include "core/audit.h"
#include "core/grant_private.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "model/stream.h"

#define SLOTS 5   /* domains at a time; the first one is Dom0 */
#define MAX_ID 12 /* ids to choose from: those of zombies are not free */
#define PAGES 6   /* of a domain's window; the first two hold arguments */
#define SPARE 4   /* pages beyond the window, to be transferred */
#define REFS 10   /* references that are offered and asked for */
#define HANDLES 64
#define TOOL_MAPS 8

struct slot {
    struct domain *d; /* referenced */
    bool dying;
    uint32_t handle[HANDLES]; /* what maps gave lately */
};

static struct slot slots[SLOTS];
static struct frame *tool[TOOL_MAPS]; /* referenced */
static struct rng rng;
static unsigned int depth;
static char last[200];
static unsigned int done[8]; /* how many went well: by operation */
static const char *wrong;

#define NOTE(...) snprintf(last, sizeof(last), __VA_ARGS__)

static uint64_t below(uint64_t n)
{
    return rng_below(&rng, n);
}

static bool one_in(uint64_t n)
{
    return below(n) == 0;
}

/* --- domains come and go --- */

static domid_t free_id(void)
{
    for (unsigned int i = 0, id = 1 + (unsigned int)below(MAX_ID); i < MAX_ID; i++, id++) {
        struct domain *d = domain_get((domid_t)(id % MAX_ID + 1));

        if (!d)
            return (domid_t)(id % MAX_ID + 1);
        domain_put(d);
    }
    return DOMID_INVALID;
}

static void give_pages(struct domain *d)
{
    for (unsigned int i = 0; i < SPARE; i++)
        (void)host_give_page(d);
}

static void create(struct slot *s, domid_t id)
{
    unsigned int fail = host_fail_every;

    host_fail_every = 0; /* the toy's own creation cannot fail */
    s->d = host_domain(id, 1, PAGES, id == 0);
    host_fail_every = fail;
    s->d->max_pages = 40;
    s->dying = false;
    if (id && one_in(2))
        grant_set_limits(s->d, 1 + (uint32_t)below(3), 1);
    grant_frame_mfn(s->d, 0);
    give_pages(s->d);
    NOTE("d%u is created", id);
}

/* One step of an end; the slot is free when the last was made, even if others still map its pages.
 */
static void kill_step(struct slot *s)
{
    long rc;

    if (!s->dying)
        domain_get(s->d->id);
    s->dying = true;
    arch_this_cpu()->work_left = 1 + (int32_t)below(600);
    rc = domain_kill(s->d);
    pcpu_gave_way(arch_this_cpu());
    NOTE("a step of d%u's end: %ld", s->d->id, rc);
    if (rc)
        return;
    domain_put(s->d);
    s->d = NULL;
}

/* --- what a guest chooses --- */

static struct slot *live_slot(void)
{
    for (;;) {
        struct slot *s = &slots[below(SLOTS)];

        if (s->d && !s->dying)
            return s;
    }
}

static domid_t some_id(void)
{
    if (one_in(12))
        return one_in(2) ? DOMID_SELF : (domid_t)rng_next(&rng);
    return (domid_t)(one_in(4)               ? below(MAX_ID + 1)
                     : slots[below(SLOTS)].d ? live_slot()->d->id
                                             : 1);
}

static uint32_t some_ref(void)
{
    return one_in(20) ? (uint32_t)rng_next(&rng) : (uint32_t)below(REFS);
}

/* A page that d owns; beyond the window as a rule if `spare`. */
static uint64_t own_page(const struct domain *d, bool spare)
{
    uint32_t m = d->page_list;

    if (one_in(15))
        return one_in(2) ? below(max_mfn + 2) : d->shared_mfn.v;
    if (!spare)
        return host_guest_gfn((struct domain *)d, 2 + (unsigned int)below(PAGES - 2));
    for (unsigned int n = (unsigned int)below(SPARE); n-- && m && frame_table[m].next;)
        m = frame_table[m].next;
    return gfn_of(d, MFN(m));
}

static struct grant_entry_v1 *entry(struct domain *d, uint32_t ref)
{
    mfn_t m = ref < 512 ? grant_frame_mfn(d, 0) : MFN_NONE;

    return mfn_eq(m, MFN_NONE) ? NULL : (struct grant_entry_v1 *)arch_map(m) + ref;
}

/* Offers made lately: most calls are about one of them. */
#define OFFERS 24
static struct {
    domid_t owner, user;
    uint16_t kind;
    uint32_t ref;
} offers[OFFERS];

/* An offer of that kind to d, as a rule. */
static void find_offer(const struct domain *d, uint16_t kind, domid_t *owner, uint32_t *ref)
{
    *owner = some_id();
    *ref = some_ref();
    for (unsigned int i = 0, at = (unsigned int)below(OFFERS); i < OFFERS && !one_in(24);
         i++, at++) {
        if (offers[at % OFFERS].kind != kind || offers[at % OFFERS].user != d->id)
            continue;
        *owner = offers[at % OFFERS].owner;
        *ref = offers[at % OFFERS].ref;
        return;
    }
}

static void offer(struct domain *d)
{
    static const uint16_t kinds[] = { GTF_permit_access, GTF_permit_access,
                                      GTF_permit_access | GTF_readonly, GTF_accept_transfer };
    uint32_t ref = (uint32_t)below(REFS);
    struct grant_entry_v1 *e = entry(d, ref);
    unsigned int at = (unsigned int)below(OFFERS);

    if (!e || ((e->flags & (GTF_reading | GTF_writing)) && !one_in(6)))
        return; /* in use: against the rules, but it happens */
    e->domid = some_id();
    e->frame = (uint32_t)own_page(d, one_in(2));
    e->flags = one_in(12) ? rng_next(&rng) & ~(GTF_reading | GTF_writing) : kinds[below(4)];
    offers[at].owner = d->id;
    offers[at].user = e->domid;
    offers[at].kind = e->flags & GTF_type_mask;
    offers[at].ref = ref;
    NOTE("d%u offers %u to d%u: flags %#x, frame %#x", d->id, ref, e->domid, e->flags, e->frame);
}

/* --- calls --- */

static void step(void);

/* A call by d's vCPU, with others' steps in between where it gives way. */
static long call(struct domain *d, unsigned int cmd, const void *ops, size_t bytes, unsigned int n)
{
    struct hc_args again = HC_ARGS(cmd, HOST_PAGE(0), n);
    void *args = host_guest(d, HOST_PAGE(0));
    long rc;

    memcpy(args, ops, bytes);
    arch_this_cpu()->work_left = one_in(3) ? 1 : 1000;
    for (;;) {
        rc = hypercall_dispatch(d->vcpu[0], __HYPERVISOR_grant_table_op, &again);
        if (rc != HC_RESTART)
            return rc;
        again = d->vcpu[0]->restart_args;
        if (depth == 0 && one_in(2)) {
            depth++;
            step();
            depth--;
        }
        if (one_in(20))
            return 0; /* it never comes back to this call */
    }
}

/* Does `ref` of domain `owner` permit that, now? */
static bool permits(domid_t owner, const struct domain *user, uint32_t ref, bool readonly)
{
    struct domain *d = owner == DOMID_SELF ? domain_get(user->id) : domain_get(owner);
    const struct grant_entry_v1 *e = d && !domain_dying(d) ? entry(d, ref) : NULL;
    bool ok = e && (e->flags & GTF_type_mask) == GTF_permit_access && e->domid == user->id &&
              (readonly || !(e->flags & GTF_readonly));

    if (ok) {
        const struct frame *f = host_frame(d, e->frame);

        ok = f && f->owner == d->id && frame_refs(f->state) && !(f->state & FRAME_HV);
    }
    if (d)
        domain_put(d);
    return ok;
}

static void op_map(struct slot *s)
{
    struct gnttab_map_grant_ref op[40] = { { 0 } };
    unsigned int n = one_in(2) ? 1 : 1 + (unsigned int)below(40);
    domid_t id = s->d->id;
    bool ok;
    long rc;

    for (unsigned int i = 0; i < n; i++) {
        op[i].host_addr = 0x40000000 + (one_in(10) ? 1 : 0);
        op[i].flags = GNTMAP_host_map | (one_in(3) ? GNTMAP_device_map : 0) |
                      (one_in(3) ? GNTMAP_readonly : 0);
        find_offer(s->d, GTF_permit_access, &op[i].dom, &op[i].ref);
    }
    ok = permits(op[0].dom, s->d, op[0].ref, op[0].flags & GNTMAP_readonly);
    rc = call(s->d, GNTTABOP_map_grant_ref, op, n * sizeof(op[0]), n);
    NOTE("d%u maps %u of d%u, and %u more: %ld", id, op[0].ref, op[0].dom, n - 1, rc);
    if (s->dying || !s->d)
        return;
    memcpy(op, host_guest(s->d, HOST_PAGE(0)), n * sizeof(op[0]));
    for (unsigned int i = 0; i < n && rc == 0; i++) {
        if (op[i].status == GNTST_okay) {
            s->handle[below(HANDLES)] = op[i].handle;
            done[0]++;
        }
    }
    if (n == 1 && op[0].status == GNTST_okay && !ok)
        wrong = "mapped without permission";
}

static void op_unmap(struct slot *s)
{
    union {
        struct gnttab_unmap_grant_ref u;
        struct gnttab_unmap_and_replace r;
    } op[30];
    unsigned int n = 1 + (unsigned int)below(30);
    bool replace = one_in(3);
    domid_t id = s->d->id;
    long rc;

    memset(op, 0, sizeof(op));
    for (unsigned int i = 0; i < n; i++) {
        op[i].u.host_addr = one_in(8) ? below(2) : 0x40000000;
        op[i].u.dev_bus_addr = replace || one_in(2) ? 0 : own_page(s->d, true) << PAGE_SHIFT;
        op[i].u.handle = one_in(2) ? (uint32_t)below(HANDLES) : s->handle[below(HANDLES)];
    }
    rc = call(s->d, replace ? GNTTABOP_unmap_and_replace : GNTTABOP_unmap_grant_ref, op,
              n * sizeof(op[0]), n);
    NOTE("d%u unmaps %u handles from %u on: %ld", id, n, op[0].u.handle, rc);
    if (s->d && !s->dying) {
        memcpy(op, host_guest(s->d, HOST_PAGE(0)), n * sizeof(op[0]));
        for (unsigned int i = 0; i < n; i++)
            done[1] += op[i].u.status == GNTST_okay;
    }
}

static void op_copy(struct slot *s)
{
    struct gnttab_copy op[50];
    unsigned int n = one_in(2) ? 1 : 1 + (unsigned int)below(50);
    domid_t id = s->d->id;
    bool ok = true;
    long rc;

    memset(op, 0, sizeof(op));
    for (unsigned int i = 0; i < n; i++) {
        op[i].flags = (uint16_t)below(4);
        op[i].source.domid = op[i].dest.domid = DOMID_SELF;
        op[i].source.u.gmfn = own_page(s->d, one_in(2));
        op[i].dest.u.gmfn = own_page(s->d, one_in(2));
        if (op[i].flags & GNTCOPY_source_gref)
            find_offer(s->d, GTF_permit_access, &op[i].source.domid, &op[i].source.u.ref);
        if (op[i].flags & GNTCOPY_dest_gref)
            find_offer(s->d, GTF_permit_access, &op[i].dest.domid, &op[i].dest.u.ref);
        op[i].len = (uint16_t)below(64);
        op[i].source.offset = (uint16_t)below(4050);
        op[i].dest.offset = (uint16_t)below(4000);
    }
    if (op[0].flags & GNTCOPY_source_gref)
        ok = permits(op[0].source.domid, s->d, op[0].source.u.ref, true);
    if (op[0].flags & GNTCOPY_dest_gref)
        ok &= permits(op[0].dest.domid, s->d, op[0].dest.u.ref, false);
    rc = call(s->d, GNTTABOP_copy, op, n * sizeof(op[0]), n);
    NOTE("d%u copies %u times, flags %u from d%u to d%u: %ld", id, n, op[0].flags,
         op[0].source.domid, op[0].dest.domid, rc);
    if (!s->d || s->dying)
        return;
    memcpy(op, host_guest(s->d, HOST_PAGE(0)), sizeof(op[0]));
    done[2] += op[0].status == GNTST_okay;
    if (n == 1 && op[0].status == GNTST_okay && !ok)
        wrong = "copied without permission";
}

/* Does `ref` of domain `owner` accept a page of user's, now? */
static bool accepts(domid_t owner, const struct domain *user, uint32_t ref)
{
    struct domain *d = owner == DOMID_SELF ? domain_get(user->id) : domain_get(owner);
    const struct grant_entry_v1 *e = d && !domain_dying(d) ? entry(d, ref) : NULL;
    bool ok = e && gfn_is_mfn(d) && e->flags == GTF_accept_transfer && e->domid == user->id &&
              d->tot_pages < d->max_pages;

    if (d)
        domain_put(d);
    return ok;
}

static void op_transfer(struct slot *s)
{
    struct gnttab_transfer op[3];
    unsigned int n = 1 + (unsigned int)below(3);
    domid_t id = s->d->id;
    bool ok;
    long rc;

    memset(op, 0, sizeof(op));
    for (unsigned int i = 0; i < n; i++) {
        op[i].mfn = own_page(s->d, true);
        if (one_in(4))
            give_pages(s->d);
        find_offer(s->d, GTF_accept_transfer, &op[i].domid, &op[i].ref);
    }
    ok = gfn_is_mfn(s->d) && accepts(op[0].domid, s->d, op[0].ref);
    rc = call(s->d, GNTTABOP_transfer, op, sizeof(op), n);
    NOTE("d%u transfers frame %#lx to d%u's %u: %ld", id, (unsigned long)op[0].mfn, op[0].domid,
         op[0].ref, rc);
    if (s->d && !s->dying) {
        memcpy(op, host_guest(s->d, HOST_PAGE(0)), sizeof(op));
        done[3] += op[0].status == GNTST_okay;
        if (op[0].status == GNTST_okay && !ok && rc == 0)
            wrong = "transferred to who does not accept";
    }
}

static void op_table(struct slot *s)
{
    union {
        struct gnttab_setup_table setup;
        struct gnttab_swap_grant_ref swap;
    } op = { .setup = { .dom = some_id(), .nr_frames = (uint32_t)below(4) } };
    bool swap = one_in(2);

    op.setup.frame_list.p = (void *)HOST_PAGE(1);
    if (swap)
        op.swap = (struct gnttab_swap_grant_ref){ some_ref(), some_ref(), 99 };
    call(s->d, swap ? GNTTABOP_swap_grant_ref : GNTTABOP_setup_table, &op, sizeof(op), 1);
    NOTE("d%u %s", s->d ? s->d->id : 0, swap ? "swaps two entries" : "sets up a table");
}

/* A tool in Dom0 maps a frame of somebody, its table's frames too, and lets go of another. */
static void tool_step(void)
{
    struct frame **t = &tool[below(TOOL_MAPS)];
    const struct slot *s = &slots[below(SLOTS)];
    struct frame *f;

    if (*t)
        frame_put(*t);
    *t = NULL;
    if (!s->d)
        return;
    f = frame_of(one_in(2) ? grant_frame_mfn(s->d, (unsigned int)below(2)) : MFN_NONE);
    if (!f)
        f = host_frame(s->d, own_page(s->d, s->dying || one_in(2)));
    if (f && frame_get(f, s->d))
        *t = f;
    NOTE("a tool maps frame %#lx of d%u", f ? frame_mfn(f).v : 0, s->d->id);
}

/* --- a stream --- */

static void step(void)
{
    struct slot *s = &slots[1 + below(SLOTS - 1)];

    if (one_in(depth ? 4 : 40)) {
        if (s->d)
            kill_step(s);
        return;
    }
    if (s->d && s->dying && one_in(3)) {
        kill_step(s);
        return;
    }
    if (!s->d) {
        domid_t id = free_id();

        if (id != DOMID_INVALID)
            create(s, id);
        return;
    }
    s = live_slot();
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        offer(s->d);
        break;
    case 3:
    case 4:
    case 5:
        op_map(s);
        break;
    case 6:
    case 7:
        op_unmap(s);
        break;
    case 8:
        op_copy(s);
        break;
    case 9:
        op_transfer(s);
        break;
    case 10:
        op_table(s);
        break;
    default:
        tool_step();
    }
}

/* An entry that nobody uses says so, for what the guest has not written itself. */
static void check_flags(struct domain *d)
{
    for (uint32_t ref = 0; ref < REFS && d->grants->nr_frames; ref++) {
        const struct grant_active *a = grant_active_of(d->grants, ref);
        const struct grant_entry_v1 *e = grant_shared_of(d->grants, ref);

        if (!a->readers && !a->writers && (e->flags & GTF_type_mask) == GTF_permit_access &&
            (e->flags & (GTF_reading | GTF_writing)))
            wrong = "an idle entry that looks used";
    }
}

/* All there is but what Dom0's table and tracks take, which do not shrink. */
static uint64_t pages(void)
{
    const struct grant_state *g = slots[0].d->grants;
    uint64_t n = frame_free_count() + slots[0].d->tot_pages;

    for (unsigned int i = 0; i < TRACK_DIRS; i++)
        n += g->tracks[i] != NULL;
    return n + 2 * g->nr_frames + g->nr_tracks / TRACKS_PER_PAGE;
}

static bool finish(uint64_t before)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        while (i && slots[i].d)
            kill_step(&slots[i]);
        host_settle();
        if (audit())
            return printf("audit at the end of the %uth domain\n", i), false;
    }
    while (grant_teardown(slots[0].d)) /* Dom0 maps nothing any more */
        pcpu_gave_way(arch_this_cpu());
    for (unsigned int i = 0; i < TOOL_MAPS; i++)
        if (tool[i])
            frame_put(tool[i]);
    host_settle();
    for (domid_t id = 1; id <= MAX_ID + 1; id++)
        if (domain_get(id))
            return printf("d%u is still there, with %lu pages\n", id, domain_get(id)->tot_pages),
                   false;
    if (audit())
        return printf("audit after the end\n"), false;
    if (pages() != before)
        return printf("%ld pages were lost\n", (long)(before - pages())), false;
    return true;
}

static bool run_stream(const uint64_t *words, unsigned int n, bool verbose)
{
    uint64_t before;

    host_boot(2048, 1);
    host_verbose = verbose;
    host_mixed = true;
    rng = (struct rng){ 99 };
    create(&slots[0], 0);
    before = pages();
    for (unsigned int i = 0; i < n; i++) {
        rng = (struct rng){ words[i] };
        host_fail_every = one_in(9) ? 1 + (unsigned int)below(3) : 0;
        step();
        host_fail_every = 0;
        host_settle();
        if (verbose)
            fprintf(stderr, "%u: %s\n", i, last);
        if (audit())
            wrong = "audit";
        for (unsigned int j = 0; j < SLOTS; j++)
            if (slots[j].d)
                check_flags(slots[j].d);
        if (wrong)
            return printf("%s after step %u: %s\n", wrong, i, last), false;
    }
    if (getenv("MODEL_STATS"))
        printf("%u maps, %u unmaps, %u copies, %u transfers\n", done[0], done[1], done[2], done[3]);
    return finish(before);
}

int main(int argc, char **argv)
{
    return stream_main(argc, argv, run_stream, 150);
}

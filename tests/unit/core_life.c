/* SPDX-License-Identifier: MIT */
/* The life of domains as tools drive it: made, run, resumed, destroyed; nothing is left behind. */
#include "core/types.h"

#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sched.h>

#include "core/access.h"
#include "core/audit.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "core/ptype.h"
#include "host/host.h"
#include "unit.h"

static struct domain *d;
static struct vcpu *v;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 6, true);
    v = host_up(d, 0);
}

static struct xen_domctl *op(uint32_t cmd, domid_t id)
{
    struct xen_domctl *c = host_guest(d, HOST_PAGE(0));

    memset(c, 0, sizeof(*c));
    c->cmd = cmd;
    c->domain = id;
    c->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return c;
}

static long go(void)
{
    long rc;

    host_be(v->cpu->id);
    rc = host_call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0, 0);
    host_settle();
    return rc;
}

static long simple(uint32_t cmd, domid_t id)
{
    op(cmd, id);
    return go();
}

/* createdomain with sensible limits; the id or -errno. */
static long create(domid_t wish)
{
    struct xen_domctl *c = op(XEN_DOMCTL_createdomain, wish);
    long rc;

    c->u.createdomain.max_vcpus = 2;
    c->u.createdomain.max_evtchn_port = 1023;
    c->u.createdomain.max_grant_frames = 4;
    c->u.createdomain.max_maptrack_frames = 4;
    c->u.createdomain.grant_opts = 1;
    rc = go();
    return rc ? rc : c->domain;
}

static long set_vcpus(domid_t id, uint32_t n)
{
    op(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = n;
    return go();
}

static long populate(domid_t id, unsigned int pages)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(1));
    uint64_t *gfn = host_guest(d, HOST_PAGE(2));

    op(XEN_DOMCTL_max_mem, id)->u.max_mem.max_memkb = 4096;
    if (go())
        return -1;
    memset(r, 0, sizeof(*r));
    for (unsigned int i = 0; i < pages; i++)
        gfn[i] = i;
    r->extent_start.p = (void *)HOST_PAGE(2);
    r->nr_extents = pages;
    r->domid = id;
    return host_call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(1), 0, 0);
}

static uint32_t flags_of(domid_t id)
{
    struct xen_domctl *c = op(XEN_DOMCTL_getdomaininfo, id);

    return go() || c->u.getdomaininfo.domain != id ? ~0u : c->u.getdomaininfo.flags;
}

TEST(a_domain_comes_and_goes)
{
    uint64_t before = frame_free_count();
    long id = create(0);

    CHECK(id > 0 && id < DOMID_FIRST_RESERVED);
    CHECK_EQ(flags_of((domid_t)id), XEN_DOMINF_paused | XEN_DOMINF_blocked);
    CHECK_EQ(set_vcpus((domid_t)id, 3), E(EINVAL));
    CHECK_EQ(set_vcpus((domid_t)id, 2), 0);
    CHECK_EQ(set_vcpus((domid_t)id, 2), 0);
    CHECK_EQ(populate((domid_t)id, 20), 20);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(simple(XEN_DOMCTL_unpausedomain, (domid_t)id), 0);
    CHECK_EQ(simple(XEN_DOMCTL_unpausedomain, (domid_t)id), E(EINVAL));
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)id), 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)id), E(ESRCH));
    CHECK_EQ(frame_free_count(), before);
    CHECK_EQ(audit(), 0);
}

/* As the tests of Debian 13's tools make them: they set what they are about and no port. */
static domid_t first_from(domid_t from)
{
    for_each_domain_from (x, from)
        return x->id;
    return DOMID_INVALID;
}

/* However a walk ends, it keeps no reference. */
TEST(walks_leave_nothing)
{
    long id = create(0);
    struct domain *e = domain_get((domid_t)id);
    uint32_t refs = e->refs, of_d = d->refs;
    unsigned int n = 0;

    CHECK_EQ(set_vcpus((domid_t)id, 2), 0);
    for_each_domain (x) {
        if (x == e)
            break;
        n++;
    }
    CHECK_EQ(n, 1);
    CHECK_EQ(first_from(1), e->id);
    CHECK_EQ(first_from((domid_t)(id + 1)), DOMID_INVALID);
    n = 0;
    for_each_domain (x)
        for_each_vcpu (x, y)
            n += y->domain == x && x->vcpu[y->id] == y;
    CHECK_EQ(n, 3);
    CHECK_EQ(e->refs, refs);
    CHECK_EQ(d->refs, of_d);

    /* Both lists of frames; `break` ends the walk on the first one, too. */
    CHECK_EQ(populate((domid_t)id, 3), 3);
    n = 0;
    for_each_page (e, at)
        n += at.f->owner == e->id;
    CHECK_EQ(n, 3);
    spin_lock(&e->page_lock);
    frame_set_aside(e);
    spin_unlock(&e->page_lock);
    n = 0;
    for_each_page (e, at)
        n++;
    CHECK_EQ(n, 3);
    n = 0;
    for_each_page (e, at) {
        n++;
        break;
    }
    CHECK_EQ(n, 1);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)id), 0);
    domain_put(e);
    host_settle();
    CHECK_EQ(audit(), 0);
}

TEST(a_domain_without_event_channels)
{
    struct xen_domctl *c = op(XEN_DOMCTL_createdomain, 0);

    c->u.createdomain.max_vcpus = 1;
    c->u.createdomain.grant_opts = 1;
    CHECK_EQ(go(), 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, c->domain), 0);
    CHECK_EQ(audit(), 0);
}

TEST(ids_are_not_used_again_at_once)
{
    long a = create(0), b;

    CHECK(a > 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)a), 0);
    b = create(0);
    CHECK(b > 0 && b != a);
    CHECK_EQ(create((domid_t)b), E(EEXIST));
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)b), 0);
    CHECK_EQ(create(77), 77);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, 77), 0);
}

TEST(descriptions_that_are_refused)
{
    static const uint32_t flags[] = { XEN_DOMCTL_CDF_iommu, XEN_DOMCTL_CDF_nested_virt,
                                      XEN_DOMCTL_CDF_vpmu, 1u << 31 };
    uint64_t before = frame_free_count();
    struct xen_domctl *c;

    for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
        c = op(XEN_DOMCTL_createdomain, 0);
        c->u.createdomain.flags = flags[i];
        c->u.createdomain.max_vcpus = 1;
        CHECK_EQ(go(), E(EOPNOTSUPP));
    }
    c = op(XEN_DOMCTL_createdomain, 0);
    c->u.createdomain.max_vcpus = MAX_VCPUS + 1;
    CHECK_EQ(go(), E(EINVAL));
    CHECK_EQ(frame_free_count(), before);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, 0), E(EINVAL));
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, 4711), E(ESRCH));
    CHECK_EQ(simple(XEN_DOMCTL_max_vcpus, 0), E(EINVAL));
}

/* Each allocation on the way fails once: what was made so far goes away whole. */
TEST(creation_fails_at_each_allocation)
{
    uint64_t before = frame_free_count();
    unsigned int failed = 0;

    for (unsigned int n = 1; n < 60; n++) {
        long id;

        host_fail_every = n;
        id = create(0);
        if (id > 0 && (set_vcpus((domid_t)id, 2) || populate((domid_t)id, 20) != 20))
            failed++;
        failed += id < 0;
        host_fail_every = 0;
        if (id > 0)
            CHECK_EQ(simple(XEN_DOMCTL_destroydomain, (domid_t)id), 0);
        CHECK_EQ(frame_free_count(), before);
        CHECK_EQ(audit(), 0);
    }
    CHECK(failed > 20);
}

/* A page that Dom0 still holds keeps the dying domain's record, and only that. */
TEST(others_keep_a_dying_domain)
{
    uint64_t before = frame_free_count();
    domid_t id = (domid_t)create(0);
    struct domain *e = domain_get(id);
    struct frame *f;

    CHECK_EQ(populate(id, 20), 20);
    f = &frame_table[e->page_list];
    CHECK(frame_get(f, e));
    domain_put(e);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_EQ(flags_of(id), XEN_DOMINF_dying | XEN_DOMINF_paused | XEN_DOMINF_blocked);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_EQ(set_vcpus(id, 1), E(ESRCH));
    CHECK(populate(id, 1) <= 0);
    CHECK_EQ(create(id), E(EEXIST));
    CHECK_EQ(audit(), 0);
    frame_put(f);
    host_settle();
    CHECK(flags_of(id) == ~0u);
    CHECK_EQ(frame_free_count(), before);
}

/* Whoever maps the shared page of a domain that is gone has a page of nobody's. */
TEST(shared_pages_outlive_their_domain)
{
    uint64_t before = frame_free_count();
    domid_t id = (domid_t)create(0);
    struct domain *e = domain_get(id);
    struct frame *f = frame_of(e->shared_mfn);

    CHECK_EQ(frame_get_typed(f, e, FT_WRITABLE), 0);
    domain_put(e);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK(flags_of(id) == ~0u);
    CHECK_EQ(f->owner, DOMID_INVALID);
    CHECK_EQ(frame_free_count(), before - 1);
    frame_put_typed(f);
    CHECK_EQ(frame_free_count(), before);
}

static struct domain *to_resume;
static uint32_t pauses;

static void resume_at_once(void)
{
    domain_resume(to_resume);
    pauses = to_resume->pause_count;
}

/* Whoever sees that a domain shut down finds it paused for that. */
TEST(resumed_while_it_shuts_down)
{
    domid_t id = (domid_t)create(0);

    to_resume = domain_get(id);
    host_on_now = resume_at_once;
    domain_shutdown(to_resume, SHUTDOWN_suspend);
    CHECK(!host_on_now);
    CHECK_EQ(pauses, 1);
    CHECK_EQ(to_resume->pause_count, 1);
    domain_put(to_resume);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
}

/* As many vCPUs as there may be: made in steps. */
TEST(many_vcpus_are_made_in_steps)
{
    uint64_t before = frame_free_count();
    struct xen_domctl *c = op(XEN_DOMCTL_createdomain, 0);
    long rc;

    c->u.createdomain.max_vcpus = MAX_VCPUS;
    c->u.createdomain.max_evtchn_port = 1023;
    c->u.createdomain.grant_opts = 1;
    CHECK_EQ(go(), 0);
    domid_t id = c->domain;
    op(XEN_DOMCTL_max_vcpus, id)->u.max_vcpus.max = MAX_VCPUS;
    host_be(v->cpu->id);
    arch_this_cpu()->work_left = 10;
    pauses = 0;
    struct domain *e = domain_get(id);
    rc = HC_RESTART;
    for (int i = 0; rc == HC_RESTART && i < 8; i++) {
        rc = hc_domctl(v, &HC_ARGS(HOST_PAGE(0)));
        if (i == 0)
            CHECK(rc == HC_RESTART && e->vcpu[0] && !e->vcpu[MAX_VCPUS - 1]);
        pcpu_gave_way(arch_this_cpu());
    }
    CHECK_EQ(rc, 0);
    CHECK(e->vcpu[MAX_VCPUS - 1]);
    domain_put(e);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_EQ(frame_free_count(), before);
}

TEST(shut_down_and_resumed)
{
    domid_t id = (domid_t)create(0);
    struct domain *e = domain_get(id);

    CHECK_EQ(simple(XEN_DOMCTL_resumedomain, id), E(EINVAL));
    domain_shutdown(e, SHUTDOWN_suspend);
    CHECK(flags_of(id) & XEN_DOMINF_shutdown);
    CHECK_EQ(flags_of(id) >> XEN_DOMINF_shutdownshift, SHUTDOWN_suspend);
    CHECK_EQ(simple(XEN_DOMCTL_resumedomain, id), 0);
    CHECK(!(flags_of(id) & XEN_DOMINF_shutdown));
    CHECK_EQ(e->pause_count, 1);
    domain_put(e);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
}

TEST(timers_of_the_dead_are_silent)
{
    domid_t id = (domid_t)create(0);
    struct domain *e = domain_get(id);

    CHECK_EQ(set_vcpus(id, 1), 0);
    vcpu_set_period(e->vcpu[0], 1000000);
    timer_set(&e->vcpu[0]->singleshot, pcpus[1], host_time + 5000);
    timer_set(&e->watchdog[0], pcpus[1], host_time + 5000);
    domain_put(e);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    host_advance(10000000); /* ASan tells if a record is touched */
    host_settle();
}

TEST(who_may_do_what)
{
    domid_t id = (domid_t)create(0), other = (domid_t)create(0);
    struct domain *e = domain_get(id), *o = domain_get(other);

    CHECK(domain_controls(d, e) && domain_controls(e, e) && !domain_controls(e, o));
    CHECK(access_ok(d, d, ACCESS_CONTROL) && !access_ok(e, e, ACCESS_CONTROL));
    CHECK(!access_ok(e, o, ACCESS_MEMORY) && !access_ok(e, o, ACCESS_INSPECT));
    op(XEN_DOMCTL_set_target, id)->u.set_target.target = other;
    CHECK_EQ(go(), 0);
    CHECK(access_ok(e, o, ACCESS_MEMORY) && !access_ok(e, o, ACCESS_CONTROL));
    CHECK(!access_ok(o, e, ACCESS_MEMORY));
    op(XEN_DOMCTL_set_target, id)->u.set_target.target = id;
    CHECK_EQ(go(), E(ESRCH));
    domain_put(o);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, other), 0);
    CHECK_EQ(create(other), other); /* somebody else, of the same id */
    o = domain_get(other);
    CHECK(!access_ok(e, o, ACCESS_MEMORY) && !access_ok(e, o, ACCESS_INSPECT));
    domain_put(e);
    domain_put(o);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, other), 0);
}

/* memory_op of m, in whose first page a reservation of one frame of `of` is. */
static long reserve(struct vcpu *m, unsigned long cmd, domid_t of)
{
    struct xen_memory_reservation *r = host_guest(m->domain, HOST_PAGE(1));
    uint64_t *gfn = host_guest(m->domain, HOST_PAGE(2));

    memset(r, 0, sizeof(*r));
    *gfn = 0;
    r->extent_start.p = (void *)HOST_PAGE(2);
    r->nr_extents = 1;
    r->domid = of;
    host_be(m->cpu->id);
    return host_call(m, __HYPERVISOR_memory_op, cmd, HOST_PAGE(1), 0, 0);
}

static long ask_size(struct vcpu *m, domid_t of)
{
    struct xen_memory_domain *q = host_guest(m->domain, HOST_PAGE(1));

    q->domid = of;
    host_be(m->cpu->id);
    return host_call(m, __HYPERVISOR_memory_op, XENMEM_current_reservation, HOST_PAGE(1), 0, 0);
}

static long stop_other(struct vcpu *m, domid_t of)
{
    struct sched_remote_shutdown *r = host_guest(m->domain, HOST_PAGE(1));

    r->domain_id = of;
    r->reason = SHUTDOWN_poweroff;
    host_be(m->cpu->id);
    return host_call(m, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, HOST_PAGE(1), 0, 0);
}

/* The device model of a domain adds to its memory; a stranger does not, nor learn who exists. */
TEST(device_models_and_strangers)
{
    domid_t id = (domid_t)create(0), none = (domid_t)(id + 77);
    struct domain *m = host_domain(40, 1, 6, false), *got;
    struct vcpu *mv = host_up(m, 0);

    CHECK_EQ(populate(id, 2), 2);
    CHECK_EQ(reserve(mv, XENMEM_populate_physmap, id), 0);
    CHECK_EQ(ask_size(mv, id), E(EPERM));
    CHECK_EQ(ask_size(mv, DOMID_SELF), 6);
    CHECK_EQ(access_domain_get(mv, id, ACCESS_MEMORY, &got), -XEN_EPERM);
    CHECK_EQ(access_domain_get(mv, none, ACCESS_MEMORY, &got), -XEN_EPERM);
    CHECK_EQ(access_domain_get(v, none, ACCESS_MEMORY, &got), -XEN_ESRCH);
    CHECK_EQ(stop_other(mv, id), E(EPERM));
    CHECK_EQ(stop_other(mv, none), E(EPERM));
    CHECK_EQ(stop_other(v, none), E(ESRCH));

    op(XEN_DOMCTL_set_target, m->id)->u.set_target.target = id;
    CHECK_EQ(go(), 0);
    CHECK_EQ(reserve(mv, XENMEM_populate_physmap, id), 1);
    CHECK_EQ(ask_size(mv, id), 3);
    CHECK_EQ(stop_other(mv, id), E(EPERM));
    CHECK_EQ(audit(), 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, id), 0);
    CHECK_EQ(simple(XEN_DOMCTL_destroydomain, m->id), 0);
    CHECK_EQ(audit(), 0);
}

/* SPDX-License-Identifier: MIT */
/* Log ring, lock ranks, frames, memory_op, multicall, console, version, sysctl and domctl. */
#include "core/types.h"

#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#include "core/audit.h"
#include "core/bug.h"
#include "core/console.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "core/keys.h"
#include "core/log.h"
#include "host/host.h"
#include "lib/xenabi.h"
#include "unit.h"

static struct domain *d, *e;
static struct vcpu *v, *w;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 6, true);
    e = host_domain(1, 1, 4, false);
    v = host_up(d, 0);
    w = host_up(e, 0);
}

static long call(struct vcpu *c, unsigned long nr, unsigned long a0, unsigned long a1,
                 unsigned long a2)
{
    host_be(c->cpu->id);
    return host_call(c, nr, a0, a1, a2, 0);
}

/* Blocks tell whether anybody has had a part of them since boot (0008): first, of a fresh heap. */
TEST(memory_that_nobody_had)
{
    static struct frame *kept[4096];
    struct frame *f = frame_alloc(8, 0);
    unsigned int n = 0;
    void *page;

    CHECK(f != NULL);
    CHECK(frame_is_unused(f));
    frame_free(f, 8);
    page = frame_alloc_hv();
    f = frame_of(arch_unmap(page));
    frame_free_hv(page);
    do {
        kept[n] = frame_alloc(0, 0);
        CHECK(kept[n] != NULL);
    } while (kept[n++] != f);
    CHECK(!frame_is_unused(f));
    while (n-- > 0)
        frame_free(kept[n], 0);
}

TEST(log_ring_keeps_the_latest)
{
    static char text[70000];
    static uint8_t mem[4096];
    uint32_t index = 0, end;
    size_t n;

    log_init_ring(mem, sizeof(mem));
    for (int i = 0; i < 300; i++)
        log_info("line %d", i);
    n = log_read(text, sizeof(text) - 1, &index, false);
    text[n] = 0;
    CHECK(n > 3500 && n <= sizeof(mem));
    CHECK(strstr(text, "line 299\n") != NULL);
    CHECK(strstr(text, "line 10\n") == NULL);
    CHECK(strstr(text, "(orlop) [") != NULL);
    end = index;
    log_info("more");
    n = log_read(text, sizeof(text) - 1, &index, true);
    text[n] = 0;
    CHECK(strstr(text, "more\n") != NULL && strstr(text, "line") == NULL);
    CHECK(index > end);
    n = log_read(text, 3, &end, true);
    CHECK_EQ(n, 3);
    log_clear();
    index = 0;
    CHECK_EQ(log_read(text, sizeof(text), &index, false), 0);
    index = 0x80000000; /* nonsense from a tool */
    CHECK_EQ(log_read(text, sizeof(text), &index, true), 0);
}

TEST(lock_ranks)
{
    spinlock_t outer = SPINLOCK_INIT(RANK_EVTCHN), inner = SPINLOCK_INIT(RANK_SCHED);

    host_be(0);
    spin_lock(&outer);
    spin_lock(&inner);
    spin_unlock(&inner);
    CHECK(!spin_trylock(&outer));
    spin_unlock(&outer);
    CHECK_EQ(host_cpus[0].p.lock_ranks, 0);
    spin_lock_pair(&outer, &outer);
    CHECK(spin_is_locked(&outer));
    spin_unlock_pair(&outer, &outer);
    CHECK(!spin_is_locked(&outer));
}

TEST(frames)
{
    uint64_t free = frame_free_count();
    struct frame *f, *g;

    f = frame_alloc(3, 0);
    CHECK(f != NULL && frame_mfn(f).v % 8 == 0);
    CHECK_EQ(frame_free_count(), free - 8);
    g = frame_alloc(0, 20); /* below 1 MiB */
    CHECK(g != NULL && frame_mfn(g).v < 256);
    CHECK(frame_alloc(20, 0) == NULL);
    frame_free(g, 0);
    frame_free(f, 3);
    CHECK_EQ(frame_free_count(), free);
    CHECK(!frame_get(frame_of(host_guest_mfn(d, 0)), e));
    CHECK(frame_get(frame_of(host_guest_mfn(d, 0)), d));
    frame_put(frame_of(host_guest_mfn(d, 0)));
    CHECK(frame_of(MFN(max_mfn)) == NULL);
    CHECK(frame_of(MFN(~0ull)) == NULL);
}

/* A CPU that slept while others flushed 2^31 times still flushes before a frame goes on. */
TEST(stamps_grow_old)
{
    struct frame *f = frame_alloc(1, 0);
    uint64_t clock = tlb_clock;

    host_be(0);
    tlb_clock += 2;
    f[0].stamp = tlb_stamp();
    frame_free(f, 0);
    pcpus[0]->tlb_flushed = pcpus[1]->tlb_flushed = tlb_clock += 2;
    tlb_clock += (1ull << 31) + 10;
    f[1].stamp = tlb_stamp(); /* the later one of the two, of which a block is made */
    frame_free(f + 1, 0);
    CHECK(frame_alloc(1, 0) == f);
    CHECK(pcpus[0]->tlb_flushed > clock + (1ull << 31) &&
          pcpus[1]->tlb_flushed > clock + (1ull << 31));
    frame_free(f, 1);
    CHECK_EQ(audit(), 0);
}

TEST(reservation)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));
    xen_pfn_t *list = host_guest(d, HOST_PAGE(1));
    uint64_t free = frame_free_count(), own = d->tot_pages;

    memset(r, 0, sizeof(*r));
    r->extent_start.p = (void *)HOST_PAGE(1);
    r->nr_extents = 500;
    r->domid = DOMID_SELF;
    for (int i = 0; i < 512; i++)
        list[i] = 0x1000 + i;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0), 500);
    CHECK_EQ(frame_free_count(), free - 500);
    CHECK_EQ(d->tot_pages, own + 500);
    CHECK(list[0] != 0x1000 && list[499] < max_mfn);
    CHECK_EQ(list[500], 0x1000 + 500);
    CHECK_EQ(audit(), 0);
    xen_pfn_t keep = list[250];
    list[250] = host_guest_mfn(e, 0).v; /* not ours: stops there */
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), 250);
    list[250] = keep;
    CHECK_EQ(
        call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation | 250 << 6, HOST_PAGE(0), 0),
        500);
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), 0);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(d->tot_pages, own);
    list[0] = d->shared_mfn.v; /* the hypervisor's own page */
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), 0);
    r->domid = 1;
    memcpy(host_guest(e, HOST_PAGE(0)), r, sizeof(*r));
    ((struct xen_memory_reservation *)host_guest(e, HOST_PAGE(0)))->domid = 0;
    CHECK_EQ(call(w, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), 0);
    r->nr_extents = ~0ul;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0), 0);
    r->nr_extents = 4;
    r->extent_start.p = (void *)0xfffffffffffffff8ul;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0), 0);
    *(domid_t *)r = DOMID_SELF;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_current_reservation, HOST_PAGE(0), 0), own);
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0, 0), max_mfn);
    CHECK_EQ(audit(), 0);
}

/* Another domain's reservation is for who is privileged. */
TEST(reservation_of_others)
{
    struct xen_memory_reservation *r = host_guest(e, HOST_PAGE(0));
    uint64_t pages = d->tot_pages, own = e->tot_pages;

    *r = (struct xen_memory_reservation){ .nr_extents = 1, .domid = d->id };
    set_xen_guest_handle_raw(r->extent_start, (void *)HOST_PAGE(1));
    *(xen_pfn_t *)host_guest(e, HOST_PAGE(1)) = host_guest_mfn(d, 5).v;
    for (unsigned int op = XENMEM_increase_reservation; op <= XENMEM_populate_physmap; op++) {
        if (op != XENMEM_increase_reservation && op != XENMEM_decrease_reservation &&
            op != XENMEM_populate_physmap)
            continue;
        CHECK_EQ(call(w, __HYPERVISOR_memory_op, op, HOST_PAGE(0), 0), 0);
    }
    CHECK_EQ(call(w, __HYPERVISOR_memory_op, XENMEM_claim_pages, HOST_PAGE(0), 0), E(EPERM));
    CHECK_EQ(d->tot_pages, pages);
    CHECK_EQ(e->tot_pages, own);
    CHECK(frame_of(host_guest_mfn(d, 5))->state & FRAME_ALLOCATED);
    CHECK_EQ(audit(), 0);
}

TEST(memory_runs_out)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));
    xen_pfn_t *list = host_guest(d, HOST_PAGE(1));
    uint64_t free = frame_free_count();
    long n;

    memset(r, 0, sizeof(*r));
    r->extent_start.p = (void *)HOST_PAGE(1);
    r->nr_extents = 512;
    r->extent_order = 5;
    r->domid = DOMID_SELF;
    n = call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0);
    CHECK(n > 0 && n < 512);
    r->nr_extents = n;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), n);
    CHECK_EQ(frame_free_count(), free);
    r->extent_order = 0;
    r->nr_extents = 100;
    d->max_pages = d->tot_pages + 10;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0), 10);
    d->max_pages = 1 << 20;
    r->nr_extents = 10;
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0), 10);
    CHECK_EQ(frame_free_count(), free);
    CHECK(list[0] != 0);
    CHECK_EQ(audit(), 0);
}

static long claim_for(unsigned int id, uint64_t pages)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));

    *r = (struct xen_memory_reservation){ .domid = (domid_t)id, .nr_extents = pages };
    return call(v, __HYPERVISOR_memory_op, XENMEM_claim_pages, HOST_PAGE(0), 0);
}

static long populate(unsigned int id, uint64_t pages)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));

    *r = (struct xen_memory_reservation){ .domid = (domid_t)id, .nr_extents = pages };
    r->extent_start.p = (void *)HOST_PAGE(1);
    return call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0);
}

static long depopulate(unsigned int id, uint64_t pages)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));

    *r = (struct xen_memory_reservation){ .domid = (domid_t)id, .nr_extents = pages };
    r->extent_start.p = (void *)HOST_PAGE(1);
    return call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0);
}

TEST(claims)
{
    uint64_t free = frame_free_count(), had = e->tot_pages;
    struct frame *f;

    CHECK_EQ(claim_for(1, had + free + 1), E(ENOMEM));
    CHECK_EQ(claim_for(1, had - 1), E(EINVAL));
    e->max_pages = had + 50;
    CHECK_EQ(claim_for(1, had + 51), E(EINVAL));
    e->max_pages = 1 << 20;
    CHECK_EQ(claim_for(1, had + free - 20), 0);
    CHECK_EQ(claim_for(1, had + 10), E(EINVAL)); /* one at a time */
    CHECK_EQ(claim_for(0, d->tot_pages + 21), E(ENOMEM));
    CHECK_EQ(frame_claimed_count(), free - 20);
    CHECK_EQ(frame_free_count(), free); /* set aside is still free */
    CHECK_EQ(populate(0, 30), 20);      /* others have what is left */
    CHECK(frame_alloc(0, 0) == NULL);
    f = frame_alloc_for(e, 0, 0);
    CHECK(f != NULL);
    CHECK_EQ(frame_claimed_count(), free - 21);
    frame_free(f, 0);
    f = frame_alloc(0, 0); /* what was given back is anybody's */
    CHECK(f != NULL);
    frame_free(f, 0);
    CHECK_EQ(depopulate(0, 20), 20);
    CHECK_EQ(populate(1, 100), 100);
    CHECK_EQ(frame_claimed_count(), free - 121);
    CHECK_EQ(audit(), 0);
    e->claimed--;
    CHECK_EQ(audit(), 1);
    e->claimed++;
    CHECK_EQ(e->claimed, free - 121);
    CHECK_EQ(depopulate(1, 100), 100);
    CHECK_EQ(claim_for(1, 0), 0);
    CHECK_EQ(frame_claimed_count(), 0);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(*(domid_t *)memset(host_guest(e, HOST_PAGE(0)), 0, 64), 0);
    CHECK_EQ(call(w, __HYPERVISOR_memory_op, XENMEM_claim_pages, HOST_PAGE(0), 0), E(EPERM));
    CHECK_EQ(audit(), 0);
}

TEST(multicall)
{
    struct multicall_entry *m = host_guest(d, HOST_PAGE(0));

    memset(m, 0, PAGE_SIZE);
    for (int i = 0; i < 40; i++) {
        m[i].op = __HYPERVISOR_xen_version;
        m[i].args[0] = i % 2 ? XENVER_version : 1000;
        m[i].result = i == 3 ? XEN_ABI_VERSION : 77;
    }
    m[7].op = __HYPERVISOR_multicall; /* no multicall inside */
    m[7].args[0] = HOST_PAGE(0);
    m[7].args[1] = 1;
    m[9].op = ~0ul;
    CHECK_EQ(call(v, __HYPERVISOR_multicall, HOST_PAGE(0), 40, 0), 0);
    CHECK_EQ(m[0].result, E(ENOSYS));
    CHECK_EQ(m[1].result, XEN_ABI_VERSION);
    CHECK_EQ(m[3].result, XEN_ABI_VERSION);
    CHECK_EQ(m[7].result, E(EINVAL));
    CHECK_EQ(m[9].result, E(ENOSYS));
    CHECK_EQ(m[39].result, XEN_ABI_VERSION);
    CHECK(!v->in_multicall);
    CHECK_EQ(call(v, __HYPERVISOR_multicall, HOST_PAGE(6) - 64, 2, 0), E(EFAULT));
    CHECK_EQ(call(v, __HYPERVISOR_multicall, ~0ul - 63, 2, 0), E(EFAULT));
    CHECK_EQ(call(v, __HYPERVISOR_multicall, HOST_PAGE(0), 0, 0), 0);
    /* pending work: it gives way after each entry and goes on where it was */
    m[0].result = m[39].result = 5;
    for (int i = 0; i < 40; i++)
        m[i].result = 5;
    host_be(v->cpu->id);
    v->cpu->pending = WORK_CONRING;
    CHECK_EQ(hypercall_dispatch(v, __HYPERVISOR_multicall, &HC_ARGS(HOST_PAGE(0), 40)), HC_RESTART);
    CHECK_EQ(v->restart_args.a[0], HOST_PAGE(0) + 64);
    CHECK_EQ(v->restart_args.a[1], 39);
    CHECK_EQ(m[0].result, E(ENOSYS));
    CHECK_EQ(m[1].result, 5);
    host_settle();
}

TEST(long_calls_give_way)
{
    struct gnttab_copy_like {
        uint64_t words[5];
    } *ops = host_guest(d, HOST_PAGE(0));
    long rc;
    int restarts = 0;

    /* Interrupts are off in the hypervisor: nothing becomes pending, and yet it must let go. */
    memset(ops, 0, PAGE_SIZE);
    host_settle();
    host_be(v->cpu->id);
    for (int i = 0; i < 40; i++) {
        rc = hypercall_dispatch(v, __HYPERVISOR_grant_table_op, &HC_ARGS(5, HOST_PAGE(0), 100));
        CHECK(rc == 0 || rc == HC_RESTART);
        restarts += rc == HC_RESTART;
    }
    CHECK(restarts >= 3);
}

/* Calls too short to give way themselves add up in a multicall. */
TEST(short_calls_add_up)
{
    struct multicall_entry *m = host_guest(d, HOST_PAGE(1));
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));
    uint64_t had;
    long rc;

    host_settle();
    host_be(v->cpu->id);
    memset(r, 0, PAGE_SIZE);
    r->nr_extents = 1;
    r->extent_order = 8; /* cleared: a quarter of the bound */
    r->domid = DOMID_SELF;
    had = d->tot_pages;
    d->max_pages = had + 4 * 256;
    for (int i = 0; i < 16; i++)
        m[i] = (struct multicall_entry){ .op = __HYPERVISOR_memory_op,
                                         .args = { XENMEM_increase_reservation, HOST_PAGE(0) } };
    pcpu_gave_way(v->cpu);
    rc = hypercall_dispatch(v, __HYPERVISOR_multicall, &HC_ARGS(HOST_PAGE(1), 16));
    CHECK_EQ(rc, HC_RESTART);
    CHECK(d->tot_pages - had <= 3 * 256);
    v->in_multicall = false;
}

/* The toys' table gives set_trap_table and platform_op to PV domains only. */
TEST(the_table_knows_who_may_call)
{
    CHECK_EQ(call(v, __HYPERVISOR_set_trap_table, 0, 0, 0), 1234);
    CHECK_EQ(call(w, __HYPERVISOR_set_trap_table, 0, 0, 0), 1234);
    CHECK_EQ(call(v, __HYPERVISOR_platform_op, 0, 0, 0), 1234);
    CHECK_EQ(call(w, __HYPERVISOR_platform_op, 0, 0, 0), E(EPERM));
    v->domain->kind = w->domain->kind = GUEST_HVM;
    CHECK_EQ(call(v, __HYPERVISOR_set_trap_table, 0, 0, 0), E(ENOSYS));
    CHECK_EQ(call(v, __HYPERVISOR_platform_op, 0, 0, 0), E(ENOSYS));
    CHECK_EQ(call(w, __HYPERVISOR_platform_op, 0, 0, 0), E(ENOSYS));
    CHECK_EQ(call(w, __HYPERVISOR_sysctl, 0, 0, 0), E(EPERM));
    CHECK_EQ(call(w, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0), PAGE_SIZE);
    CHECK_EQ(call(v, NR_HYPERCALLS, 0, 0, 0), E(ENOSYS));
    v->domain->kind = w->domain->kind = GUEST_PV;
}

TEST(console)
{
    evtchn_port port;
    char *buf = host_guest(d, HOST_PAGE(0));

    CHECK_EQ(evtchn_bind_virq(d, VIRQ_CONSOLE, 0, &port), 0);
    host_be(0);
    console_input('h');
    console_input('i');
    CHECK(evtchn_is_pending(d, port));
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 100, HOST_PAGE(0)), 2);
    CHECK(buf[0] == 'h' && buf[1] == 'i');
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 100, HOST_PAGE(0)), 0);
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 0x80000000, HOST_PAGE(0)), E(E2BIG));
    CHECK_EQ(call(v, __HYPERVISOR_console_io, 5, 1, HOST_PAGE(0)), E(ENOSYS));
    CHECK_EQ(call(w, __HYPERVISOR_console_io, CONSOLEIO_read, 1, HOST_PAGE(0)), E(EPERM));
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_write, 100, 0x1000), E(EFAULT));
    host_be(0);
    for (int i = 0; i < 3; i++)
        console_input(1);
    console_input('r'); /* a debug key, not Dom0's */
    host_settle();
    for (int i = 0; i < 3; i++)
        console_input(1);
    console_input('x');
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 100, HOST_PAGE(0)), 3);
    CHECK(buf[0] == 1 && buf[2] == 'x'); /* the first two of a switch are typed before it is one */
    CHECK_EQ(evtchn_close(d, port), 0);
}

static char guest_log[16384];

static void guest_sink(const char *text, size_t n)
{
    strncat(guest_log, text, MIN(n, sizeof(guest_log) - 1 - strlen(guest_log)));
}

static unsigned int times(const char *needle)
{
    unsigned int n = 0;

    for (const char *s = guest_log; (s = strstr(s, needle)) != NULL; s++)
        n++;
    return n;
}

/* Another guest's text goes to the log, marked as its own, harmless, and not without end. */
/* Time for all that waits for the sinks. */
static void let_log_out(void)
{
    for (int i = 0; i < 500; i++) {
        host_settle();
        host_advance(2000000);
    }
}

TEST(console_of_guests)
{
    char *buf = host_guest(e, HOST_PAGE(0));

    let_log_out();
    log_add_sink(guest_sink);
    strcpy(buf, "one\nt\033wo\n\nthree");
    CHECK_EQ(call(w, __HYPERVISOR_console_io, CONSOLEIO_write, strlen(buf), HOST_PAGE(0)), 0);
    let_log_out();
    CHECK(times("d1: says: one\n") && times("d1: says: t?wo\n") && times("d1: says: three\n"));
    CHECK_EQ(times("says: "), 3);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(call(w, __HYPERVISOR_console_io, CONSOLEIO_write, 3, HOST_PAGE(0)), 0);
    let_log_out();
    CHECK(times("says: ") <= 20);
    log_remove_sink(guest_sink);
    CHECK_EQ(call(w, __HYPERVISOR_xen_version, XENVER_build_id, 0, 0), E(EPERM));
    CHECK_EQ(call(w, __HYPERVISOR_xen_version, XENVER_commandline, HOST_PAGE(0), 0), 0);
    CHECK_STR(buf, "<denied>");
}

static size_t longest_write;

static void measuring_sink(const char *text, size_t n)
{
    longest_write = MAX(longest_write, n);
    guest_sink(text, n);
}

/* A refusal costs who causes it no wait for the serial line, and lines stay whole. */
TEST(refusals_go_out_later)
{
    size_t before = strlen(guest_log);

    host_advance(10000000000ull);
    log_add_sink(measuring_sink);
    longest_write = 0;
    for (int i = 0; i < 5; i++)
        log_refusal(e, "this is refusal %d of a long kind, which takes a while", i);
    CHECK_EQ(strlen(guest_log), before); /* nothing so far */
    host_settle();
    CHECK(strlen(guest_log) > before && longest_write <= 15);
    log_err("at once"); /* in the middle of the first line */
    CHECK(times("\n(orlop) at once\n"));
    let_log_out();
    for (int i = 0; i < 5; i++) {
        char want[100];

        snprintf(want, sizeof(want),
                 "(orlop) d1: this is refusal %d of a long kind, which takes a while\n", i);
        CHECK_EQ(times(want), 1);
    }
    log_remove_sink(measuring_sink);
}

TEST(version)
{
    char *buf = host_guest(d, HOST_PAGE(0));
    struct xen_feature_info *fi = host_guest(d, HOST_PAGE(0));

    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_version, 0, 0), XEN_ABI_VERSION);
    memset(buf, 0xff, 64);
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_extraversion, HOST_PAGE(0), 0), 0);
    CHECK_STR(buf, ".orlop");
    CHECK_EQ(buf[15], 0);
    CHECK_EQ((uint8_t)buf[16], 0xff);
    fi->submap_idx = XENFEAT_NR_SUBMAPS;
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_get_features, HOST_PAGE(0), 0), E(EINVAL));
    fi->submap_idx = 0;
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_get_features, HOST_PAGE(0), 0), 0);
    CHECK_EQ(fi->submap, 0x801);
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0), 4096);
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_build_id, 0, 0), E(ENODATA));
#ifdef XENVER_extraversion2
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_extraversion2, 0, 0), 6);
    memset(buf, 0xff, 64);
    *(uint32_t *)(void *)buf = 5;
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_extraversion2, HOST_PAGE(0), 0), E(ENOBUFS));
    *(uint32_t *)(void *)buf = 60;
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_extraversion2, HOST_PAGE(0), 0), 6);
    CHECK(memcmp(buf + 4, ".orlop\xff", 7) == 0);
#endif
    CHECK_EQ(call(v, __HYPERVISOR_vm_assist, VMASST_CMD_enable, 63, 0), E(EINVAL));
    CHECK_EQ(call(v, __HYPERVISOR_vm_assist, VMASST_CMD_enable, 5, 0), 0);
    CHECK_EQ(d->vm_assist, 1 << 5);
    CHECK_EQ(call(v, __HYPERVISOR_vm_assist, VMASST_CMD_disable, 5, 0), 0);
    CHECK_EQ(call(v, 41, 0, 0, 0), E(ENOSYS));
    CHECK_EQ(call(v, ~0ul, 0, 0, 0), E(ENOSYS));
}

TEST(sysctl)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));

    memset(op, 0, sizeof(*op));
    op->cmd = XEN_SYSCTL_physinfo;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(EACCES));
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    CHECK_EQ(call(w, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(EPERM));
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.physinfo.nr_cpus, 2);
    CHECK_EQ(op->u.physinfo.free_pages, frame_free_count());
    op->cmd = XEN_SYSCTL_getdomaininfolist;
    op->u.getdomaininfolist.first_domain = 0;
    op->u.getdomaininfolist.max_domains = 8;
    op->u.getdomaininfolist.buffer.p = (void *)HOST_PAGE(1);
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.getdomaininfolist.num_domains, 2);
    struct xen_domctl_getdomaininfo *info = host_guest(d, HOST_PAGE(1));
    CHECK_EQ(info[1].domain, 1);
    CHECK_EQ(info[0].nr_online_vcpus, 1);
    CHECK(info[0].flags & XEN_DOMINF_running);
    op->cmd = XEN_SYSCTL_cpupool_op;
    memset(&op->u, 0, sizeof(op->u));
    op->u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    op->u.cpupool_op.cpumap.bitmap.p = (void *)HOST_PAGE(1);
    op->u.cpupool_op.cpumap.nr_bits = 20;
    memset(info, 0xff, 8);
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.cpupool_op.n_dom, 2);
    CHECK_EQ(*(uint32_t *)info, 0xff000003);
    op->u.cpupool_op.cpupool_id = 1;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(ENOENT));
    op->cmd = XEN_SYSCTL_readconsole;
    memset(&op->u, 0, sizeof(op->u));
    op->u.readconsole.buffer.p = (void *)HOST_PAGE(1);
    op->u.readconsole.count = 8000;
    log_info("hello tools");
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK(op->u.readconsole.count > 10);
    for (char key = ' '; key <= '~'; key++) { /* every debug key but the reboot */
        if (key == 'R')
            continue;
        op->cmd = XEN_SYSCTL_debug_keys;
        memset(&op->u, 0, sizeof(op->u));
        *(char *)host_guest(d, HOST_PAGE(1)) = key;
        op->u.debug_keys.keys.p = (void *)HOST_PAGE(1);
        op->u.debug_keys.nr_keys = 1;
        CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
        host_settle();
    }
    op->cmd = 9999;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(ENOSYS));
}

TEST(domctl)
{
    struct xen_domctl *op = host_guest(d, HOST_PAGE(0));

    memset(op, 0, sizeof(*op));
    op->cmd = XEN_DOMCTL_getdomaininfo;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EACCES));
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.getdomaininfo.tot_pages, d->tot_pages);
    op->domain = 2;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(ESRCH));
    op->domain = 0;
    op->cmd = XEN_DOMCTL_pausedomain;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EINVAL)); /* not itself */
    op->cmd = XEN_DOMCTL_unpausedomain;
    op->domain = 1;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EINVAL)); /* not paused */
    op->cmd = XEN_DOMCTL_scheduler_op;
    memset(&op->u, 0, sizeof(op->u));
    op->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    op->u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op->u.scheduler_op.u.credit.weight = 512;
    op->u.scheduler_op.u.credit.cap = 50;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), 0);
    op->u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    op->u.scheduler_op.u.credit.weight = 0;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.scheduler_op.u.credit.weight, 512);
    op->cmd = XEN_DOMCTL_setvcpuaffinity;
    memset(&op->u, 0, sizeof(op->u));
    op->u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op->u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)HOST_PAGE(1);
    op->u.vcpuaffinity.cpumap_hard.nr_bits = 2;
    *(uint8_t *)host_guest(d, HOST_PAGE(1)) = 0;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EINVAL));
    *(uint8_t *)host_guest(d, HOST_PAGE(1)) = 0xff;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(*(uint8_t *)host_guest(d, HOST_PAGE(1)), 3);
    CHECK(cpumask_test(&w->affinity, MAX_CPUS - 1)); /* all that the tools know: everywhere */
    op->u.vcpuaffinity.vcpu = 99;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EINVAL));
    op->cmd = XEN_DOMCTL_createdomain;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(EINVAL));
    op->cmd = 4711;
    CHECK_EQ(call(v, __HYPERVISOR_domctl, HOST_PAGE(0), 0, 0), E(ENOSYS));
    CHECK_EQ(audit(), 0);
}

TEST(crash_is_the_guests_own)
{
    uint64_t free = frame_free_count();

    domain_crash(e, w, "it wrote %d", 7);
    host_settle();
    CHECK_EQ(e->state, DOM_SHUTDOWN);
    CHECK_EQ(e->shutdown_code, 3);
    CHECK(!w->sched.running && v->sched.running);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* All domains together have one budget for the sinks; the ring has each one's lines. */
TEST(refusals_of_all_have_one_budget)
{
    struct domain *many[6];
    int lines;

    for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = host_domain((domid_t)(20 + i), 1, 0, false);
    host_advance(10000000000ull);
    log_add_sink(guest_sink);
    for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
        for (int n = 0; n < 20; n++)
            log_refusal(many[i], "too much");
    let_log_out();
    lines = times("too much");
    CHECK(lines >= 20 && lines <= 30);
    log_remove_sink(guest_sink);
}

/* The list of domains, whenever it gives way, is the list. */
TEST(domain_list_in_steps)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));
    struct xen_domctl_getdomaininfo *list = host_guest(d, HOST_PAGE(1));
    struct hc_args a = HC_ARGS(HOST_PAGE(0), 1, 2); /* the others are what the registers held */
    unsigned int steps = 0;
    long rc;

    memset(list, 0, PAGE_SIZE);
    *op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_getdomaininfolist,
                               .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    op->u.getdomaininfolist.max_domains = 20;
    set_xen_guest_handle_raw(op->u.getdomaininfolist.buffer, (void *)HOST_PAGE(1));
    host_be(v->cpu->id);
    do {
        arch_this_cpu()->work_left = 1;
        rc = hypercall_dispatch(v, __HYPERVISOR_sysctl, &a);
        a = v->restart_args;
        steps++;
    } while (rc == HC_RESTART && steps < 100); /* each goes on by one at least */
    CHECK_EQ(rc, 0);
    CHECK(steps > 5);
    CHECK_EQ(op->u.getdomaininfolist.num_domains, 8);
    CHECK_EQ(list[0].domain, 0);
    CHECK_EQ(list[1].domain, 1);
    for (unsigned int i = 2; i < 8; i++)
        CHECK_EQ(list[i].domain, 18 + i);
}

/* Low memory is for devices: a guest does not get it, not even as the last there is. */
TEST(low_memory_is_not_a_guests)
{
    struct frame *f;

    frame_low_bits = 20; /* 256 frames */
    while ((f = frame_alloc_for(e, 0, 0)) != NULL)
        CHECK(frame_mfn(f).v >= 256);
    CHECK(frame_alloc_for(e, 0, 20) == NULL);
    f = frame_alloc_for(d, 0, 20);
    CHECK(f && frame_mfn(f).v < 256);
    f = frame_alloc(0, 0);
    CHECK(f && frame_mfn(f).v < 256);
    frame_low_bits = 0;
}

TEST(rank_violation_panics) /* last: it holds a lock afterwards */
{
    spinlock_t outer = SPINLOCK_INIT(RANK_EVTCHN), inner = SPINLOCK_INIT(RANK_SCHED);

    host_be(0);
    spin_lock(&inner);
    HOST_CATCH(spin_lock(&outer));
    CHECK_EQ(host_end, HOST_PANIC);
    CHECK(strstr(host_panic_text, "lock rank") != NULL);
}

TEST(sysctl_power)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));
    uint64_t *spent = host_guest(d, HOST_PAGE(1));

    memset(op, 0, sizeof(*op));
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op->cmd = XEN_SYSCTL_get_pmstat;
    op->u.get_pmstat.type = PMSTAT_get_max_cx;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.get_pmstat.u.getcx.nr, 2);
    op->u.get_pmstat.type = PMSTAT_get_cxstat;
    op->u.get_pmstat.u.getcx.nr = 9;
    op->u.get_pmstat.u.getcx.residencies.p = (void *)HOST_PAGE(1);
    op->u.get_pmstat.u.getcx.triggers.p = (void *)(HOST_PAGE(1) + 64);
    spent[2] = 0x55;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.get_pmstat.u.getcx.nr, 2);
    CHECK_EQ(spent[1], op->u.get_pmstat.u.getcx.idle_time);
    CHECK(spent[0] + spent[1] <= host_time && spent[0] + spent[1] > host_time / 2);
    CHECK_EQ(spent[2], 0x55);
    op->u.get_pmstat.cpuid = 2;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(EINVAL));
    op->u.get_pmstat.cpuid = 0;
    op->u.get_pmstat.type = PMSTAT_get_max_px;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(ENODEV));
    op->cmd = XEN_SYSCTL_pm_op;
    op->u.pm_op.cmd = XEN_SYSCTL_pm_op_get_max_cstate;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->u.pm_op.u.get_max_cstate, XEN_SYSCTL_CX_UNLIMITED);
    op->u.pm_op.cmd = GET_CPUFREQ_PARA;
    CHECK_EQ(call(v, __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0), E(ENODEV));
}

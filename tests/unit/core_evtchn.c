/* SPDX-License-Identifier: MIT */
#include <xen/errno.h>

#include "core/audit.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

static struct domain *a, *b;
static struct vcpu *a0, *a1, *b0;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    a = host_domain(0, 2, 4, true);
    b = host_domain(1, 1, 4, false);
    a0 = host_up(a, 0);
    a1 = host_up(a, 1);
    b0 = b->vcpu[0];
}

static void clear_upcall(struct vcpu *v)
{
    v->info->evtchn_upcall_pending = 0;
    v->info->evtchn_pending_sel = 0;
}

static void clear_port(struct domain *d, evtchn_port port)
{
    bit_clear(d->shared->evtchn_pending, port);
}

TEST(interdomain_pair)
{
    evtchn_port pa, pb;

    CHECK_EQ(evtchn_alloc_unbound(a, b->id, &pa), 0);
    CHECK(pa != 0);
    CHECK_EQ(evtchn_send(a0, pa), 0);                              /* nobody there: dropped */
    CHECK_EQ(evtchn_bind_interdomain(a, a, pa, &pb), -XEN_EINVAL); /* not for a */
    CHECK_EQ(evtchn_bind_interdomain(b, a, pa + 1, &pb), -XEN_EINVAL);
    CHECK_EQ(evtchn_bind_interdomain(b, a, pa, &pb), 0);
    CHECK(evtchn_is_pending(b, pb)); /* always, since a may have sent before */
    clear_port(b, pb);
    clear_upcall(b0);
    CHECK_EQ(evtchn_send(a0, pa), 0);
    CHECK(evtchn_is_pending(b, pb));
    CHECK_EQ(b0->info->evtchn_upcall_pending, 1);
    CHECK_EQ(b0->info->evtchn_pending_sel, 1ul << pb / 64);
    CHECK_EQ(audit(), 0);

    CHECK_EQ(evtchn_close(b, pb), 0);
    CHECK_EQ(evtchn_close(b, pb), -XEN_EINVAL);
    struct evtchn_status st = { .dom = 0, .port = pa };
    CHECK_EQ(evtchn_status(a, &st), 0);
    CHECK_EQ(st.status, EVTCHNSTAT_unbound);
    CHECK_EQ(st.u.unbound.dom, b->id);
    CHECK_EQ(evtchn_close(a, pa), 0);
    CHECK_EQ(audit(), 0);
}

TEST(loopback)
{
    evtchn_port p, q;

    CHECK_EQ(evtchn_alloc_unbound(a, a->id, &p), 0);
    CHECK_EQ(evtchn_bind_interdomain(a, a, p, &q), 0);
    CHECK_EQ(evtchn_send(a0, q), 0);
    CHECK(evtchn_is_pending(a, p));
    CHECK_EQ(evtchn_close(a, q), 0);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(audit(), 0);
}

TEST(masks)
{
    evtchn_port p;

    CHECK_EQ(evtchn_bind_ipi(a, 1, &p), 0);
    clear_upcall(a1);
    bit_set(a->shared->evtchn_mask, p);
    CHECK_EQ(evtchn_send(a0, p), 0);
    CHECK(evtchn_is_pending(a, p));
    CHECK_EQ(a1->info->evtchn_upcall_pending, 0);
    CHECK_EQ(evtchn_unmask(a, p), 0);
    CHECK_EQ(a1->info->evtchn_upcall_pending, 1);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK(!evtchn_is_pending(a, p));
}

/* A port at which the hypervisor listens: its end, the binding and the recount. */
TEST(hypervisor_listens)
{
    evtchn_port pa, pb;

    CHECK_EQ(evtchn_alloc_hv(a, b->id, 1, &pa), 0);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(evtchn_bind_interdomain(b, a, pa, &pb), 0);
    CHECK_EQ(audit(), 0);
    CHECK(evtchn_is_hv(a, pa) && !evtchn_is_hv(b, pb));
    CHECK_EQ(evtchn_send(b0, pb), 0);
    CHECK(!evtchn_is_pending(a, pa));
    CHECK_EQ(evtchn_close(a, pa), 0);
    CHECK_EQ(evtchn_close(b, pb), 0);
    CHECK_EQ(audit(), 0);
}

/* The layout of 32-bit code: the mask and the selector are elsewhere, and there are 1,024 ports. */
TEST(narrow_layout)
{
    uint32_t *page = (uint32_t *)(void *)a->shared;
    uint32_t *sel = (uint32_t *)(void *)a1->info + 1;
    struct vcpu_info was;
    evtchn_port p;

    for (unsigned int i = 0; i < 40; i++) /* one of the second word */
        CHECK_EQ(evtchn_bind_ipi(a, 1, &p), 0);
    CHECK(p >= 32 && p < 64);
    clear_upcall(a1);
    a->narrow_shared = true;
    CHECK_EQ(evtchn_ports(a), 1024);
    page[(2048 + 128) / 4 + 1] = 1u << (p - 32);
    CHECK(evtchn_is_masked(a, p));
    was = *a1->info;
    CHECK_EQ(evtchn_send(a0, p), 0);
    CHECK_EQ(page[2048 / 4 + 1], 1u << (p - 32));
    CHECK(memcmp(&was, a1->info, sizeof(was)) == 0);
    CHECK_EQ(evtchn_unmask(a, p), 0);
    CHECK_EQ(page[(2048 + 128) / 4 + 1], 0);
    CHECK_EQ(a1->info->evtchn_upcall_pending, 1);
    CHECK_EQ(*sel, 2);
    CHECK_EQ(a1->info->evtchn_pending_sel, 0);
    CHECK_EQ(evtchn_unmask(a, 1024), -XEN_EINVAL);
    CHECK_EQ(page[2048 / 4 + 32], 0); /* the mask's first word, where a wide bit 1,024 would be */
    *sel = 0;
    a1->info->evtchn_upcall_pending = 0;
    clear_port(a, p);
    a->narrow_shared = false;
    CHECK_EQ(evtchn_ports(a), 4096);
    for (; p; p--)
        if (evtchn_close(a, p))
            break;
    CHECK_EQ(audit(), 0);
}

TEST(kick_and_wake)
{
    evtchn_port p;
    uint32_t kicks;

    CHECK_EQ(evtchn_bind_ipi(a, 1, &p), 0);
    clear_upcall(a1);
    clear_port(a, p);
    CHECK(a1->sched.running && a1->cpu != a0->cpu);
    host_be(a0->cpu->id);
    kicks = host_cpus[a1->cpu->id].kicked;
    CHECK_EQ(evtchn_send(a0, p), 0);
    CHECK_EQ(host_cpus[a1->cpu->id].kicked, kicks + 1); /* it runs: interrupt it */
    CHECK_EQ(evtchn_send(a0, p), 0);
    CHECK_EQ(host_cpus[a1->cpu->id].kicked, kicks + 1); /* still pending: once is enough */

    clear_port(a, p);
    clear_upcall(a1);
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 1 /* block */, 0, 0, 0), 0);
    host_settle();
    CHECK(!a1->sched.running);
    host_be(a0->cpu->id);
    CHECK_EQ(evtchn_send(a0, p), 0);
    host_settle();
    CHECK(a1->sched.running);
    CHECK_EQ(a1->pause_flags, 0);
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 1, 0, 0, 0), 0);
    CHECK_EQ(a1->pause_flags, 0); /* an event waits: no blocking */
    host_be(0);
    clear_upcall(a1);
    CHECK_EQ(evtchn_close(a, p), 0);
}

TEST(virqs)
{
    evtchn_port p, q;

    CHECK_EQ(evtchn_bind_virq(a, VIRQ_TIMER, 1, &p), 0);
    CHECK_EQ(evtchn_bind_virq(a, VIRQ_TIMER, 1, &q), -XEN_EEXIST);
    CHECK_EQ(evtchn_bind_virq(a, VIRQ_CONSOLE, 1, &q), -XEN_EINVAL); /* global: vCPU 0 first */
    CHECK_EQ(evtchn_bind_virq(a, NR_VIRQS, 0, &q), -XEN_EINVAL);
    CHECK_EQ(evtchn_bind_virq(a, VIRQ_TIMER, 7, &q), -XEN_ENOENT);
    CHECK_EQ(evtchn_bind_virq(b, VIRQ_DOM_EXC, 0, &q), -XEN_EPERM);
    CHECK_EQ(evtchn_bind_virq(a, VIRQ_CONSOLE, 0, &q), 0);
    evtchn_send_virq(a1, VIRQ_TIMER);
    CHECK(evtchn_is_pending(a, p));
    CHECK_EQ(evtchn_bind_vcpu(a, p, 0), -XEN_EINVAL);
    CHECK_EQ(evtchn_bind_vcpu(a, q, 1), 0);
    clear_upcall(a1);
    evtchn_send_global_virq(a, VIRQ_CONSOLE);
    CHECK_EQ(a1->info->evtchn_upcall_pending, 1);
    CHECK_EQ(evtchn_send(a0, q), -XEN_EINVAL);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(evtchn_close(a, q), 0);
    CHECK_EQ(a1->virq_port[VIRQ_TIMER], 0);
    CHECK_EQ(a->vcpu[0]->virq_port[VIRQ_CONSOLE], 0);
    CHECK_EQ(audit(), 0);
}

TEST(all_ports)
{
    evtchn_port p, n = 0;
    int rc;

    while ((rc = evtchn_bind_ipi(b, 0, &p)) == 0)
        n++;
    CHECK_EQ(rc, -XEN_ENOSPC);
    CHECK_EQ(n, MAX_EVTCHNS_2L - 1);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(evtchn_close(b, 77), 0);
    CHECK_EQ(evtchn_bind_ipi(b, 0, &p), 0);
    CHECK_EQ(p, 77);
    CHECK_EQ(evtchn_send(b0, MAX_EVTCHNS_2L), -XEN_EINVAL);
    CHECK_EQ(evtchn_send(b0, ~0u), -XEN_EINVAL);
    CHECK_EQ(evtchn_send(b0, 0), -XEN_EINVAL);
    while ((rc = evtchn_teardown(b)) == -XEN_EAGAIN)
        ;
    CHECK_EQ(rc, 0);
    CHECK_EQ(audit(), 0);
}

TEST(poll)
{
    struct {
        struct sched_poll_like {
            uint64_t ports;
            uint32_t nr, pad;
            uint64_t timeout;
        } op;
        evtchn_port port[2];
    } *g = host_guest(a, HOST_PAGE(0));
    evtchn_port p;

    CHECK_EQ(evtchn_bind_ipi(a, 1, &p), 0);
    bit_set(a->shared->evtchn_mask, p);
    clear_upcall(a1);
    g->op.ports = HOST_PAGE(0) + sizeof(g->op);
    g->op.nr = 1;
    g->op.timeout = 0;
    g->port[0] = p;
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), 0);
    host_settle();
    CHECK(!a1->sched.running);
    CHECK_EQ(a->pollers, 1);
    host_be(a0->cpu->id);
    CHECK_EQ(evtchn_send(a0, p), 0); /* masked: no upcall, but the poll ends */
    host_settle();
    CHECK(a1->sched.running);
    CHECK_EQ(a->pollers, 0);
    clear_port(a, p);

    g->op.timeout = arch_now() + 50000;
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), 0);
    host_settle();
    CHECK(!a1->sched.running);
    host_advance(60000);
    host_settle();
    CHECK(a1->sched.running);
    CHECK_EQ(a->pollers, 0);

    g->port[0] = MAX_EVTCHNS_2L;
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), E(EINVAL));
    g->port[0] = 0;
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), E(EINVAL));
    CHECK_EQ(a->pollers, 0);
    g->op.nr = 129;
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), E(EINVAL));
    host_be(0);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(audit(), 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * The core's half of audit(): page lists, the pages through which a domain and the hypervisor
 * talk, vCPUs, grants, event channels and run queues against what is recorded of them; the guest
 * kinds recount their references. All domains are paused, or the caller knows that nothing
 * happens.
 */
#include "core/audit.h"

#include "core/domain.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/pcpu.h"

/* One list of d's frames from `first` on: each one's owner and references. [page_lock of d] */
static unsigned int audit_list(struct domain *d, uint32_t first, uint64_t *total)
{
    unsigned int bad = 0;
    uint64_t count = 0;

    for (uint32_t m = first; m != 0; m = frame_table[m].next) {
        const struct frame *f = &frame_table[m];

        count++;
        if (f->owner != d->id || frame_refs(f->state) == 0 || !(f->state & FRAME_RAM) ||
            (f->state & FRAME_FREE) || frame_typed(f->state) > frame_refs(f->state)) {
            log_err("audit: frame %#x on d%u's list: state %#llx owner %u", m, d->id,
                    (unsigned long long)f->state, f->owner);
            bad++;
        }
        if (count > max_mfn) {
            log_err("audit: d%u's page list runs in a circle", d->id);
            bad++;
            break;
        }
    }
    *total += count;
    return bad;
}

/* d's page lists against its total. */
static unsigned int audit_pages(struct domain *d)
{
    uint64_t count = 0;
    unsigned int bad;

    spin_lock(&d->page_lock);
    bad = audit_list(d, d->page_list, &count);
    bad += audit_list(d, d->left_list, &count);
    if (count != d->tot_pages) {
        log_err("audit: d%u owns %llu pages, %llu counted", d->id, (unsigned long long)count,
                (unsigned long long)d->tot_pages);
        bad++;
    }
    spin_unlock(&d->page_lock);
    return bad;
}

/* A page of d's own that the hypervisor writes to at any time: it stays d's, and data. */
static bool is_held(const struct domain *d, const void *page)
{
    const struct frame *f = frame_of(arch_unmap(page));

    return f && f->owner == d->id && !(f->state & FRAME_FREE) && frame_typed(f->state) > 0 &&
           frame_type_of(f->state) == FT_WRITABLE;
}

struct page_audit {
    const struct domain *d;
    unsigned int bad;
};

static void audit_event_page(void *arg, mfn_t page)
{
    struct page_audit *a = arg;

    if (is_held(a->d, arch_map(page)))
        return;
    log_err("audit: frame %#llx of d%u's event channels is not its own any more",
            (unsigned long long)page.v, a->d->id);
    a->bad++;
}

/* The pages through which d and the hypervisor talk, but for its grant table. */
static unsigned int audit_shared(const struct domain *d)
{
    struct page_audit a = { .d = d };

    evtchn_walk_pages(d, audit_event_page, &a);
    if (!frame_is_shared(d->shared, d)) {
        log_err("audit: d%u's shared_info page is not its own any more", d->id);
        a.bad++;
    }
    for_each_vcpu (d, v) {
        if (!v->info_frame || is_held(d, v->info))
            continue;
        log_err("audit: the vcpu_info page of d%uv%u is not its own any more", d->id, v->id);
        a.bad++;
    }
    return a.bad;
}

/* v is where its flags say; those that are queued are counted by CPU. */
static unsigned int audit_vcpu(const struct vcpu *v, unsigned int *queued)
{
    bool bad = v->sched.running + v->sched.queued + v->sched.parked > 1;

    bad |= v->sched.queued != pqueue_queued(&v->sched.node);
    bad |= (v->sched.queued || v->sched.parked) && !v->sched.active;
    queued[v->cpu->id] += v->sched.queued;
    bad |= v->domain->vcpu[v->id] != v;
    if (bad)
        log_err("audit: d%uv%u is lost between queues", v->domain->id, v->id);
    return bad;
}

static unsigned int audit_queue(const struct pcpu *p, unsigned int queued)
{
    if (queued == p->rq.nr)
        return 0;
    log_err("audit: CPU %u queues %u vCPUs, %u counted", p->id, queued, p->rq.nr);
    return 1;
}

unsigned int audit(void)
{
    unsigned int queued[MAX_CPUS] = { 0 };
    unsigned int bad = 0;
    uint64_t claimed = 0;

    for_each_domain (d) {
        bad += audit_pages(d);
        claimed += d->claimed;
        bad += audit_shared(d);
        bad += evtchn_audit(d);
        bad += grant_audit(d);
        for_each_vcpu (d, v)
            bad += audit_vcpu(v, queued);
        keys_alive();
    }
    for (unsigned int i = 0; i < NR_GUEST_KINDS; i++)
        if (guest_kinds[i])
            bad += guest_kinds[i]->audit();
    for (unsigned int i = 0; i < nr_pcpus; i++)
        bad += audit_queue(pcpus[i], queued[i]);
    if (claimed != frame_claimed_count() || claimed > frame_free_count()) {
        log_err("audit: %llu pages claimed, %llu counted, %llu free",
                (unsigned long long)frame_claimed_count(), (unsigned long long)claimed,
                (unsigned long long)frame_free_count());
        bad++;
    }
    return bad;
}

/* SPDX-License-Identifier: MIT */
/* The log of a domain's writes: dirty.h says who marks, and when. */
#include "core/dirty.h"

#include "core/arch.h"
#include "core/pcpu.h"

unsigned int dirty_logs;

struct dirty_log *dirty_log_new(uint64_t gfns)
{
    uint32_t nr = (uint32_t)DIV_ROUND_UP(gfns, DIRTY_PAGE_GFNS);
    unsigned int order = frame_order(sizeof(struct dirty_log) + nr * sizeof(unsigned long *));
    struct dirty_log *log = frame_alloc_hv_order(order);

    if (log) {
        log->limit = gfns;
        log->nr = nr;
        log->order = order;
    }
    return log;
}

bool dirty_log_build(struct dirty_log *log)
{
    log->page[log->built] = frame_alloc_hv();
    return log->page[log->built] && ++log->built;
}

bool dirty_log_free(struct dirty_log *log)
{
    if (log->built) {
        frame_free_hv(log->page[--log->built]);
        return false;
    }
    frame_free_hv_order(log, log->order);
    return true;
}

static void passed_by(void *unused)
{
    (void)unused;
}

void dirty_set_log(struct domain *d, struct dirty_log *log)
{
    if (log)
        __atomic_fetch_add(&dirty_logs, 1, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_sub(&dirty_logs, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&d->dirty, log, __ATOMIC_SEQ_CST);
    /* Who is about to mark does not serve calls before it has. */
    if (nr_pcpus > 1)
        arch_call_others(&cpumask_all, passed_by, NULL);
}

/* The word with gfn's bit; NULL: it has none. */
static unsigned long *word_of(const struct domain *d, uint64_t gfn)
{
    struct dirty_log *log = __atomic_load_n(&d->dirty, __ATOMIC_ACQUIRE);

    if (!log || gfn >= log->limit)
        return NULL;
    return &log->page[gfn / DIRTY_PAGE_GFNS][gfn % DIRTY_PAGE_GFNS / 64];
}

void dirty_mark_gfn(struct domain *d, uint64_t gfn)
{
    unsigned long *w = word_of(d, gfn), bit = 1ul << gfn % 64;

    /* What was changed comes before the look at the bit: who takes it away reads afterwards. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (w && !(__atomic_load_n(w, __ATOMIC_RELAXED) & bit))
        __atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST);
}

bool dirty_is_marked(const struct domain *d, uint64_t gfn)
{
    const unsigned long *w = word_of(d, gfn);

    return !w || (__atomic_load_n(w, __ATOMIC_RELAXED) & 1ul << gfn % 64);
}

void dirty_mark_frame(const struct frame *f)
{
    struct domain *d = domain_get(frame_owner(f));

    if (!d)
        return;
    dirty_note(d, f);
    domain_put(d);
}

/* SPDX-License-Identifier: MIT */
/*
 * The log of a domain's writes: a bit for each frame that it has, by its own numbers, set after
 * each change by whoever makes it. dirty_mark_gfn() alone sets bits.
 *
 *   the guest itself                        its kind, which sees its first write to each page
 *   what came through the door for writing  gfn_put()
 *   a frame that comes, goes, or is         core/frame.c, and who writes the M2P
 *   known by another number
 *   tables and their types, typed writes    the guest kind: dirty_note()
 *
 * Frames that the hypervisor or another domain may write at any time (FRAME_HELD, granted ones) are
 * marked when that ends, and by who reads the log of a guest that stands still. Frames with numbers
 * beyond the log's limit count as written, always. No locks: bits are atomic, and dirty_set_log()
 * waits for whoever may still look at the old log.
 */
#ifndef CORE_DIRTY_H
#define CORE_DIRTY_H

#include "core/arch.h"
#include "core/domain.h"

#define DIRTY_PAGE_GFNS (PAGE_SIZE * 8u) /* of one page of bits */

struct dirty_log {
    uint64_t limit;        /* constant: numbers below this one have a bit */
    uint32_t nr, built;    /* pages it needs, and has */
    uint32_t order;        /* constant: of this record */
    uint32_t faults;       /* atomic: first writes of the guest itself, since the log was cleared */
    unsigned long *page[]; /* constant once the log is a domain's */
};

/* Domains with a log; while there is none nobody looks further. Atomic. */
extern unsigned int dirty_logs;

/* A log for frames 0 to gfns - 1, without pages of bits yet; NULL: no memory. */
struct dirty_log *dirty_log_new(uint64_t gfns);
/* One page more. False: no memory. */
bool dirty_log_build(struct dirty_log *log);
/* One page less, at the end the log itself: then true. It is no domain's. */
bool dirty_log_free(struct dirty_log *log);
/* d has this log from now on (NULL: none). Nobody looks at the last one any more when it returns.
 */
void dirty_set_log(struct domain *d, struct dirty_log *log);

/* The guest's frame `gfn` was changed, or is another one now. Any number will do. */
void dirty_mark_gfn(struct domain *d, uint64_t gfn);
/* Would that change nothing? */
bool dirty_is_marked(const struct domain *d, uint64_t gfn);
/* The same of a frame, whosever it is: the caller has a reference. Takes RANK_DOMLIST. */
void dirty_mark_frame(const struct frame *f);

static inline void dirty_note_frame(const struct frame *f)
{
    if (__builtin_expect(__atomic_load_n(&dirty_logs, __ATOMIC_RELAXED) != 0, 0))
        dirty_mark_frame(f);
}

/* d's own frame was changed. */
static inline void dirty_note(struct domain *d, const struct frame *f)
{
    if (__builtin_expect(d->dirty != NULL, 0))
        dirty_mark_gfn(d, arch_gfn(frame_mfn(f)));
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The frame table: one 24-byte record for each frame of RAM.
 *
 * A frame is free (in the buddy allocator), the hypervisor's own, or owned by a domain. An owned
 * frame carries two counts that live in one 64-bit word, so that one compare-and-exchange takes
 * or drops both:
 *
 *   refs    all reasons why the frame may not be freed: its allocation (one), each page-table entry
 *           that maps it, each use as a page table, each grant mapping, each access in progress
 *   typed   how many of these rely on the frame's type (writable, L1..L4, descriptors)
 *
 * The type may change only while `typed` is zero, and a frame that was writable or a page table
 * takes another type only after every CPU that may hold a translation of the old use has flushed
 * it: `stamp` is the flush clock at the moment when `typed` became zero.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include "core/types.h"

struct domain;

/* Layout of frame.state. */
#define FRAME_REF_BITS 25
#define FRAME_REF_ONE 1ull
#define FRAME_REF_MASK (BIT(FRAME_REF_BITS) - 1)
#define FRAME_TYPED_SHIFT 25
#define FRAME_TYPED_BITS 25
#define FRAME_TYPED_ONE BIT(FRAME_TYPED_SHIFT)
#define FRAME_TYPED_MASK ((BIT(FRAME_TYPED_BITS) - 1) << FRAME_TYPED_SHIFT)
#define FRAME_HELD BIT(51) /* a typed use is for writing at any time, by others than its owner */
#define FRAME_TYPE_SHIFT 52
#define FRAME_TYPE_MASK (7ull << FRAME_TYPE_SHIFT)
#define FRAME_VALIDATED BIT(55) /* the type's rules were checked: others may count on it */
#define FRAME_PINNED BIT(56)    /* the guest holds one typed reference of its own (MMUEXT_PIN) */
#define FRAME_PARTIAL BIT(57)   /* validation or its undoing stopped half way; see frame.progress */
#define FRAME_ALLOCATED BIT(58) /* the owner has not given it back: one of the refs is this */
#define FRAME_UNDOING BIT(59)   /* PARTIAL, and on the way down */
#define FRAME_CHANGING BIT(59)  /* not PARTIAL: a table becomes data, CPUs are being flushed */
#define FRAME_FOREIGN BIT(60)   /* another domain's tables mapped it writable, now or once */
#define FRAME_HV BIT(61)        /* the hypervisor's own memory, even if shared with a domain */
#define FRAME_FREE BIT(62)      /* head of a free block of the allocator; order in progress */
#define FRAME_RAM BIT(63)       /* is RAM that we manage; clear: a hole or a device */

enum frame_type {
    FT_NONE,
    FT_L1, /* page tables, by level */
    FT_L2,
    FT_L3,
    FT_L4,
    FT_DESC,     /* GDT or LDT page: every descriptor was checked */
    FT_WRITABLE, /* mapped writable by its owner, or written by the hypervisor on its behalf */
    FT_MAX
};

struct frame {
    uint64_t state; /* atomic */
    uint32_t next;  /* [owner's page-list lock, or heap lock] list links, as mfn; 0 = end */
    uint32_t prev;
    union {
        uint32_t stamp; /* flush clock when typed went to zero; valid while typed == 0 */
        int32_t linear; /* [pt_lock] of a PV guest's page table: see ptable.h */
    };
    uint16_t owner;    /* domid; stable while refs > 0; DOMID_INVALID when there is none */
    uint16_t progress; /* entries validated so far while PARTIAL; order while FREE */
};
_Static_assert(sizeof(struct frame) == 24, "a frame record has 24 bytes");

extern struct frame *frame_table; /* indexed by mfn below max_mfn; reads as zeros over holes */
extern uint64_t max_mfn;          /* one past the highest frame of RAM */
/* A bit for each chunk of frames: set where frame_table has memory of its own. */
#define FRAME_CHUNK_SHIFT 15
extern unsigned long frame_chunks[];

static inline enum frame_type frame_type_of(uint64_t state)
{
    return (enum frame_type)((state & FRAME_TYPE_MASK) >> FRAME_TYPE_SHIFT);
}

static inline uint64_t frame_typed(uint64_t state)
{
    return (state & FRAME_TYPED_MASK) >> FRAME_TYPED_SHIFT;
}

static inline uint64_t frame_refs(uint64_t state)
{
    return state & FRAME_REF_MASK;
}

/*
 * Of a frame that others may give an owner, or take it from, at this moment. Who finds an owner
 * here and has a reference knows that it stays: the publisher's stores are before its own reads.
 */
static inline domid_t frame_owner(const struct frame *f)
{
    return __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE);
}

/*
 * The record of any number in range, or NULL: in holes and of devices it shows no references and no
 * type, so that whoever asks for these is refused without a look at FRAME_RAM. It may show any
 * owner.
 */
static inline struct frame *frame_record(mfn_t mfn)
{
    struct frame *f;

    if (__builtin_expect(mfn.v >= max_mfn, 0))
        return NULL;
    f = &frame_table[mfn.v];
    if (!f)
        __builtin_unreachable(); /* spares the callers' look */
    return f;
}

/* The record of a frame of RAM, or NULL for holes, devices and numbers out of range. */
static inline struct frame *frame_of(mfn_t mfn)
{
    struct frame *f = frame_record(mfn);

    return f && __builtin_expect((__atomic_load_n(&f->state, __ATOMIC_RELAXED) & FRAME_RAM) != 0, 1)
               ? f
               : NULL;
}

static inline mfn_t frame_mfn(const struct frame *f)
{
    return MFN((uint64_t)(f - frame_table));
}

/* The same of one that the caller holds and has kept in 32 bits: no guest's number. */
static inline mfn_t frame_held(uint32_t mfn)
{
    return MFN(mfn);
}

/* --- references --- */
/*
 * Take a reference on a frame that belongs to d. False when it is not d's, is free, is being
 * freed, or the count would overflow. No locks.
 */
bool frame_get(struct frame *f, const struct domain *d);
/* One more reference by somebody who already holds one. False: the count would overflow. */
bool frame_get_more(struct frame *f);
/* Drop a reference; the last one frees the frame (scrubbed before anyone else sees it). */
void frame_put(struct frame *f);

/* --- allocation: the buddy allocator --- */
#define FRAME_MAX_ORDER 20 /* 4 GiB */
/* Give RAM frames [start, end) to the allocator at boot; the records are mapped. */
void frame_add_range(mfn_t start, mfn_t end);
/*
 * 2^order contiguous frames, uninitialised, below address bits `max_bits` (0 = anywhere);
 * NULL when there are none. Takes RANK_HEAP. Owner none, refs 0.
 */
struct frame *frame_alloc(unsigned int order, unsigned int max_bits);
/*
 * For d's memory: what was set aside for d counts as free, and is used up. Memory below so many
 * address bits is for who has devices, d if it is privileged, and for the hypervisor itself; the
 * architecture says at boot, 0: there is none.
 */
extern unsigned int frame_low_bits;
struct frame *frame_alloc_for(struct domain *d, unsigned int order, unsigned int max_bits);
/* Of a block just allocated: nobody has had any of it since boot. */
static inline bool frame_is_unused(const struct frame *f)
{
    return f->progress == 0;
}

/*
 * Set `pages` aside for d, in place of what was: nobody else gets them. 0 gives them back. -ENOMEM:
 * that many are not free; then all is as before. Takes RANK_HEAP.
 */
int frame_claim(struct domain *d, uint64_t pages);
uint64_t frame_claimed_count(void); /* pages set aside and not yet taken, of all domains */
void frame_free(struct frame *f, unsigned int order);
/* One zeroed frame for the hypervisor's own use, as an address; NULL when there is none. */
void *frame_alloc_hv(void);
void frame_free_hv(void *page);
/* The least order of frames that have so many bytes. */
static inline unsigned int frame_order(size_t bytes)
{
    unsigned int order = 0;

    while (PAGE_SIZE << order < bytes)
        order++;
    return order;
}

/* 2^order zeroed contiguous hypervisor frames. */
void *frame_alloc_hv_order(unsigned int order);
void frame_free_hv_order(void *p, unsigned int order);
uint64_t frame_free_count(void);  /* frames free now */
uint64_t frame_total_count(void); /* frames given to the allocator, ever */
/* Usable RAM by the firmware's map, in frames; what is neither free nor owned is ours. */
extern uint64_t ram_frames;

/* --- ownership --- */
/*
 * Make frames [f, f + 2^order) d's: refs 1 (the allocation's), on d's page list, counted in its
 * totals. -E2BIG above d's maximum, -EINVAL when d is dying. Takes RANK_PAGELIST.
 */
int frame_assign(struct frame *f, unsigned int order, struct domain *d);
/*
 * The same at guest frames gfn and on: the M2P says so before d can find the frames, since whoever
 * writes an entry has a reference on its frame, or is the only one to know it.
 */
int frame_give(struct frame *f, unsigned int order, struct domain *d, uint64_t gfn);
/*
 * n frames of d are about to be given up, each for another that frame_replace() brings: nobody else
 * takes their place below d's maximum meanwhile. Takes RANK_PAGELIST, as the next.
 */
void frame_replace_begin(struct domain *d, unsigned long n);
/* As frame_give(), of so many that begin promised; whether d is above its maximum is no question.
 */
int frame_replace(struct frame *f, unsigned int order, struct domain *d, uint64_t gfn);
/*
 * Share one hypervisor frame, which is ready for it, with d: d may map it (writable or read-only);
 * it is never freed to d.
 */
void frame_share(struct frame *f, struct domain *d, bool writable);
/*
 * Show one hypervisor frame, for ever, to privileged domains: they map it by naming DOMID_XEN as
 * its owner. It is in nobody's totals. Boot, or before anybody can know the frame.
 */
void frame_show(struct frame *f, bool writable);
/* For audits: is this page of the hypervisor's shared with d, as frame_share() left it? */
bool frame_is_shared(const void *page, const struct domain *d);
/*
 * Give up a page that was shared: from now on d cannot refer to it any more; it is freed when the
 * last one that does lets go.
 */
void frame_unshare(void *page);
/* The first frame of a dying d's page list goes to its left_list. [page_lock] */
void frame_set_aside(struct domain *d);
/*
 * Undo frame_assign() of one frame that nobody uses or maps: it is like one of frame_alloc() again,
 * but with what is in it, and CPUs may still hold translations of it until they have flushed.
 * False: it is not d's, or in use.
 */
bool frame_take(struct frame *f, struct domain *d);
/* Undo the allocation's reference of a frame that d gives back; false if it was given back before.
 */
bool frame_release(struct frame *f, struct domain *d);
/*
 * The allocation's reference becomes the caller's, and the frame counts as given back; it stays on
 * its owner's list until the last reference goes. False: it was given back before. The caller knows
 * that the frame stays its owner's, by a lock or a reference.
 */
bool frame_take_hold(struct frame *f);
/* The same of a frame of d that nothing else refers to; false otherwise. No locks. */
bool frame_take_only_hold(struct frame *f, const struct domain *d);
/* Undo either: the caller's reference is the allocation's again. */
void frame_return_hold(struct frame *f);

/* --- flush clock --- */
/*
 * Atomic; moves with each full flush of guest translations, in steps of two from 1 on: a stamp, its
 * lower half, is never 0, which stands for "never used".
 */
extern uint64_t tlb_clock;

static inline uint32_t tlb_stamp(void)
{
    return (uint32_t)__atomic_load_n(&tlb_clock, __ATOMIC_SEQ_CST);
}

/* How long ago a stamp was taken. One that is too old looks younger: that costs a flush. */
static inline uint32_t tlb_age(uint32_t stamp)
{
    return tlb_stamp() - stamp;
}

#endif

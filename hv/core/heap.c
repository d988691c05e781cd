/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator. Free blocks of 2^order frames hang in lists by zone and order; the zone is
 * the number of significant bits of the frame number, so "below so many address bits" is a bound on
 * the zone. Allocation prefers the highest zone: low memory is scarce for those who need it.
 *
 * A free block's head carries FRAME_FREE, its order in `progress` and the latest flush stamp of its
 * frames: who gets the block flushes the CPUs that may still hold translations into it.
 */
#include "core/access.h"
#include "core/arch.h"
#include "core/bug.h"
#include "core/domain.h"
#include "core/frame.h"

#include <xen/errno.h>

#define NR_ZONES 42
#define FIRST_STAMP 1        /* of what was used, and has no translations of guests' */
unsigned int frame_low_bits; /* boot */

static spinlock_t heap_lock = SPINLOCK_INIT(RANK_HEAP);
static uint32_t heads[NR_ZONES][FRAME_MAX_ORDER + 1]; /* [heap_lock] first block, as mfn; 0 none */
static uint32_t zone_orders[NR_ZONES];                /* [heap_lock] bit per order with blocks */
static uint64_t zones;                                /* [heap_lock] bit per zone with blocks */
static uint64_t free_frames;                          /* [heap_lock] */
static uint64_t claimed_frames;                       /* [heap_lock] of these: set aside */
uint64_t ram_frames;                                  /* boot */
static uint64_t total_frames;                         /* boot */

static unsigned int zone_of(uint64_t mfn)
{
    return mfn ? 64 - (unsigned int)__builtin_clzll(mfn) : 0;
}

/*
 * f is nobody's. Who looks for a reference may still read its state, and finds that there is none,
 * or that the frame has no owner: the owner goes before the state gets references again.
 */
static void mark(struct frame *f, uint64_t state)
{
    __atomic_store_n(&f->owner, DOMID_INVALID, __ATOMIC_RELAXED);
    __atomic_store_n(&f->state, state, __ATOMIC_RELEASE);
}

static void push(struct frame *f, unsigned int order)
{
    uint32_t mfn = (uint32_t)frame_mfn(f).v;
    unsigned int zone = zone_of(mfn);

    mark(f, FRAME_RAM | FRAME_FREE);
    f->progress = (uint16_t)order;
    f->prev = 0;
    f->next = heads[zone][order];
    if (f->next)
        frame_table[f->next].prev = mfn;
    heads[zone][order] = mfn;
    zone_orders[zone] |= 1u << order;
    zones |= 1ull << zone;
}

static void take(struct frame *f, unsigned int order)
{
    unsigned int zone = zone_of(frame_mfn(f).v);

    if (f->prev)
        frame_table[f->prev].next = f->next;
    else
        heads[zone][order] = f->next;
    if (f->next)
        frame_table[f->next].prev = f->prev;
    if (!heads[zone][order])
        zone_orders[zone] &= ~(1u << order);
    if (!zone_orders[zone])
        zones &= ~(1ull << zone);
    mark(f, FRAME_RAM);
}

/* The later of two stamps; 0 is "never used". */
static uint32_t later(uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a | b;
    return tlb_age(a) < tlb_age(b) ? a : b;
}

static void insert(struct frame *f, unsigned int order)
{
    uint64_t mfn = frame_mfn(f).v;

    while (order < FRAME_MAX_ORDER) {
        uint64_t buddy = mfn ^ (1ull << order);
        struct frame *b = frame_of(MFN(buddy));
        if (!b || !(b->state & FRAME_FREE) || b->progress != order ||
            zone_of(buddy) != zone_of(mfn))
            break;
        take(b, order);
        mfn &= ~(1ull << order);
        uint32_t stamp = later(b->stamp, f->stamp);
        f = &frame_table[mfn];
        f->stamp = stamp;
        order++;
    }
    push(f, order);
}

void frame_free(struct frame *f, unsigned int order)
{
    spin_lock(&heap_lock);
    for (unsigned long i = 0; i < 1ul << order; i++) {
        mark(&f[i], FRAME_RAM);
        f->stamp = later(f->stamp, f[i].stamp);
    }
    free_frames += 1ull << order;
    insert(f, order);
    spin_unlock(&heap_lock);
}

void frame_add_range(mfn_t start, mfn_t end)
{
    for (uint64_t m = start.v; m < end.v; m++)
        frame_table[m] = (struct frame){ .state = FRAME_RAM, .owner = DOMID_INVALID };
    spin_lock(&heap_lock);
    for (uint64_t m = start.v; m < end.v;) {
        unsigned int order = m ? (unsigned int)__builtin_ctzll(m) : FRAME_MAX_ORDER;
        if (order > FRAME_MAX_ORDER)
            order = FRAME_MAX_ORDER;
        while (m + (1ull << order) > end.v)
            order--;
        insert(&frame_table[m], order);
        m += 1ull << order;
    }
    free_frames += end.v - start.v;
    total_frames += end.v - start.v;
    spin_unlock(&heap_lock);
}

/* [heap_lock] A block of at least `order` in the highest zone allowed. */
static struct frame *find(unsigned int order, unsigned int bottom, unsigned int top_zone,
                          unsigned int *found)
{
    uint64_t left = bottom <= top_zone ? zones & ((2ull << top_zone) - (1ull << bottom)) : 0;

    while (left) {
        unsigned int zone = 63 - (unsigned int)__builtin_clzll(left);
        uint32_t fit = zone_orders[zone] & ~((1u << order) - 1);

        left &= ~(1ull << zone);
        if (fit) {
            *found = (unsigned int)__builtin_ctz(fit);
            return &frame_table[heads[zone][*found]];
        }
    }
    return NULL;
}

struct frame *frame_alloc(unsigned int order, unsigned int max_bits)
{
    return frame_alloc_for(NULL, order, max_bits);
}

struct frame *frame_alloc_for(struct domain *d, unsigned int order, unsigned int max_bits)
{
    unsigned int bottom = 0, top = NR_ZONES - 1, have;
    uint64_t own; /* of what is set aside */
    struct frame *f = NULL;

    if (order > FRAME_MAX_ORDER || (max_bits && max_bits <= PAGE_SHIFT))
        return NULL;
    if (max_bits && max_bits - PAGE_SHIFT < top)
        top = max_bits - PAGE_SHIFT;
    if (d && !access_host(d) && frame_low_bits)
        bottom = frame_low_bits - PAGE_SHIFT + 1;
    spin_lock(&heap_lock);
    own = d ? MIN(d->claimed, 1ull << order) : 0;
    if (free_frames + own >= claimed_frames + (1ull << order))
        f = find(order, bottom, top, &have);
    if (f) {
        uint32_t stamp = f->stamp;
        claimed_frames -= own;
        if (d)
            d->claimed -= own;
        take(f, have);
        while (have > order) { /* the upper half is handed out, the lower stays */
            have--;
            f->stamp = stamp;
            push(f, have);
            f += 1ul << have;
            f->stamp = stamp;
        }
        free_frames -= 1ull << order;
    }
    spin_unlock(&heap_lock);
    if (!f)
        return NULL;
    mark(f, FRAME_RAM);
    f->progress = f->stamp != 0; /* frame_is_unused() */
    if (f->stamp) {
        arch_tlb_flush_stamped(&cpumask_all, f->stamp);
        /* Larger blocks keep what is over: an old stamp costs a flush at most. */
        for (unsigned long i = 0; i < MIN(1ul << order, 512ul); i++)
            f[i].stamp = 0;
    }
    return f;
}

void *frame_alloc_hv_order(unsigned int order)
{
    struct frame *f = frame_alloc(order, 0);

    if (!f)
        return NULL;
    for (unsigned long i = 0; i < 1ul << order; i++) {
        mark(&f[i], FRAME_RAM | FRAME_HV | FRAME_REF_ONE);
        arch_clear_page((char *)arch_map(frame_mfn(f)) + i * PAGE_SIZE);
    }
    return arch_map(frame_mfn(f));
}

void frame_free_hv_order(void *p, unsigned int order)
{
    struct frame *f = frame_of(arch_unmap(p));

    for (unsigned long i = 0; i < 1ul << order; i++) {
        BUG_ON(frame_refs(f[i].state) != 1);
        if (f[i].owner != DOMID_INVALID) /* it was shared: CPUs may still reach it */
            f[i].stamp = tlb_stamp();
        else if (!f[i].stamp)
            f[i].stamp = FIRST_STAMP;
    }
    frame_free(f, order);
}

void *frame_alloc_hv(void)
{
    return frame_alloc_hv_order(0);
}

void frame_free_hv(void *page)
{
    frame_free_hv_order(page, 0);
}

int frame_claim(struct domain *d, uint64_t pages)
{
    uint64_t others;
    bool ok;

    spin_lock(&heap_lock);
    others = claimed_frames - d->claimed;
    ok = pages == 0 || (pages <= free_frames && others <= free_frames - pages);
    if (ok) {
        claimed_frames = others + pages;
        d->claimed = pages;
    }
    spin_unlock(&heap_lock);
    return ok ? 0 : -XEN_ENOMEM;
}

uint64_t frame_claimed_count(void)
{
    return __atomic_load_n(&claimed_frames, __ATOMIC_RELAXED);
}

uint64_t frame_free_count(void)
{
    return __atomic_load_n(&free_frames, __ATOMIC_RELAXED);
}

uint64_t frame_total_count(void)
{
    return total_frames;
}

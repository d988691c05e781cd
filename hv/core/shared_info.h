/* SPDX-License-Identifier: MIT */
/*
 * The two layouts of the page that a domain shares with the hypervisor, and of its vcpu_infos: that
 * of 64-bit code, and the narrow one, which 32-bit code declares. Pending bits, upcall bytes and
 * time records are at the same places in both; what differs is reached through here.
 *
 * A hardware-assisted guest may change the layout (its firmware is 32-bit code, its kernel need not
 * be): arch code sets domain.narrow_shared. What was written by the old layout is not moved; guests
 * choose before they use it. No lock: who uses the page while it changes meets either layout, and
 * both lie within the page.
 */
#ifndef CORE_SHARED_INFO_H
#define CORE_SHARED_INFO_H

#include "core/domain.h"
#include "core/evtchn.h"
#include "lib/bitmap.h"

#define NARROW_WORD_BITS 32u
#define NARROW_PORTS 1024u /* a word of 32 bits for each bit of a selector of 32 */
#define NARROW_SELECTOR 4u /* in a vcpu_info */
#define NARROW_MASK                                                              \
    (2048u + 128u) /* in shared_info: behind the vcpu_infos and the pending bits \
                    */
#define NARROW_CLOCK (NARROW_MASK + 128u)      /* version, seconds, nanoseconds */
#define NARROW_CLOCK_HIGH (NARROW_CLOCK + 36u) /* upper half of the seconds */

static inline bool shared_is_narrow(const struct domain *d)
{
    return __builtin_expect(__atomic_load_n(&d->narrow_shared, __ATOMIC_RELAXED), 0);
}

/* How many ports have a bit. */
static inline evtchn_port shared_ports(const struct domain *d)
{
    return shared_is_narrow(d) ? NARROW_PORTS : MAX_EVTCHNS_2L;
}

/* A bit for each of shared_ports(). */
static inline unsigned long *shared_mask(const struct domain *d)
{
    uint8_t *page = (uint8_t *)d->shared;

    return shared_is_narrow(d) ? (unsigned long *)(void *)(page + NARROW_MASK)
                               : d->shared->evtchn_mask;
}

/* Sets the bit of port's word in v's selector. True: it was clear. */
static inline bool shared_select(struct vcpu *v, evtchn_port port)
{
    uint32_t bit = 1u << (port / NARROW_WORD_BITS) % 32, *half;

    if (!shared_is_narrow(v->domain))
        return !bit_test_and_set(&v->info->evtchn_pending_sel, port / BITS_PER_LONG);
    half = (uint32_t *)(void *)((uint8_t *)v->info + NARROW_SELECTOR);
    return !(__atomic_fetch_or(half, bit, __ATOMIC_SEQ_CST) & bit);
}

/* Sets all bits of the selector in `info`, which is to become v's. */
static inline void shared_select_all(const struct vcpu *v, struct vcpu_info *info)
{
    uint32_t *half = (uint32_t *)(void *)((uint8_t *)info + NARROW_SELECTOR);

    if (shared_is_narrow(v->domain))
        __atomic_store_n(half, ~0u, __ATOMIC_SEQ_CST);
    else
        __atomic_store_n(&info->evtchn_pending_sel, ~(xen_ulong_t)0, __ATOMIC_SEQ_CST);
}

/* The wall clock: version, seconds and nanoseconds one behind the other, and the seconds' upper
 * half. */
static inline uint32_t *shared_clock(const struct domain *d, uint32_t **high)
{
    uint8_t *page = (uint8_t *)d->shared;

    if (!shared_is_narrow(d)) {
        *high = &d->shared->wc_sec_hi;
        return &d->shared->wc_version;
    }
    *high = (uint32_t *)(void *)(page + NARROW_CLOCK_HIGH);
    return (uint32_t *)(void *)(page + NARROW_CLOCK);
}

#endif

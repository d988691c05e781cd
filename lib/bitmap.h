/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps as arrays of unsigned long. The bitmap_* functions are not atomic; the bit_* functions
 * are (sequentially consistent where they return the old value, as the test_and_* semantics of
 * event channels need).
 */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include <stdbool.h>
#include <stddef.h>

#define BITS_PER_LONG (8 * sizeof(unsigned long))
#define BITMAP_LONGS(bits) (((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITMAP_LONGS(bits)]

static inline unsigned long bitmap_mask(size_t bit)
{
    return 1UL << (bit % BITS_PER_LONG);
}

static inline bool bitmap_test(const unsigned long *map, size_t bit)
{
    return map[bit / BITS_PER_LONG] & bitmap_mask(bit);
}

static inline void bitmap_set(unsigned long *map, size_t bit)
{
    map[bit / BITS_PER_LONG] |= bitmap_mask(bit);
}

static inline void bitmap_clear(unsigned long *map, size_t bit)
{
    map[bit / BITS_PER_LONG] &= ~bitmap_mask(bit);
}

static inline void bitmap_assign(unsigned long *map, size_t bit, bool value)
{
    if (value)
        bitmap_set(map, bit);
    else
        bitmap_clear(map, bit);
}

static inline void bitmap_zero(unsigned long *map, size_t bits)
{
    for (size_t i = 0; i < BITMAP_LONGS(bits); i++)
        map[i] = 0;
}

/* Sets bits 0 .. bits-1; the rest of the last word becomes 0. */
static inline void bitmap_fill(unsigned long *map, size_t bits)
{
    for (size_t i = 0; i < BITMAP_LONGS(bits); i++)
        map[i] = ~0UL;
    if (bits % BITS_PER_LONG)
        map[bits / BITS_PER_LONG] = (1UL << (bits % BITS_PER_LONG)) - 1;
}

/* The first bit >= `from` that differs from `skip`'s bits, or `bits` if there is none. */
static inline size_t bitmap_scan(const unsigned long *map, size_t bits, size_t from,
                                 unsigned long skip)
{
    while (from < bits) {
        unsigned long word = (map[from / BITS_PER_LONG] ^ skip) >> (from % BITS_PER_LONG);

        if (word) {
            from += (size_t)__builtin_ctzl(word);
            return from < bits ? from : bits;
        }
        from = (from / BITS_PER_LONG + 1) * BITS_PER_LONG;
    }
    return bits;
}

/* The first set (clear) bit >= `from`, or `bits`. */
static inline size_t bitmap_next(const unsigned long *map, size_t bits, size_t from)
{
    return bitmap_scan(map, bits, from, 0);
}

static inline size_t bitmap_next_zero(const unsigned long *map, size_t bits, size_t from)
{
    return bitmap_scan(map, bits, from, ~0UL);
}

static inline size_t bitmap_first(const unsigned long *map, size_t bits)
{
    return bitmap_next(map, bits, 0);
}

static inline size_t bitmap_first_zero(const unsigned long *map, size_t bits)
{
    return bitmap_next_zero(map, bits, 0);
}

static inline bool bitmap_empty(const unsigned long *map, size_t bits)
{
    return bitmap_first(map, bits) == bits;
}

static inline size_t bitmap_weight(const unsigned long *map, size_t bits)
{
    size_t n = 0;

    for (size_t bit = bitmap_first(map, bits); bit < bits; bit = bitmap_next(map, bits, bit + 1))
        n++;
    return n;
}

#define bitmap_for_each(bit, map, bits) \
    for (size_t bit = bitmap_first(map, bits); bit < (bits); bit = bitmap_next(map, bits, bit + 1))

/* Atomic forms. */

static inline bool bit_test(const unsigned long *map, size_t bit)
{
    return __atomic_load_n(&map[bit / BITS_PER_LONG], __ATOMIC_RELAXED) & bitmap_mask(bit);
}

static inline void bit_set(unsigned long *map, size_t bit)
{
    __atomic_fetch_or(&map[bit / BITS_PER_LONG], bitmap_mask(bit), __ATOMIC_SEQ_CST);
}

static inline void bit_clear(unsigned long *map, size_t bit)
{
    __atomic_fetch_and(&map[bit / BITS_PER_LONG], ~bitmap_mask(bit), __ATOMIC_SEQ_CST);
}

static inline bool bit_test_and_set(unsigned long *map, size_t bit)
{
    return __atomic_fetch_or(&map[bit / BITS_PER_LONG], bitmap_mask(bit), __ATOMIC_SEQ_CST) &
           bitmap_mask(bit);
}

static inline bool bit_test_and_clear(unsigned long *map, size_t bit)
{
    return __atomic_fetch_and(&map[bit / BITS_PER_LONG], ~bitmap_mask(bit), __ATOMIC_SEQ_CST) &
           bitmap_mask(bit);
}

#endif

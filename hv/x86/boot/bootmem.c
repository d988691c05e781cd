/* SPDX-License-Identifier: MIT */
/*
 * Memory before the frame allocator runs: a list of reserved ranges, and pages taken from the top
 * of the RAM below 4 GiB downwards. What is left over at the end goes to the allocator.
 */
#include "core/bug.h"
#include "core/frame.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/layout.h"

static struct {
    uint64_t start, end;
} reserved[MAX_MODULES + 32];
static unsigned int nr_reserved;

void bootmem_reserve(uint64_t start, uint64_t end)
{
    start = ALIGN_DOWN(start, PAGE_SIZE);
    end = ALIGN_UP(end, PAGE_SIZE);
    for (unsigned int i = 0; i < nr_reserved; i++) {
        if (reserved[i].start == end) { /* bump allocation grows downwards: one entry */
            reserved[i].start = start;
            return;
        }
    }
    BUG_ON(nr_reserved == ARRAY_SIZE(reserved));
    reserved[nr_reserved].start = start;
    reserved[nr_reserved++].end = end;
}

/* The lowest reserved range that overlaps [start, end), or -1. */
static int overlap(uint64_t start, uint64_t end)
{
    int best = -1;

    for (unsigned int i = 0; i < nr_reserved; i++)
        if (reserved[i].start < end && reserved[i].end > start &&
            (best < 0 || reserved[i].start < reserved[best].start))
            best = (int)i;
    return best;
}

void *bootmem_pages(unsigned long n)
{
    return bootmem_pages_aligned(n, PAGE_SIZE);
}

void *bootmem_pages_aligned(unsigned long n, uint64_t align)
{
    uint64_t size = n * PAGE_SIZE;

    for (unsigned int i = boot_info.nr_mem; i-- > 0;) {
        const struct boot_memory *m = &boot_info.mem[i];
        if (m->type != 1 || m->base < 0x100000 || m->base >= 1ull << 32)
            continue;
        uint64_t end = MIN(m->base + m->len, 1ull << 32);
        while (end >= m->base + size && end > size) {
            uint64_t start = ALIGN_DOWN(end - size, align);
            int o = start < m->base ? 0 : overlap(start, start + size);
            if (start < m->base)
                break;
            if (o < 0) {
                void *p = (void *)(DIRECT_BASE + start);
                bootmem_reserve(start, start + size);
                memset(p, 0, size);
                return p;
            }
            end = reserved[o].start;
        }
    }
    panic("Not enough memory to start: %lu KiB more were needed", n * 4);
}

static void give(uint64_t start, uint64_t end)
{
    while (start < end) {
        int o = overlap(start, end);
        uint64_t stop = o < 0 ? end : MAX(reserved[o].start, start);
        if (stop > start)
            frame_add_range(MFN(start >> PAGE_SHIFT), MFN(stop >> PAGE_SHIFT));
        start = o < 0 ? end : MAX(reserved[o].end, start);
    }
}

void bootmem_finish(void)
{
    for (unsigned int i = 0; i < boot_info.nr_mem; i++) {
        const struct boot_memory *m = &boot_info.mem[i];
        /* The first MiB stays for trampolines, BIOS data and Dom0's look at them. */
        uint64_t start = MAX(m->base, 0x100000ull), end = m->base + m->len;
        if (m->type == 1 && end > start)
            give(start, end);
    }
}

void bootmem_release(uint64_t start, uint64_t end)
{
    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start < end)
        frame_add_range(MFN(start >> PAGE_SHIFT), MFN(end >> PAGE_SHIFT));
}

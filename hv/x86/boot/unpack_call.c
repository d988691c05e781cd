/* SPDX-License-Identifier: MIT */
/*
 * The decompressors are Debian's libraries, linked into sections of their own: what they need of
 * an environment (SSE, an FS base, a big stack) is made here around the call, and taken away
 * after it. At boot, one CPU, interrupts off, no locks.
 */
#include "x86/boot/unpack_call.h"

#include "core/frame.h"
#include "lib/strutil.h"
#include "x86/boot/unpack.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/mm/paging.h"

#define STACK_ORDER (STACK_SLOT_SHIFT - PAGE_SHIFT)
_Static_assert((PAGE_SIZE << STACK_ORDER) - sizeof(struct cpu_info) > UNPACK_STACK, "large enough");

/* Gives back frames [from, to) of a block that begins at f. */
static void free_run(struct frame *f, uint64_t from, uint64_t to)
{
    while (from < to) {
        unsigned int order = from ? (unsigned int)__builtin_ctzll(from) : FRAME_MAX_ORDER;
        while (order > FRAME_MAX_ORDER || from + (1ull << order) > to)
            order = order > FRAME_MAX_ORDER ? FRAME_MAX_ORDER : order - 1;
        frame_free(f + from, order);
        from += 1ull << order;
    }
}

void *boot_alloc(size_t bytes)
{
    uint64_t pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
    unsigned int order = 0;

    while (order < FRAME_MAX_ORDER && (1ull << order) < pages)
        order++;
    struct frame *f = pages <= 1ull << order ? frame_alloc(order, 0) : NULL;
    if (!f)
        return NULL;
    free_run(f, pages, 1ull << order);
    return direct(frame_mfn(f).v << PAGE_SHIFT);
}

void boot_free(void *p, size_t bytes)
{
    struct frame *f = frame_of(MFN(direct_pa(p) >> PAGE_SHIFT));
    uint64_t pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
    uint64_t skip = frame_mfn(f).v; /* alignment counts from frame 0 */

    free_run(frame_table, skip, skip + pages);
}

/*
 * unpack_payload() on a stack of its own that looks like a CPU's: as long and aligned like one,
 * with a copy of struct cpu_info at its end, so that this_cpu and the handlers of a fault find
 * their way. Called from here, since our own functions do not keep the stack aligned to 16 bytes.
 */
static const char *call_on_stack(const struct bz_payload *p, void *out, size_t cap, size_t *len,
                                 void *work, size_t work_len, char *stack)
{
    struct cpu_info *ci = (struct cpu_info *)(stack + STACK_SLOT - sizeof(*ci));
    uint64_t top = (uint64_t)ci & ~15ull;
    uint64_t format = p->format;
    const void *in = p->data;
    size_t in_len = p->len;
    const char *err;

    *ci = *cpu_info();
    register size_t r8 __asm__("r8") = cap; /* nothing may be called from here on */
    register size_t *r9 __asm__("r9") = len;
    __asm__ volatile("movq %%rsp, %%rbx; movq %[top], %%rsp; pushq %[work_len]; pushq %[work];"
                     "call unpack_payload; movq %%rbx, %%rsp"
                     : "=&a"(err), "+D"(format), "+S"(in), "+d"(in_len), "+c"(out), "+r"(r8),
                       "+r"(r9)
                     : [top] "r"(top), [work] "r"(work), [work_len] "r"(work_len)
                     : "rbx", "r10", "r11", "memory", "cc");
    return err;
}

const char *unpack_kernel(const struct bz_payload *p, void *out, size_t cap, size_t *len)
{
    static char why[96];
    size_t work_len = unpack_work_size(p->format);
    void *work = work_len ? boot_alloc(work_len) : NULL;
    char *stack = frame_alloc_hv_order(STACK_ORDER);
    void *fs = frame_alloc_hv();
    const char *err = "not enough memory to unpack it";

    if (stack && fs && (work || !work_len)) {
        wrmsr(MSR_FS_BASE, (uint64_t)fs);
        err = call_on_stack(p, out, cap, len, work, work_len, stack);
        wrmsr(MSR_FS_BASE, 0);
        if (err) { /* the text goes with the decompressors */
            str_copy(why, err, sizeof(why));
            err = why;
        }
    }
    if (work)
        boot_free(work, work_len);
    if (fs)
        frame_free_hv(fs);
    if (stack)
        frame_free_hv_order(stack, STACK_ORDER);
    return err;
}

/* SPDX-License-Identifier: MIT */
#include "x86/boot/unpack_call.h"

#include "core/frame.h"
#include "lib/string.h"
#include "x86/boot/unpack.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/mm/paging.h"

#define MSR_FS_BASE 0xc0000100
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

struct unpack_args {
    const struct bz_payload *p;
    void *out, *work;
    size_t cap, *len, work_len;
    const char *err;
};

static void unpack_on_stack(struct unpack_args *a)
{
    a->err = unpack_payload(a->p->format, a->p->data, a->p->len, a->out, a->cap, a->len, a->work,
                            a->work_len);
}

/*
 * A stack of its own that looks like a CPU's: as long and aligned like one, with a copy of struct
 * cpu_info at its end, so that this_cpu and the handlers of a fault find their way.
 */
static void call_on_stack(void (*fn)(struct unpack_args *), struct unpack_args *arg, char *stack)
{
    struct cpu_info *ci = (struct cpu_info *)(stack + STACK_SLOT - sizeof(*ci));

    *ci = *cpu_info();
    uint64_t top = (uint64_t)ci & ~15ull;
    __asm__ volatile("movq %%rsp, %%rbx; movq %1, %%rsp; call *%2; movq %%rbx, %%rsp"
                     : "+D"(arg)
                     : "r"(top), "r"(fn)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory",
                       "cc");
}

const char *unpack_kernel(const struct bz_payload *p, void *out, size_t cap, size_t *len)
{
    struct unpack_args a = {.p = p, .out = out, .cap = cap, .len = len};
    char *stack = frame_alloc_hv_order(STACK_ORDER);
    void *fs = frame_alloc_hv();

    a.work_len = unpack_work_size(p->format);
    a.work = a.work_len ? boot_alloc(a.work_len) : NULL;
    if (!stack || !fs || (a.work_len && !a.work)) {
        a.err = "not enough memory to unpack it";
    } else {
        wrmsr(MSR_FS_BASE, (uint64_t)fs);
        call_on_stack(unpack_on_stack, &a, stack);
        wrmsr(MSR_FS_BASE, 0);
    }
    if (a.work)
        boot_free(a.work, a.work_len);
    if (fs)
        frame_free_hv(fs);
    if (stack)
        frame_free_hv_order(stack, STACK_ORDER);
    return a.err;
}

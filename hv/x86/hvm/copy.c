/* SPDX-License-Identifier: MIT */
/*
 * Guest memory. An address goes through the guest's own tables and then through the nested ones.
 *
 * Frames found in the nested tables are used without a reference, at once and with no lock taken
 * between: who takes a page out of them waits for a cross-call to each CPU on which a vCPU of the
 * domain is resident, and this CPU answers none before it is done (p2m_lookup).
 */
#include "x86/hvm/copy.h"

#include <xen/errno.h>

#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/hvm/calls32.h"
#include "x86/mm/guest_walk.h"
#include "x86/mm/paging.h"

struct space {
    struct guest_paging g;
    struct p2m *p2m;
    unsigned int cpl;
};

static void open_space(struct hvm_vcpu *v, struct space *s)
{
    hvm_vendor->get_paging(v, &s->g, &s->cpl);
    s->g.rflags = v->x.v.cpu && cpu_info()->current == &v->x.v ? cpu_info()->regs.rflags : 0;
    s->g.phys_bits = cpu_feat.phys_bits;
    s->g.page1gb = cpu_feat.page1gb;
    s->p2m = &hvm_domain_of(v)->p2m;
}

/* May the guest's kernel read, or write, what has this type? As p2m_peek() has it. */
static bool allowed(enum p2m_type t, bool write)
{
    switch (t) {
    case P2M_RAM:
    case P2M_SHARED:
    case P2M_GRANT_RW:
    case P2M_FOREIGN:
        return true;
    case P2M_RAM_RO:
    case P2M_IOREQ:
    case P2M_GRANT_RO:
    case P2M_FOREIGN_RO:
        return !write;
    default:
        return false;
    }
}

/* The hypervisor's address of a guest frame; NULL: there is no memory for such an access. */
static void *find(struct p2m *p2m, uint64_t gfn, bool write)
{
    const struct vcpu *here = cpu_info()->current;
    mfn_t mfn;

    if (here && here->domain == p2m->d) {
        if (!p2m_peek(p2m, GFN(gfn), write, &mfn))
            return NULL;
    } else {
        struct p2m_entry e = p2m_lookup(p2m, GFN(gfn));

        if (!allowed(e.type, write))
            return NULL;
        mfn = e.mfn;
    }
    if (write)
        p2m_mark_dirty(p2m, GFN(gfn));
    return direct(mfn_maddr(mfn).v);
}

static void *map_table(void *ctx, uint64_t gfn, bool write)
{
    return find(ctx, gfn, write);
}

static const struct guest_walk_ops walk_ops = { .get = map_table };

/* Is the address one that a guest may use in its present mode? In 32-bit modes it wraps. */
static bool canonical(const struct space *s, uint64_t *va)
{
    if (s->g.efer & EFER_LMA)
        return (uint64_t)((int64_t)(*va << 16) >> 16) == *va;
    *va = (uint32_t)*va;
    return true;
}

/* The hypervisor's address of the byte at va, good until the end of its page; NULL: a fault. */
static void *reach(struct space *s, uint64_t va, unsigned int access)
{
    struct guest_walk w;
    uint8_t *page;

    if (!canonical(s, &va) || guest_walk(&s->g, &walk_ops, s->p2m, va, access, &w) != WALK_OK)
        return NULL;
    page = find(s->p2m, w.gpa >> PAGE_SHIFT, access & PFEC_W);
    return page ? page + (w.gpa & ~PAGE_MASK) : NULL;
}

static size_t to_page_end(uint64_t va, size_t n)
{
    return MIN(n, PAGE_SIZE - (va & ~PAGE_MASK));
}

/* A 32-bit caller's pointers have 32 bits: an address beyond is one of the stage (calls32.h). */
static void *staged(struct vcpu *v, gptr_t at, size_t n)
{
    uint64_t offset = at.v - STAGE_BASE;

    return offset < HVM_STAGE && n <= HVM_STAGE - offset ? hvm_vcpu(v)->stage + offset : NULL;
}

static bool is_staged(const struct vcpu *v, gptr_t at)
{
    return __builtin_expect(v->narrow && at.v >> 32, 0);
}

int hvm_copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    struct space s;

    if (is_staged(v, src)) {
        const void *from = staged(v, src, n);

        if (from)
            memmove(dst, from, n);
        return from ? 0 : -XEN_EFAULT;
    }
    open_space(hvm_vcpu(v), &s);
    for (size_t done = 0, step; done < n; done += step) {
        const void *from = reach(&s, src.v + done, 0);

        if (!from)
            return -XEN_EFAULT;
        step = to_page_end(src.v + done, n - done);
        memcpy((uint8_t *)dst + done, from, step);
    }
    return 0;
}

int hvm_copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    struct space s;

    if (is_staged(v, dst)) {
        void *to = staged(v, dst, n);

        if (to)
            memmove(to, src, n);
        return to ? 0 : -XEN_EFAULT;
    }
    open_space(hvm_vcpu(v), &s);
    for (size_t done = 0, step; done < n; done += step) {
        void *to = reach(&s, dst.v + done, PFEC_W);

        if (!to)
            return -XEN_EFAULT;
        step = to_page_end(dst.v + done, n - done);
        memcpy(to, (const uint8_t *)src + done, step);
    }
    return 0;
}

size_t hvm_fetch(struct hvm_vcpu *v, uint64_t at, void *dst, size_t n)
{
    struct space s;
    size_t done = 0, step;

    open_space(v, &s);
    for (; done < n; done += step) {
        const void *from = reach(&s, at + done, PFEC_I | WALK_LOOK | (s.cpl == 3 ? PFEC_U : 0));

        if (!from)
            break;
        step = to_page_end(at + done, n - done);
        memcpy((uint8_t *)dst + done, from, step);
    }
    return done;
}

int hvm_copy_from_phys(struct domain *d, void *dst, uint64_t gpa, size_t n)
{
    struct p2m *p2m = &hvm_domain(d)->p2m;

    for (size_t done = 0, step; done < n; done += step) {
        struct p2m_entry e;

        if (p2m_get(p2m, GFN((gpa + done) >> PAGE_SHIFT), 0, &e))
            return -XEN_EFAULT;
        step = to_page_end(gpa + done, n - done);
        memcpy((uint8_t *)dst + done,
               (const uint8_t *)direct(mfn_maddr(e.mfn).v) + ((gpa + done) & ~PAGE_MASK), step);
        frame_put(frame_of(e.mfn));
    }
    return 0;
}

int hvm_copy_to_phys(struct domain *d, uint64_t gpa, const void *src, size_t n)
{
    struct p2m *p2m = &hvm_domain(d)->p2m;

    for (size_t done = 0, step; done < n; done += step) {
        struct p2m_entry e;

        if (p2m_get(p2m, GFN((gpa + done) >> PAGE_SHIFT), P2M_WRITE, &e))
            return -XEN_EFAULT;
        step = to_page_end(gpa + done, n - done);
        memcpy((uint8_t *)direct(mfn_maddr(e.mfn).v) + ((gpa + done) & ~PAGE_MASK),
               (const uint8_t *)src + done, step);
        frame_put(frame_of(e.mfn));
    }
    return 0;
}

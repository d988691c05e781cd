/* SPDX-License-Identifier: MIT */
#include "host/pv_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/errno.h>

#include "core/grant.h"
#include "x86/boot/boot.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/spec.h"
#include "x86/machine.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/mm.h"
#include "x86/irq/pirq.h"
#include "x86/pv/privop.h"
#include "x86/pv/traps.h"
#include "x86/pv/twin.h"
#include "x86/trap.h"

#define TLB_SIZE 160
#define PSC_SIZE 24

/* A cached translation. */
struct tlb_entry {
    bool valid, writable;
    uint64_t page, mfn;
    uint64_t cr3;       /* the L4 and the tag that it was found under */
    domid_t dom, owner; /* whose tables said so, whose frame it was */
};

/* A cached upper entry: the table of `level` that translates addresses of this prefix. */
struct psc_entry {
    bool valid, writable;
    int level;
    uint64_t prefix, mfn, cr3;
    domid_t owner;
};

struct pv_cpu {
    struct cpu_info info;
    struct x86_pcpu x;
    uint64_t cr3; /* as read: without CR3_KEEP */
    uint64_t l4;  /* the guest's that this is, or is the twin of */
    uint64_t gdt_ptes[32], gdt_page[512];
    struct tlb_entry tlb[TLB_SIZE];
    struct psc_entry psc[PSC_SIZE];
};

static struct pv_cpu cpus[PV_CPUS];
static __thread struct rng stir;
static __thread bool stirring, inside;
__thread unsigned int pv_hot_slot[PV_HOT];
__thread unsigned int pv_flushes, pv_walks, pv_restarts, pv_log_faults;
bool pv_threaded;

struct cpu_features cpu_feat = {
    .nx = true, .phys_bits = 40, .virt_bits = 48, .pte_reserved = PTE_ADDR & ~((1ull << 40) - 1)
};
pte_t *idle_l4;
uint64_t idle_cr3, nx_bit = PTE_NX, *m2p_rw;
struct boot_info boot_info;

uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

void pv_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    abort();
}

/* --- what stands in for other files of the hypervisor --- */

void *direct(uint64_t pa)
{
    if (pa >= host_ram_frames << PAGE_SHIFT)
        return (void *)(0xdead000000000000ul | pa); /* nobody may go there */
    pv_machine_tick();
    return host_ram + pa;
}

uint64_t direct_pa(const void *p)
{
    return (uint64_t)((const uint8_t *)p - host_ram);
}

void paging_install_slots(pte_t *l4)
{
    memcpy(&l4[HV_FIRST_SLOT], &idle_l4[HV_FIRST_SLOT],
           (HV_LAST_SLOT - HV_FIRST_SLOT + 1) * sizeof(pte_t));
    paging_show_m2p(l4, false);
}

bool machine_owns_frame(mfn_t mfn)
{
    return mfn.v >= PV_RAM && mfn.v < PV_RAM + PV_MACHINE_FRAMES;
}

bool machine_frame_readonly(mfn_t mfn)
{
    return mfn.v == PV_RAM + PV_MACHINE_FRAMES;
}

__attribute__((weak)) void pirq_end(struct domain *d)
{
    (void)d;
}

__attribute__((weak)) mfn_t pirq_eoi_frame(struct domain *d)
{
    (void)d;
    return MFN_NONE;
}

bool fpu_alloc(struct x86_vcpu *v)
{
    v->xsave = frame_alloc_hv();
    return v->xsave;
}

void fpu_free(struct x86_vcpu *v)
{
    if (v->xsave)
        frame_free_hv(v->xsave);
}

void fpu_load(struct x86_vcpu *v)
{
    (void)v;
}

void fpu_save(struct x86_vcpu *v)
{
    (void)v;
}

void dump_regs(const struct x86_regs *regs)
{
    (void)regs;
}

void pv_priv_init(struct pv_vcpu *v)
{
    (void)v;
}

uint64_t pv_cr4_fixup(uint64_t wanted)
{
    return wanted & 0x30ul;
}

bool pv_machine_tsc_aux;
bool policy_has_tsc_aux(void)
{
    return pv_machine_tsc_aux;
}

struct cpu_policy policy_max[POLICY_KINDS], policy_default[POLICY_KINDS];

uint64_t paging_m2p_extent(uint64_t i)
{
    (void)i;
    return 0;
}

struct spec_choice spec_choice;

void spec_switch_domain(void)
{
}

/* --- the guest kind's calls that concern the CPU only --- */

const struct guest_ops *const guest_kinds[NR_GUEST_KINDS] = { [GUEST_PV] = &pv_guest_ops.g };

void pv_exception(struct vcpu *v, struct x86_regs *regs)
{
    (void)v, (void)regs;
}

bool pv_exit_work(struct vcpu *v, struct x86_regs *regs)
{
    (void)v, (void)regs;
    return false;
}

bool pv_hv_fault(struct vcpu *v, uint64_t cr2, uint32_t error_code)
{
    (void)v, (void)cr2, (void)error_code;
    return false;
}

bool pv_can_block(const struct vcpu *v)
{
    return !vcpu_has_upcall(v);
}

int pv_send_nmi(struct vcpu *v)
{
    (void)v;
    return 0;
}

void pv_vm_assist_changed(struct domain *d)
{
    (void)d;
}

/* --- CPUs --- */

static struct pv_cpu *this_cpu(void)
{
    return &cpus[arch_this_cpu()->id];
}

struct x86_pcpu *this_x86(void)
{
    return &this_cpu()->x;
}

struct cpu_info *cpu_info(void)
{
    pv_machine_tick();
    return &this_cpu()->info;
}

#define TAG_BITS (PAGE_SIZE - 1)

static bool same_tag(uint64_t cr3, uint64_t other)
{
    return !((cr3 ^ other) & TAG_BITS);
}

/* Which of a CPU's translations go: all of a page (~0: of all) under a tag (~0: under all). */
static void forget(struct pv_cpu *c, uint64_t tag, uint64_t page)
{
    for (unsigned int i = 0; i < TLB_SIZE; i++)
        if ((tag == ~0ull || same_tag(c->tlb[i].cr3, tag)) &&
            (page == ~0ull || c->tlb[i].page == page))
            c->tlb[i].valid = false;
    for (unsigned int i = 0; i < PSC_SIZE; i++)
        if ((tag == ~0ull || same_tag(c->psc[i].cr3, tag)) &&
            (page == ~0ull || same_tag(c->cr3, c->psc[i].cr3) ||
             c->psc[i].prefix == page >> (9 * c->psc[i].level)))
            c->psc[i].valid = false;
    pv_flushes++;
}

/* A tag's translations are those of the one table it is used with. */
static void check_tag(const struct pv_cpu *c)
{
    for (unsigned int i = 0; i < TLB_SIZE; i++)
        if (c->tlb[i].valid && same_tag(c->tlb[i].cr3, c->cr3) && c->tlb[i].cr3 != c->cr3)
            pv_fail("CPU %lu: cached under the tag of CR3 %#lx, but found by %#lx: page %#lx",
                    (unsigned long)(c - cpus), c->cr3, c->tlb[i].cr3, c->tlb[i].page);
    for (unsigned int i = 0; i < PSC_SIZE; i++)
        if (c->psc[i].valid && same_tag(c->psc[i].cr3, c->cr3) && c->psc[i].cr3 != c->cr3)
            pv_fail("CPU %lu: cached L%d table under the tag of CR3 %#lx, but found by %#lx",
                    (unsigned long)(c - cpus), c->psc[i].level, c->cr3, c->psc[i].cr3);
}

uint64_t read_cr3(void)
{
    return this_cpu()->cr3;
}

/* The guest's L4 that a vCPU is on when CR3 is this: it, or its twin. */
static uint64_t l4_of(uint64_t cr3)
{
    uint64_t l4 = cr3;

    for_each_domain (d) {
        if (!is_pv(d) || !pv_domain(d)->twins)
            continue;
        for_each_vcpu (d, v)
            for (unsigned int i = 0; i < 2; i++)
                if ((pv_vcpu(v)->load_cr3[i] & PTE_ADDR) == cr3 && cr3)
                    l4 = i ? pv_vcpu(v)->cr3_kernel : pv_vcpu(v)->cr3_user;
    }
    return l4;
}

void write_cr3(uint64_t v)
{
    struct pv_cpu *c = this_cpu();
    struct frame *f;
    bool was = inside;

    inside = true;
    c->l4 = l4_of(v & PTE_ADDR);
    inside = was;
    f = frame_of(MFN(c->l4 >> PAGE_SHIFT));
    if (v != idle_cr3 && (!f || frame_type_of(f->state) != FT_L4 || !(f->state & FRAME_VALIDATED)))
        pv_fail("CR3 %#lx is no L4", v);
    if (!spec_choice.tags && (v & (CR3_KEEP | TAG_BITS)))
        pv_fail("CR3 %#lx has a tag where there are none", v);
    c->cr3 = v & ~CR3_KEEP;
    if (!(v & CR3_KEEP))
        forget(c, c->cr3, ~0ull);
    pv_machine_tick();
}

void invlpg(uint64_t va)
{
    struct pv_cpu *c = this_cpu();

    forget(c, c->cr3, va >> PAGE_SHIFT);
    pv_machine_tick();
}

void invpcid(uint64_t kind, uint64_t tag, uint64_t va)
{
    struct pv_cpu *c = this_cpu();

    if (!spec_choice.tags || kind > INVPCID_ALL || !pv_canonical(va))
        pv_fail("invpcid %lu of tag %#lx, %#lx: #GP", kind, tag, va);
    forget(c, kind == INVPCID_ALL ? ~0ull : tag,
           kind == INVPCID_ADDRESS ? va >> PAGE_SHIFT : ~0ull);
    pv_machine_tick();
}

/* --- isolation, as seen from a cached entry --- */

struct held {
    uint64_t mfn;
    domid_t owner;
    bool writable, any, write;
};

static void see_grant(void *arg, domid_t owner, mfn_t mfn, bool writable)
{
    struct held *h = arg;

    if (owner == h->owner && mfn.v == h->mfn) {
        h->any = true;
        h->write |= writable;
    }
}

/* May `dom` reach another's frame: as Dom0, or by a grant that it holds? */
static bool may_reach(domid_t dom, const struct frame *f, uint64_t mfn, bool writable)
{
    struct held h = { .mfn = mfn, .owner = f->owner };
    struct domain *d = domain_get(dom);
    bool ok;

    if (!d)
        return false;
    grant_walk(d, see_grant, &h);
    ok = d->privileged || (writable ? h.write : h.any);
    domain_put(d);
    return ok;
}

/*
 * Does anybody count on the frame's type? Between two calls a frame that is to become a table was
 * flushed; during one (`within`), or on another thread, it may be on its way: nothing of it is
 * validated, and CPUs that have not flushed yet still write to it.
 */
static bool in_use(const struct frame *f, bool within)
{
    uint64_t s = f->state;

    if (pv_threaded)
        return (s & FRAME_VALIDATED) || (frame_type_of(s) == FT_WRITABLE && frame_typed(s));
    if (within && (s & (FRAME_PARTIAL | FRAME_UNDOING)) == FRAME_PARTIAL && f->progress == 0)
        return frame_typed(s);
    return frame_typed(s) || (s & FRAME_PARTIAL);
}

/* NULL, or what is wrong with going by this entry now. Frames that nobody has got yet do no harm.
 */
static const char *tlb_wrong(const struct tlb_entry *e, bool within)
{
    const struct frame *f = frame_of(MFN(e->mfn));
    enum frame_type t;

    if (!f) {
        struct domain *d = domain_get(e->dom);
        bool ok = d && pv_iomem_ok(d, MFN(e->mfn));
        if (d)
            domain_put(d);
        return ok ? NULL : "a device that it may not use";
    }
    if (!frame_refs(f->state)) /* free: flushed before anybody gets it */
        return NULL;
    /* A page that was shared with a domain which is gone, and that Dom0 still maps. */
    if (f->owner == DOMID_INVALID && e->dom == 0 && frame_type_of(f->state) == FT_WRITABLE &&
        (!e->writable || frame_typed(f->state)))
        return NULL;
    /* By linear tables guests also see the table that shows them the M2P. */
    if (e->mfn == pte_mfn(idle_l4[HV_FIRST_SLOT]).v && !e->writable)
        return NULL;
    if (f->owner == DOMID_INVALID)
        return "the hypervisor's frame";
    if (f->owner != e->owner)
        return "a frame that changed hands";
    /* A grant's track goes before the flush, its pin after it: on threads look when all stand
     * still. */
    if (f->owner != e->dom && !pv_threaded && !may_reach(e->dom, f, e->mfn, e->writable))
        return "another domain's frame";
    t = frame_type_of(f->state);
    if (e->writable && t != FT_WRITABLE && in_use(f, within))
        return "a table, writable";
    return NULL;
}

static const char *psc_wrong(const struct psc_entry *e)
{
    const struct frame *f = frame_of(MFN(e->mfn));

    if (!f)
        return "no RAM";
    if (!frame_refs(f->state))
        return NULL;
    if (f->owner != e->owner)
        return "a frame that changed hands";
    /* By linear entries a table of a higher level stands in, read-only. */
    if (in_use(f, false) &&
        (frame_type_of(f->state) < level_type(e->level) ||
         frame_type_of(f->state) > (e->writable ? level_type(e->level) : FT_L4)))
        return "a frame that is no table any more";
    return NULL;
}

static void check_cpu(unsigned int id)
{
    const struct pv_cpu *c = &cpus[id];

    for (unsigned int i = 0; i < TLB_SIZE; i++) {
        const struct tlb_entry *e = &c->tlb[i];
        const char *what = e->valid ? tlb_wrong(e, false) : NULL;
        if (what)
            pv_fail("CPU %u: cached translation %#lx -> frame %#lx (%s, domain %u): %s; state %#lx "
                    "owner %u stamp %u, CPU flushed %u",
                    id, e->page << PAGE_SHIFT, e->mfn, e->writable ? "writable" : "read-only",
                    e->dom, what, frame_table[e->mfn].state, frame_table[e->mfn].owner,
                    frame_table[e->mfn].stamp, (uint32_t)host_cpus[id].p.tlb_flushed);
    }
    for (unsigned int i = 0; i < PSC_SIZE; i++) {
        const struct psc_entry *e = &c->psc[i];
        const char *what = e->valid ? psc_wrong(e) : NULL;
        if (what)
            pv_fail("CPU %u: cached L%d table in frame %#lx: %s; state %#lx owner %u", id, e->level,
                    e->mfn, what, frame_table[e->mfn].state, frame_table[e->mfn].owner);
    }
}

void pv_check_tlbs(void)
{
    for (unsigned int i = 0; i < PV_CPUS; i++)
        if (!pv_threaded || i == arch_this_cpu()->id) {
            check_cpu(i);
            check_tag(&cpus[i]);
        }
}

/* --- walks --- */

static const struct psc_entry *psc_find(const struct pv_cpu *c, uint64_t va, int level)
{
    for (unsigned int i = 0; i < PSC_SIZE; i++)
        if (c->psc[i].valid && same_tag(c->psc[i].cr3, c->cr3) && c->psc[i].level == level &&
            c->psc[i].prefix == va >> (12 + 9 * level))
            return &c->psc[i];
    return NULL;
}

/* Sets bits in the entry that was seen; false: it changed meanwhile. */
static bool set_bits(pte_t *e, pte_t seen, pte_t bits)
{
    return !(bits & ~seen) || __atomic_compare_exchange_n(e, &seen, seen | bits, false,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void remember_table(struct pv_cpu *c, struct rng *r, uint64_t va, int level, uint64_t mfn,
                           bool writable)
{
    c->psc[rng_below(r, PSC_SIZE)] = (struct psc_entry){
        .valid = true,
        .writable = writable,
        .level = level,
        .prefix = va >> (12 + 9 * level),
        .mfn = mfn,
        .cr3 = c->cr3,
        .owner = frame_table[mfn].owner,
    };
}

/* Where the walk begins: at CR3, or at a cached table. */
static int walk_start(struct pv_cpu *c, struct rng *r, uint64_t va, uint64_t *table, bool *writable)
{
    *table = c->cr3 >> PAGE_SHIFT;
    *writable = true;
    for (int level = 1; level < 4; level++) {
        const struct psc_entry *e = psc_find(c, va, level);
        if (e && !rng_one_in(r, 4)) {
            *table = e->mfn;
            *writable = e->writable;
            return level;
        }
    }
    return 4;
}

static domid_t tables_domain(const struct pv_cpu *c)
{
    return frame_table[c->l4 >> PAGE_SHIFT].owner;
}

static bool on_twins(const struct pv_cpu *c)
{
    return c->l4 != (c->cr3 & PTE_ADDR);
}

/* From CR3 on, with nothing cached: the guest's own tables have to allow what its twins do. */
static void check_twin(struct pv_cpu *c, uint64_t va, bool write, uint64_t mfn)
{
    uint64_t table = c->l4;
    bool writable = true;

    for (int level = 4; level >= 1; level--) {
        pte_t e = ((pte_t *)(host_ram + table))[va >> (12 + 9 * (level - 1)) & 511];

        writable &= (e & PTE_RW) != 0;
        if (!(e & PTE_P) || !(e & PTE_A) || (level == 1 && write && !(e & PTE_D)))
            pv_fail("CPU %lu: a twin allows %#lx, the guest's L%d entry is %#lx",
                    (unsigned long)(c - cpus), va, level, e);
        table = e & PTE_ADDR;
    }
    if (table >> PAGE_SHIFT != mfn || (write && !writable))
        pv_fail("CPU %lu: twins lead from %#lx to %#lx, the guest's tables to %#lx%s",
                (unsigned long)(c - cpus), va, mfn, table >> PAGE_SHIFT,
                write ? ", to be written" : "");
}

/* Walks as the hardware does; false: page fault. */
static bool walk(struct pv_cpu *c, struct rng *r, uint64_t va, bool write, struct tlb_entry *out)
{
    uint64_t table;
    bool writable;
    int level = walk_start(c, r, va, &table, &writable);
    struct domain *d = c->x.resident ? c->x.resident->domain : NULL;
    bool whole = level == 4 && on_twins(c) && d && !spin_is_locked(&pv_domain(d)->pt_lock);

    for (;; level--) {
        pte_t *e = (pte_t *)direct(table << PAGE_SHIFT) + (va >> (12 + 9 * (level - 1)) & 511);
        pte_t now = __atomic_load_n(e, __ATOMIC_RELAXED);
        if (!(now & PTE_P) || !(now & PTE_US))
            return false;
        writable &= (now & PTE_RW) != 0;
        table = (now & PTE_ADDR) >> PAGE_SHIFT;
        if (on_twins(c) && (!(now & PTE_A) || (level == 1 && write && writable && !(now & PTE_D))))
            pv_fail("CPU %lu writes to a twin: %#lx", (unsigned long)(c - cpus), now);
        if (level == 1) {
            if (write && !writable)
                return false;
            if (whole && !pv_threaded)
                check_twin(c, va, write, table);
            if (!set_bits(e, now, PTE_A | (write ? PTE_D : 0)))
                return false;
            break;
        }
        if (!set_bits(e, now, PTE_A))
            return false;
        if (rng_one_in(r, 2))
            remember_table(c, r, va, level - 1, table, writable);
    }
    pv_walks++;
    *out = (struct tlb_entry){
        .valid = true,
        .writable = writable,
        .page = va >> PAGE_SHIFT,
        .mfn = table,
        .cr3 = c->cr3,
        .dom = tables_domain(c),
        .owner = frame_of(MFN(table)) ? frame_table[table].owner : DOMID_IO,
    };
    return true;
}

/* The translation of va on CPU c for this access: cached, or by a walk. NULL: page fault. */
static const struct tlb_entry *translate(struct pv_cpu *c, struct rng *r, uint64_t va, bool write)
{
    struct tlb_entry new;
    const char *what;

    for (unsigned int i = 0; i < TLB_SIZE; i++)
        if (c->tlb[i].page == va >> PAGE_SHIFT && c->tlb[i].valid &&
            same_tag(c->tlb[i].cr3, c->cr3) && (!write || c->tlb[i].writable))
            return &c->tlb[i];
    if (!walk(c, r, va, write, &new))
        return NULL;
    what = tlb_wrong(&new, true);
    if (what)
        pv_fail("CPU %lu walks %#lx to frame %#lx (%s, domain %u): %s; state %#lx owner %u",
                (unsigned long)(c - cpus), va, new.mfn, new.writable ? "writable" : "read-only",
                new.dom, what, frame_table[new.mfn].state, frame_table[new.mfn].owner);
    unsigned int i = (unsigned int)rng_below(r, TLB_SIZE);
    c->tlb[i] = new;
    return &c->tlb[i];
}

/* The fault is one of the log, or would be the guest's own. */
static bool log_fault(struct pv_cpu *c, uint64_t va, bool write)
{
    uint32_t code = write ? 2 : 0;
    struct vcpu *v = c->x.resident;
    bool kernel;

    if (!on_twins(c) || !v)
        return false;
    kernel = c->l4 == pv_vcpu(v)->cr3_kernel;
    if (!kernel && c->l4 != pv_vcpu(v)->cr3_user)
        return false;
    pv_log_faults++;
    forget(c, c->cr3, va >> PAGE_SHIFT); /* a page fault drops what led to it */
    return twin_fault(v, kernel, va, &code);
}

/* Without threads who holds a lock lets nobody else on. */
static bool locks_held(void)
{
    for (unsigned int i = 0; i < PV_CPUS; i++)
        if ((!pv_threaded || i == arch_this_cpu()->id) && host_cpus[i].p.lock_ranks)
            return true;
    return false;
}

static void *access_by(struct pv_cpu *c, struct rng *r, uint64_t va, bool write)
{
    const struct tlb_entry *e = translate(c, r, va, write);

    /* A guest that meets it while a lock is held waits for that; the hypervisor must not hold one.
     */
    for (unsigned int i = 0; i < 2 && !e; i++)
        if ((inside && locks_held()) || !log_fault(c, va, write))
            return NULL;
        else
            e = translate(c, r, va, write);
    if (!e || !frame_of(MFN(e->mfn)))
        return NULL;
    return (uint8_t *)direct(e->mfn << PAGE_SHIFT) + va % PAGE_SIZE;
}

void *pv_access(uint64_t va, bool write)
{
    static __thread struct rng calm = { 1 };

    return access_by(this_cpu(), stirring ? &stir : &calm, va, write);
}

/* Copies between the hypervisor and the current guest's memory; only the guest's side is walked. */
unsigned long copy_user(void *dst, const void *src, unsigned long n)
{
    bool to_guest = (uint64_t)dst >= HV_END;
    uint8_t *hv = to_guest ? (uint8_t *)src : dst;
    uint64_t va = to_guest ? (uint64_t)dst : (uint64_t)src;

    while (n > 0) {
        size_t part = MIN(n, PAGE_SIZE - va % PAGE_SIZE);
        void *p = va >= HV_END ? pv_access(va, to_guest) : NULL;

        if (!p)
            return 1;
        if (to_guest)
            memcpy(p, hv, part);
        else
            memcpy(hv, p, part);
        va += part;
        hv += part;
        n -= part;
        pv_machine_tick();
    }
    return 0;
}

/* --- the rest of the machine --- */

/* Guests like to write what could be an entry. */
static uint64_t wild_value(struct rng *r)
{
    uint64_t flags = rng_next(r) & 0x8000000000000e67ull;

    return rng_one_in(r, 3) ? rng_next(r) >> rng_below(r, 64)
                            : rng_below(r, PV_RAM) << PAGE_SHIFT | flags | 1;
}

/* An address that is walked by linear tables, if there are such. */
uint64_t pv_linear_va(struct rng *r)
{
    static const uint64_t upper[] = { 0, 1, 272, 256, 262, 262 };
    uint64_t va = rng_one_in(r, 4) ? 272 : rng_one_in(r, 2) ? 1 : rng_below(r, 3);

    for (unsigned int i = 0; i < 3; i++)
        va = va << 9 |
             (rng_one_in(r, 4) ? rng_below(r, 512) : upper[rng_below(r, ARRAY_SIZE(upper))]);
    return (uint64_t)((int64_t)(va << 28) >> 16);
}

static uint64_t busy_address(void)
{
    uint64_t kind = rng_below(&stir, 8);

    if (kind == 6 && rng_one_in(&stir, 2))
        return pv_linear_va(&stir);
    if (kind < 4)
        return PV_VA(pv_hot_slot[rng_below(&stir, PV_HOT)]);
    return PV_VA(rng_below(&stir, kind == 7 ? PV_SLOTS : 40));
}

static void somebody_works(void)
{
    struct pv_cpu *c = pv_threaded ? this_cpu() : &cpus[rng_below(&stir, PV_CPUS)];
    bool write = rng_one_in(&stir, 2);
    uint64_t va = busy_address();
    uint64_t *p = access_by(c, &stir, va, write);

    if (p && write && rng_one_in(&stir, 16))
        p[rng_below(&stir, rng_one_in(&stir, 2) ? 8 : 512)] = wild_value(&stir);
}

void pv_machine_tick(void)
{
    if (!stirring || inside)
        return;
    inside = true;
    if (rng_one_in(&stir, 32))
        __atomic_fetch_or(&arch_this_cpu()->pending, WORK_CLOCK, __ATOMIC_RELAXED);
    if (rng_one_in(&stir, 2))
        somebody_works();
    inside = false;
}

void pv_machine_stir(uint64_t seed)
{
    stir.s = seed;
    stirring = seed != 0;
}

void pv_machine_run(struct vcpu *v)
{
    struct pcpu *p = arch_this_cpu();
    struct vcpu *next = v ? v : p->idle, *prev = p->current;

    if (prev == next)
        return;
    p->current = next;
    __atomic_store_n(&next->cpu, p, __ATOMIC_RELAXED); /* calls are counted where they are made */
    arch_switch(prev, next);
}

void pv_machine_exit(struct vcpu *v)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    arch_this_cpu()->pending = 0;
    pcpu_gave_way(arch_this_cpu());
    if (!(pv->exit_work & PVX_DROP) || !pv_mm_ready(v))
        return;
    pv->exit_work &= (uint8_t)~PVX_DROP;
}

/*
 * What the hypervisor has in its slots, as far as a walk by linear tables could be misled by it:
 * the M2P, open to guests, and a direct map of large pages.
 */
static void fill_slots(void)
{
    pte_t *direct_l3;

    for (unsigned int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++)
        idle_l4[i] = direct_pa(frame_alloc_hv()) | PTE_P | PTE_RW | PTE_A | PTE_D;
    idle_l4[HV_FIRST_SLOT] = (idle_l4[HV_FIRST_SLOT] | PTE_US) & ~PTE_RW;
    direct_l3 = direct(idle_l4[262] & PTE_ADDR);
    for (unsigned int i = 0; i < 512; i++)
        direct_l3[i] = (pte_t)(i % 8 ? i : PV_RAM + i) << PAGE_SHIFT | PTE_P | PTE_RW | PTE_PS;
}

void pv_machine_boot(bool verbose)
{
    host_boot(PV_RAM, PV_CPUS);
    host_verbose = verbose;
    m2p_rw = host_m2p;
    idle_l4 = frame_alloc_hv();
    idle_cr3 = direct_pa(idle_l4);
    fill_slots();
    for (unsigned int i = 0; i < PV_CPUS; i++) {
        struct pv_cpu *c = &cpus[i];
        c->info.pcpu = &host_cpus[i].p;
        c->info.current = host_cpus[i].p.idle;
        c->x.p.id = i;
        c->x.gdt_ptes = c->gdt_ptes;
        c->x.gdt_page = c->gdt_page;
        c->cr3 = idle_cr3;
    }
}

/* --- hypercalls about registers and devices, of which this machine has none --- */
#define LEFT_OUT(name)                                                          \
    hc_fn name;                                                                 \
    __attribute__((weak)) long name(struct vcpu *v, const struct hc_args *args) \
    {                                                                           \
        (void)v, (void)args;                                                    \
        return E(ENOSYS);                                                       \
    }

LEFT_OUT(hc_set_trap_table)
LEFT_OUT(hc_stack_switch)
LEFT_OUT(hc_set_callbacks)
LEFT_OUT(hc_fpu_taskswitch)
LEFT_OUT(hc_platform_op)
LEFT_OUT(hc_set_debugreg)
LEFT_OUT(hc_get_debugreg)
LEFT_OUT(hc_iret)
LEFT_OUT(hc_set_segment_base)
LEFT_OUT(hc_nmi_op)
LEFT_OUT(hc_callback_op)
LEFT_OUT(hc_physdev_op)
LEFT_OUT(hc_physdev_op_compat)
LEFT_OUT(hc_mca)
LEFT_OUT(hc_dm_op)
LEFT_OUT(hc_hvm_op)

/* SPDX-License-Identifier: MIT */
/*
 * A PV guest into a stream and back, on a hypervisor of the test's own: the new guest has the same
 * pages, tables that name its own frames, pins, registers. Then streams that lie, and thousands of
 * spoiled ones: refused or not, nobody crashes, and no page table is pinned while it is mapped.
 */
#define _GNU_SOURCE
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/lib/error.h"
#include "tools/lib/stream.h"
#include "tools/lib/stream_out.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit.h"
#include "xen_buffers.h"

#define FRAMES 4096u
#define OLD 7 /* the domain that is saved; its frames are 100 + 3 * pfn */
#define NEW 8 /* the one that is restored; its frames are the even ones from the last down */
#define PFNS 700u
#define HOLE 600u /* a pfn without a frame */
#define OLD_MFN(pfn) (100 + 3 * (uint64_t)(pfn))
#define OLD_SHARED 1u
#define NEW_SHARED 2u

/* pfns of the guest's */
enum {
    P_LISTS = 10,
    P_LIST,
    P_TABLE,
    P_TABLE2,
    P_START,
    P_STORE,
    P_CONSOLE,
    P_GDT,
    P_L4 = 30,
    P_L3,
    P_L2,
    P_L1,
    P_L1_PLAIN,
    P_USER
};

struct machine {                /* shared with children */
    uint64_t owner_pfn[FRAMES]; /* of NEW, plus 1 */
    unsigned int next, dropped;
};

static int memory = -1;
static uint64_t *frames;
static struct machine *m;
static struct host h;
static struct {
    struct vcpu_guest_context context;
    uint64_t pinned[64], tsc_nsec;
    unsigned int nr_pinned, contexts, extended, xsave, memory_maps, bad_maps;
    xen_cpuid_leaf_t leaf;
} set;
static uint32_t features = 0xff; /* of the host's processor */

static uint64_t *frame(uint64_t n)
{
    return frames + n * 512;
}

/* --- the hypervisor --- */

struct xen *xen_open(struct error *e)
{
    return (void *)&h;
}

int xen_dominfo(struct xen *x, uint32_t domid, struct xen_domctl_getdomaininfo *out)
{
    memset(out, 0, sizeof(*out));
    out->shared_info_frame = domid == OLD ? OLD_SHARED : NEW_SHARED;
    out->max_vcpu_id = 1;
    out->max_pages = PFNS;
    return 0;
}

static unsigned int type_of(uint64_t mfn)
{
    uint64_t pfn = (mfn - 100) / 3;

    if (pfn == P_USER)
        return 12;
    return pfn >= P_L4 && pfn <= P_L1 ? 12 - (pfn - P_L4) : pfn == P_L1_PLAIN ? 1 : 0;
}

static void *at(uint64_t handle)
{
    return (void *)(uintptr_t)handle;
}
#define AT(h) at((uintptr_t)(h).p)

static int get_context(struct xen_domctl *op)
{
    struct vcpu_guest_context *c = AT(op->u.vcpucontext.ctxt);

    memset(c, 0, sizeof(*c));
    c->user_regs.rdx = OLD_MFN(P_START);
    c->user_regs.rbx = 77;
    c->gdt_ents = 16;
    c->gdt_frames[0] = OLD_MFN(P_GDT);
    c->ctrlreg[3] = OLD_MFN(P_L4) << 12;
    c->ctrlreg[1] = OLD_MFN(P_USER) << 12;
    return 0;
}

static int policy(struct xen_domctl *op)
{
    xen_cpuid_leaf_t *l = AT(op->u.cpu_policy.leaves);

    if (op->cmd == XEN_DOMCTL_set_cpu_policy) {
        if (op->u.cpu_policy.nr_leaves)
            set.leaf = l[0];
        set.leaf.d &= features;
        return 0;
    }
    l[0] = op->domain == OLD ? (xen_cpuid_leaf_t){ .leaf = 1, .subleaf = ~0u, .d = 0x3f }
                             : set.leaf;
    op->u.cpu_policy.nr_leaves = 1;
    op->u.cpu_policy.nr_msrs = 0;
    return 0;
}

/* The log of the old guest's writes; `runs` is what the guest does between two looks at it. */
static struct {
    bool on, refused;
    unsigned int cleans, finals, offs;
    void (*runs)(unsigned int look);
    uint64_t dirty[(PFNS + 63) / 64];
} logged;

static int shadow_op(struct xen_domctl_shadow_op *op)
{
    switch (op->op) {
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        if (logged.on || logged.refused)
            return logged.refused ? -ENOMEM : -EINVAL;
        logged.on = true;
        return 0;
    case XEN_DOMCTL_SHADOW_OP_OFF:
        logged.on = false;
        logged.offs++;
        return 0;
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
        if (!logged.on)
            return -EINVAL;
        logged.finals += op->mode == XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL;
        if (logged.runs)
            logged.runs(++logged.cleans);
        memcpy(AT(op->dirty_bitmap), logged.dirty, sizeof(logged.dirty));
        memset(logged.dirty, 0, sizeof(logged.dirty));
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

int xen_domctl(struct xen *x, struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_shadow_op:
        return shadow_op(&op->u.shadow_op);
    case XEN_DOMCTL_getpageframeinfo3:
        for (unsigned int i = 0; i < op->u.getpageframeinfo3.num; i++) {
            xen_pfn_t *p = (xen_pfn_t *)AT(op->u.getpageframeinfo3.array) + i;

            *p = (xen_pfn_t)type_of(*p) << 28;
        }
        return 0;
    case XEN_DOMCTL_getvcpuinfo:
        op->u.getvcpuinfo.online = op->u.getvcpuinfo.vcpu == 0;
        return 0;
    case XEN_DOMCTL_getvcpucontext:
        return get_context(op);
    case XEN_DOMCTL_setvcpucontext:
        set.context = *(struct vcpu_guest_context *)AT(op->u.vcpucontext.ctxt);
        set.contexts++;
        return 0;
    case XEN_DOMCTL_get_cpu_policy:
    case XEN_DOMCTL_set_cpu_policy:
        return policy(op);
    case XEN_DOMCTL_set_ext_vcpucontext:
        set.extended++;
        return 0;
    case XEN_DOMCTL_setvcpuextstate:
        set.xsave++;
        return 0;
    case XEN_DOMCTL_getvcpuextstate:
        if (op->u.vcpuextstate.size)
            memset(AT(op->u.vcpuextstate.buffer), 0x11, 640);
        op->u.vcpuextstate.size = 640;
        op->u.vcpuextstate.xfeature_mask = 7;
        return 0;
    case XEN_DOMCTL_gettscinfo:
        op->u.tsc_info.elapsed_nsec = 12345;
        return 0;
    case XEN_DOMCTL_settscinfo:
        set.tsc_nsec = op->u.tsc_info.elapsed_nsec;
        return 0;
    case XEN_DOMCTL_get_vcpu_msrs:
        op->u.vcpu_msrs.msr_count = 0;
        return 0;
    default:
        return 0;
    }
}

static long populate(struct xen_memory_reservation *r)
{
    xen_pfn_t *list = AT(r->extent_start);

    for (unsigned long i = 0; i < r->nr_extents; i++) {
        if (m->next < FRAMES / 2)
            return (long)i;
        m->owner_pfn[m->next] = list[i] + 1;
        list[i] = m->next;
        m->next -= 2;
    }
    return (long)r->nr_extents;
}

long xen_memory_op(struct xen *x, unsigned int cmd, void *arg, size_t size)
{
    switch (cmd) {
    case XENMEM_maximum_ram_page:
        return FRAMES - 1;
    case XENMEM_populate_physmap:
        return populate(arg);
    case XENMEM_decrease_reservation:
        m->dropped++;
        return 1;
    case XENMEM_set_memory_map:
        set.memory_maps++;
        return 0;
    default:
        return -EINVAL;
    }
}

static size_t maps; /* pages that this process maps */

/* Pins: the frame is the new domain's, and this process maps nothing. */
long xen_call(struct xen *x, unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    struct mmuext_op *op = at(a1);

    if (nr != __HYPERVISOR_mmuext_op)
        return -ENOSYS;
    set.bad_maps += maps;
    for (uint64_t i = 0; i < a2 && set.nr_pinned < 64; i++) {
        if (op[i].arg1.mfn >= FRAMES || !m->owner_pfn[op[i].arg1.mfn])
            return -EINVAL;
        set.pinned[set.nr_pinned++] = op[i].arg1.mfn << 3 | op[i].cmd;
    }
    return 0;
}

static bool owns(uint32_t dom, uint64_t mfn)
{
    if (mfn >= FRAMES)
        return false;
    if (dom == OLD)
        return mfn == OLD_SHARED || (mfn >= 100 && (mfn - 100) % 3 == 0 && (mfn - 100) / 3 < PFNS);
    return mfn == NEW_SHARED || m->owner_pfn[mfn];
}

void *xenforeignmemory_map(xenforeignmemory_handle *f, uint32_t dom, int prot, size_t n,
                           const xen_pfn_t *list, int *err)
{
    uint8_t *to = mmap(NULL, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    maps += n;
    for (size_t i = 0; i < n; i++) {
        bool good = owns(dom, list[i]);

        if (err)
            err[i] = good ? 0 : -EINVAL;
        else if (!good)
            return NULL;
        if (good)
            mmap(to + i * 4096, 4096, prot, MAP_SHARED | MAP_FIXED, memory, (off_t)list[i] * 4096);
    }
    return to;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *f, void *addr, size_t n)
{
    maps -= n;
    return munmap(addr, n * 4096);
}

xenforeignmemory_resource_handle *
xenforeignmemory_map_resource(xenforeignmemory_handle *f, domid_t domid, unsigned int type,
                              unsigned int id, unsigned long first, unsigned long n, void **paddr,
                              int prot, int flags)
{
    static uint8_t grants[4096];

    *paddr = grants;
    return (void *)&h;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *f, xenforeignmemory_resource_handle *r)
{
    return 0;
}

int store_error(struct error *e, int err, const char *fmt, ...)
{
    return error_sys(e, -err, NULL, "%s", fmt);
}

/* --- the guest --- */

static uint64_t *old(unsigned int pfn)
{
    return frame(OLD_MFN(pfn));
}

static void make_guest(void)
{
    shared_info_t *s = (void *)frame(OLD_SHARED);
    struct start_info *si;

    for (unsigned int pfn = 0; pfn < PFNS; pfn++)
        for (unsigned int i = 0; i < 512; i++)
            old(pfn)[i] = (uint64_t)pfn << 32 | i;
    s->arch.max_pfn = PFNS;
    s->arch.pfn_to_mfn_frame_list_list = OLD_MFN(P_LISTS);
    s->vcpu_info[0].evtchn_upcall_mask = 1;
    old(P_LISTS)[0] = OLD_MFN(P_LIST);
    old(P_LIST)[0] = OLD_MFN(P_TABLE);
    old(P_LIST)[1] = OLD_MFN(P_TABLE2);
    for (unsigned int pfn = 0; pfn < 1024; pfn++)
        old(P_TABLE + pfn / 512)[pfn % 512] = pfn < PFNS ? OLD_MFN(pfn) : ~0ull;
    old(P_TABLE2)[HOLE % 512] = ~0ull;
    old(P_TABLE2)[HOLE % 512 + 1] = 1ull << 62 | 5; /* Linux: identity */
    for (unsigned int t = P_L4; t <= P_USER; t++)
        memset(old(t), 0, 4096);
    old(P_L4)[3] = OLD_MFN(P_L3) << 12 | 0x67;
    old(P_L4)[260] = OLD_SHARED << 12 | 1; /* the hypervisor's */
    old(P_L3)[5] = OLD_MFN(P_L2) << 12 | 0x67;
    old(P_L2)[6] = OLD_MFN(P_L1) << 12 | 0x67;
    old(P_L2)[7] = OLD_MFN(P_L1_PLAIN) << 12 | 0x67;
    old(P_L1)[8] = OLD_MFN(500) << 12 | 0x8000000000000063;
    old(P_L1)[9] = 0x12345678 << 1; /* swapped out */
    old(P_L1_PLAIN)[0] = OLD_MFN(P_L1) << 12 | 0x61;
    memset(old(P_START), 0, 4096);
    si = (void *)old(P_START);
    si->store_mfn = P_STORE;
    si->console.domU.mfn = P_CONSOLE;
}

static void start(void)
{
    if (memory < 0) {
        memory = memfd_create("machine", 0);
        if (ftruncate(memory, FRAMES * 4096))
            abort();
        frames = mmap(NULL, FRAMES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    memset(m, 0, sizeof(*m));
    memset(&set, 0, sizeof(set));
    memset(&logged, 0, sizeof(logged));
    m->next = FRAMES - 2;
    features = 0xff;
    make_guest();
}

/* --- streams in memory --- */

static uint8_t *text;
static size_t length, reached;

static bool read_text(void *arg, void *buf, size_t n)
{
    if (n > length - reached)
        return false;
    memcpy(buf, text + reached, n);
    reached += n;
    return true;
}

static struct image_goal *goal; /* NULL: it stands still from the beginning */
static bool verify, holes;
static blkcnt_t blocks; /* that the last one took */

static int save(struct error *e)
{
    struct stream_out o = { .fd = memfd_create("stream", 0), .holes = holes };
    struct stat st = { 0 };
    struct image_saver *s;
    int rc;

    CHECK(stream_out_file(&o, "{ }") && stream_out_begin(&o, 4, 17));
    s = image_save_open(&h, OLD, &o, e);
    rc = image_save_static(s);
    if (goal)
        rc = rc ? rc : image_save_rounds(s, goal);
    rc = rc ? rc : image_save_rest(s, verify);
    image_save_close(s);
    CHECK(stream_out_end(&o));
    free(text);
    length = o.bytes;
    fstat(o.fd, &st);
    blocks = st.st_blocks;
    text = malloc(length);
    if (pread(o.fd, text, length, 0) != (ssize_t)length)
        abort();
    close(o.fd);
    return rc;
}

static int load(struct image_result *got, struct error *e)
{
    struct image_request r = {
        .domid = NEW, .max_kib = 4096, .vcpus = 1, .console_port = 2, .store_port = 1
    };
    struct stream s = { .read = read_text };
    int rc;

    reached = 0;
    memset(e, 0, sizeof(*e));
    rc = stream_open(&s, true) ? image_load(&h, &r, &s, got, e)
                               : error_set(e, EPROTO, NULL, "%s", s.why);
    stream_close(&s);
    return rc;
}

static uint64_t new_mfn(unsigned int pfn)
{
    for (unsigned int i = 0; i < FRAMES; i++)
        if (m->owner_pfn[i] == pfn + 1u)
            return i;
    return 0;
}

static uint64_t *now(unsigned int pfn)
{
    return frame(new_mfn(pfn));
}

/* Where a record of the stream begins. */
static uint8_t *find(uint32_t type)
{
    size_t i = 52 + 4 + 16 + 8 + 24 + 16;

    for (; i < length; i += 8 + ((*(uint32_t *)(text + i + 4) + 7) & ~7u))
        if (*(uint32_t *)(text + i) == type)
            return text + i + 8;
    abort();
}

/* Where the data of a pfn lies; all pages are in one record. */
static uint64_t *data_of(unsigned int pfn)
{
    uint8_t *body = find(STREAM_PAGE_DATA);
    uint32_t n = *(uint32_t *)body;

    for (uint32_t i = 0; i < n; i++)
        if (STREAM_PFN(((uint64_t *)body)[1 + i]) == pfn)
            return (uint64_t *)(body + 8 + 8 * n) + (size_t)i * 512;
    abort();
}

TEST(image_there_and_back)
{
    struct image_result got;
    struct error e = { 0 };
    unsigned int wrong = 0;
    struct start_info *si;

    start();
    CHECK_EQ(save(&e), 0);
    CHECK_EQ(load(&got, &e), 0);
    CHECK_STR(e.cause, "");
    for (unsigned int pfn = 40; pfn < PFNS; pfn++) {
        bool none = pfn == HOLE || pfn == HOLE + 1;

        wrong += none ? new_mfn(pfn) != 0 : memcmp(now(pfn), old(pfn), 4096) != 0;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(now(P_L4)[3], new_mfn(P_L3) << 12 | 0x67);
    CHECK_EQ(now(P_L4)[260], 0);
    CHECK_EQ(now(P_L1)[8], new_mfn(500) << 12 | 0x8000000000000063);
    CHECK_EQ(now(P_L1)[9], 0x12345678 << 1);
    CHECK_EQ(now(P_L1_PLAIN)[0], new_mfn(P_L1) << 12 | 0x61);
    CHECK_EQ(now(P_TABLE)[50], new_mfn(50));
    CHECK_EQ(now(P_TABLE2)[HOLE % 512], ~0ull);
    CHECK_EQ(now(P_TABLE2)[HOLE % 512 + 1], 1ull << 62 | 5);
    CHECK_EQ(now(P_TABLE2)[PFNS % 512], ~0ull);
    CHECK_EQ(set.nr_pinned, 5);
    CHECK_EQ(set.pinned[0], new_mfn(P_L4) << 3 | MMUEXT_PIN_L4_TABLE);
    CHECK_EQ(set.pinned[3], new_mfn(P_L1) << 3 | MMUEXT_PIN_L1_TABLE);
    CHECK_EQ(set.bad_maps, 0);
    CHECK(set.contexts == 1 && set.extended == 1 && set.xsave == 1 && set.memory_maps == 1);
    CHECK_EQ(set.context.ctrlreg[3], new_mfn(P_L4) << 12);
    CHECK_EQ(set.context.ctrlreg[1], new_mfn(P_USER) << 12);
    CHECK_EQ(set.context.gdt_frames[0], new_mfn(P_GDT));
    CHECK_EQ(set.context.user_regs.rdx, new_mfn(P_START));
    CHECK_EQ(set.context.user_regs.rbx, 77);
    CHECK_EQ(set.tsc_nsec, 12345);
    si = (void *)now(P_START);
    CHECK_EQ(si->store_mfn, new_mfn(P_STORE));
    CHECK_EQ(si->console.domU.mfn, new_mfn(P_CONSOLE));
    CHECK(got.store_mfn == si->store_mfn && got.console_mfn == si->console.domU.mfn);
    CHECK(si->store_evtchn == 1 && si->console.domU.evtchn == 2);
    CHECK_EQ(si->shared_info, (uint64_t)NEW_SHARED << 12);
    CHECK_EQ(((shared_info_t *)frame(NEW_SHARED))->vcpu_info[0].evtchn_upcall_mask, 1);
}

/* The guest itself does not fit together. */
static void save_with_zeros(void)
{
    struct error e = { 0 };

    start();
    for (unsigned int pfn = 300; pfn < 340; pfn++)
        memset(old(pfn), 0, 4096);                   /* a hole */
    memset(old(350), 0, 4096);                       /* too short for one */
    for (unsigned int pfn = 360; pfn < 370; pfn++) { /* none */
        memset(old(pfn), 0, 4096);
        old(pfn)[51 * (pfn - 360) + 52] = 1;
    }
    CHECK_EQ(save(&e), 0);
}

/* A file with holes has the same bytes. */
TEST(image_with_holes)
{
    blkcnt_t blocks_without;
    size_t without;
    uint8_t *plain;

    save_with_zeros();
    without = length;
    blocks_without = blocks;
    plain = malloc(length);
    memcpy(plain, text, length);
    holes = true;
    save_with_zeros();
    holes = false;
    CHECK_EQ(length, without);
    CHECK_EQ(blocks_without - blocks, 39 * 8);
    CHECK(memcmp(text, plain, length) == 0);
    free(plain);
}

TEST(image_guests_that_lie)
{
    struct image_result got;
    struct error e = { 0 };

    start();
    old(P_L1)[20] = 3 << 12 | 1;
    CHECK_EQ(save(&e), -1);
    CHECK(strstr(e.cause, "page table") && strstr(e.cause, "not the guest's"));
    start();
    old(P_LIST)[1] = 5;
    CHECK_EQ(save(&e), -1);
    CHECK(strstr(e.cause, "table of frames") != NULL);
    start();
    ((shared_info_t *)frame(OLD_SHARED))->arch.max_pfn = 1ull << 26;
    CHECK_EQ(save(&e), -1);
    CHECK(strstr(e.cause, "a table of 67108864 pages") != NULL);
    start();
    old(P_TABLE)[80] = OLD_MFN(81); /* named twice: saved once */
    CHECK_EQ(save(&e), 0);
    CHECK_EQ(load(&got, &e), 0);
    CHECK(new_mfn(80) && !new_mfn(81));
}

static void write_page(unsigned int pfn, unsigned int word, uint64_t value)
{
    old(pfn)[word] = value;
    logged.dirty[pfn / 64] |= 1ull << pfn % 64;
}

/* What a guest may do while it is sent; the second look is the last one, when it stands still. */
static void works(unsigned int look)
{
    if (look == 1) {
        write_page(200, 7, 0xabc);
        write_page(P_L1, 8, OLD_MFN(501) << 12 | 0x63);
        write_page(P_TABLE, 300, ~0ull); /* given away */
        write_page(P_TABLE2, HOLE % 512, OLD_MFN(HOLE));
        write_page(HOLE, 3, 0xdef);
        write_page(P_TABLE, 400, OLD_MFN(401)); /* two pages change places; P_USER names one */
        write_page(P_TABLE, 401, OLD_MFN(400));
    } else {
        write_page(P_TABLE2, HOLE % 512 + 1, OLD_MFN(HOLE + 1));
        write_page(250, 9, 0x123);
    }
}

static unsigned int told;
static void tell(void *arg, const struct image_round *r)
{
    CHECK_EQ(r->nr, ++told);
    CHECK(r->sent <= PFNS && r->dirty <= r->left);
}

TEST(image_while_it_runs)
{
    struct image_goal g = { .rest_ms = 1000000, .tell = tell };
    struct image_result got;
    struct error e = { 0 };

    start();
    told = 0;
    logged.runs = works;
    old(P_USER)[2] = OLD_MFN(400) << 12 | 0x67;
    old(P_L1_PLAIN)[1] = OLD_MFN(HOLE + 1) << 12 | 1; /* not its frame yet */
    goal = &g;
    CHECK_EQ(save(&e), 0);
    goal = NULL;
    CHECK_EQ(told, 1);
    CHECK(logged.cleans == 2 && logged.finals == 1 && !logged.on);
    CHECK_EQ(load(&got, &e), 0);
    CHECK_STR(e.cause, "");
    CHECK_EQ(now(200)[7], 0xabc);
    CHECK_EQ(now(250)[9], 0x123);
    CHECK_EQ(now(P_L1)[8], new_mfn(501) << 12 | 0x63);
    CHECK_EQ(now(P_L1_PLAIN)[1], new_mfn(HOLE + 1) << 12 | 1);
    CHECK_EQ(now(P_TABLE)[300], ~0ull);
    CHECK_EQ(now(P_TABLE2)[HOLE % 512], new_mfn(HOLE));
    CHECK_EQ(now(HOLE)[3], 0xdef);
    CHECK_EQ(now(400)[0], (uint64_t)401 << 32);
    CHECK_EQ(now(401)[0], (uint64_t)400 << 32);
    CHECK_EQ(now(P_USER)[2], new_mfn(401) << 12 | 0x67);
    CHECK_EQ(m->dropped, 1);
}

static void writes_all(unsigned int look)
{
    memset(logged.dirty, 0xff, sizeof(logged.dirty));
}

/* It writes faster than it is sent: rounds end. Or the caller gives up, and the log is off. */
TEST(image_rounds_without_end)
{
    struct image_goal g = { .rest_ms = -1, .tell = tell };
    struct image_result got;
    struct error e = { 0 };

    start();
    told = 0;
    logged.runs = writes_all;
    goal = &g;
    CHECK_EQ(save(&e), 0);
    CHECK_EQ(told, 2);
    CHECK_EQ(load(&got, &e), 0);
    start();
    told = 0;
    logged.runs = writes_all;
    g.limit_ms = 1;
    CHECK_EQ(save(&e), -1);
    CHECK(e.code == ETIMEDOUT && !logged.on && logged.offs == 1);
    goal = NULL;
}

TEST(image_log_that_is_refused)
{
    struct image_goal g = { .rest_ms = 1000000 };
    struct error e = { 0 };

    start();
    logged.refused = true;
    goal = &g;
    CHECK_EQ(save(&e), 1);
    CHECK(strstr(e.cause, "logging") && logged.offs == 0);
    memset(&e, 0, sizeof(e));
    start();
    logged.on = true; /* somebody was killed */
    CHECK_EQ(save(&e), 0);
    CHECK(!logged.on && logged.offs == 2);
    goal = NULL;
}

/* The guest's table of frames goes elsewhere: the reader would put its numbers into other pages. */
static void moves_table(unsigned int look)
{
    if (look == 2)
        write_page(P_LIST, 1, OLD_MFN(P_TABLE));
}

TEST(image_table_that_moves)
{
    struct image_goal g = { .rest_ms = 1000000 };
    struct error e = { 0 };

    start();
    logged.runs = moves_table;
    goal = &g;
    CHECK_EQ(save(&e), -1);
    goal = NULL;
    CHECK(strstr(e.cause, "moved while it was sent") != NULL);
}

TEST(image_all_pages_twice)
{
    struct image_result got;
    struct error e = { 0 };

    start();
    verify = true;
    CHECK_EQ(save(&e), 0);
    verify = false;
    CHECK(length > 2 * 698 * 4096);
    CHECK_EQ(load(&got, &e), 0);
    CHECK_EQ(now(P_TABLE)[50], new_mfn(50));
}

static void refused(const char *words)
{
    struct image_result got;
    struct error e;

    if (load(&got, &e) != -1 || !strstr(e.cause, words)) {
        printf("\"%s\" instead of \"%s\"\n", e.cause, words);
        unit_failures++;
    }
}

static void good_stream(void)
{
    struct error e = { 0 };

    start();
    CHECK_EQ(save(&e), 0);
}

TEST(image_streams_that_lie)
{
    good_stream();
    data_of(P_L1)[8] = (uint64_t)HOLE << 12 | 1;
    refused("which is not in the stream");
    good_stream();
    data_of(P_L1)[8] = 0xfffffffull << 12 | 1;
    refused("which is not in the stream");
    good_stream();
    ((struct start_info *)data_of(P_START))->store_mfn = P_L1;
    refused("no pages for xenstore and console");
    good_stream();
    ((struct vcpu_guest_context *)(find(STREAM_PV_VCPU_BASIC) + 8))->user_regs.rdx = HOLE;
    refused("no page with start information");
    good_stream();
    ((struct vcpu_guest_context *)(find(STREAM_PV_VCPU_BASIC) + 8))->ctrlreg[3] = HOLE << 12;
    refused("page tables in a page that is not in the stream");
    good_stream();
    ((struct vcpu_guest_context *)(find(STREAM_PV_VCPU_BASIC) + 8))->gdt_ents = 1ul << 40;
    refused("a GDT in a page");
    good_stream();
    ((uint64_t *)find(STREAM_PV_P2M_FRAMES))[2] = P_L4;
    refused("no page of data");
    good_stream();
    *(uint32_t *)find(STREAM_PV_VCPU_XSAVE) = 5;
    refused("vCPU 5 of a guest that has 1");
    good_stream();
    m->next = FRAMES / 2 + 100;
    refused("the guest needs more");
    good_stream();
    features = 0xf;
    refused("does not have: tsc, msr");
}

/* Bytes that are no memory's content are spoiled: whatever comes of it, nobody crashes. */
TEST(image_spoiled_streams)
{
    uint8_t *whole;
    unsigned int taken = 0;
    size_t pages, end;

    good_stream();
    whole = malloc(length);
    memcpy(whole, text, length);
    pages = (size_t)(find(STREAM_PAGE_DATA) - text) + 8 + 8 * 698;
    end = pages + 698 * 4096;
    srand(1);
    for (unsigned int i = 0; i < 60; i++) {
        struct image_result got;
        struct error e;
        size_t where = (size_t)rand() % (pages + length - end);

        start();
        memcpy(text, whole, length);
        text[where < pages ? where : where - pages + end] ^= 1u << rand() % 8;
        taken += load(&got, &e) == 0;
        if (strstr(e.cause, "the process")) {
            printf("byte %zu: %s\n", where, e.cause);
            unit_failures++;
        }
        CHECK_EQ(set.bad_maps, 0);
    }
    CHECK(taken > 0 && taken < 60);
    free(whole);
}

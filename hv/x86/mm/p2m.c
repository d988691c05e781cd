/* SPDX-License-Identifier: MIT */
/*
 * The nested page table of a hardware-assisted guest (p2m.h says what its leaves mean).
 *
 * It changes under its lock, RANK_P2M, an entry at a time by one store. CPUs walk it meanwhile, and
 * so does p2m_lookup(). What must hold:
 *
 *   - a right is taken away first, then p2m_sync() sees to it that no CPU uses it any more, then
 *     the reference that the leaf stood for is dropped;
 *   - a table that was taken out of the tree is freed by p2m_sync() only, after the flush: CPUs
 *     keep pointers to tables too;
 *   - each table counts its entries that are not holes; one without any is taken out, and one whose
 *     512 leaves lie as a large page's becomes that page;
 *   - no call fails half way: tables are built before the first leaf changes.
 */
#include "x86/mm/p2m_private.h"

#include <xen/errno.h>

#include "core/pcpu.h"
#include "lib/string.h"

/* Guest accesses count as user accesses to the nested tables. Accessed and dirty are set ahead. */
#define NPT_R (PTE_P | PTE_US | PTE_A)
#define NPT_RW (NPT_R | PTE_RW | PTE_D)

const struct p2m_format p2m_npt = {
    .name = "NPT",
    .present = PTE_P,
    .table = NPT_R | PTE_RW,
    .write = PTE_RW,
    .dirty = PTE_D,
    .leaf = { [P2M_RAM] = NPT_RW,
              [P2M_RAM_RO] = NPT_R,
              [P2M_IOREQ] = NPT_R,
              [P2M_MMIO_DIRECT] = NPT_RW | PTE_PWT | PTE_PCD | PTE_NX,
              [P2M_SHARED] = NPT_RW | PTE_NX,
              [P2M_GRANT_RW] = NPT_RW | PTE_NX,
              [P2M_GRANT_RO] = NPT_R | PTE_NX,
              [P2M_FOREIGN] = NPT_RW | PTE_NX,
              [P2M_FOREIGN_RO] = NPT_R | PTE_NX },
};

/*
 * Memory is write-back whatever the guest's PAT says. Where the processor keeps no accessed and
 * dirty bits, it ignores them.
 */
#define EPT_R 1ull
#define EPT_W 2ull
#define EPT_X 4ull
#define EPT_WB (6ull << 3 | 1ull << 6)
#define EPT_UC (1ull << 6)
#define EPT_A (1ull << 8)
#define EPT_D (1ull << 9)
#define EPT_RO (EPT_R | EPT_WB | EPT_A)
#define EPT_RW (EPT_RO | EPT_W | EPT_D)

const struct p2m_format p2m_ept = {
    .name = "EPT",
    .present = EPT_R | EPT_W | EPT_X,
    .table = EPT_R | EPT_W | EPT_X,
    .write = EPT_W,
    .dirty = EPT_D,
    .leaf = { [P2M_RAM] = EPT_RW | EPT_X,
              [P2M_RAM_RO] = EPT_RO | EPT_X,
              [P2M_IOREQ] = EPT_RO | EPT_X,
              [P2M_MMIO_DIRECT] = EPT_R | EPT_W | EPT_UC | EPT_A | EPT_D,
              [P2M_SHARED] = EPT_RW,
              [P2M_GRANT_RW] = EPT_RW,
              [P2M_GRANT_RO] = EPT_RO,
              [P2M_FOREIGN] = EPT_RW,
              [P2M_FOREIGN_RO] = EPT_RO },
};

/* --- entries --- */

static uint64_t leaf_bits(const struct p2m *p, enum p2m_type type, int level)
{
    uint64_t bits = p->fmt->leaf[type];

    if (bits && level > 1)
        bits |= PTE_PS;
    return bits | (uint64_t)type << TYPE_SHIFT;
}

/* Pages of a leaf, by its type; a table has none of its own. */
static void count_pages(struct p2m *p, uint64_t e, int level, bool add)
{
    if (e && !entry_is_table(p, e, level))
        p->entries[entry_type(e)] += add ? level_pages(level) : -level_pages(level);
}

void p2m_set_entry(struct p2m *p, uint64_t *table, uint64_t *e, int level, uint64_t new)
{
    uint64_t old = *e;

    if (entry_present(p, old)) /* the CPU may set bits in it meanwhile */
        old = __atomic_exchange_n(e, new, __ATOMIC_ACQ_REL);
    else
        __atomic_store_n(e, new, __ATOMIC_RELEASE);
    *table_count(table) = (uint16_t)(*table_count(table) + (new != 0) - (old != 0));
    count_pages(p, old, level, false);
    count_pages(p, new, level, true);
    if (entry_present(p, old) &&
        (old & (PTE_ADDR | p->fmt->write)) != (new &(PTE_ADDR | p->fmt->write)))
        p->removed++;
}

/* --- tables --- */

static uint64_t *new_table(struct p2m *p)
{
    uint64_t *t;

    if (p->tables >= p->tables_max || !(t = frame_alloc_hv()))
        return NULL;
    p->tables++;
    *table_count(t) = 0;
    return t;
}

void p2m_free_table(struct p2m *p, uint64_t *table)
{
    *table_count(table) = 0;
    p->tables--;
    frame_free_hv(table);
}

/* The table is out of the tree, but CPUs may know it until the next flush. [lock] */
static void retire(struct p2m *p, uint64_t *table)
{
    struct frame *f = frame_of(MFN(direct_pa(table) >> PAGE_SHIFT));

    f->next = p->retired;
    p->retired = (uint32_t)frame_mfn(f).v;
    p->removed++;
}

int p2m_split(struct p2m *p, uint64_t *table, uint64_t *e, int level)
{
    uint64_t *t = new_table(p), old = *e;
    bool present = entry_present(p, old);
    uint64_t step = present ? level_pages(level - 1) << PAGE_SHIFT : 0;

    if (!t)
        return -XEN_ENOMEM;
    do {
        uint64_t child = level == 2 && present ? old & ~PTE_PS : old;

        for (unsigned int i = 0; old && i < 512; i++)
            t[i] = child + i * step;
    } while (!__atomic_compare_exchange_n(e, &old, (direct_pa(t)) | p->fmt->table, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    *table_count(t) = old ? 512 : 0;
    if (!old)
        ++*table_count(table);
    return 0;
}

/* Takes tables without entries out of the path to gfn. [lock] */
static void prune(struct p2m *p, gfn_t gfn)
{
    uint64_t *path[TOP_LEVEL + 1] = { [TOP_LEVEL] = p->root };
    int low = TOP_LEVEL;

    while (entry_is_table(p, path[low][entry_slot(gfn, low)], low)) {
        path[low - 1] = entry_table(path[low][entry_slot(gfn, low)]);
        low--;
    }
    for (; low < TOP_LEVEL && *table_count(path[low]) == 0; low++) {
        uint64_t *up = path[low + 1];

        __atomic_store_n(&up[entry_slot(gfn, low + 1)], 0, __ATOMIC_RELEASE);
        --*table_count(up);
        retire(p, path[low]);
    }
}

/* The entry of `level` for gfn, with the tables above it built. NULL: no memory. [lock] */
static uint64_t *build_path(struct p2m *p, gfn_t gfn, int level, uint64_t **table)
{
    uint64_t *t = p->root;

    for (int l = TOP_LEVEL; l > level; l--) {
        uint64_t *e = &t[entry_slot(gfn, l)];

        if (!entry_is_table(p, *e, l) && p2m_split(p, t, e, l)) {
            prune(p, gfn);
            return NULL;
        }
        t = entry_table(*e);
    }
    *table = t;
    return &t[entry_slot(gfn, level)];
}

/* May a leaf of `level` take e's place? Tables below it are looked through. [lock] */
static bool replaceable(const struct p2m *p, uint64_t e, int level)
{
    if (!entry_is_table(p, e, level))
        return entry_is_free(e);
    const uint64_t *t = entry_table(e);
    for (unsigned int i = 0; i < 512; i++)
        if (!replaceable(p, t[i], level - 1))
            return false;
    return true;
}

/* Retires what hangs below an entry that is about to be overwritten. [lock] */
static void drop_tables(struct p2m *p, uint64_t e, int level)
{
    if (!entry_is_table(p, e, level))
        return;
    uint64_t *t = entry_table(e);
    for (unsigned int i = 0; i < 512; i++) {
        drop_tables(p, t[i], level - 1);
        count_pages(p, t[i], level - 1, false);
    }
    retire(p, t);
}

/* Makes a large leaf of the table at e if its leaves lie so. [lock] */
static bool merge(struct p2m *p, uint64_t *e, int level)
{
    uint64_t *t = entry_table(*e), first = t[0], step = level_pages(level - 1) << PAGE_SHIFT;

    if (9 * (unsigned int)(level - 1) > p->max_order || *table_count(t) != 512 ||
        entry_is_table(p, first, level - 1) || (first & PTE_ADDR & ((step << 9) - 1)) ||
        !p2m_is_ram(entry_type(first)))
        return false;
    for (unsigned int i = 1; i < 512; i++)
        if (t[i] != first + i * step)
            return false;
    __atomic_store_n(e, first | PTE_PS, __ATOMIC_RELEASE);
    retire(p, t);
    return true;
}

/* Large leaves wherever the one at gfn completed some. [lock] */
static void merge_up(struct p2m *p, gfn_t gfn)
{
    for (int level = 2; level <= 3; level++) {
        uint64_t *t = p->root, *e;

        for (int l = TOP_LEVEL;; l--) {
            e = &t[entry_slot(gfn, l)];
            if (l == level || !entry_is_table(p, *e, l))
                break;
            t = entry_table(*e);
        }
        if (entry_is_table(p, *e, level) && !merge(p, e, level))
            return;
    }
}

/* --- looking --- */

static struct p2m_entry describe(const struct p2m *p, uint64_t e, int level, gfn_t gfn)
{
    struct p2m_entry out = { MFN_NONE, entry_type(e), (uint8_t)(9 * (level - 1)) };

    if (entry_present(p, e))
        out.mfn = MFN(((e & PTE_ADDR) >> PAGE_SHIFT) + (gfn.v & (level_pages(level) - 1)));
    return out;
}

static struct p2m_entry look(const struct p2m *p, gfn_t gfn)
{
    int level;
    const uint64_t *e = find_entry(p, gfn, &level, NULL);

    return describe(p, entry_load(e), level, gfn);
}

struct p2m_entry p2m_lookup(struct p2m *p, gfn_t gfn)
{
    struct p2m_entry e;

    if (gfn.v >> P2M_GFN_BITS)
        return (struct p2m_entry){ MFN_NONE, P2M_HOLE, 0 };
    if (p2m_runs_here(p))
        return look(p, gfn);
    spin_lock(&p->lock);
    e = look(p, gfn);
    spin_unlock(&p->lock);
    return e;
}

bool p2m_peek(const struct p2m *p, gfn_t gfn, bool write, mfn_t *mfn)
{
    int level;
    uint64_t e;

    if (gfn.v >> P2M_GFN_BITS)
        return false;
    e = entry_load(find_entry(p, gfn, &level, NULL));
    *mfn = MFN(((e & PTE_ADDR) >> PAGE_SHIFT) + (gfn.v & (level_pages(level) - 1)));
    return entry_present(p, e) && (!write || (e & p->fmt->write)) &&
           entry_type(e) != P2M_MMIO_DIRECT;
}

bool p2m_allows(struct p2m *p, gfn_t gfn, bool write, bool fetch)
{
    int level;
    uint64_t e;

    if (gfn.v >> P2M_GFN_BITS)
        return false;
    spin_lock(&p->lock);
    e = entry_load(find_entry(p, gfn, &level, NULL));
    spin_unlock(&p->lock);
    return entry_present(p, e) && (!write || (e & p->fmt->write)) &&
           (!fetch || p2m_is_ram(entry_type(e)));
}

/* 0 if the type, which is not plain RAM, allows the access. */
static int type_error(const struct p2m_entry *e, unsigned int access)
{
    bool other = e->type >= P2M_GRANT_RW && e->type <= P2M_FOREIGN_RO;

    switch (e->type) {
    case P2M_HOLE:
        return -XEN_ENOENT;
    case P2M_POD:
        return -XEN_EAGAIN;
    case P2M_SHARED:
    case P2M_GRANT_RW:
    case P2M_FOREIGN:
        break;
    case P2M_RAM_RO:
    case P2M_IOREQ:
    case P2M_GRANT_RO:
    case P2M_FOREIGN_RO:
        if (access & P2M_WRITE)
            return -XEN_EACCES;
        break;
    default:
        return -XEN_EINVAL;
    }
    return other && !(access & P2M_ANY_OWNER) ? -XEN_EACCES : 0;
}

static inline int access_error(const struct p2m_entry *e, unsigned int access)
{
    return __builtin_expect(e->type == P2M_RAM, 1) ? 0 : type_error(e, access);
}

/*
 * Without the lock, on d's own CPU, a frame of d's own: between the look and the reference it
 * cannot go, since who takes it away waits for this CPU to poll. 1: it is no such frame.
 */
static int get_own(const struct p2m *p, gfn_t gfn, unsigned int access, struct p2m_entry *e)
{
    struct frame *f;

    *e = look(p, gfn);
    f = frame_of(e->mfn);
    if (!p2m_is_ram(e->type) || !f)
        return 1;
    if (access_error(e, access))
        return access_error(e, access);
    return frame_get(f, p->d) ? 0 : 1;
}

int p2m_get(struct p2m *p, gfn_t gfn, unsigned int access, struct p2m_entry *e)
{
    struct frame *f;
    int rc = 1;

    *e = (struct p2m_entry){ MFN_NONE, P2M_HOLE, 0 };
    if (gfn.v >> P2M_GFN_BITS)
        return -XEN_ENOENT;
    if (p2m_runs_here(p))
        rc = get_own(p, gfn, access, e);
    if (__builtin_expect(rc <= 0, 1))
        return rc;
    /* A leaf stays under the lock, and with it the reference that it stands for. */
    spin_lock(&p->lock);
    *e = look(p, gfn);
    rc = access_error(e, access);
    if (!rc) {
        f = frame_of(e->mfn);
        if (!f)
            rc = -XEN_EINVAL;
        else if (p2m_is_ram(e->type) ? !frame_get(f, p->d) : !frame_get_more(f))
            rc = -XEN_ENOSPC;
    }
    spin_unlock(&p->lock);
    return rc;
}

/* --- changing --- */

static int place_locked(struct p2m *p, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type)
{
    unsigned int leaf_order = MIN(order - order % 9, p->max_order);
    int level = (int)leaf_order / 9 + 1;
    uint64_t n = 1ull << (order - leaf_order), step = 1ull << leaf_order, *table, *e;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t *t = p->root;
        gfn_t g = GFN(gfn.v + i * step);
        int l = TOP_LEVEL;

        for (; l > level && entry_is_table(p, t[entry_slot(g, l)], l); l--)
            t = entry_table(t[entry_slot(g, l)]);
        if (!replaceable(p, t[entry_slot(g, l)], l))
            return -XEN_EBUSY;
        if (l > level) /* the whole range lies in it */
            break;
    }
    e = build_path(p, gfn, level, &table);
    if (!e)
        return -XEN_ENOMEM;
    for (uint64_t i = 0; i < n; i++, e++) {
        uint64_t frames = p->fmt->leaf[type] ? (mfn.v + i * step) << PAGE_SHIFT : 0;

        drop_tables(p, *e, level);
        p2m_set_entry(p, table, e, level, frames | leaf_bits(p, type, level));
    }
    p->max_gfn = MAX(p->max_gfn, gfn.v + (1ull << order) - 1);
    merge_up(p, gfn);
    return 0;
}

int p2m_place(struct p2m *p, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type)
{
    uint64_t low = (1ull << order) - 1;
    bool framed = p->fmt->leaf[type] != 0;
    int rc;

    if (type == P2M_HOLE || order > P2M_ORDER_1G || (gfn.v & low) || gfn.v >> P2M_GFN_BITS ||
        (framed && ((mfn.v & low) || mfn.v + low >= PTE_ADDR >> PAGE_SHIFT)))
        return -XEN_EINVAL;
    spin_lock(&p->lock);
    rc = place_locked(p, gfn, mfn, order, type);
    spin_unlock(&p->lock);
    return rc;
}

/*
 * The leaf of at most `order` at gfn, split from a larger one, or from one that begins before gfn.
 * NULL: no memory. [lock]
 */
static uint64_t *leaf_of_order(struct p2m *p, gfn_t gfn, unsigned int order, int *level,
                               uint64_t **table)
{
    for (;;) {
        uint64_t *e = find_entry(p, gfn, level, table);

        if (*level == 1 ||
            (9u * (unsigned int)(*level - 1) <= order && !(gfn.v & (level_pages(*level) - 1))))
            return e;
        if (p2m_split(p, *table, e, *level))
            return NULL;
    }
}

/* Is there what the caller says? Nothing is split for what will be refused. [lock] */
static int remove_locked(struct p2m *p, gfn_t gfn, mfn_t only, unsigned int order,
                         struct p2m_entry *was)
{
    uint64_t *table, *e;
    int level;

    *was = look(p, gfn);
    if (was->type == P2M_HOLE || (!mfn_eq(only, MFN_NONE) && !mfn_eq(was->mfn, only)))
        return -XEN_ENOENT;
    e = leaf_of_order(p, gfn, order, &level, &table);
    if (!e)
        return -XEN_ENOMEM;
    *was = describe(p, *e, level, gfn);
    p2m_set_entry(p, table, e, level, 0);
    prune(p, gfn);
    return 0;
}

int p2m_remove(struct p2m *p, gfn_t gfn, mfn_t only, unsigned int order, struct p2m_entry *was)
{
    int rc;

    if (gfn.v >> P2M_GFN_BITS)
        return -XEN_ENOENT;
    spin_lock(&p->lock);
    rc = remove_locked(p, gfn, only, order, was);
    spin_unlock(&p->lock);
    return rc;
}

static int set_type_locked(struct p2m *p, gfn_t gfn, unsigned int *order, enum p2m_type from,
                           enum p2m_type to)
{
    uint64_t *table, *e;
    int level;

    if (look(p, gfn).type != from)
        return -XEN_EBUSY;
    e = leaf_of_order(p, gfn, *order, &level, &table);
    if (!e) {
        prune(p, gfn);
        return -XEN_ENOMEM;
    }
    *order = 9 * (unsigned int)(level - 1);
    p2m_set_entry(
        p, table, e, level,
        to == P2M_HOLE ? 0 : (*e & (p->fmt->leaf[to] ? PTE_ADDR : 0)) | leaf_bits(p, to, level));
    if (to == P2M_HOLE)
        prune(p, gfn);
    else
        merge_up(p, gfn);
    return 0;
}

int p2m_set_type(struct p2m *p, gfn_t gfn, unsigned int *order, enum p2m_type from,
                 enum p2m_type to)
{
    int rc;

    if (gfn.v >> P2M_GFN_BITS || !p->fmt->leaf[from] != !p->fmt->leaf[to])
        return -XEN_EINVAL;
    spin_lock(&p->lock);
    rc = set_type_locked(p, gfn, order, from, to);
    spin_unlock(&p->lock);
    return rc;
}

void p2m_sync(struct p2m *p)
{
    uint64_t upto;
    uint32_t retired;

    spin_lock(&p->lock);
    upto = p->removed;
    retired = p->retired;
    p->retired = 0;
    if (p->flushed == upto) { /* and nothing is retired */
        spin_unlock(&p->lock);
        return;
    }
    spin_unlock(&p->lock);
    p->hooks->flush(p->d);
    spin_lock(&p->lock);
    p->flushed = MAX(p->flushed, upto);
    while (retired) {
        uint64_t *t = direct((uint64_t)retired << PAGE_SHIFT);

        retired = frame_table[retired].next;
        p2m_free_table(p, t);
    }
    spin_unlock(&p->lock);
}

/* --- the record --- */

int p2m_init(struct p2m *p, struct domain *d, const struct p2m_format *fmt,
             const struct p2m_hooks *hooks, unsigned int max_order, uint32_t tables_max)
{
    *p = (struct p2m){
        .d = d, .fmt = fmt, .hooks = hooks, .max_order = max_order, .tables_max = tables_max
    };
    spin_init(&p->lock, RANK_P2M);
    p->root = new_table(p);
    return p->root ? 0 : -XEN_ENOMEM;
}

maddr_t p2m_root(const struct p2m *p)
{
    return MADDR(direct_pa(p->root));
}

int p2m_set_limit(struct p2m *p, uint32_t tables_max)
{
    int rc = -XEN_EBUSY;

    spin_lock(&p->lock);
    if (tables_max >= p->tables) {
        p->tables_max = tables_max;
        rc = 0;
    }
    spin_unlock(&p->lock);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * Fetches records from the hypervisor: its buffers are mapped, and emptied by polling until the
 * time is over. What they still held from before is dropped. One `orlop trace` at a time; what
 * xentrace does meanwhile nobody can know.
 */
#include "tools/cli/host.h"
#include "tools/cli/trace.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/vcpu.h>

#define LOCK "/run/orlop/trace.lock"
#define PAGE 4096u
#define PAGES 64u /* of a CPU's buffer, if nobody made them before: 256 KiB */
#define POLL_US 20000

struct buffer {
    struct t_buf *head;
    size_t pages;
};

struct taking {
    struct host *h;
    xenforeignmemory_handle *fmem;
    struct t_info *info;
    size_t info_pages;
    struct buffer *buffer;
    unsigned int cpus;
    uint32_t mask_before;
    uint64_t khz;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static int tbuf(struct taking *t, struct xen_sysctl_tbuf_op *op)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_tbuf_op, .u.tbuf_op = *op };
    int rc = xen_sysctl(t->h->xen, &s);

    *op = s.u.tbuf_op;
    return rc;
}

static int tbuf_plain(struct taking *t, uint32_t cmd, uint32_t mask, uint32_t size)
{
    struct xen_sysctl_tbuf_op op = { .cmd = cmd, .evt_mask = mask, .size = size };

    return tbuf(t, &op);
}

/* Records of all CPUs are wanted. */
static int all_cpus(struct taking *t)
{
    struct xen_sysctl_tbuf_op op = { .cmd = XEN_SYSCTL_TBUFOP_set_cpu_mask };
    size_t bytes = TRACE_MAX_CPUS / 8;
    uint8_t *map = xen_buf(t->h->xen, bytes);
    int rc;

    memset(map, 0xff, bytes);
    set_xen_guest_handle(op.cpu_mask.bitmap, map);
    op.cpu_mask.nr_bits = TRACE_MAX_CPUS;
    rc = tbuf(t, &op);
    xen_buf_free(t->h->xen, map);
    return rc;
}

static void *map_frames(struct taking *t, int prot, const xen_pfn_t *pfn, size_t n, struct error *e)
{
    int *err = mem_alloc(n * sizeof(*err));
    void *at = xenforeignmemory_map(t->fmem, DOMID_XEN, prot, n, pfn, err);

    for (size_t i = 0; at && i < n; i++) {
        if (err[i] == 0)
            continue;
        errno = -err[i];
        xenforeignmemory_unmap(t->fmem, at, n);
        at = NULL;
    }
    if (!at)
        xen_error(e, -errno, "mapping the trace buffers");
    free(err);
    return at;
}

static int map_info(struct taking *t, uint64_t mfn, uint32_t bytes, struct error *e)
{
    xen_pfn_t *pfn;

    t->info_pages = (bytes + PAGE - 1) / PAGE;
    pfn = mem_alloc((t->info_pages + 1) * sizeof(*pfn));
    for (size_t i = 0; i < t->info_pages; i++)
        pfn[i] = mfn + i;
    t->info = map_frames(t, PROT_READ, pfn, t->info_pages, e);
    free(pfn);
    return t->info ? 0 : -1;
}

static int map_buffer(struct taking *t, unsigned int cpu, struct error *e)
{
    const uint32_t *mfn = (const uint32_t *)t->info + t->info->mfn_offset[cpu];
    size_t pages = t->info->tbuf_size, words = t->info_pages * PAGE / sizeof(*mfn);
    xen_pfn_t *pfn;

    if (pages == 0 || t->info->mfn_offset[cpu] + pages > words)
        return error_set(e, EINVAL, NULL, "the hypervisor's list of trace buffers makes no sense");
    pfn = mem_alloc(pages * sizeof(*pfn));
    for (size_t i = 0; i < pages; i++)
        pfn[i] = mfn[i];
    t->buffer[cpu].head = map_frames(t, PROT_READ | PROT_WRITE, pfn, pages, e);
    t->buffer[cpu].pages = pages;
    free(pfn);
    return t->buffer[cpu].head ? 0 : -1;
}

static int map_all(struct taking *t, struct error *e)
{
    struct xen_sysctl_tbuf_op op = { .cmd = XEN_SYSCTL_TBUFOP_get_info };
    struct xen_sysctl_physinfo phys;
    int rc = xen_physinfo(t->h->xen, &phys);

    if (rc >= 0) {
        tbuf_plain(t, XEN_SYSCTL_TBUFOP_set_size, 0, PAGES); /* fails if they have another size */
        rc = tbuf(t, &op);
    }
    if (rc < 0)
        return xen_error(e, rc, "asking for the trace buffers");
    if (op.size == 0 || op.buffer_mfn == 0)
        return error_set(e, ENOMEM, "Free some memory of the host: orlop info shows what there is.",
                         "the hypervisor has no memory for trace buffers (%u KiB for each CPU)",
                         PAGES * 4);
    t->mask_before = op.evt_mask;
    t->khz = phys.cpu_khz;
    t->cpus = phys.max_cpu_id + 1;
    if (t->cpus > TRACE_MAX_CPUS)
        t->cpus = TRACE_MAX_CPUS;
    t->buffer = mem_alloc(t->cpus * sizeof(*t->buffer));
    if (map_info(t, op.buffer_mfn, op.size, e) < 0)
        return -1;
    for (unsigned int i = 0; i < t->cpus; i++)
        if (map_buffer(t, i, e) < 0)
            return -1;
    return 0;
}

static void unmap_all(struct taking *t)
{
    for (unsigned int i = 0; t->buffer && i < t->cpus; i++)
        if (t->buffer[i].head)
            xenforeignmemory_unmap(t->fmem, t->buffer[i].head, t->buffer[i].pages);
    if (t->info)
        xenforeignmemory_unmap(t->fmem, t->info, t->info_pages);
    free(t->buffer);
}

/* Takes what a buffer has (into nothing: drops it). */
static int empty(struct buffer *b, struct trace *to, unsigned int cpu, struct error *e)
{
    uint32_t size = b->pages * PAGE - sizeof(*b->head), prod, cons = b->head->cons, n, at, part;
    const uint8_t *data = (const uint8_t *)(b->head + 1);
    int rc = 0;

    prod = __atomic_load_n(&b->head->prod, __ATOMIC_ACQUIRE);
    if (prod >= 2 * size)
        return error_set(e, EINVAL, NULL, "the trace buffer of CPU %u makes no sense", cpu);
    n = prod >= cons ? prod - cons : prod + 2 * size - cons;
    if (to && cons < 2 * size && n <= size) {
        at = cons % size;
        part = n < size - at ? n : size - at;
        rc = trace_add(to, cpu, data + at, part, e);
        if (rc == 0)
            rc = trace_add(to, cpu, data, n - part, e);
    }
    __atomic_store_n(&b->head->cons, prod, __ATOMIC_RELEASE);
    return rc;
}

static int empty_all(struct taking *t, struct trace *to, struct error *e)
{
    for (unsigned int i = 0; i < t->cpus; i++)
        if (empty(&t->buffer[i], to, i, e) < 0)
            return -1;
    return 0;
}

static uint8_t state_of(const struct xen_domctl_getvcpuinfo *i)
{
    if (!i->online)
        return RUNSTATE_offline;
    return i->running ? RUNSTATE_running : i->blocked ? RUNSTATE_blocked : RUNSTATE_runnable;
}

/* All vCPUs as they are now. */
static void look(struct taking *t, struct trace *to)
{
    struct xen_domctl_getdomaininfo *doms;
    int n = xen_domlist(t->h->xen, &doms);

    for (int i = 0; i < n; i++) {
        for (unsigned int v = 0; v <= doms[i].max_vcpu_id && v < TRACE_MAX_VCPUS; v++) {
            struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = doms[i].domain };

            op.u.getvcpuinfo.vcpu = v;
            if (xen_domctl(t->h->xen, &op) < 0 || !op.u.getvcpuinfo.online)
                continue;
            to->was = mem_grow(to->was, (to->nr_was + 1) * sizeof(*to->was));
            to->was[to->nr_was++] = (struct trace_vcpu){ .domid = doms[i].domain,
                                                         .vcpu = v,
                                                         .cpu = op.u.getvcpuinfo.cpu,
                                                         .state = state_of(&op.u.getvcpuinfo) };
        }
    }
    if (n >= 0)
        free(doms);
}

static int record(struct taking *t, struct trace *to, const struct trace_wish *wish,
                  struct error *e)
{
    uint32_t mask = TRC_GEN | TRC_SCHED_MIN | (wish->hypercalls ? TRC_PV : 0);
    int64_t end = now_ms() + (int64_t)(wish->seconds * 1000);
    int rc = tbuf_plain(t, XEN_SYSCTL_TBUFOP_set_evt_mask, mask, 0);

    if (rc >= 0)
        rc = all_cpus(t);
    if (rc >= 0)
        rc = tbuf_plain(t, XEN_SYSCTL_TBUFOP_enable, 0, 0);
    if (rc < 0)
        return xen_error(e, rc, "switching the trace on");
    look(t, to);
    rc = empty_all(t, NULL, e); /* what was there before */
    while (rc == 0 && !stopped && !to->full && now_ms() < end) {
        usleep(POLL_US);
        rc = empty_all(t, to, e);
        to->full = to->bytes > TRACE_MOST_BYTES - 2ul * t->cpus * PAGES * PAGE;
    }
    return rc;
}

int trace_take(struct trace *to, struct host *h, const struct trace_wish *wish, struct error *e)
{
    struct sigaction act = { .sa_handler = on_signal }, old[3];
    struct taking t = { .h = h, .fmem = xen_fmem(h->xen, e) };
    int lock, rc;

    if (!t.fmem)
        return -1;
    make_dirs(LOCK, 0755);
    lock = lock_file(LOCK, false);
    if (lock < 0)
        return lock == -EWOULDBLOCK ? error_set(e, EBUSY, "Wait for it, or end it.",
                                                "another orlop trace is running")
                                    : error_sys(e, -lock, NULL, "%s", LOCK);
    sigaction(SIGINT, &act, &old[0]);
    sigaction(SIGTERM, &act, &old[1]);
    sigaction(SIGHUP, &act, &old[2]);
    rc = map_all(&t, e);
    if (rc == 0)
        rc = record(&t, to, wish, e);
    tbuf_plain(&t, XEN_SYSCTL_TBUFOP_disable, 0, 0);
    if (rc == 0)
        rc = empty_all(&t, to, e);
    if (t.mask_before)
        tbuf_plain(&t, XEN_SYSCTL_TBUFOP_set_evt_mask, t.mask_before, 0);
    unmap_all(&t);
    sigaction(SIGINT, &old[0], NULL);
    sigaction(SIGTERM, &old[1], NULL);
    sigaction(SIGHUP, &old[2], NULL);
    close(lock);
    to->khz = t.khz;
    return rc;
}

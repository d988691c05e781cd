/* SPDX-License-Identifier: MIT */
/*
 * Trace buffers. t_info, which Domain 0 maps read-only, lists the pages of each CPU's buffer; a
 * buffer begins with struct t_buf, in which `prod` is the writer's and `cons` the reader's. Both
 * count bytes modulo twice the size of the data, so full and empty differ.
 *
 * What must hold:
 * - Only its own CPU writes a buffer, with interrupts off: there is no lock. `prod` is kept in our
 *   own memory, too, and what the page says of it is never read.
 * - `cons` is whatever a tool stored there. One that makes no sense counts as a full buffer.
 * - No record goes around the end: padding (TRC_TRACE_WRAP_BUFFER) fills what is left there.
 * - Records for which there is no room are counted, and the next one that fits comes after a
 *   TRC_LOST_RECORDS with their number, who ran then, and the time of the first.
 * - Buffers are made once (sysctl tbuf_op, set_size) and stay; the masks and WATCH_TRACE are all
 * that changes. [domctl lock]
 */
#include "core/trace.h"

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "core/evtchn.h"
#include "core/hypercall.h"
#include "core/log.h"

#define HEAD_BYTES 4                     /* of a record */
#define CYCLES_BYTES 8                   /* its time */
#define MFNS_AT(info) ((uint32_t *)info) /* t_info.mfn_offset counts words from here */
#define INFO_WORDS (1u << 16)            /* that an offset can name */
#define LEAST_PAGES 1u
#define MOST_PAGES 1024u /* of a CPU: what is made, and made visible, in one go */

struct buffer {
    struct t_buf *head; /* NULL: there is none; its first page */
    void **page;        /* our addresses of all of them */
    uint32_t prod;      /* [own CPU] */
    uint32_t lost;      /* [own CPU] records since there was no room */
    uint64_t lost_at;   /* [own CPU] cycles: when the first of them was lost */
};

static struct buffer buffers[MAX_CPUS];
static struct t_info *info;                            /* [domctl lock to set] */
static unsigned int info_order, cpus_made, cpus_shown; /* [domctl lock] */
static uint32_t buffer_pages, data_size;               /* constant once there are buffers */
static uint32_t event_mask = TRC_ALL;                  /* atomic */
static struct cpumask cpu_mask = CPUMASK_ALL;          /* atomic */

uint32_t trace_vcpu(const struct vcpu *v)
{
    return (uint32_t)(v->domain ? v->domain->id : DOMID_IDLE) << 16 | v->id;
}

static bool wanted(uint32_t event)
{
    uint32_t both = __atomic_load_n(&event_mask, __ATOMIC_RELAXED) & event;

    return both >> TRC_CLS_SHIFT && both >> TRC_SUBCLS_SHIFT & 0xf;
}

/* The word of p's buffer at that offset of its data. */
static uint32_t *word(const struct pcpu *p, uint32_t offset)
{
    uint32_t at = offset + sizeof(struct t_buf);

    return (uint32_t *)((char *)buffers[p->id].page[at / PAGE_SIZE] + at % PAGE_SIZE);
}

static uint32_t position(const struct buffer *b)
{
    return b->prod >= data_size ? b->prod - data_size : b->prod;
}

/* Bytes that the reader has not taken yet; the whole size if what it says cannot be. */
static uint32_t used(const struct buffer *b)
{
    uint32_t cons = __atomic_load_n(&b->head->cons, __ATOMIC_ACQUIRE), n;

    if (cons >= 2 * data_size || cons % sizeof(uint32_t))
        return data_size;
    n = b->prod >= cons ? b->prod - cons : b->prod + 2 * data_size - cons;
    return MIN(n, data_size);
}

static void publish(struct buffer *b, uint32_t bytes)
{
    b->prod += bytes;
    if (b->prod >= 2 * data_size)
        b->prod -= 2 * data_size;
    __atomic_store_n(&b->head->prod, b->prod, __ATOMIC_RELEASE);
}

static uint32_t header(uint32_t event, unsigned int n, bool cycles)
{
    return event | n << TRACE_EXTRA_SHIFT | (cycles ? (uint32_t)TRC_HD_CYCLE_FLAG : 0);
}

/* Fills the `left` bytes before the end: less than the longest record has. */
static void pad(const struct pcpu *p, struct buffer *b, uint32_t left)
{
    uint32_t words = left / sizeof(uint32_t) - 1, at = position(b);
    bool cycles = words > TRACE_EXTRA_MAX;

    *word(p, at) = header(TRC_TRACE_WRAP_BUFFER, cycles ? words - 2 : words, cycles);
    for (uint32_t i = 1; i <= words; i++)
        *word(p, at + i * sizeof(uint32_t)) = 0;
    publish(b, left);
}

/* False: no room. */
static bool put(const struct pcpu *p, struct buffer *b, uint32_t event, uint64_t cycles,
                unsigned int n, const uint32_t *extra)
{
    uint32_t need = HEAD_BYTES + CYCLES_BYTES + n * sizeof(*extra), left, at;

    left = data_size - position(b);
    if (used(b) + need + (left < need ? left : 0) > data_size)
        return false;
    if (left < need)
        pad(p, b, left);
    at = position(b);
    *word(p, at) = header(event, n, true);
    *word(p, at + 4) = (uint32_t)cycles;
    *word(p, at + 8) = (uint32_t)(cycles >> 32);
    for (unsigned int i = 0; i < n; i++)
        *word(p, at + 12 + i * sizeof(*extra)) = extra[i];
    publish(b, need);
    return true;
}

static bool put_lost(const struct pcpu *p, struct buffer *b, uint64_t cycles)
{
    const uint32_t extra[] = { b->lost, trace_vcpu(p->current), (uint32_t)b->lost_at,
                               (uint32_t)(b->lost_at >> 32) };

    if (!put(p, b, TRC_LOST_RECORDS, cycles, ARRAY_SIZE(extra), extra))
        return false;
    b->lost = 0;
    return true;
}

void trace_record(uint32_t event, unsigned int n, const uint32_t *extra)
{
    struct pcpu *p = arch_this_cpu();
    struct buffer *b = &buffers[p->id];
    uint64_t cycles = arch_cycles();
    bool half;

    if (!__atomic_load_n(&b->head, __ATOMIC_ACQUIRE) || !wanted(event) ||
        !cpumask_test(&cpu_mask, p->id))
        return;
    half = used(b) < data_size / 2;
    if ((b->lost && !put_lost(p, b, cycles)) || !put(p, b, event, cycles, n, extra)) {
        if (b->lost++ == 0)
            b->lost_at = cycles;
        return;
    }
    if (half && used(b) >= data_size / 2)
        pcpu_raise(p, WORK_TRACE);
}

void trace_notify(void)
{
    if (dom0)
        evtchn_send_global_virq(dom0, VIRQ_TBUF);
}

void trace_hypercall(struct vcpu *v, unsigned long nr, const struct hc_args *args)
{
    uint32_t extra[TRACE_EXTRA_MAX] = { (uint32_t)nr };

    for (unsigned int i = 0; i < 3; i++) {
        extra[0] |= TRC_PV_HYPERCALL_V2_ARG_64(i);
        extra[1 + 2 * i] = (uint32_t)args->a[i];
        extra[2 + 2 * i] = (uint32_t)(args->a[i] >> 32);
    }
    trace_record(v->in_multicall ? TRC_PV_HYPERCALL_SUBCALL : TRC_PV_HYPERCALL_V2, TRACE_EXTRA_MAX,
                 extra);
}

/* --- sysctl tbuf_op: the buffers, the masks, on and off. [domctl lock] --- */

static uint32_t first_word(void)
{
    return (uint32_t)(sizeof(*info) + nr_pcpus * sizeof(info->mfn_offset[0]) + 3) / 4;
}

static long make_info(uint32_t pages)
{
    uint32_t first = first_word();

    info_order = frame_order((first + nr_pcpus * pages) * sizeof(uint32_t));
    info = frame_alloc_hv_order(info_order);
    if (!info)
        return E(ENOMEM);
    info->tbuf_size = (uint16_t)pages;
    for (unsigned int i = 0; i < nr_pcpus; i++)
        info->mfn_offset[i] = (uint16_t)(first + i * pages);
    buffer_pages = pages;
    data_size = pages * PAGE_SIZE - (uint32_t)sizeof(struct t_buf);
    return 0;
}

static void free_buffer(struct buffer *b, unsigned int pages)
{
    while (pages > 0)
        frame_free_hv(b->page[--pages]);
    frame_free_hv_order(b->page, frame_order(buffer_pages * sizeof(*b->page)));
    b->page = NULL;
}

/* The pages of a CPU's buffer; -ENOMEM: none of them is left behind. */
static long make_buffer(unsigned int cpu)
{
    struct buffer *b = &buffers[cpu];
    uint32_t *mfns = MFNS_AT(info) + info->mfn_offset[cpu];
    unsigned int n = 0;

    b->page = frame_alloc_hv_order(frame_order(buffer_pages * sizeof(*b->page)));
    if (!b->page)
        return E(ENOMEM);
    while (n < buffer_pages && (b->page[n] = frame_alloc_hv()) != NULL) {
        mfns[n] = (uint32_t)arch_unmap(b->page[n]).v;
        n++;
    }
    if (n == buffer_pages)
        return 0;
    free_buffer(b, n);
    return E(ENOMEM);
}

/* Domain 0 may map what says where the buffers are: all of them are there. */
static void show_info(void)
{
    struct frame *f = frame_of(arch_unmap(info));

    for (unsigned int i = 0; i < 1u << info_order; i++)
        frame_show(f + i, false);
}

/* Domain 0 may map a CPU's buffer, and the CPU writes. */
static void show_buffer(struct buffer *b)
{
    for (uint32_t k = 0; k < buffer_pages; k++)
        frame_show(frame_of(arch_unmap(b->page[k])), true);
    __atomic_store_n(&b->head, b->page[0], __ATOMIC_RELEASE);
}

static bool all_shown(void)
{
    return cpus_shown > 0 && cpus_shown == nr_pcpus;
}

static void unmake(void)
{
    while (cpus_made > 0)
        free_buffer(&buffers[--cpus_made], buffer_pages);
    frame_free_hv_order(info, info_order);
    info = NULL;
}

/* One CPU after the other, twice; -EAGAIN: call again. */
static long set_size(uint32_t pages)
{
    uint32_t most = MIN(MOST_PAGES, (INFO_WORDS - first_word()) / nr_pcpus);
    long rc = 0;

    if (info ? pages != buffer_pages : pages < LEAST_PAGES || pages > most) {
        log_warn("Trace buffers of %u pages for each of %u CPUs: refused, %s %u", pages, nr_pcpus,
                 info ? "they have" : "possible are 1 to", info ? buffer_pages : most);
        return E(EINVAL);
    }
    if (!info)
        rc = make_info(pages);
    while (rc == 0 && cpus_made < nr_pcpus) {
        rc = make_buffer(cpus_made);
        cpus_made += rc == 0;
        if (rc == 0 && hc_preempt((int32_t)(pages / 2 + 1)))
            return E(EAGAIN);
    }
    if (rc && info)
        unmake();
    if (rc)
        return rc;
    if (cpus_shown == 0)
        show_info();
    while (cpus_shown < nr_pcpus) {
        show_buffer(&buffers[cpus_shown++]);
        if (cpus_shown < nr_pcpus && hc_preempt((int32_t)(pages / 16 + 1)))
            return E(EAGAIN);
    }
    return 0;
}

static long set_cpu_mask(struct vcpu *v, const struct xenctl_bitmap *from)
{
    struct cpumask cpus;
    long rc = cpumask_from_guest(v, &cpus, from);

    if (rc == 0)
        cpumask_write_atomic(&cpu_mask, &cpus);
    return rc;
}

static long locked(struct vcpu *v, struct xen_sysctl_tbuf_op *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_TBUFOP_get_info:
        op->evt_mask = event_mask;
        op->buffer_mfn = all_shown() ? arch_unmap(info).v : 0;
        op->size = all_shown() ? (uint32_t)PAGE_SIZE << info_order : 0;
        return 0;
    case XEN_SYSCTL_TBUFOP_set_cpu_mask:
        return set_cpu_mask(v, &op->cpu_mask);
    case XEN_SYSCTL_TBUFOP_set_evt_mask:
        __atomic_store_n(&event_mask, op->evt_mask, __ATOMIC_RELAXED);
        return 0;
    case XEN_SYSCTL_TBUFOP_set_size:
        return set_size(op->size);
    case XEN_SYSCTL_TBUFOP_enable:
        if (!all_shown()) {
            log_warn("Tracing: there are no buffers yet (tbuf_op set_size)");
            return E(EINVAL);
        }
        __atomic_fetch_or(&watched, WATCH_TRACE, __ATOMIC_RELAXED);
        return 0;
    case XEN_SYSCTL_TBUFOP_disable:
        __atomic_fetch_and(&watched, ~(uint32_t)WATCH_TRACE, __ATOMIC_RELAXED);
        return 0;
    default:
        return E(EINVAL);
    }
}

long sysctl_tbuf(struct vcpu *v, unsigned long arg, struct xen_sysctl_tbuf_op *op)
{
    long rc;

    if (!spin_trylock(&domctl_lock)) /* another CPU is at it: come again */
        return hc_restart(v, HC_ARGS(arg));
    rc = locked(v, op);
    spin_unlock(&domctl_lock);
    return rc == E(EAGAIN) ? hc_restart(v, HC_ARGS(arg)) : rc;
}

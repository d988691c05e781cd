/* SPDX-License-Identifier: MIT */
/* Samples of what the domains use. */
#include "tools/cli/top.h"
#include "tools/lib/error.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sum of the numbers in all files that match a pattern of sysfs. */
static uint64_t sum_of(const char *format, unsigned domid)
{
    char pattern[128];
    uint64_t sum = 0;
    glob_t found;

    snprintf(pattern, sizeof(pattern), format, domid);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *text = file_read(found.gl_pathv[i], 64, NULL);

        sum += text ? strtoull(text, NULL, 10) : 0;
        free(text);
    }
    globfree(&found);
    return sum;
}

/* Domain 0's interface receives what the guest sends. */
static void read_io(unsigned domid, struct top_io *io)
{
    io->sent = sum_of("/sys/bus/xen-backend/devices/vif-%u-*/net/*/statistics/rx_bytes", domid);
    io->received = sum_of("/sys/bus/xen-backend/devices/vif-%u-*/net/*/statistics/tx_bytes", domid);
    io->read = sum_of("/sys/bus/xen-backend/devices/vbd-%u-*/statistics/rd_sect", domid) * 512;
    io->written = sum_of("/sys/bus/xen-backend/devices/vbd-%u-*/statistics/wr_sect", domid) * 512;
}

int top_read(struct host *h, struct top_sample *s, struct error *e)
{
    struct xen_sysctl_physinfo p;
    struct view *views;
    int rc = xen_physinfo(h->xen, &p), n;

    memset(s, 0, sizeof(*s));
    if (rc < 0)
        return xen_error(e, rc, "asking for the machine's resources");
    n = views_get(h, &views, e);
    if (n < 0)
        return -1;
    s->when_ms = now_ms();
    s->total_kib = pages_to_kib(p.total_pages);
    s->free_kib = pages_to_kib(p.free_pages);
    s->cpus = p.nr_cpus;
    s->rows = mem_alloc((n + 1) * sizeof(*s->rows));
    s->count = n;
    for (int i = 0; i < n; i++) {
        s->rows[i].view = views[i];
        read_io(views[i].info.domain, &s->rows[i].io);
    }
    free(views);
    return 0;
}

/* A counter begins anew when a device is replaced. */
static uint64_t rate(uint64_t before, uint64_t now, int64_t ms)
{
    return now > before && ms > 0 ? (now - before) * 1000 / ms : 0;
}

/* What was used since the sample before counts for each step that began since. */
static void add_past(struct top_past *past, int64_t when_ms, double percent, unsigned int vcpus)
{
    int64_t step = when_ms / TOP_STEP_MS, new = past->step ? step - past->step : 1;
    double share = vcpus ? percent / vcpus : 0;
    uint8_t value = share > 100 ? 100 : (uint8_t)(share + 0.5);

    if (!past->step)
        memset(past->percent, TOP_UNKNOWN, sizeof(past->percent));
    past->step = step;
    if (new <= 0 && past->percent[TOP_STEPS - 1] < value)
        past->percent[TOP_STEPS - 1] = value;
    for (; new > 0; new --) {
        memmove(past->percent, past->percent + 1, TOP_STEPS - 1);
        past->percent[TOP_STEPS - 1] = value;
        if (new > TOP_STEPS)
            new = TOP_STEPS;
    }
}

void top_spark(const struct top_past *past, char text[TOP_STEPS + 1])
{
    static const char levels[] = "_.:-=+*#@";

    for (unsigned int i = 0; i < TOP_STEPS; i++) {
        uint8_t p = past->step ? past->percent[i] : TOP_UNKNOWN;

        /* Nothing has a letter of its own; each of the others stands for an eighth. */
        text[i] = p == TOP_UNKNOWN ? ' ' : p == 0 ? levels[0] : levels[1 + (p - 1) * 8 / 100];
    }
    text[TOP_STEPS] = 0;
}

void top_compare(const struct top_sample *before, struct top_sample *now)
{
    int64_t ms = now->when_ms - before->when_ms;

    for (int i = 0; i < now->count; i++) {
        struct top_row *new = &now->rows[i];

        for (int j = 0; j < before->count; j++) {
            const struct top_row *old = &before->rows[j];

            if (old->view.info.domain != new->view.info.domain || ms <= 0)
                continue;
            new->cpu_percent = rate(old->view.info.cpu_time, new->view.info.cpu_time, ms) / 1e7;
            new->rate.sent = rate(old->io.sent, new->io.sent, ms);
            new->rate.received = rate(old->io.received, new->io.received, ms);
            new->rate.read = rate(old->io.read, new->io.read, ms);
            new->rate.written = rate(old->io.written, new->io.written, ms);
            new->past = old->past;
            add_past(&new->past, now->when_ms, new->cpu_percent, new->view.info.nr_online_vcpus);
        }
    }
}

void top_free(struct top_sample *s)
{
    free(s->rows);
    s->rows = NULL;
    s->count = 0;
}

static int by_id(const struct top_row *a, const struct top_row *b)
{
    return (a->view.info.domain > b->view.info.domain) -
           (a->view.info.domain < b->view.info.domain);
}

static int compare_cpu(const void *x, const void *y)
{
    const struct top_row *a = x, *b = y;
    int order = (a->cpu_percent < b->cpu_percent) - (a->cpu_percent > b->cpu_percent);

    return order ? order : by_id(a, b);
}

static int compare_memory(const void *x, const void *y)
{
    const struct top_row *a = x, *b = y;
    uint64_t ma = a->view.info.tot_pages, mb = b->view.info.tot_pages;

    return ma != mb ? (ma < mb) - (ma > mb) : by_id(a, b);
}

static int compare_name(const void *x, const void *y)
{
    const struct top_row *a = x, *b = y;
    int order = strcmp(a->view.name, b->view.name);

    return order ? order : by_id(a, b);
}

static int compare_id(const void *x, const void *y)
{
    return by_id(x, y);
}

void top_sort(struct top_sample *s, enum top_order order)
{
    static int (*const compare[])(const void *, const void *) = {
        [TOP_BY_CPU] = compare_cpu,
        [TOP_BY_MEMORY] = compare_memory,
        [TOP_BY_NAME] = compare_name,
        [TOP_BY_ID] = compare_id,
    };

    qsort(s->rows, s->count, sizeof(*s->rows), compare[order]);
}

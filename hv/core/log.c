/* SPDX-License-Identifier: MIT */
/*
 * The log: lines go into a ring under `lock` (RANK_CONSOLE) and to the sinks, serial line and
 * screen, at once; what guests cause waits for the sinks. A warm reboot may leave the ring in
 * memory, so its head is checked before it is believed. After log_panic_mode() nobody waits for
 * the lock.
 */
#include "core/log.h"

#include "core/access.h"
#include "core/arch.h"
#include "core/domain.h"
#include "core/evtchn.h"
#include "core/pcpu.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/strutil.h"

#define PREFIX "(orlop) "
#define LINE_MAX 512
#define EARLY_SIZE 8192
#define MAX_SINKS 4
#define LATE_SIZE 4096   /* bytes of refusals that wait for the sinks */
#define LATE_PIECE 15u   /* of these, go out at once: what a UART takes without a wait */
#define LATE_NS 2000000u /* from one piece to the next: a UART has sent it by then */
#define SHOW_OLD 3072    /* bytes of an unfinished boot's text that the next one shows */

#define RING_MAGIC 0x676f6c2d706f6c6full

/* In front of the text, in memory that a warm reboot may leave as it is: trust nothing in it. */
struct ring_head {
    uint64_t magic;
    uint64_t size;  /* of the text */
    uint64_t prod;  /* bytes ever written; the text's position is prod % size */
    uint64_t start; /* oldest byte wanted (log_clear) */
    uint64_t clean; /* the boot ended by log_close() */
    uint64_t check; /* of the fields above */
};

static spinlock_t lock = SPINLOCK_INIT(RANK_CONSOLE);
static struct ring_head early_head = { .size = EARLY_SIZE };
static char early_text[EARLY_SIZE];
static struct ring_head *head = &early_head; /* [lock] */
static char *text = early_text;              /* [lock] */
static log_sink_fn *sinks[MAX_SINKS];        /* [lock] */
static enum log_level hv_level = LOG_INFO, guest_level = LOG_WARN;
static bool mid_line;   /* [lock] the last byte out was no newline */
static bool panic_mode; /* from then on without the lock */

/*
 * What guests cause waits here for the sinks, so that neither they nor who wants the lock waits for
 * a UART: one CPU writes it, a piece at a time, from its exit path and by a timer.
 */
static struct {
    char text[LATE_SIZE]; /* [lock] whole lines */
    size_t next, end;     /* [lock] what is not out yet; 0, 0: nothing */
    bool busy;            /* [lock] a CPU has that work, or its timer does */
    struct timer timer;   /* of who is busy */
} late;

static uint64_t head_check(const struct ring_head *h)
{
    return h->magic ^ h->size * 3 ^ h->prod * 5 ^ h->start * 7 ^ h->clean * 11;
}

static void log_lock(void)
{
    if (!panic_mode)
        spin_lock(&lock);
}

static void log_unlock(void)
{
    if (!panic_mode)
        spin_unlock(&lock);
}

static void ring_put(const char *s, size_t n)
{
    uint64_t pos = head->prod % head->size;

    for (size_t i = 0; i < n; i++) {
        text[pos] = s[i];
        if (++pos == head->size)
            pos = 0;
    }
    head->prod += n;
    head->check = head_check(head);
}

static void sinks_put(const char *s, size_t n)
{
    for (size_t i = 0; i < MAX_SINKS; i++)
        if (sinks[i])
            sinks[i](s, n);
}

/* [lock] The next n bytes that wait. */
static void late_put(size_t n)
{
    n = MIN(n, late.end - late.next);
    if (n == 0)
        return;
    if (mid_line && (late.next == 0 || late.text[late.next - 1] == '\n'))
        sinks_put("\n", 1);
    sinks_put(late.text + late.next, n);
    late.next += n;
    mid_line = late.text[late.next - 1] != '\n';
    if (late.next == late.end)
        late.next = late.end = 0;
}

/* [lock] Somebody else has something to say: the line that is half out comes to its end. */
static void late_end_line(void)
{
    size_t n = 0;

    if (late.next == 0 || late.text[late.next - 1] == '\n')
        return;
    while (late.text[late.next + n++] != '\n')
        ;
    late_put(n);
}

/* [lock] A line for the sinks, later. One for which there is no room is in the ring only. */
static void late_line(const char *msg, size_t n)
{
    char *at = late.text + late.end;

    if (sizeof(PREFIX) + n > LATE_SIZE - late.end)
        return;
    memcpy(at, PREFIX, sizeof(PREFIX) - 1);
    memcpy(at + sizeof(PREFIX) - 1, msg, n);
    at[sizeof(PREFIX) - 1 + n] = '\n';
    late.end += sizeof(PREFIX) + n;
}

static void late_timer(void *arg)
{
    (void)arg;
    log_late();
}

void log_late(void)
{
    bool more;

    log_lock();
    late_put(LATE_PIECE);
    more = late.busy = late.end != 0;
    log_unlock();
    if (!more)
        return;
    if (!late.timer.fn)
        timer_init(&late.timer, late_timer, NULL);
    timer_set(&late.timer, arch_this_cpu(), arch_now() + LATE_NS);
}

/* How the sinks get a line: not at all, at once, or when it costs nobody anything. */
enum loudness { QUIET, LOUD, LATE };

/* One line of our own. The ring gets all of them, with the time; the sinks what is loud enough. */
static void put_line(const char *msg, size_t n, enum loudness loud)
{
    bool work = false;
    char stamp[32];
    uint64_t us = arch_now() / 1000;
    int len = fmt_snprintf(stamp, sizeof(stamp), "[%5llu.%06llu] ",
                           (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));

    log_lock();
    ring_put(PREFIX, sizeof(PREFIX) - 1);
    ring_put(stamp, (size_t)len);
    ring_put(msg, n);
    ring_put("\n", 1);
    if (loud == LATE && !panic_mode && arch_this_cpu()) {
        late_line(msg, n);
        work = !late.busy && late.end != 0;
        late.busy |= work;
    } else if (loud != QUIET || panic_mode) {
        late_end_line();
        if (mid_line)
            sinks_put("\n", 1);
        mid_line = false;
        sinks_put(PREFIX, sizeof(PREFIX) - 1);
        sinks_put(msg, n);
        sinks_put("\n", 1);
    }
    log_unlock();
    if (work)
        pcpu_raise(arch_this_cpu(), WORK_LOG);
}

static void tell_dom0(void)
{
    struct pcpu *p = arch_this_cpu();

    if (!panic_mode && p && dom0 && evtchn_virq_bound(dom0, VIRQ_CON_RING))
        pcpu_raise(p, WORK_CONRING);
}

void log_notify(void)
{
    if (dom0)
        evtchn_send_global_virq(dom0, VIRQ_CON_RING);
}

static void log_va(enum loudness loud, const char *before, const char *fmt, va_list ap)
{
    char line[LINE_MAX];
    size_t len = str_copy(line, before, sizeof(line));
    int n = fmt_vsnprintf(line + len, sizeof(line) - len, fmt, ap);

    len += (size_t)(n > 0 ? n : 0);
    len = MIN(len, sizeof(line) - 1);
    while (len > 0 && line[len - 1] == '\n')
        len--;
    put_line(line, len, loud);
    tell_dom0();
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_va(level <= hv_level ? LOUD : QUIET, "", fmt, ap);
    va_end(ap);
}

#define REFUSAL_WINDOW_NS 5000000000ull
#define REFUSAL_BUDGET 10 /* lines of one domain, or of the hypervisor */
#define SINKS_BUDGET 30   /* of all, that go to the sinks: less than 1 % of a CPU at 115,200 baud */

/* May another line be taken of a budget? Races only miscount. */
static bool budget_allows(uint64_t *window, uint32_t *budget, uint32_t max)
{
    uint64_t now = arch_now();

    if (now - __atomic_load_n(window, __ATOMIC_RELAXED) >= REFUSAL_WINDOW_NS ||
        __atomic_load_n(window, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(window, now | 1, __ATOMIC_RELAXED);
        __atomic_store_n(budget, 0, __ATOMIC_RELAXED);
    }
    return __atomic_fetch_add(budget, 1, __ATOMIC_RELAXED) < max;
}

void log_refusal(struct domain *d, const char *fmt, ...)
{
    static uint64_t hv_window, sinks_window;
    static uint32_t hv_budget, sinks_budget;
    enum loudness loud = LOG_WARN <= (d ? guest_level : hv_level) ? LATE : QUIET;
    char before[16] = "";
    va_list ap;

    if (!budget_allows(d ? &d->log_window : &hv_window, d ? &d->log_budget : &hv_budget,
                       REFUSAL_BUDGET))
        return;
    if (loud == LATE && !budget_allows(&sinks_window, &sinks_budget, SINKS_BUDGET))
        loud = QUIET;
    if (d)
        fmt_snprintf(before, sizeof(before), "d%u: ", d->id);
    va_start(ap, fmt);
    log_va(loud, before, fmt, ap);
    va_end(ap);
}

void log_set_level(enum log_level hv, enum log_level guest)
{
    hv_level = hv;
    guest_level = guest;
}

/* What a guest says goes where its mistakes go: line by line, and as rarely. */
static void guest_lines(struct domain *d, const char *s, size_t n)
{
    char line[160];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\n')
            line[len++] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
        if (len < sizeof(line) - 1 && i + 1 < n && s[i] != '\n')
            continue;
        line[len] = '\0';
        if (len)
            log_refusal(d, "says: %s", line);
        len = 0;
    }
}

void log_guest_text(struct domain *d, const char *s, size_t n)
{
    if (n == 0)
        return;
    if (!access_host(d)) {
        guest_lines(d, s, n);
        return;
    }
    log_lock();
    late_end_line();
    /* Not into the ring: there it would soon push out what only the hypervisor can tell. */
    sinks_put(s, n);
    mid_line = s[n - 1] != '\n';
    log_unlock();
}

void log_add_sink(log_sink_fn *fn)
{
    log_lock();
    for (size_t i = 0; i < MAX_SINKS; i++) {
        if (!sinks[i]) {
            sinks[i] = fn;
            break;
        }
    }
    log_unlock();
}

void log_remove_sink(log_sink_fn *fn)
{
    log_lock();
    for (size_t i = 0; i < MAX_SINKS; i++)
        if (sinks[i] == fn)
            sinks[i] = NULL;
    log_unlock();
}

void log_panic_mode(void)
{
    panic_mode = true;
    spin_break_all();
    late_put(LATE_SIZE);
}

static uint64_t oldest(void)
{
    uint64_t kept = head->prod > head->size ? head->prod - head->size : 0;

    return MAX(kept, head->start);
}

size_t log_read(char *buf, size_t len, uint32_t *index, bool incremental)
{
    uint64_t from;
    size_t n = 0;

    log_lock();
    from = oldest();
    if (incremental) {
        /* The ABI's index has 32 bits: take the one nearest below the end. */
        uint64_t back = (uint32_t)((uint32_t)head->prod - *index);

        if (back <= head->prod && head->prod - back > from)
            from = head->prod - back;
    }
    for (; n < len && from < head->prod; n++, from++)
        buf[n] = text[from % head->size];
    *index = (uint32_t)from;
    log_unlock();
    return n;
}

void log_clear(void)
{
    log_lock();
    head->start = head->prod;
    head->check = head_check(head);
    log_unlock();
}

void log_close(void)
{
    log_lock();
    late_put(LATE_SIZE);
    head->clean = 1;
    head->check = head_check(head);
    log_unlock();
}

static bool ring_survived(const struct ring_head *h, size_t size)
{
    return h->magic == RING_MAGIC && h->size == size && h->check == head_check(h) &&
           h->start <= h->prod;
}

/* The last lines of a boot that was cut short. */
static void show_old(uint64_t end)
{
    uint64_t from = MAX(oldest(), end > SHOW_OLD ? end - SHOW_OLD : 0);
    char c;

    sinks_put(PREFIX "The boot before ended abruptly; its last lines:\n",
              sizeof(PREFIX "The boot before ended abruptly; its last lines:\n") - 1);
    for (; from < end; from++) {
        c = text[from % head->size];
        if (c != '\n' && (c < ' ' || c > '~'))
            c = '?';
        sinks_put(&c, 1);
    }
    sinks_put("\n" PREFIX "(end of the boot before)\n",
              sizeof("\n" PREFIX "(end of the boot before)\n") - 1);
}

void log_init_ring(void *mem, size_t size)
{
    struct ring_head *h = mem;
    size_t space = size - sizeof(*h);
    bool survived = ring_survived(h, space);
    uint64_t old_end = survived ? h->prod : 0;
    bool abrupt = survived && !h->clean;
    struct ring_head *from = head;

    log_lock();
    if (!survived)
        *h = (struct ring_head){ .magic = RING_MAGIC, .size = space };
    h->clean = 0;
    head = h;
    text = (char *)(h + 1);
    for (uint64_t i = from->prod > from->size ? from->prod - from->size : 0; i < from->prod; i++)
        ring_put(&early_text[i % from->size], 1);
    head->check = head_check(head);
    if (abrupt)
        show_old(old_end);
    log_unlock();
}

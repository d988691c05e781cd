/* SPDX-License-Identifier: MIT */
#include "host/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include <xen/errno.h>

#include "core/clock.h"
#include "core/frame.h"
#include "core/hypercall.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/ptype.h"

struct host_cpu host_cpus[HOST_MAX_CPUS];
uint8_t *host_ram;
uint64_t host_ram_frames;
uint64_t host_time = 1000000;
bool host_verbose;
enum host_end host_end;
char host_panic_text[512];
__thread jmp_buf host_jump;
__thread bool host_catching;

static __thread struct host_cpu *self;
uint64_t *host_m2p;

unsigned long frame_chunks[BITMAP_LONGS(MAX_MFN >> FRAME_CHUNK_SHIFT)];
struct frame *frame_table;
uint64_t max_mfn;

/* --- this CPU --- */

struct pcpu *arch_this_cpu(void)
{
    return self ? &self->p : NULL;
}

static void answer_call(struct host_cpu *c)
{
    void (*fn)(void *) = __atomic_load_n(&c->call_fn, __ATOMIC_ACQUIRE);

    if (!fn)
        return;
    fn(c->call_arg);
    c->called++;
    __atomic_store_n(&c->call_fn, NULL, __ATOMIC_RELEASE);
}

/* CPUs that no thread plays go on while this one waits for them. */
static void play_others(void)
{
    static bool busy;
    struct host_cpu *me = self;

    if (busy)
        return;
    busy = true;
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (&host_cpus[i] == me)
            continue;
        self = &host_cpus[i];
        answer_call(self);
        pcpu_do_pending(&self->p);
    }
    self = me;
    busy = false;
}

void arch_poll(void)
{
    if (!self)
        return;
    answer_call(self);
    if (!__atomic_load_n(&self->alive, __ATOMIC_RELAXED))
        play_others();
    else
        sched_yield(); /* the thread that is waited for may need this processor */
}

void arch_kick(unsigned int cpu)
{
    __atomic_fetch_add(&host_cpus[cpu].kicked, 1, __ATOMIC_SEQ_CST);
}

/* One caller at a time: the mailboxes have room for one call. */
void arch_call_others(const struct cpumask *cpus, void (*fn)(void *), void *arg)
{
    static uint32_t busy;
    struct host_cpu *me = self;

    while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
        arch_poll();
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        struct host_cpu *c = &host_cpus[i];

        if (c == me || !cpumask_test(cpus, i))
            continue;
        c->call_arg = arg;
        __atomic_store_n(&c->call_fn, fn, __ATOMIC_RELEASE);
        while (__atomic_load_n(&c->call_fn, __ATOMIC_ACQUIRE)) {
            if (__atomic_load_n(&c->alive, __ATOMIC_ACQUIRE)) {
                arch_poll();
            } else { /* nobody plays it: do it in its name */
                self = c;
                answer_call(c);
                self = me;
            }
        }
    }
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

void arch_idle_wait(void)
{
}

static _Noreturn void end_machine(enum host_end end)
{
    host_end = end;
    if (host_catching)
        longjmp(host_jump, 1);
    fprintf(stderr, "the machine ended (%d): %s\n", end, host_panic_text);
    abort();
}

void arch_panic(const char *msg)
{
    snprintf(host_panic_text, sizeof(host_panic_text), "%s", msg);
    end_machine(HOST_PANIC);
}

void arch_poweroff(void)
{
    end_machine(HOST_POWEROFF);
}

void arch_reboot(void)
{
    end_machine(HOST_REBOOT);
}

void arch_halt(void)
{
    end_machine(HOST_HALT);
}

/* --- memory --- */

void *arch_map(mfn_t mfn)
{
    if (mfn.v >= host_ram_frames)
        abort();
    return host_ram + mfn.v * PAGE_SIZE;
}

mfn_t arch_unmap(const void *p)
{
    return MFN((uint64_t)((const uint8_t *)p - host_ram) / PAGE_SIZE);
}

void arch_clear_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

void arch_set_gfn(mfn_t mfn, uint64_t gfn)
{
    __atomic_store_n(&host_m2p[mfn.v], gfn, __ATOMIC_RELAXED);
}

uint64_t arch_gfn(mfn_t mfn)
{
    return __atomic_load_n(&host_m2p[mfn.v], __ATOMIC_RELAXED);
}

uint64_t tlb_clock = (1ull << 32) - 2001; /* runs cross the 32 bits of a stamp */

/* Without translations there is nothing to flush but the stamps. */
__attribute__((weak)) void arch_tlb_flush_stamped(const struct cpumask *cpus, uint32_t stamp)
{
    uint64_t since = __atomic_load_n(&tlb_clock, __ATOMIC_SEQ_CST) - tlb_age(stamp);

    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (cpumask_test(cpus, i) &&
            __atomic_load_n(&pcpus[i]->tlb_flushed, __ATOMIC_RELAXED) <= since)
            __atomic_store_n(&pcpus[i]->tlb_flushed,
                             __atomic_add_fetch(&tlb_clock, 2, __ATOMIC_SEQ_CST), __ATOMIC_RELAXED);
    }
}

/* --- failing allocations: the linker sends calls from other files here --- */

unsigned int host_fail_every;
static unsigned int alloc_count;

struct frame *__real_frame_alloc(unsigned int order, unsigned int max_bits);
struct frame *__wrap_frame_alloc(unsigned int order, unsigned int max_bits);
struct frame *__real_frame_alloc_for(struct domain *d, unsigned int order, unsigned int max_bits);
struct frame *__wrap_frame_alloc_for(struct domain *d, unsigned int order, unsigned int max_bits);
void *__real_frame_alloc_hv(void);
void *__wrap_frame_alloc_hv(void);
void *__real_frame_alloc_hv_order(unsigned int order);
void *__wrap_frame_alloc_hv_order(unsigned int order);

static bool fails_now(void)
{
    return host_fail_every &&
           __atomic_add_fetch(&alloc_count, 1, __ATOMIC_RELAXED) % host_fail_every == 0;
}

struct frame *__wrap_frame_alloc(unsigned int order, unsigned int max_bits)
{
    return fails_now() ? NULL : __real_frame_alloc(order, max_bits);
}

struct frame *__wrap_frame_alloc_for(struct domain *d, unsigned int order, unsigned int max_bits)
{
    return fails_now() ? NULL : __real_frame_alloc_for(d, order, max_bits);
}

void *__wrap_frame_alloc_hv(void)
{
    return fails_now() ? NULL : __real_frame_alloc_hv();
}

void *__wrap_frame_alloc_hv_order(unsigned int order)
{
    return fails_now() ? NULL : __real_frame_alloc_hv_order(order);
}

/* --- time --- */

void (*host_on_now)(void);

uint64_t arch_now(void)
{
    void (*fn)(void) = host_on_now;

    if (fn) {
        host_on_now = NULL;
        fn();
    }
    return __atomic_fetch_add(&host_time, 100, __ATOMIC_RELAXED);
}

uint64_t arch_cycles(void)
{
    return __atomic_load_n(&host_time, __ATOMIC_RELAXED);
}

void arch_timer_set(uint64_t deadline)
{
    __atomic_store_n(&self->deadline, deadline, __ATOMIC_RELAXED);
}

uint64_t arch_rtc_read(void)
{
    return 1700000000;
}

void arch_fill_time(struct vcpu *v, struct vcpu_time_info *t)
{
    (void)v;
    t->system_time = arch_now();
    t->tsc_timestamp = t->system_time;
    t->tsc_to_system_mul = 1u << 31;
    t->tsc_shift = 1;
    t->flags = XEN_PVCLOCK_TSC_STABLE_BIT;
}

/* --- vCPUs and the rest --- */

__attribute__((weak)) void arch_switch(struct vcpu *prev, struct vcpu *next)
{
    (void)prev;
    (void)next;
    self->switches++;
}

uint64_t arch_physid(unsigned int cpu)
{
    return cpu;
}

const char *arch_capabilities(void)
{
    return "xen-3.0-x86_64 ";
}

uint64_t arch_virt_start(void)
{
    return 0xffff800000000000ul;
}

__attribute__((weak)) long arch_memory_op(struct vcpu *v, unsigned int op, gptr_t arg,
                                          unsigned long start)
{
    (void)v, (void)op, (void)arg, (void)start;
    return E(ENOSYS);
}

/* --- no machine interrupts --- */

__attribute__((weak)) int arch_pirq_bind(struct domain *d, unsigned int pirq, uint32_t port,
                                         bool share)
{
    (void)pirq, (void)port, (void)share;
    return d->privileged ? -XEN_EINVAL : -XEN_EPERM;
}

__attribute__((weak)) void arch_pirq_unbind(struct domain *d, unsigned int pirq)
{
    (void)d, (void)pirq;
}

__attribute__((weak)) void arch_pirq_set_affinity(struct domain *d, unsigned int pirq,
                                                  struct vcpu *v)
{
    (void)d, (void)pirq, (void)v;
}

long arch_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back)
{
    (void)v, (void)op, (void)copy_back;
    return E(ENOSYS);
}

long arch_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    (void)v, (void)d, (void)op, (void)copy_back;
    return E(ENOSYS);
}

unsigned int host_threads = 1, host_beside;

uint64_t arch_core(unsigned int cpu)
{
    return cpu / host_threads;
}

void arch_physinfo(struct xen_sysctl_physinfo *info)
{
    (void)info;
}

void arch_cputopo(unsigned int cpu, struct xen_sysctl_cputopo *topo)
{
    (void)cpu, (void)topo;
}

/* --- the machine's life --- */

static void print_log(const char *text, size_t n)
{
    if (host_verbose)
        fwrite(text, 1, n, stderr);
}

void host_be(unsigned int id)
{
    self = &host_cpus[id];
}

void host_boot(uint64_t frames, unsigned int cpus)
{
    static bool once;

    if (once) { /* the hypervisor's statics are for one boot */
        fprintf(stderr, "host_boot: one machine a process\n");
        abort();
    }
    once = true;
    host_verbose = getenv("HOST_LOG") != NULL;
    host_ram_frames = frames;
    host_ram = mmap(NULL, frames * PAGE_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    frame_table = calloc(frames, sizeof(*frame_table));
    host_m2p = malloc(frames * sizeof(*host_m2p));
    memset(host_m2p, 0xff, frames * sizeof(*host_m2p));
    max_mfn = frames;
    for (uint64_t c = 0; c <= (frames - 1) >> FRAME_CHUNK_SHIFT; c++)
        bitmap_set(frame_chunks, c);
    log_add_sink(print_log);
    log_set_level(LOG_DEBUG, LOG_DEBUG);
    for (unsigned int i = 0; i < cpus; i++) {
        host_cpus[i].deadline = ~0ull;
        host_be(i);
        pcpu_init(&host_cpus[i].p, i, &host_cpus[i].idle);
        pcpu_online(&host_cpus[i].p);
    }
    host_be(0);
    frame_add_range(MFN(1), MFN(frames));
    clock_init_wallclock();
    keys_init();
}

static void fire_timer(struct host_cpu *c)
{
    uint64_t now = __atomic_load_n(&host_time, __ATOMIC_RELAXED);
    uint64_t deadline = __atomic_load_n(&c->deadline, __ATOMIC_RELAXED);

    if (now < deadline)
        return;
    __atomic_store_n(&c->deadline, ~0ull, __ATOMIC_RELAXED);
    pcpu_raise(&c->p, WORK_TIMER);
}

void host_advance(uint64_t ns)
{
    __atomic_fetch_add(&host_time, ns, __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < nr_pcpus; i++)
        fire_timer(&host_cpus[i]);
}

/* From here to its next exit path this CPU is in guest mode: beside whom? */
static void enter_guest(void)
{
    const struct domain *d = self->p.current->domain;
    unsigned int core = arch_core(self->p.id);

    __atomic_store_n(&self->in_guest, d, __ATOMIC_SEQ_CST);
    for (unsigned int i = 0; d && i < nr_pcpus; i++) {
        const struct domain *other = __atomic_load_n(&host_cpus[i].in_guest, __ATOMIC_SEQ_CST);

        if (arch_core(i) == core && other && other != d)
            __atomic_fetch_add(&host_beside, 1, __ATOMIC_RELAXED);
    }
}

void host_exit_path(void)
{
    __atomic_store_n(&self->in_guest, NULL, __ATOMIC_SEQ_CST);
    answer_call(self);
    fire_timer(self);
    pcpu_do_pending(&self->p);
    if (host_threads > 1)
        enter_guest();
}

void host_settle(void)
{
    struct host_cpu *me = self;
    bool again = true;

    while (again) {
        again = false;
        for (unsigned int i = 0; i < nr_pcpus; i++) {
            host_be(i);
            host_exit_path();
        }
        for (unsigned int i = 0; i < nr_pcpus; i++)
            again |= host_cpus[i].p.pending != 0;
    }
    self = me;
}

long host_call(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1,
               unsigned long a2, unsigned long a3)
{
    long rc = hypercall_dispatch(v, nr, &HC_ARGS(a0, a1, a2, a3));

    while (rc == HC_RESTART) {
        struct hc_args again = v->restart_args;

        host_exit_path();
        if (self->p.current != v)
            return rc; /* it lost its CPU: the rest of the call waits with it */
        rc = hypercall_dispatch(v, nr, &again);
    }
    return rc;
}

/* The machine's memory is accounted for by audit() and frame_free_count(), not by the sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/*
 * Where the hypervisor writes memory that a guest may write at the same time, and counts that are
 * reported as they are.
 */
const char *__tsan_default_suppressions(void);
__attribute__((weak)) const char *__tsan_default_suppressions(void)
{
    return "race:grant_copy\nrace:publish_time\nrace:clock_publish_wallclock\nrace:move_"
           "info\nrace:op_register_info\n"
           "race:grant_swap\nrace:frame_free_count\nrace:dump_domain\nrace:domain_report\nrace:"
           "query_reservation\nrace:claim_pages\nrace:hv/core/heap.c\nrace:sysctl_perfc\n";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "history_size=7:exitcode=0"; /* judge_reports() says what failed */
}

/*
 * ThreadSanitizer forgets the older stack of a report now and then; the names above cannot excuse
 * it then. Such a report is printed and does not fail the test: another run will show it whole.
 */
static uint32_t whole_reports; /* atomic */

int __tsan_get_report_mop(void *report, uintptr_t i, int *tid, void **addr, int *size, int *write,
                          int *atomic, void **trace, uintptr_t len) __attribute__((weak));
void __tsan_on_report(void *report);
void __tsan_on_report(void *report)
{
    bool whole = true;

    for (uintptr_t i = 0; i < 2; i++) {
        void *addr, *trace[2] = { NULL, NULL };
        int tid, size, write, atomic;

        if (__tsan_get_report_mop(report, i, &tid, &addr, &size, &write, &atomic, trace, 2))
            whole &= trace[0] != NULL;
    }
    __atomic_fetch_add(&whole_reports, whole, __ATOMIC_RELAXED);
}

__attribute__((destructor)) static void judge_reports(void)
{
    if (__atomic_load_n(&whole_reports, __ATOMIC_RELAXED) == 0)
        return;
    fflush(NULL);
    _exit(66);
}

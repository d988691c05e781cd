/* SPDX-License-Identifier: MIT */
/*
 * Debug keys. Whoever sees a key pressed puts it in a ring, without a lock and in any context;
 * the exit path of one CPU at a time (`serving`) runs the handlers, so they hold no lock and may
 * print much.
 */
#include "core/keys.h"

#include "core/audit.h"
#include "core/domain.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/log.h"
#include "core/pcpu.h"

#define FIRST_KEY ' '
#define NR_KEYS ('~' - FIRST_KEY + 1)
#define QUEUE 32
#define AUDIT_TRIES 100000

static struct {
    const char *what;
    void (*fn)(void);
} keys[NR_KEYS]; /* set at boot */

static char queue[QUEUE];   /* pressed, not yet served */
static uint32_t prod, cons; /* atomic, free running; one that overtakes loses the oldest */
static uint32_t serving;    /* atomic: one CPU at a time prints */

void keys_register(char key, const char *what, void (*fn)(void))
{
    if (key < FIRST_KEY || key > '~')
        return;
    keys[key - FIRST_KEY].what = what;
    keys[key - FIRST_KEY].fn = fn;
}

void keys_press(char key)
{
    uint32_t slot = __atomic_fetch_add(&prod, 1, __ATOMIC_RELAXED);

    __atomic_store_n(&queue[slot % QUEUE], key, __ATOMIC_RELEASE);
    pcpu_raise(arch_this_cpu(), WORK_KEY);
}

void keys_alive(void)
{
    __atomic_fetch_add(&arch_this_cpu()->heartbeat, 1, __ATOMIC_RELAXED);
}

static void serve(char key)
{
    if (key < FIRST_KEY || key > '~' || !keys[key - FIRST_KEY].fn) {
        log_info("'%c' is no debug key; 'h' lists them",
                 key >= FIRST_KEY && key <= '~' ? key : '?');
        return;
    }
    log_info("'%c' pressed -> %s", key, keys[key - FIRST_KEY].what);
    keys[key - FIRST_KEY].fn();
}

static bool any_waits(void)
{
    return __atomic_load_n(&cons, __ATOMIC_RELAXED) != __atomic_load_n(&prod, __ATOMIC_SEQ_CST);
}

void keys_run(void)
{
    /* Who serves takes others' keys too, and looks once more after it has stopped. */
    while (any_waits() && __atomic_exchange_n(&serving, 1, __ATOMIC_SEQ_CST) == 0) {
        while (any_waits()) {
            uint32_t slot = __atomic_fetch_add(&cons, 1, __ATOMIC_RELAXED);

            serve(__atomic_load_n(&queue[slot % QUEUE], __ATOMIC_ACQUIRE));
        }
        __atomic_exchange_n(&serving, 0, __ATOMIC_SEQ_CST);
    }
}

static void key_help(void)
{
    for (unsigned int i = 0; i < NR_KEYS; i++)
        if (keys[i].fn)
            log_info(" key '%c' => %s", (char)(i + FIRST_KEY), keys[i].what);
}

static const char *vcpu_place(const struct vcpu *v)
{
    if (v->sched.running)
        return "running";
    if (v->sched.queued)
        return "queued";
    if (v->sched.parked)
        return "parked by its cap";
    return v->pause_flags & VP_DOWN ? "down" : v->pause_flags & VP_BLOCKED ? "blocked" : "paused";
}

static void dump_domain(struct domain *d)
{
    log_info("Domain %u: state=%d pages=%llu max=%llu pause=%u shutdown=%u refs=%u", d->id,
             d->state, (unsigned long long)d->tot_pages, (unsigned long long)d->max_pages,
             d->pause_count, d->shutdown_code, d->refs);
    keys_alive();
    for_each_vcpu (d, v)
        log_info("  vcpu %u: cpu %u %s flags=%#x pause=%u upcall=%u/%u sel=%#llx", v->id,
                 v->cpu->id, vcpu_place(v), v->pause_flags, v->pause_count,
                 v->info->evtchn_upcall_pending, vcpu_upcall_mask(v),
                 (unsigned long long)v->info->evtchn_pending_sel);
}

static void key_domains(void)
{
    for_each_domain (d)
        dump_domain(d);
}

static void key_queues(void)
{
    log_info("Scheduler: credit; now=%llu ns", (unsigned long long)arch_now());
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        const struct pcpu *p = pcpus[i];
        const struct vcpu *cur = p->current;

        if (cur == p->idle)
            log_info("CPU %u: idle, %u queued, pending=%#x", i, p->rq.nr, p->pending);
        else
            log_info("CPU %u: d%uv%u runs, %u queued, pending=%#x", i, cur->domain->id, cur->id,
                     p->rq.nr, p->pending);
    }
    key_domains();
}

static void key_memory(void)
{
    uint64_t owned = 0;

    for_each_domain (d) {
        owned += d->tot_pages;
        log_info("Domain %u: %llu of at most %llu pages", d->id, (unsigned long long)d->tot_pages,
                 (unsigned long long)d->max_pages);
    }
    log_info("Memory: %llu pages of RAM, %llu free, %llu of domains, %llu of the hypervisor",
             (unsigned long long)ram_frames, (unsigned long long)frame_free_count(),
             (unsigned long long)owned,
             (unsigned long long)(ram_frames - frame_free_count() - owned));
}

/*
 * Nobody but the vCPU that this CPU serves is in the middle of anything, and it waits for us. A
 * tool that just waits for that vCPU to stop would be waited for: then the tool goes first.
 */
static void key_audit(void)
{
    unsigned int bad, tries = 0;

    while (!spin_trylock(&domctl_lock)) {
        if (++tries == AUDIT_TRIES) {
            log_info("audit: a tool is at work, try again");
            return;
        }
        arch_poll();
    }
    for_each_domain (d)
        domain_pause(d, true);
    bad = audit();
    for_each_domain (d)
        domain_unpause(d);
    spin_unlock(&domctl_lock);
    log_info("audit: %u contradictions", bad);
}

static void key_time(void)
{
    log_info("System time %llu ns", (unsigned long long)arch_now());
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        const struct pqnode *first = pqueue_first(&pcpus[i]->timers.queue);

        log_info("CPU %u: next deadline %lld ns, programmed %lld ns, idle %llu ns", i,
                 first ? (long long)first->key : -1ll, (long long)pcpus[i]->timers.programmed,
                 (unsigned long long)pcpus[i]->idle_ns);
    }
}

static void dump_regs(void *unused)
{
    const struct vcpu *v = arch_this_cpu()->current;

    (void)unused;
    log_info("CPU %u:", arch_this_cpu()->id);
    if (v->domain && v->domain->ops->dump)
        v->domain->ops->dump(v);
    else
        log_info("  idle");
}

static void key_registers(void)
{
    dump_regs(NULL);
    arch_call_others(&cpumask_all, dump_regs, NULL);
}

static void key_reboot(void)
{
    log_close();
    arch_reboot();
}

void keys_init(void)
{
    keys_register('h', "show this list", key_help);
    keys_register('r', "run queues", key_queues);
    keys_register('q', "domains and vCPUs", key_domains);
    keys_register('d', "registers of all CPUs", key_registers);
    keys_register('e', "event channels", evtchn_dump);
    keys_register('g', "grant tables", grant_dump);
    keys_register('m', "memory", key_memory);
    keys_register('t', "time and timers", key_time);
    keys_register('A', "audit: recount everything", key_audit);
    keys_register('R', "reboot the machine", key_reboot);
}

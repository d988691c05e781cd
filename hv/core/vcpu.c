/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's life, its timers, affinity and runstate. The timers are under timer_lock (RANK_VCPU),
 * affinity under the run queue's lock; the runstate is its own CPU's. sched.c says when it runs.
 */
#include "core/vcpu.h"

#include <xen/errno.h>
#include <xen/vcpu.h>

#include "core/domain.h"
#include "core/evtchn.h"
#include "core/pcpu.h"
#include "core/ptype.h"
#include "core/trace.h"

static void singleshot_fired(void *arg)
{
    evtchn_send_virq(arg, VIRQ_TIMER);
}

/* v's next tick, on the CPU that it runs on. [timer_lock] */
static void arm_periodic(struct vcpu *v, struct pcpu *p, uint64_t from)
{
    if (v->period_ns) {
        v->last_tick = from;
        timer_set(&v->periodic, p, from + v->period_ns);
    } else {
        timer_stop(&v->periodic);
    }
}

static void periodic_fired(void *arg)
{
    struct vcpu *v = arg;

    if (arch_this_cpu()->current != v) /* it has left this CPU: vcpu_ticks_resume() sees to it */
        return;
    evtchn_send_virq(v, VIRQ_TIMER);
    spin_lock(&v->timer_lock);
    arm_periodic(v, arch_this_cpu(), arch_now());
    spin_unlock(&v->timer_lock);
}

void vcpu_set_period(struct vcpu *v, uint64_t period_ns)
{
    spin_lock(&v->timer_lock);
    __atomic_store_n(&v->period_ns, period_ns, __ATOMIC_RELAXED);
    arm_periodic(v, __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE), arch_now());
    spin_unlock(&v->timer_lock);
}

void vcpu_ticks_resume(struct vcpu *v)
{
    uint64_t now = arch_now();
    bool due;

    spin_lock(&v->timer_lock);
    due = v->period_ns && now - v->last_tick >= v->period_ns;
    arm_periodic(v, arch_this_cpu(), due ? now : v->last_tick);
    spin_unlock(&v->timer_lock);
    if (due)
        evtchn_send_virq(v, VIRQ_TIMER);
}

void vcpu_ticks_stop(struct vcpu *v)
{
    timer_stop(&v->periodic);
}

void vcpu_set_singleshot(struct vcpu *v, uint64_t deadline)
{
    bool over = deadline && deadline <= arch_now();

    if (!deadline || over)
        timer_stop(&v->singleshot);
    else
        timer_set(&v->singleshot, arch_this_cpu(), deadline);
    if (over)
        evtchn_send_virq(v, VIRQ_TIMER);
}

bool vcpu_end_poll(struct vcpu *v)
{
    if (__atomic_exchange_n(&v->poll_port, POLL_OFF, __ATOMIC_SEQ_CST) == POLL_OFF)
        return false;
    __atomic_fetch_sub(&v->domain->pollers, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
    sched_wake(v);
    return true;
}

static void poll_timed_out(void *arg)
{
    vcpu_end_poll(arg);
}

int vcpu_init(struct vcpu *v, struct domain *d, unsigned int id)
{
    if (id >= d->max_vcpus || d->vcpu[id])
        return -XEN_EINVAL;
    v->id = id;
    v->domain = d;
    v->pause_flags = VP_DOWN;
    v->info = id < XEN_LEGACY_MAX_VCPUS ? &d->shared->vcpu_info[id] : &v->own_info;
    spin_init(&v->timer_lock, RANK_VCPU);
    spin_init(&v->queues.lock, RANK_EVTQUEUE);
    timer_init(&v->singleshot, singleshot_fired, v);
    timer_init(&v->periodic, periodic_fired, v);
    timer_init(&v->poll_timer, poll_timed_out, v);
    sched_add_vcpu(v);
    __atomic_store_n(&d->vcpu[id], v, __ATOMIC_RELEASE);
    return 0;
}

void domain_stop_timers(struct domain *d)
{
    for_each_vcpu (d, v) {
        vcpu_set_period(v, 0);
        timer_stop_sync(&v->periodic);
        timer_stop_sync(&v->singleshot);
        timer_stop_sync(&v->poll_timer);
    }
    sched_stop_domain(d);
    for (unsigned int i = 0; i < NR_WATCHDOGS; i++)
        timer_stop_sync(&d->watchdog[i]);
}

static void nothing(void *arg)
{
    (void)arg;
}

void domain_drop_infos(struct domain *d)
{
    for_each_vcpu (d, v)
        __atomic_store_n(&v->info, &v->own_info, __ATOMIC_SEQ_CST);
    /* Who took the old pointer to mark an event is past that once it answers a call. */
    arch_call_others(&cpumask_all, nothing, NULL);
    for_each_vcpu (d, v) {
        struct frame *f = v->info_frame;

        v->info_frame = NULL;
        if (f)
            frame_put_typed(f);
    }
}

void vcpu_notify(struct vcpu *v)
{
    if (__atomic_load_n(&v->pause_flags, __ATOMIC_RELAXED) & VP_BLOCKED) {
        if (__atomic_load_n(&v->poll_port, __ATOMIC_RELAXED) != POLL_OFF && vcpu_end_poll(v))
            return;
        __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
        sched_wake(v);
    } else if (__atomic_load_n(&v->sched.running, __ATOMIC_RELAXED)) {
        struct pcpu *p = __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE);

        if (p != arch_this_cpu())
            arch_kick(p->id);
    }
}

void vcpu_mark_events_pending(struct vcpu *v)
{
    /*
     * The exchange is a full barrier between the mark and the look at v's state; blocking and
     * entering a guest do the same two steps the other way round, so one of the two notices.
     */
    if (__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    if (v->domain->ops->upcall)
        v->domain->ops->upcall(v);
    vcpu_notify(v);
}

bool vcpu_can_block(const struct vcpu *v)
{
    const struct guest_ops *ops = v->domain->ops;

    return ops->can_block ? ops->can_block(v) : !vcpu_has_upcall(v);
}

/*
 * The mark that v is blocked comes before the look for events, and who raises an event does the
 * same two steps the other way round (vcpu_mark_events_pending).
 */
void vcpu_block(struct vcpu *v)
{
    if (!vcpu_can_block(v))
        return;
    __atomic_fetch_or(&v->pause_flags, VP_BLOCKED, __ATOMIC_SEQ_CST);
    if (vcpu_can_block(v))
        pcpu_raise(v->cpu, WORK_SCHED);
    else
        __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
}

void vcpu_runstate_at(struct vcpu *v, int state, uint64_t now)
{
    TRACE(TRC_SCHED_RUNSTATE_CHANGE | (uint32_t)v->runstate.state << 8 | (uint32_t)state << 4,
          trace_vcpu(v));
    v->runstate.time[v->runstate.state] += now - v->runstate.entered;
    v->runstate.entered = now;
    v->runstate.state = state;
}

void vcpu_get_runstate(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct pcpu *p;
    uint64_t now;

    for (;;) {
        p = __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE);
        spin_lock(&p->rq.lock);
        if (p == __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE))
            break;
        spin_unlock(&p->rq.lock);
    }
    now = arch_now();
    *out = (struct vcpu_runstate_info){ .state = v->runstate.state,
                                        .state_entry_time = v->runstate.entered };
    for (int i = 0; i < 4; i++)
        out->time[i] = v->runstate.time[i];
    out->time[out->state] += now - out->state_entry_time;
    spin_unlock(&p->rq.lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * What guests see of time. A vCPU's time record and runstate area are written by the CPU that it
 * is on, with a mark while they change; the wall clock of all domains is one value under
 * wall_lock.
 */
#include "core/clock.h"

#include <xen/vcpu.h>

#include "core/arch.h"
#include "core/domain.h"
#include "core/guest.h"
#include "core/pcpu.h"
#include "core/shared_info.h"
#include "core/vcpu.h"
#include "lib/string.h"

#define NS_PER_S 1000000000ull

uint32_t clock_generation = 1;

/* Wall-clock ns when system time was 0. */
static spinlock_t wall_lock = SPINLOCK_INIT(RANK_MACHINE);
static uint64_t wall_base_ns; /* [wall_lock] */

void clock_changed(void)
{
    __atomic_fetch_add(&clock_generation, 1, __ATOMIC_SEQ_CST);
    for (unsigned int i = 0; i < nr_pcpus; i++)
        pcpu_raise(pcpus[i], WORK_CLOCK);
}

/* The version is odd while the record changes, so that a reader on another CPU can tell. */
static void publish_time(struct vcpu *v, const struct vcpu_time_info *t)
{
    struct vcpu_time_info *dst = &v->info->time;

    __atomic_store_n(&dst->version, t->version - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dst->tsc_timestamp = t->tsc_timestamp;
    dst->system_time = t->system_time;
    dst->tsc_to_system_mul = t->tsc_to_system_mul;
    dst->tsc_shift = t->tsc_shift;
    dst->flags = t->flags;
    __atomic_store_n(&dst->version, t->version, __ATOMIC_RELEASE);
}

/* The areas that a guest registers are its kernel's, and change while its programs run as well. */
static void kernel_view(struct vcpu *v, bool on)
{
    if (v->domain->ops->kernel_view)
        v->domain->ops->kernel_view(v, on);
}

static void publish_time_area(struct vcpu *v, const struct vcpu_time_info *t)
{
    gptr_t area = GPTR(__atomic_load_n(&v->time_area.v, __ATOMIC_RELAXED));
    struct vcpu_time_info odd = *t;

    odd.version--;
    /* A guest that took its area away gets no news. */
    if (guest_write(v, area, &odd.version, sizeof(odd.version)) ||
        guest_write(v, area, &odd, sizeof(odd)))
        return;
    (void)guest_write(v, area, &t->version, sizeof(t->version));
}

void clock_update_vcpu(struct vcpu *v)
{
    struct vcpu_time_info t = { 0 };

    v->time_cpu = arch_this_cpu();
    __atomic_store_n(&v->time_stamp, clock_stamp(), __ATOMIC_RELAXED);
    arch_fill_time(v, &t);
    v->time_version += 2;
    t.version = v->time_version;
    publish_time(v, &t);
    if (__atomic_load_n(&v->time_area.v, __ATOMIC_RELAXED)) {
        kernel_view(v, true);
        publish_time_area(v, &t);
        kernel_view(v, false);
    }
}

void clock_publish_wallclock(struct domain *d)
{
    uint32_t version, *high, *clock = shared_clock(d, &high);
    uint64_t ns, secs;

    spin_lock(&wall_lock);
    ns = wall_base_ns;
    secs = ns / NS_PER_S + (uint64_t)d->time_offset_seconds;
    version = (clock[0] | 1) + 1;
    __atomic_store_n(&clock[0], version - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    clock[1] = (uint32_t)secs;
    clock[2] = (uint32_t)(ns % NS_PER_S);
    *high = (uint32_t)(secs >> 32);
    __atomic_store_n(&clock[0], version, __ATOMIC_RELEASE);
    spin_unlock(&wall_lock);
}

static void set_base(uint64_t base_ns)
{
    spin_lock(&wall_lock);
    wall_base_ns = base_ns;
    spin_unlock(&wall_lock);
    for_each_domain (d)
        clock_publish_wallclock(d);
}

uint64_t clock_wall_ns(void)
{
    uint64_t base;

    spin_lock(&wall_lock);
    base = wall_base_ns;
    spin_unlock(&wall_lock);
    return base + arch_now();
}

void clock_init_wallclock(void)
{
    set_base(arch_rtc_read() * NS_PER_S - arch_now());
}

void clock_set_wallclock(uint64_t secs, uint32_t nsecs, uint64_t system_ns)
{
    set_base(secs * NS_PER_S + nsecs - system_ns);
}

/* struct vcpu_runstate_info as 32-bit code has it: without the gap behind `state`. */
struct narrow_runstate {
    int state;
    uint64_t rest[5];
} __attribute__((packed, aligned(4)));

int clock_put_runstate(struct vcpu *v, gptr_t area, const struct vcpu_runstate_info *info,
                       bool narrow)
{
    struct narrow_runstate n = { .state = info->state };

    if (!narrow)
        return guest_put(v, area, info);
    memcpy(n.rest, &info->state_entry_time, sizeof(n.rest));
    return guest_put(v, area, &n);
}

static void publish_runstate(struct vcpu *v)
{
    struct vcpu_runstate_info info = { .state = v->runstate.state,
                                       .state_entry_time = v->runstate.entered };
    gptr_t area = GPTR(__atomic_load_n(&v->runstate.area.v, __ATOMIC_RELAXED));
    bool narrow = __atomic_load_n(&v->runstate.narrow, __ATOMIC_RELAXED);
    gptr_t entry = gptr_add(area, narrow ? offsetof(struct narrow_runstate, rest)
                                         : offsetof(struct vcpu_runstate_info, state_entry_time));
    uint64_t entered = info.state_entry_time, flagged = entered | XEN_RUNSTATE_UPDATE;
    bool flag = v->domain->vm_assist & BIT64(VMASST_TYPE_runstate_update_flag);

    for (int i = 0; i < 4; i++)
        info.time[i] = v->runstate.time[i];
    if (flag) {
        /* Other vCPUs of the guest read this record: the flag says that it is being written. */
        info.state_entry_time = flagged;
        if (guest_write(v, entry, &flagged, sizeof(flagged)))
            return;
        __atomic_thread_fence(__ATOMIC_RELEASE);
    }
    if (clock_put_runstate(v, area, &info, narrow) || !flag)
        return;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    (void)guest_write(v, entry, &entered, sizeof(entered));
}

void clock_publish_runstate(struct vcpu *v)
{
    kernel_view(v, true);
    publish_runstate(v);
    kernel_view(v, false);
}

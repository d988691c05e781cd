/* SPDX-License-Identifier: MIT */
/* The guest's view of time: its time page, wall clock, runstate areas. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/types.h"

struct vcpu;
struct domain;

/* Moves when the scale of time changes (recalibration, a TSC found unstable): records are stale. */
extern uint32_t clock_generation; /* atomic */
static inline uint32_t clock_stamp(void)
{
    return __atomic_load_n(&clock_generation, __ATOMIC_RELAXED);
}
/* The scale changed: all vCPUs refresh their records at their next entry. */
void clock_changed(void);

/* Refresh v's vcpu_info time record and its registered area; v is entering this CPU or is current.
 */
void clock_update_vcpu(struct vcpu *v);
/* Wall clock at boot, from the RTC; updates shared_info of every domain. */
void clock_init_wallclock(void);
/* Nanoseconds since 1970. Takes RANK_MACHINE. */
uint64_t clock_wall_ns(void);
/* XENPF_settime64: wall-clock time (secs, nsecs) was right at system time `system_ns`. */
void clock_set_wallclock(uint64_t secs, uint32_t nsecs, uint64_t system_ns);
/* Write the wall clock into d's shared_info. */
void clock_publish_wallclock(struct domain *d);
/* Writes a runstate record into memory of v's, current, as 64-bit code or (narrow) 32-bit code has
 * it. */
struct vcpu_runstate_info;
int clock_put_runstate(struct vcpu *v, gptr_t area, const struct vcpu_runstate_info *info,
                       bool narrow);
/* Copy v's runstate to its registered guest area; v is current. */
void clock_publish_runstate(struct vcpu *v);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The part of the simulated machine (host.h) that PV guests' memory needs: CPUs with a CR3, a TLB
 * and paging-structure caches that forget only when told, and memory accesses by guests through
 * them. The TLBs are filled by walks that other CPUs make while the hypervisor works.
 */
#ifndef TESTS_PV_MACHINE_H
#define TESTS_PV_MACHINE_H

#include "host/host.h"
#include "x86/cpu/cpu.h"
#include "x86/pv/ptable.h"

#define PV_CPUS 3
#define PV_RAM 3072          /* frames */
#define PV_MACHINE_FRAMES 16 /* behind RAM: registers that no guest may map, then other devices */
/* Where the model's guests have their memory: slot 272. */
#define PV_BASE HV_END
#define PV_SLOTS 1536u
#define PV_VA(slot) (PV_BASE + (uint64_t)(slot)*PAGE_SIZE)

struct rng {
    uint64_t s;
};
uint64_t rng_next(struct rng *r);
uint64_t pv_linear_va(struct rng *r);
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_next(r) % n;
}
/* True in one of n cases. */
static inline bool rng_one_in(struct rng *r, uint64_t n)
{
    return rng_next(r) % n == 0;
}

/* Boots host.h's machine with PV_CPUS and the PV side; domains come by pv_guest_new(). */
void pv_machine_boot(bool verbose);
/* Have its guests an MSR_TSC_AUX? */
extern bool pv_machine_tsc_aux;
/* How busy the rest of the machine is from now on: `seed` decides; 0: it stands still. */
void pv_machine_stir(uint64_t seed);
/* The caller's CPU runs v from now on; NULL: it idles. */
void pv_machine_run(struct vcpu *v);
/* Work came in: the next look at `pending` finds it; done by pv_machine_exit(). */
void pv_machine_exit(struct vcpu *v);

/*
 * A guest's access by the TLB of this thread's CPU: the frame's memory, or NULL: page fault. Ends
 * the program when the access breaks isolation.
 */
void *pv_access(uint64_t va, bool write);
/* Perhaps an access by a random CPU to a random address, one of the hot slots by preference. */
void pv_machine_tick(void);
#define PV_HOT 8
extern __thread unsigned int pv_hot_slot[PV_HOT];
/* No stale entry of any CPU breaks isolation; else says what does, and ends the program. */
void pv_check_tlbs(void);
/* Prints and ends the program. */
void pv_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

extern __thread unsigned int pv_flushes, pv_walks, pv_restarts, pv_log_faults; /* for the report */
/* Each CPU is played by a thread of its own, and makes its own accesses only. */
extern bool pv_threaded;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What an architecture provides to the core: every arch_* function the core calls, and nothing
 * else. tests/host implements it over threads.
 */
#ifndef CORE_ARCH_H
#define CORE_ARCH_H

#include "core/types.h"

struct vcpu;
struct domain;
struct pcpu;
struct cpumask;

/* --- this CPU --- */
/* The pcpu record of the CPU that asks. */
struct pcpu *arch_this_cpu(void);
/* Breathe in a spin loop; serves cross-CPU calls that wait for this CPU. */
void arch_poll(void);
/* Make CPU `cpu` pass through its exit path soon (an IPI); safe for the own CPU. */
void arch_kick(unsigned int cpu);
/* Run fn(arg) on each CPU of the mask but this one, and wait until all have. */
void arch_call_others(const struct cpumask *cpus, void (*fn)(void *), void *arg);
/* Wait for an interrupt with interrupts enabled; returns with them disabled. */
void arch_idle_wait(void);
/* The last steps of panic(): registers, backtrace, stop all CPUs, then halt or reboot. */
void arch_panic(const char *msg) __attribute__((noreturn));

/* --- memory --- */
/* Hypervisor's address of a machine frame of RAM (direct map). */
void *arch_map(mfn_t mfn);
/* Inverse of arch_map for an address within the direct map. */
mfn_t arch_unmap(const void *p);
/* Fill a frame with zeros. */
void arch_clear_page(void *page);
/* Drop the guest translations of every CPU in `cpus` flushed before `stamp`. */
void arch_tlb_flush_stamped(const struct cpumask *cpus, uint32_t stamp);
/* Record gfn as the guest's number of machine frame mfn (the M2P). */
void arch_set_gfn(mfn_t mfn, uint64_t gfn);
uint64_t arch_gfn(mfn_t mfn); /* what was recorded for a frame of RAM */
#define GFN_INVALID (~0ull)   /* M2P entry of a frame that no guest has placed */

/* --- time --- */
/* Nanoseconds since boot: monotonic, the same on all CPUs. */
uint64_t arch_now(void);
/* Program this CPU's timer to interrupt at `deadline` ns (arch_now's scale). */
void arch_timer_set(uint64_t deadline);
/* This CPU's cycle counter, for the time of trace records. */
uint64_t arch_cycles(void);
/* Seconds since 1970 from the machine's real-time clock. */
uint64_t arch_rtc_read(void);
/* Fill the guest's time record for vCPU v on this CPU (version is the caller's business). */
struct vcpu_time_info;
void arch_fill_time(struct vcpu *v, struct vcpu_time_info *t);

/* --- vCPUs --- */
/* Leave prev, enter next on this CPU: registers, page tables, FPU, segments. Either may be idle. */
void arch_switch(struct vcpu *prev, struct vcpu *next);
/* CPU's identity for VCPUOP_get_physid: APIC id in bits 31:0, ACPI id in bits 63:32. */
uint64_t arch_physid(unsigned int cpu);

/* CPUs of which this is the same number are threads of one core. */
uint64_t arch_core(unsigned int cpu);

/* --- what the ABI tells guests and tools of the machine --- */
/* XENVER_capabilities: the guest kinds that run here, as "xen-3.0-x86_64 ". */
const char *arch_capabilities(void);
/* XENVER_platform_parameters: lowest address of the hypervisor's hole. */
uint64_t arch_virt_start(void);
/*
 * memory_op, sysctl, domctl sub-operations that the core does not know and that are the same for
 * all guest kinds. arg and op as the guest passed them; the caller's privilege was checked for the
 * latter two. -ENOSYS for what it does not know.
 */
long arch_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent);
struct xen_sysctl;
long arch_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back);
struct xen_domctl;
long arch_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);
/* sysctl physinfo: the machine's CPU frequency, features and capabilities. */
struct xen_sysctl_physinfo;
void arch_physinfo(struct xen_sysctl_physinfo *info);
/* sysctl cputopoinfo: ids of a CPU's core, socket and node. */
struct xen_sysctl_cputopo;
void arch_cputopo(unsigned int cpu, struct xen_sysctl_cputopo *topo);

/* --- machine interrupts of a domain, by its own numbers (PIRQs). [evtchn lock of d] --- */
/* From now on it raises `port`; share: as EVTCHNOP_bind_pirq says. 0 or -errno. */
int arch_pirq_bind(struct domain *d, unsigned int pirq, uint32_t port, bool share);
void arch_pirq_unbind(struct domain *d, unsigned int pirq);
/* Its port is v's now. */
void arch_pirq_set_affinity(struct domain *d, unsigned int pirq, struct vcpu *v);

/* --- machine control (shutdown of Dom0) --- */
/* ACPI S5; where that fails, halts with a message. */
void arch_poweroff(void) __attribute__((noreturn));
void arch_reboot(void) __attribute__((noreturn));
void arch_halt(void) __attribute__((noreturn));

#endif

/* SPDX-License-Identifier: MIT */
/* Hypercalls: the two ways in, and thin typed wrappers. All return the ABI's negative errno. */
#ifndef GUEST_HYPERCALL_H
#define GUEST_HYPERCALL_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* errno values of the ABI that tests name (xen/errno.h defines them by X-macro only). */
enum {
#define XEN_ERRNO(name, value) name = (value),
#include <xen/errno.h>
};

long hypercall_page_call(long nr, long a1, long a2, long a3, long a4, long a5);
long hypercall_raw(long nr, long a1, long a2, long a3, long a4, long a5);

/* The way in that hc() uses; hypercall_raw unless a guest chooses the page. */
extern long (*hypercall_way)(long nr, long a1, long a2, long a3, long a4, long a5);

#define HC_ARG(x) ((long)(x))
#define HC5(nr, a, b, c, d, e) \
    hypercall_way(nr, HC_ARG(a), HC_ARG(b), HC_ARG(c), HC_ARG(d), HC_ARG(e))
#define HC4(nr, a, b, c, d) HC5(nr, a, b, c, d, 0)
#define HC3(nr, a, b, c) HC5(nr, a, b, c, 0, 0)
#define HC2(nr, a, b) HC5(nr, a, b, 0, 0, 0)
#define HC1(nr, a) HC5(nr, a, 0, 0, 0, 0)

static inline long hc_set_trap_table(const struct trap_info *table)
{
    return HC1(__HYPERVISOR_set_trap_table, table);
}

static inline long hc_mmu_update(const struct mmu_update *req, unsigned int count,
                                 unsigned int *done, unsigned int dom)
{
    return HC4(__HYPERVISOR_mmu_update, req, count, done, dom);
}

static inline long hc_set_gdt(const unsigned long *frames, unsigned int entries)
{
    return HC2(__HYPERVISOR_set_gdt, frames, entries);
}

static inline long hc_stack_switch(unsigned long ss, unsigned long sp)
{
    return HC2(__HYPERVISOR_stack_switch, ss, sp);
}

static inline long hc_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
    return HC3(__HYPERVISOR_set_callbacks, event, failsafe, syscall);
}

static inline long hc_fpu_taskswitch(int set)
{
    return HC1(__HYPERVISOR_fpu_taskswitch, set);
}

static inline long hc_set_debugreg(int reg, uint64_t value)
{
    return HC2(__HYPERVISOR_set_debugreg, reg, value);
}

static inline long hc_get_debugreg(int reg)
{
    return HC1(__HYPERVISOR_get_debugreg, reg);
}

static inline long hc_update_descriptor(uint64_t maddr, uint64_t desc)
{
    return HC2(__HYPERVISOR_update_descriptor, maddr, desc);
}

static inline long hc_memory_op(unsigned int cmd, void *arg)
{
    return HC2(__HYPERVISOR_memory_op, cmd, arg);
}

static inline long hc_multicall(struct multicall_entry *calls, unsigned int count)
{
    return HC2(__HYPERVISOR_multicall, calls, count);
}

static inline long hc_update_va_mapping(uint64_t va, uint64_t pte, unsigned long flags)
{
    return HC3(__HYPERVISOR_update_va_mapping, va, pte, flags);
}

static inline long hc_set_timer_op(uint64_t deadline)
{
    return HC1(__HYPERVISOR_set_timer_op, deadline);
}

static inline long hc_xen_version(int cmd, void *arg)
{
    return HC2(__HYPERVISOR_xen_version, cmd, arg);
}

static inline long hc_console_io(int cmd, int count, char *buf)
{
    return HC3(__HYPERVISOR_console_io, cmd, count, buf);
}

static inline long hc_grant_table_op(unsigned int cmd, void *arg, unsigned int count)
{
    return HC3(__HYPERVISOR_grant_table_op, cmd, arg, count);
}

static inline long hc_vm_assist(unsigned int cmd, unsigned int type)
{
    return HC2(__HYPERVISOR_vm_assist, cmd, type);
}

static inline long hc_vcpu_op(int cmd, unsigned int vcpu, void *arg)
{
    return HC3(__HYPERVISOR_vcpu_op, cmd, vcpu, arg);
}

static inline long hc_set_segment_base(int which, uint64_t base)
{
    return HC2(__HYPERVISOR_set_segment_base, which, base);
}

static inline long hc_mmuext_op(struct mmuext_op *op, unsigned int count, unsigned int *done,
                                unsigned int dom)
{
    return HC4(__HYPERVISOR_mmuext_op, op, count, done, dom);
}

static inline long hc_sched_op(int cmd, void *arg)
{
    return HC2(__HYPERVISOR_sched_op, cmd, arg);
}

static inline long hc_callback_op(int cmd, void *arg)
{
    return HC2(__HYPERVISOR_callback_op, cmd, arg);
}

static inline long hc_event_channel_op(int cmd, void *arg)
{
    return HC2(__HYPERVISOR_event_channel_op, cmd, arg);
}

static inline long hc_physdev_op(int cmd, void *arg)
{
    return HC2(__HYPERVISOR_physdev_op, cmd, arg);
}

static inline long hc_sysctl(void *op)
{
    return HC1(__HYPERVISOR_sysctl, op);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * For unit tests on the model's machine (model/pv_pick.h): three domains with page tables, each
 * running on the CPU of its number, and calls by them. Included once, by the test program.
 */
#ifndef TESTS_PV_UNIT_H
#define TESTS_PV_UNIT_H

#include "model/pv_pick.h"

#include <xen/grant_table.h>

#include "unit.h"
#include "x86/pv/domain.h"

#define SLOT 60u /* a page that nothing else uses, and the next ones */
#define RO (FLAGS & ~PTE_RW)
#define NOWHERE PV_VA(PV_SLOTS) /* no page there */
#define TOP (-8ull)             /* a list there ends with the address space */

__attribute__((constructor)) static void boot(void)
{
    pv_machine_boot(getenv("HOST_LOG") != NULL);
    pv_model_setup();
    pv_model_seed(1);
}

/* This thread goes on as the vCPU of domain i. */
static inline struct vcpu *as(unsigned int i)
{
    host_be(i);
    return pv_dom[i]->vcpu[0];
}

static inline long set_va(struct vcpu *v, uint64_t va, pte_t e)
{
    return call(v, __HYPERVISOR_update_va_mapping, va, e, UVMF_INVLPG, 0);
}

static inline uint64_t l1_of(unsigned int i)
{
    return slot_entry(as(i), 0) >> PAGE_SHIFT;
}

static inline long memory_op(struct vcpu *v, unsigned int op)
{
    return call(v, __HYPERVISOR_memory_op, op, args_va(v), 0, 0);
}

/* A page of domain i that is in no table and of no type, by way of a slot that stays empty. */
static inline struct frame *idle_page(unsigned int i, unsigned int slot)
{
    struct vcpu *v = as(i);
    struct frame *f = frame_of(MFN(slot_frame(v, slot)));

    CHECK_EQ(set_va(v, PV_VA(slot), 0), 0);
    CHECK(f && !frame_typed(f->state));
    return f;
}

/* --- guests whose memory does not end: lists that wrap around --- */

static struct x86_guest_ops endless;
static uint64_t at_top; /* what is read there */

static inline int read_endless(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    if (src.v < -4096ull)
        return pv_guest_ops.g.copy_from(v, dst, src, n);
    memset(dst, 0, n);
    memcpy(dst, &at_top, MIN(n, sizeof(at_top)));
    return 0;
}

static inline int write_endless(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    return dst.v < -4096ull ? pv_guest_ops.g.copy_to(v, dst, src, n) : 0;
}

static inline int write_anywhere(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    (void)v, (void)dst, (void)src, (void)n;
    return 0;
}

static inline void make_endless(struct domain *d, bool on)
{
    endless = pv_guest_ops;
    endless.g.copy_from = read_endless;
    endless.g.copy_to = write_endless;
    d->ops = on ? &endless.g : &pv_guest_ops.g;
}

/* --- calls --- */

static inline long set_entry(struct vcpu *v, uint64_t maddr, pte_t e)
{
    struct mmu_update u = { maddr, e };

    CHECK(put_args(v, 0, &u, sizeof(u)));
    return call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_SELF);
}

static inline long ext_op(struct vcpu *v, unsigned int cmd, uint64_t mfn, unsigned int foreign)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };

    CHECK(put_args(v, 0, &op, sizeof(op)));
    return call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, foreign);
}

/* --- domain 2 maps what domain 1 grants; the operation's status --- */

static inline int map_grant(uint32_t ref, uint64_t addr, uint32_t flags, uint32_t *handle)
{
    struct gnttab_map_grant_ref op = { .host_addr = addr, .flags = flags, .ref = ref, .dom = 1 };
    struct vcpu *v = as(2);

    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, args_va(v), 1, 0), 0);
    CHECK(get_args(v, 0, &op, sizeof(op)));
    *handle = op.handle;
    return op.status;
}

static inline int unmap_grant(uint32_t handle, uint64_t addr)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = addr, .handle = handle };
    struct vcpu *v = as(2);

    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, args_va(v), 1, 0), 0);
    CHECK(get_args(v, 0, &op, sizeof(op)));
    return op.status;
}

static inline int replace_grant(uint32_t handle, uint64_t addr, uint64_t new_addr)
{
    struct gnttab_unmap_and_replace op = { .host_addr = addr,
                                           .new_addr = new_addr,
                                           .handle = handle };
    struct vcpu *v = as(2);

    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, args_va(v), 1, 0), 0);
    CHECK(get_args(v, 0, &op, sizeof(op)));
    return op.status;
}

#endif

/* SPDX-License-Identifier: MIT */
/* PV guests: what a 64-bit paravirtualised domain and vCPU are made of. */
#ifndef X86_PV_PV_H
#define X86_PV_PV_H

#include "core/hypercall.h"
#include "core/types.h"
#include "x86/pv/privstate.h"
#include "x86/guest.h"
#include "x86/mm/tlb.h"
#include "x86/vcpu.h"

/*
 * Half-done undoing of page tables: at most one frame of each level; index 1 to 4. `behind`: one
 * whose linear entry named f of the same level; it is next.
 */
struct pt_drop {
    struct frame *f[5], *behind[5];
    bool any;
};

enum pv_exit_work {
    PVX_DROP = 1,     /* drop.any: page tables half undone */
    PVX_NMI = 2,      /* an NMI waits */
    PVX_TIME = 4,     /* its time record is to be renewed */
    PVX_FAILSAFE = 8, /* a selector of pv_vcpu.ds..gs could not be loaded: failsafe callback */
};

struct pv_trap {
    uint64_t address; /* 0: none; any value, looked at when it is entered */
    uint16_t cs;
    uint8_t dpl;
    bool mask; /* TI_GET_IF: entering it masks events */
};

struct pv_callback {
    uint64_t address;
    bool mask;
};

struct pv_vcpu {
    struct x86_vcpu x; /* first */

    /* Read by the entry code: see asm_offsets.c. */
    bool kernel_mode;    /* in its kernel (or: in its program) */
    bool syscall_mask;   /* SYSCALL masks events */
    uint8_t exit_work;   /* enum pv_exit_work: what the exit path has to do before the guest runs */
    hc_fn *const *calls; /* by number, one that refuses where there is none: see calls.c */
    uint64_t kernel_sp;  /* stack for entries from user mode; any value */
    uint64_t kernel_ss;
    uint64_t cr3_kernel; /* machine addresses of the two L4s; user may be 0: pv_set_base() */
    uint64_t cr3_user;
    uint64_t load_cr3[2]; /* by kernel_mode: CR3's value for them (mm/tlb.h), 0 for none */
    uint64_t syscall_rip; /* 0: none registered; any value */
    /* What the short paths of pv/entry.S go by; derived, see pv_set_short_paths(). */
    uint64_t short_syscall; /* syscall_rip, or 0: the long way */
    uint64_t short_iret;    /* iret frames at or above this address take the short way */

    uint64_t syscall32_rip;
    uint64_t sysenter_rip;
    bool syscall32_mask, sysenter_mask;
    struct pv_callback event, failsafe, nmi;
    bool in_nmi; /* since its NMI handler was entered, until the next iret */
    struct pv_trap traps[256];

    mfn_t gdt_mfn[16]; /* frames of the guest's GDT; gdt_ents says how many entries */
    uint32_t gdt_ents;
    uint32_t ldt_ents;
    uint64_t ldt_base; /* guest virtual address */
    mfn_t ldt_mfn[16]; /* mapped lazily: 0 = not mapped */

    uint64_t fs_base, gs_base_user, gs_base_kernel; /* while not running */
    uint16_t ds, es, fs, gs;
    uint64_t dr[8];
    bool ts; /* FPU use traps to the guest (fpu_taskswitch) */

    struct pt_drop drop;      /* [ptable lock of the domain] */
    struct pv_privstate priv; /* privop.c's: ctrlreg, iopl, I/O bitmap */
};

struct dirty_log;
struct twins;

/* The log of a guest's writes: log_dirty.c. [domctl lock] */
struct pv_log {
    bool on;
    bool ending;               /* what follows goes, piece by piece */
    bool lost;                 /* a CLEAN did not come to its end: all counts as written */
    struct dirty_log *log;     /* the domain's, or on its way to be that or to go */
    struct twins *twins;       /* the same */
    const struct vcpu *caller; /* whose CLEAN or PEEK gave way, NULL: nobody's; what follows is */
    uint64_t bitmap, asked;    /* that call's arguments, */
    uint32_t op, mode;
    bool whole;                /* it is about all pages; */
    uint64_t pages, at, dirty; /* how many the guest had then, how far it came, what it found, */
    uint32_t held;             /* the frame at which the search for held ones stands, */
    bool searched;             /* or that it is over */
};

struct pv_domain {
    struct x86_domain x; /* first */
    spinlock_t pt_lock;  /* RANK_PTABLE: page tables and types of its table frames */
    struct pt_drop drop; /* teardown's */
    struct pv_log log;
    struct twins *twins; /* [pt_lock, or no vCPU of it runs] what its CPUs walk instead: twin.h */
    bool linear;         /* [pt_lock] its tables may have linear entries: see ptable.h */
    bool isolated;       /* constant: it runs on roots without the hypervisor (mm/isolation.h) */
    bool relaxed_msrs;   /* constant: MSRs that are not there read as 0, and take what is written */
    uint64_t l4_changes; /* moves on after a change of one of its L4s. Written under pt_lock */
};

static inline struct pv_vcpu *pv_vcpu(struct vcpu *v)
{
    return (struct pv_vcpu *)v;
}

static inline struct pv_domain *pv_domain(struct domain *d)
{
    return (struct pv_domain *)d;
}

/* Is [addr, addr + len) free of hypervisor addresses and non-canonical ones? */
static inline bool pv_range_ok(uint64_t addr, uint64_t len)
{
    uint64_t last = addr + len - (len != 0);
    if (last < addr)
        return false;
    return last < (1ull << 47) || addr >= HV_END;
}

static inline bool pv_canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

/* pv_set_base() where the domain has twins: twin.c. */
void twin_set_base(struct pv_vcpu *pv, bool kernel, uint64_t l4);

/* The L4 at this machine address is v's kernel's or its programs' (0: none). */
static inline void pv_set_base(struct pv_vcpu *pv, bool kernel, uint64_t l4)
{
    if (unlikely(pv_domain(pv->x.v.domain)->twins && l4)) {
        twin_set_base(pv, kernel, l4);
        return;
    }
    *(kernel ? &pv->cr3_kernel : &pv->cr3_user) = l4;
    pv->load_cr3[kernel] = l4 ? tlb_cr3(l4, kernel ? TAG_KERNEL : TAG_USER) : 0;
}

/* Frames of its kernel show and set the I/O privilege level (VMASST_TYPE_architectural_iopl). */
static inline bool pv_iopl_in_frames(const struct domain *d)
{
    return d->vm_assist & BIT64(VMASST_TYPE_architectural_iopl);
}

/* What pv/entry.S stores below a guest kernel's stack pointer, rounded up. */
#define PV_FRAME_ROOM 128

/*
 * After syscall_rip, kernel_sp, in_nmi, or the domain's vm_assist, changed. Handler and stack may
 * be anything: where the short path could not use them, the long one finds the words for it.
 */
static inline void pv_set_short_paths(struct pv_vcpu *pv)
{
    bool iopl = pv_iopl_in_frames(pv->x.v.domain);
    bool usable = pv_range_ok(pv->syscall_rip, 1) &&
                  pv_range_ok(pv->kernel_sp - PV_FRAME_ROOM, PV_FRAME_ROOM);

    pv->short_syscall = iopl || !usable ? 0 : pv->syscall_rip;
    pv->short_iret = iopl || pv->in_nmi ? ~0ull : HV_END;
}

/* The two of 4 GiB segments are 32-bit kernels', and mean nothing here. */
#define PV_VM_ASSIST                                                                   \
    (BIT64(VMASST_TYPE_4gb_segments) | BIT64(VMASST_TYPE_4gb_segments_notify) |        \
     BIT64(VMASST_TYPE_writable_pagetables) | BIT64(VMASST_TYPE_pae_extended_cr3) |    \
     BIT64(VMASST_TYPE_architectural_iopl) | BIT64(VMASST_TYPE_runstate_update_flag) | \
     BIT64(VMASST_TYPE_m2p_strict))

extern const struct x86_guest_ops pv_guest_ops;

/* The hypercalls of a PV domain as its privilege has them, NR_HYPERCALLS of them. calls.c */
hc_fn *const *pv_calls_of(const struct domain *d);

static inline bool is_pv(const struct domain *d)
{
    return d->ops == &pv_guest_ops.g;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Hardware-assisted guests (PVH, HVM): what their domains and vCPUs are made of. */
#ifndef X86_HVM_HVM_H
#define X86_HVM_HVM_H

#include "core/domain.h"

#include <xen/hvm/params.h>

#include "core/timer.h"
#include "x86/guest.h"
#include "x86/hvm/io.h"
#include "x86/hvm/vendor.h"
#include "x86/hvm/vlapic.h"
#include "x86/mm/p2m.h"
#include "x86/vcpu.h"

/* hvm_vcpu.exit_work (atomic): looked at before each entry. */
enum hvm_exit_work {
    HVMX_INTERRUPT = 1u << 0, /* its APIC may have something to deliver */
    HVMX_NMI = 1u << 1,       /* an NMI waits */
    HVMX_FLUSH = 1u << 2,     /* its translations are to be forgotten */
    HVMX_TIMER = 1u << 3,     /* its APIC's timer has come */
    HVMX_IO = 1u << 4,        /* an instruction waits for a device model: io.h */
    HVMX_CALLBACK = 1u << 5,  /* vCPU 0: the event channels' wire may have to go up, or down */
    HVMX_EVENT =
        1u << 6, /* `event` is to be delivered: an exception, or one that was interrupted */
};

#define HVM_STAGE 640u /* bytes */

struct hvm_vcpu {
    struct x86_vcpu x; /* first */

    /* Read by the entry code: see asm_offsets.c. */
    uint32_t exit_work;  /* atomic, enum hvm_exit_work */
    void *control;       /* the vendor's control block */
    uint64_t control_pa; /* its machine address */

    struct hvm_event event; /* [own CPU] with HVMX_EVENT */
    bool window;            /* [own CPU] an exit is asked for when it takes interrupts */
    bool nmi_masked;        /* [own CPU] in its NMI handler */
    bool wait_sipi;         /* atomic: INIT stopped it */

    uint64_t dr[4]; /* DR0 to DR3 while they are not on the CPU */
    bool dr_live;   /* they are on the CPU, and accesses do not exit */

    uint32_t tag, tag_cpu; /* ASID or VPID, and CPU + 1 that it is of */
    uint64_t tag_generation;

    uint64_t tsc_aux;
    uint64_t mtrr_fixed[11], mtrr_var[16], mtrr_def; /* kept, reported, without effect: memory is
                                                        write-back */
    uint8_t upcall_vector; /* HVMOP_set_evtchn_upcall_vector; 0: the domain's way */
    struct vlapic lapic;
    struct timer apic_timer;

    struct hvm_io io; /* [own CPU] an instruction that reaches devices */

    uint64_t stuck_rip; /* an instruction was not in memory as it exited; see hvm_insn_length */
    uint32_t stuck_count;

    /* [own CPU] a 32-bit caller's structure as handlers know it: calls32.h */
    uint8_t stage[HVM_STAGE] __attribute__((aligned(8)));

    /* [own CPU], read anywhere: exits, and what no benchmark sees: how often its translations were
     * to be forgotten, how often a generation of tags began for it, how often the processor was
     * told that it must not use what it kept of the control block. perfc_op tells these. */
    struct {
        uint64_t exits, flushes, generations, cleared;
    } stats;
};

struct hvm_domain {
    struct x86_domain x; /* first */
    struct p2m p2m;
    struct vlapic_bus apics;
    struct vlapic *lapic[MAX_VCPUS];
    uint64_t params[HVM_NR_PARAMS];
    uint8_t callback_vector; /* atomic: HVM_PARAM_CALLBACK_IRQ's vector; 0: none */
    uint32_t emulation;      /* XEN_X86_EMU_* */
    struct hvm_devices *dev; /* constant; NULL: PVH */
    /* atomic, viridian.c's: the guest's identity, its hypercall page, when its time began */
    uint64_t hv_guest_os, hv_hypercall, hv_epoch;
};

static inline struct hvm_vcpu *hvm_vcpu(struct vcpu *v)
{
    return (struct hvm_vcpu *)v;
}

static inline struct hvm_domain *hvm_domain(struct domain *d)
{
    return (struct hvm_domain *)d;
}

static inline struct hvm_domain *hvm_domain_of(struct hvm_vcpu *v)
{
    return (struct hvm_domain *)v->x.v.domain;
}

/* Ask v to do `work` before its next entry; any CPU. Who wants it at once kicks it (vcpu_notify).
 */
static inline void hvm_ask(struct hvm_vcpu *v, enum hvm_exit_work work)
{
    __atomic_fetch_or(&v->exit_work, (uint32_t)work, __ATOMIC_SEQ_CST);
}

static inline void hvm_done(struct hvm_vcpu *v, enum hvm_exit_work work)
{
    __atomic_fetch_and(&v->exit_work, ~(uint32_t)work, __ATOMIC_SEQ_CST);
}

extern const struct x86_guest_ops hvm_guest_ops;

#endif

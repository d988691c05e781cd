/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of PV guests. Guest kernels run in ring 3, so what needs ring 0 raises
 * #GP; here it is completed on their behalf, or refused, and then the guest takes the exception
 * itself. docs/privops.md lists each instruction with what happens.
 */
#ifndef X86_PV_PRIVOP_H
#define X86_PV_PRIVOP_H

#include "core/types.h"
#include "x86/insn/insn.h"
#include "x86/pv/pv.h"

/* Exceptions that lead here. */
#define VECTOR_UD 6
#define VECTOR_GP 13

/*
 * v, current, took #GP or #UD (regs->vector, regs->error_code) at regs->rip in ring 3. True: done;
 * registers are up to date, or an exception of another kind has been injected. False: deliver the
 * exception to the guest; nothing has changed.
 */
bool pv_emulate_privop(struct pv_vcpu *v, struct x86_regs *regs);

/*
 * What makes #GP most often needs no decoder: RDMSR, and IN and OUT, which a PC's drivers do by the
 * thousand. `two`: the first bytes, in flat 64-bit code.
 */
static inline bool pv_is_quick_privop(unsigned int two)
{
    return two == 0x320f || (two & 0xf4) == 0xe4 || (two & 0xfdff) == 0xed66;
}
/* pv_emulate_privop() of these. */
bool pv_quick_privop(struct pv_vcpu *v, struct x86_regs *regs, unsigned int two);

/* Initial state of v->priv (zeroed before): CR0 and CR4 as a new vCPU finds them. */
void pv_priv_init(struct pv_vcpu *v);
/*
 * The CR4 that a guest gets when it asks for `wanted` (MOV to CR4, a context's ctrlreg[4]): bits
 * that are not its to choose are forced. The lowest level of what a PV guest may have.
 */
uint64_t pv_cr4_fixup(uint64_t wanted);
/* Bits of the hardware's CR4 that follow the guest's: the CPU must hold these while v runs. */
#define PV_CR4_LIVE 0x10004ull /* FSGSBASE, TSD */
#define PV_CR4_TSD 0x4ull
static inline uint64_t pv_cr4_live(const struct pv_vcpu *v)
{
    /* With the TSC emulated, RDTSC traps for its kernel too: privop.c tells whose choice it was. */
    bool emulated = ((const struct x86_domain *)v->x.v.domain)->tsc.emulated;

    return (v->priv.cr4 & PV_CR4_LIVE) | (emulated ? PV_CR4_TSD : 0);
}

/*
 * May the code that runs change the interrupt flag and use all ports? With architectural_iopl a
 * kernel counts as ring 0 and always may; else as ring 1, by its I/O privilege level, as programs.
 */
static inline bool pv_io_privileged(const struct pv_vcpu *v)
{
    if (v->kernel_mode && pv_iopl_in_frames(v->x.v.domain))
        return true;
    return v->priv.iopl >= (v->kernel_mode ? 1 : 3);
}
/*
 * I/O breakpoints are looked at by the emulation of port instructions, which guests have no other
 * way to run; the hardware would watch the hypervisor's ports. Bits 0 to 3 of DR6 for an access of
 * `size` bytes by the guest's registers.
 */
uint64_t pv_io_breakpoints(const uint64_t *dr, unsigned int port, unsigned int size);

#define DR7_TYPE_IO 2
#define DR7_GD 0x2000ull

static inline unsigned int dr7_type(uint64_t dr7, unsigned int i)
{
    return dr7 >> (16 + 4 * i) & 3;
}

static inline bool dr7_enabled(uint64_t dr7, unsigned int i)
{
    return dr7 >> (2 * i) & 3;
}

/* What of a guest's DR7 the hardware gets. */
static inline uint64_t pv_hardware_dr7(uint64_t dr7)
{
    for (unsigned int i = 0; i < 4; i++)
        if (dr7_type(dr7, i) == DR7_TYPE_IO)
            dr7 &= ~(3ull << (2 * i));
    return dr7;
}

/* May a guest with this CR4 have this DR7? No general detect; I/O breakpoints with CR4.DE. */
static inline bool pv_dr7_ok(uint64_t dr7, uint64_t cr4)
{
    const uint64_t de = 8;

    if (dr7 & DR7_GD)
        return false;
    for (unsigned int i = 0; i < 4 && !(cr4 & de); i++)
        if (dr7_enabled(dr7, i) && dr7_type(dr7, i) == DR7_TYPE_IO)
            return false;
    return true;
}

/*
 * --- What the rest of x86/pv provides. v is current on this CPU in all of them. ---
 */

/*
 * CR3 was written with the machine frame of an L4: as MMUEXT_NEW_BASEPTR. 0 or -errno; -EAGAIN: it
 * gave way to other work, write again.
 */
int pv_new_baseptr(struct pv_vcpu *v, gfn_t l4);
/* CR0.TS as the guest sees it, and on the hardware; as fpu_taskswitch. */
void pv_set_ts(struct pv_vcpu *v, bool on);
/* v->priv.cr4 changed from `old`: load what PV_CR4_LIVE names into the CPU's CR4. */
void pv_cr4_changed(struct pv_vcpu *v, uint64_t old);
/* v->x.xcr0 := val, which is valid; load it. */
void pv_set_xcr0(struct pv_vcpu *v, uint64_t val);
/* As the set_debugreg and get_debugreg hypercalls: 0 or -errno. */
long pv_set_debugreg(struct pv_vcpu *v, unsigned int reg, uint64_t val);
long pv_get_debugreg(const struct pv_vcpu *v, unsigned int reg, uint64_t *val);
/* As the set_segment_base hypercall: SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_KERNEL. */
long pv_set_segment_base(struct pv_vcpu *v, unsigned int which, uint64_t base);
/* The live bases: what the guest's RDMSR of the three MSRs must read. */
uint64_t pv_get_segment_base(struct pv_vcpu *v, unsigned int which);
/*
 * Base of the segment that a register holds now; false when there is none to use (null, not
 * readable). Asked for FS and GS in 64-bit code, for all of them in 32-bit and 16-bit code.
 */
bool pv_segment_base(struct pv_vcpu *v, const struct x86_regs *regs, enum insn_seg seg,
                     uint64_t *base);
/* Mode and base of a code segment that is neither of the ABI's two flat ones. */
bool pv_code_segment(struct pv_vcpu *v, uint16_t cs, enum insn_mode *mode, uint64_t *base);
/*
 * Read kernel memory of v's guest even while its program's page tables are loaded. 0 or -EFAULT.
 * (guest_read and guest_write here mean what the interrupted code itself would reach.)
 */
int pv_read_kernel(struct pv_vcpu *v, void *dst, gptr_t src, size_t n);
/* Make v take #PF at `addr` instead of what it took: a memory operand was not accessible. */
void pv_inject_page_fault(struct pv_vcpu *v, struct x86_regs *regs, uint64_t addr, bool write);
/* An emulated instruction has ended: #DB, with `dr6` for its reasons. */
void pv_inject_debug(struct pv_vcpu *v, struct x86_regs *regs, uint64_t dr6);
void pv_inject_ud(struct pv_vcpu *v, struct x86_regs *regs);
/* The hypercall MSR: fill guest frame `gfn` with stubs. 0 or -errno. */
int pv_write_hypercall_page(struct pv_vcpu *v, gfn_t gfn);

#endif

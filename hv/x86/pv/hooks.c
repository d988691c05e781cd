/* SPDX-License-Identifier: MIT */
/* What the emulation of privileged instructions asks of the rest (privop.h). */
#include "core/gfn.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/pv/hypercall_page.h"
#include "x86/pv/mm.h"
#include "x86/pv/privop.h"
#include "x86/pv/traps.h"

int pv_new_baseptr(struct pv_vcpu *v, gfn_t l4)
{
    int rc = pv_new_kernel_base(&v->x.v, MFN(l4.v));

    pv_mm_done(&v->x.v);
    if (rc != -PT_ERESTART)
        return rc;
    pcpu_gave_way(cpu_info()->pcpu);
    return -XEN_EAGAIN;
}

int pv_read_kernel(struct pv_vcpu *v, void *dst, gptr_t src, size_t n)
{
    bool user = !v->kernel_mode;
    unsigned long fault;

    /* untested: what is read so far is a map of ports, whose range was looked at when it was set */
    if (!pv_range_ok(src.v, n))
        return -XEN_EFAULT;
    if (user)
        write_cr3(v->load_cr3[true]);
    fault = copy_user(dst, (const void *)src.v, n);
    if (user)
        write_cr3(v->load_cr3[false]);
    return fault ? -XEN_EFAULT : 0;
}

void pv_inject_page_fault(struct pv_vcpu *v, struct x86_regs *regs, uint64_t addr, bool write)
{
    uint64_t l1e;
    uint32_t ec = write ? 2 : 0;

    if (pv_read_guest_pte(&v->x.v, addr, &l1e))
        ec |= 1;
    pv_inject_pf(&v->x.v, regs, addr, ec);
}

void pv_inject_debug(struct pv_vcpu *v, struct x86_regs *regs, uint64_t dr6)
{
    v->dr[6] |= dr6 | 0xffff0ff0;
    pv_inject(&v->x.v, regs, TRAP_DB, 0);
}

void pv_inject_ud(struct pv_vcpu *v, struct x86_regs *regs)
{
    pv_inject(&v->x.v, regs, TRAP_UD, 0);
}

int pv_write_hypercall_page(struct pv_vcpu *v, gfn_t gfn)
{
    struct frame *f;

    if (gfn_get(v->x.v.domain, gfn, GFN_WRITE, &f))
        return -XEN_EINVAL;
    hypercall_page_fill(arch_map(frame_mfn(f)));
    gfn_put(f, GFN_WRITE);
    return 0;
}

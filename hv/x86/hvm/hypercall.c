/* SPDX-License-Identifier: MIT */
/* Hypercalls of hardware-assisted guests: VMMCALL or VMCALL, arguments in registers. */
#include "core/hypercall.h"

#include <xen/foreign/x86_32.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/shared_info.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/hvm/calls32.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/exits.h"
#include "x86/hvm/hypercall_page.h"

#define STUB_SIZE 32
#define NR_STUBS (PAGE_SIZE / STUB_SIZE)
#define HYPERCALL_IRET 23

#define SAME_PLACE(offset, field) \
    _Static_assert((offset) == offsetof(struct shared_info_x86_32, field), #field)
SAME_PLACE(NARROW_MASK, evtchn_mask);
SAME_PLACE(NARROW_CLOCK, wc_version);
SAME_PLACE(NARROW_CLOCK_HIGH, arch.wc_sec_hi);
_Static_assert(NARROW_SELECTOR == offsetof(struct vcpu_info_x86_32, evtchn_pending_sel), "sel");
_Static_assert(sizeof(struct vcpu_info_x86_32) == sizeof(struct vcpu_info), "vcpu_info");
_Static_assert(offsetof(struct vcpu_info_x86_32, time) == offsetof(struct vcpu_info, time), "time");

void hvm_latch_layout(struct hvm_vcpu *v, bool narrow)
{
    struct domain *d = v->x.v.domain;

    if (__atomic_exchange_n(&d->narrow_shared, narrow, __ATOMIC_RELAXED) != narrow)
        clock_publish_wallclock(d);
}

bool hvm_write_hypercall_page(struct hvm_vcpu *v, uint64_t val)
{
    /* mov $nr, %eax; vmmcall or vmcall; ret */
    static const uint8_t amd[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3 };
    static const uint8_t intel[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xc3 };
    static const uint8_t none[] = { 0x0f, 0x0b }; /* ud2 */

    if (val & ~PAGE_MASK) /* the number of the page, of which there is one */
        return false;
    for (uint32_t nr = 0; nr < NR_STUBS; nr++) {
        uint8_t stub[STUB_SIZE];

        memset(stub, 0xcc, sizeof(stub));
        memcpy(stub, hvm_vendor->vmcall ? intel : amd, sizeof(amd));
        memcpy(stub + 1, &nr, sizeof(nr));
        if (nr == HYPERCALL_IRET)
            memcpy(stub, none, sizeof(none));
        if (hvm_copy_to_phys(v->x.v.domain, val + nr * STUB_SIZE, stub, sizeof(stub)))
            return false;
    }
    hvm_latch_layout(v, hvm_mode(v) != HVM_MODE_64);
    return true;
}

static void call64(struct hvm_vcpu *v, struct x86_regs *regs, unsigned int len)
{
    long rc = hypercall_dispatch(&v->x.v, regs->rax, &regs->args);

    if (__builtin_expect(rc == HC_RESTART, 0)) { /* the same instruction again */
        regs->args = v->x.v.restart_args;
        return;
    }
    regs->rax = (uint64_t)rc;
    hvm_skip(v, regs, len);
}

static void call32(struct hvm_vcpu *v, struct x86_regs *regs, unsigned int len)
{
    struct hc_args args = HC_ARGS((uint32_t)regs->rbx, (uint32_t)regs->rcx, (uint32_t)regs->rdx,
                                  (uint32_t)regs->rsi, (uint32_t)regs->rdi);
    long rc = hypercall_dispatch32(&v->x.v, (uint32_t)regs->rax, &args);

    if (rc == HC_RESTART) {
        regs->rbx = (uint32_t)v->x.v.restart_args.a[0];
        regs->rcx = (uint32_t)v->x.v.restart_args.a[1];
        regs->rdx = (uint32_t)v->x.v.restart_args.a[2];
        regs->rsi = (uint32_t)v->x.v.restart_args.a[3];
        regs->rdi = (uint32_t)v->x.v.restart_args.a[4];
        return;
    }
    regs->rax = (uint32_t)rc;
    hvm_skip(v, regs, len);
}

void hvm_hypercall(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x), cpl;
    enum hvm_mode mode;

    if (!len)
        return;
    mode = hvm_vendor->mode(v, &cpl);
    if (cpl == 0 && mode == HVM_MODE_64) {
        call64(v, regs, len);
        return;
    }
    if (cpl == 0 && mode == HVM_MODE_32) {
        call32(v, regs, len);
        return;
    }
    regs->rax = cpl ? (uint64_t)E(EPERM) : (uint32_t)E(ENOSYS);
    hvm_skip(v, regs, len);
}

/* SPDX-License-Identifier: MIT */
/* Registers of a hardware-assisted vCPU as a whole: reset, INIT and SIPI, PVH's beginning. */
#include <xen/errno.h>

#include "core/domain.h"
#include "core/pcpu.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/hvm/domain.h"
#include "x86/hvm/exits.h"
#include "x86/hvm/state.h"
#include "x86/switch.h"

#define ATTR_DATA16 0x93u
#define ATTR_CODE16 0x9bu
#define ATTR_DATA32 0xc93u
#define ATTR_CODE32 0xc9bu
#define ATTR_LDT 0x82u
#define ATTR_TSS32 0x8bu
#define RESET_RDX 0x600u /* the processor's signature, family 6 */

static struct x86_regs *regs_of(struct hvm_vcpu *v)
{
    return cpu_info()->current == &v->x.v ? &cpu_info()->regs : &v->x.regs;
}

static void set_data_segments(struct hvm_vcpu *v, uint16_t attr, uint32_t limit)
{
    const struct hvm_segment s = { .attr = attr, .limit = limit };

    hvm_vendor->set_seg(v, HVM_DS, &s);
    hvm_vendor->set_seg(v, HVM_ES, &s);
    hvm_vendor->set_seg(v, HVM_FS, &s);
    hvm_vendor->set_seg(v, HVM_GS, &s);
    hvm_vendor->set_seg(v, HVM_SS, &s);
}

/* Real mode at cs * 16 + ip. */
static void start_real(struct hvm_vcpu *v, uint16_t cs, uint64_t base, uint16_t ip)
{
    const struct hvm_segment code = { cs, ATTR_CODE16, 0xffff, base }, table = { 0, 0, 0xffff, 0 },
                             ldt = { 0, ATTR_LDT, 0xffff, 0 }, tss = { 0, ATTR_TSS32, 0xffff, 0 };

    *regs_of(v) = (struct x86_regs){ .rip = ip, .rflags = X86_FLAGS_FIXED, .rdx = RESET_RDX };
    set_data_segments(v, ATTR_DATA16, 0xffff);
    hvm_vendor->set_seg(v, HVM_CS, &code);
    hvm_vendor->set_seg(v, HVM_GDTR, &table);
    hvm_vendor->set_seg(v, HVM_IDTR, &table);
    hvm_vendor->set_seg(v, HVM_LDTR, &ldt);
    hvm_vendor->set_seg(v, HVM_TR, &tss);
    hvm_vendor->set(v, HVM_CR0, X86_CR0_ET);
    hvm_vendor->set(v, HVM_CR2, 0);
    hvm_vendor->set(v, HVM_CR3, 0);
    hvm_vendor->set(v, HVM_CR4, 0);
    hvm_vendor->set(v, HVM_EFER, 0);
    hvm_vendor->set(v, HVM_DR6, 0xffff0ff0);
    hvm_vendor->set(v, HVM_DR7, 0x400);
    hvm_vendor->set(v, HVM_SHADOW, 0);
}

void hvm_reset_registers(struct hvm_vcpu *v)
{
    start_real(v, 0xf000, 0xffff0000, 0xfff0);
    v->mtrr_def = 0xc06; /* enabled, write-back */
}

void hvm_set_pvh_entry(struct hvm_vcpu *v, uint32_t entry, uint32_t start_info)
{
    const struct hvm_segment code = { 0, ATTR_CODE32, ~0u, 0 }, tss = { 0, ATTR_TSS32, 0x67, 0 };

    hvm_reset_registers(v);
    set_data_segments(v, ATTR_DATA32, ~0u);
    hvm_vendor->set_seg(v, HVM_CS, &code);
    hvm_vendor->set_seg(v, HVM_TR, &tss);
    hvm_vendor->set(v, HVM_CR0, X86_CR0_PE | X86_CR0_ET);
    regs_of(v)->rip = entry;
    regs_of(v)->rbx = start_info;
    regs_of(v)->rdx = 0;
}

/* --- INIT and SIPI --- */

/*
 * INIT stops a vCPU, SIPI starts it in real mode; the second does nothing to one that was not
 * stopped. Both come from another vCPU and are carried out there: the target is got off its CPU
 * first, and VP_STARTING keeps it off, whatever VCPUOP_up says meanwhile, and keeps out a second
 * SIPI: a control block is written by one CPU, while no CPU runs it.
 */
void hvm_send_init(struct hvm_vcpu *v)
{
    struct vcpu *c = &v->x.v;

    __atomic_fetch_or(&c->pause_flags, VP_DOWN, __ATOMIC_SEQ_CST);
    if (cpu_info()->current == c)
        pcpu_raise(c->cpu, WORK_SCHED);
    else
        sched_sleep(c);
    __atomic_store_n(&v->wait_sipi, true, __ATOMIC_SEQ_CST);
}

/* False: another SIPI is at it, or it is not one that waits for a SIPI. */
static bool claim_start(struct hvm_vcpu *v)
{
    struct vcpu *c = &v->x.v;

    if (!(vcpu_flags(c) & VP_DOWN) ||
        (__atomic_fetch_or(&c->pause_flags, VP_STARTING, __ATOMIC_SEQ_CST) & VP_STARTING))
        return false;
    if ((vcpu_flags(c) & VP_DOWN) &&
        (!c->initialised || __atomic_exchange_n(&v->wait_sipi, false, __ATOMIC_SEQ_CST)))
        return true;
    __atomic_fetch_and(&c->pause_flags, ~(uint32_t)VP_STARTING, __ATOMIC_SEQ_CST);
    sched_wake(c);
    return false;
}

/* v's claim is given back, and it waits for a SIPI as before. */
static void give_up(struct hvm_vcpu *v)
{
    __atomic_store_n(&v->wait_sipi, true, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&v->x.v.pause_flags, ~(uint32_t)VP_STARTING, __ATOMIC_SEQ_CST);
    sched_wake(&v->x.v);
}

/*
 * v, which was claimed, leaves its CPU. Who has been stopped itself meanwhile gives up: perhaps v
 * starts it at this moment, and waits as well. False then.
 */
static bool off_its_cpu(struct hvm_vcpu *v)
{
    struct vcpu *c = &v->x.v;

    sched_sleep(c);
    while (__atomic_load_n(&c->sched.running, __ATOMIC_ACQUIRE)) {
        if (vcpu_flags(cpu_info()->current) & VP_DOWN) {
            give_up(v);
            return false;
        }
        arch_poll();
    }
    return true;
}

void hvm_send_sipi(struct hvm_vcpu *v, uint8_t vector)
{
    struct vcpu *c = &v->x.v;

    if (cpu_info()->current == c || !claim_start(v) || !off_its_cpu(v))
        return;
    switch_sync(c);
    __atomic_fetch_and(&v->exit_work, (uint32_t)(HVMX_IO | HVMX_CALLBACK), __ATOMIC_SEQ_CST);
    vlapic_reset(&v->lapic, true);
    hvm_ask(v, HVMX_FLUSH);
    if (__atomic_load_n(&c->info->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
        c->domain->ops->upcall(c); /* it was asked for before, and never comes again by itself */
    v->io.dropped = true;          /* an answer that is still to come */
    v->event.kind = HVM_EV_NONE;
    if (!c->initialised) { /* the TSCs of a machine run in step; the first one's may have been set
                            */
        v->x.tsc_offset = x86_vcpu(c->domain->vcpu[0])->tsc_offset;
        hvm_set_tsc(v);
    }
    start_real(v, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0);
    c->initialised = true;
    __atomic_fetch_and(&c->pause_flags, ~(uint32_t)(VP_DOWN | VP_BLOCKED | VP_STARTING),
                       __ATOMIC_SEQ_CST);
    sched_wake(c);
}

/* --- contexts --- */

int hvm_set_context(struct vcpu *c, const struct vcpu_guest_context *ctx)
{
    (void)c, (void)ctx;
    return -XEN_EOPNOTSUPP; /* its own forms: struct vcpu_hvm_context, sethvmcontext */
}

static void give_regs(const struct x86_regs *r, struct cpu_user_regs *u)
{
    *u = (struct cpu_user_regs){
        /* clang-format off */
        .r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx,
        .r11 = r->r11, .r10 = r->r10, .r9 = r->r9,   .r8 = r->r8,   .rax = r->rax, .rcx = r->rcx,
        .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .rip = r->rip, .rsp = r->rsp,
        /* clang-format on */
    };
    u->rflags = r->rflags;
}

void hvm_get_context(struct vcpu *c, struct vcpu_guest_context *ctx)
{
    struct hvm_vcpu *v = hvm_vcpu(c);
    struct hvm_segment s;

    switch_sync(c);
    memset(ctx, 0, sizeof(*ctx));
    memcpy(ctx->fpu_ctxt.x, v->x.xsave, sizeof(ctx->fpu_ctxt.x));
    ctx->flags = VGCF_i387_valid | (vcpu_flags(c) & VP_DOWN ? 0 : VGCF_online);
    give_regs(regs_of(v), &ctx->user_regs);
    hvm_vendor->get_seg(v, HVM_CS, &s);
    ctx->user_regs.cs = s.sel;
    hvm_vendor->get_seg(v, HVM_SS, &s);
    ctx->user_regs.ss = s.sel;
    ctx->ctrlreg[0] = hvm_vendor->get(v, HVM_CR0);
    ctx->ctrlreg[2] = hvm_vendor->get(v, HVM_CR2);
    ctx->ctrlreg[3] = hvm_vendor->get(v, HVM_CR3);
    ctx->ctrlreg[4] = hvm_vendor->get(v, HVM_CR4);
}

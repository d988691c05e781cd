/* SPDX-License-Identifier: MIT */
/*
 * SVM: switching it on, control blocks, and which part of a guest's state is where.
 *
 * VMRUN and the exit exchange what a control block holds. What VMLOAD and VMSAVE move (FS, GS, TR,
 * LDTR, the SYSCALL and SYSENTER registers) stays the guest's while its vCPU is resident on the
 * CPU, so an exit back to the same vCPU executes neither. The hypervisor uses none of these but TR,
 * by which the processor finds the stacks for NMI, #MC and #DF: meanwhile the CPU has an IDT that
 * asks for no other stacks (cpu_use_ist). Nothing runs in ring 3 then.
 *
 * Intercepts (AMD APM volume 2, 15.9): what reaches the machine or other guests (ports, MSRs,
 * caches, interrupts), what the guest's processor has not got (SVM itself, MONITOR, RDPMC ...),
 * what could stop the machine (#AC and #DB in endless loops, #MC, shutdown, INIT). Not intercepted:
 * CR0, CR2, CR3, INVLPG, RDTSC unless asked for, PUSHF, IRET, descriptor-table registers.
 */
#include "x86/hvm/svm/svm.h"

#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/mm/guest_walk.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

#define GENERAL1                                                                                  \
    (G1_INTR | G1_NMI | G1_INIT | G1_RDPMC | G1_CPUID | G1_INVD | G1_HLT | G1_INVLPGA | G1_IOIO | \
     G1_MSR | G1_TASK_SWITCH | G1_SHUTDOWN)
#define GENERAL2                                                                                 \
    (G2_VMRUN | G2_VMMCALL | G2_VMLOAD | G2_VMSAVE | G2_STGI | G2_CLGI | G2_SKINIT | G2_WBINVD | \
     G2_MONITOR | G2_MWAIT | G2_MWAIT_ARMED | G2_XSETBV | G2_RDPRU)
#define GENERAL3 (G3_INVLPGB | G3_INVLPGB_ILLEGAL | G3_MCOMMIT | G3_TLBSYNC)
#define EXCEPTIONS (1u << TRAP_DB | 1u << TRAP_AC | 1u << TRAP_MC)
#define CR_INTERCEPTS (1u << (16 + 4) | 1u << 8 | 1u << (16 + 8)) /* CR4 written, CR8 */

#define PAT_RESET 0x0007040600070406ull
#define DR6_RESET 0xffff0ff0ull

uint32_t svm_features;

static struct svm_cpu *svm_cpus[MAX_CPUS];

static struct svm_cpu *this_svm(void)
{
    return svm_cpus[this_cpu_id()];
}

static void vmload(uint64_t pa)
{
    __asm__ volatile("vmload %0" ::"a"(pa) : "memory");
}

static void vmsave(uint64_t pa)
{
    __asm__ volatile("vmsave %0" ::"a"(pa) : "memory");
}

/* --- a CPU --- */

static const char *missing(uint32_t *nr_tags)
{
    uint32_t a, b, c, d;
    uint64_t vm_cr;

    cpuid(0x80000000, 0, &a, &b, &c, &d);
    if (a < 0x8000000a)
        return "the processor has no SVM";
    cpuid(0x80000001, 0, &a, &b, &c, &d);
    if (!(c & 4))
        return "the processor has no SVM";
    if (rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
        return "the firmware has switched SVM off";
    cpuid(0x8000000a, 0, &a, nr_tags, &c, &svm_features);
    if (!(svm_features & SVM_FEATURE_NP))
        return "the processor's SVM has no nested paging";
    return *nr_tags < 4 ? "the processor's SVM has too few address-space tags" : NULL;
}

static const char *enable_cpu(struct x86_pcpu *xp)
{
    struct svm_cpu *c = svm_cpus[xp->p.id];
    uint32_t nr_tags;
    const char *why = missing(&nr_tags);

    if (why)
        return why;
    if (!c) {
        c = frame_alloc_hv();
        if (!c || !(c->save_area = frame_alloc_hv()) || !(c->host = frame_alloc_hv()))
            return "out of memory";
        svm_cpus[xp->p.id] = c;
    }
    c->host_pa = direct_pa(c->host);
    c->next_tag = c->nr_tags = nr_tags; /* the first one begins a generation */
    c->generation++;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, direct_pa(c->save_area));
    vmsave(c->host_pa);
    if (!svm_msr_map_pa && !svm_maps_init())
        return "out of memory";
    return NULL;
}

/* --- a vCPU --- */

static void reset_block(struct vmcb *b)
{
    const struct vmcb_seg data = { 0, 0x93, 0xffff, 0 };

    b->cr = CR_INTERCEPTS;
    b->dr = ~0u;
    b->exceptions = EXCEPTIONS;
    b->general1 = GENERAL1;
    b->general2 = GENERAL2;
    b->general3 = GENERAL3;
    b->iopm = svm_io_map_pa;
    b->msrpm = svm_msr_map_pa;
    b->vintr = VINTR_MASKING;
    b->np_enable = 1;
    b->es = b->ss = b->ds = b->fs = b->gs = data;
    b->cs = (struct vmcb_seg){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
    b->gdtr.limit = b->idtr.limit = 0xffff;
    b->ldtr = (struct vmcb_seg){ 0, 0x82, 0xffff, 0 };
    b->tr = (struct vmcb_seg){ 0, 0x8b, 0xffff, 0 };
    b->efer = EFER_SVME;
    b->cr0 = 0x60000010;
    b->dr6 = DR6_RESET;
    b->dr7 = DR7_RESET;
    b->pat = PAT_RESET;
    b->rflags = 2;
}

static bool create(struct hvm_vcpu *v)
{
    struct vmcb *b = frame_alloc_hv();

    if (!b)
        return false;
    v->control = b;
    v->control_pa = direct_pa(b);
    reset_block(b);
    return true;
}

static void destroy(struct hvm_vcpu *v)
{
    if (v->control)
        frame_free_hv(v->control);
    v->control = NULL;
}

static void load(struct hvm_vcpu *v)
{
    struct svm_cpu *c = this_svm();

    cpu_use_ist(false);
    svm_check_tag(c, v);
    if (c->flush_due) {
        vmcb_of(v)->tlb_control = TLB_FLUSH_ALL;
        c->flush_due = false;
    }
    load_ds(0);
    load_es(0);
    vmload(v->control_pa);
}

static void save_debug(struct hvm_vcpu *v)
{
    if (!v->dr_live)
        return;
    for (unsigned int i = 0; i < 4; i++)
        v->dr[i] = read_dr(i);
    v->dr_live = false;
    vmcb_of(v)->dr = ~0u;
    svm_changed(v, CLEAN_INTERCEPTS);
}

static void save(struct hvm_vcpu *v)
{
    struct svm_cpu *c = this_svm();

    vmsave(v->control_pa);
    save_debug(v);
    if (vmcb_of(v)->tlb_control == TLB_FLUSH_ALL) { /* it never entered */
        vmcb_of(v)->tlb_control = TLB_FLUSH_NOTHING;
        c->flush_due = true;
    }
    vmload(c->host_pa);
    cpu_use_ist(true);
}

static void flush(struct hvm_vcpu *v)
{
    svm_new_tag(this_svm(), v);
}

static void set_nested(struct hvm_vcpu *v, uint64_t root)
{
    vmcb_of(v)->ncr3 = root;
    svm_changed(v, CLEAN_NP);
}

static void set_tsc(struct hvm_vcpu *v, uint64_t offset, bool trap)
{
    struct vmcb *b = vmcb_of(v);

    b->tsc_offset = offset;
    b->general1 = trap ? b->general1 | G1_RDTSC : b->general1 & ~(uint32_t)G1_RDTSC;
    b->general2 = trap ? b->general2 | G2_RDTSCP : b->general2 & ~(uint32_t)G2_RDTSCP;
    svm_changed(v, CLEAN_INTERCEPTS);
}

static void trap_dr(struct hvm_vcpu *v, bool on)
{
    vmcb_of(v)->dr = on ? ~0u : 0;
    svm_changed(v, CLEAN_INTERCEPTS);
}

/* --- events --- */

static bool inject(struct hvm_vcpu *v, const struct hvm_event *e)
{
    static const uint64_t types[] = {
        [HVM_EV_INTERRUPT] = EVENT_INTR,
        [HVM_EV_NMI] = EVENT_NMI,
        [HVM_EV_EXCEPTION] = EVENT_EXCEPTION,
        [HVM_EV_SOFT] = EVENT_SOFT,
    };
    struct vmcb *b = vmcb_of(v);

    if (b->event & EVENT_VALID)
        return false;
    b->event = EVENT_VALID | types[e->kind & 7] | e->vector |
               (e->has_code ? EVENT_HAS_CODE | (uint64_t)e->code << 32 : 0);
    return true;
}

static bool can_inject(struct hvm_vcpu *v)
{
    return !(vmcb_of(v)->event & EVENT_VALID);
}

static void window(struct hvm_vcpu *v, bool nmi, bool on)
{
    struct vmcb *b = vmcb_of(v);
    uint32_t bit = nmi ? G1_IRET : G1_VINTR;

    b->general1 = on ? b->general1 | bit : b->general1 & ~bit;
    if (!nmi) /* a virtual interrupt of highest priority, whose exit comes in place of delivery */
        b->vintr = on ? VINTR_MASKING | VINTR_IRQ | VINTR_IGN_TPR | VINTR_PRIO(15) : VINTR_MASKING;
    svm_changed(v, CLEAN_INTERCEPTS | CLEAN_TPR);
}

/* --- registers --- */

static struct vmcb_seg *seg_of(struct vmcb *b, enum hvm_seg n)
{
    struct vmcb_seg *const segs[] = {
        [HVM_ES] = &b->es,     [HVM_CS] = &b->cs,     [HVM_SS] = &b->ss,     [HVM_DS] = &b->ds,
        [HVM_FS] = &b->fs,     [HVM_GS] = &b->gs,     [HVM_LDTR] = &b->ldtr, [HVM_TR] = &b->tr,
        [HVM_GDTR] = &b->gdtr, [HVM_IDTR] = &b->idtr,
    };

    return segs[n < HVM_NR_SEGS ? n : HVM_DS];
}

/* Is v's state of VMLOAD's and VMSAVE's kind on this CPU? */
static bool is_loaded(const struct hvm_vcpu *v)
{
    return v->x.resident == this_cpu_id() + 1;
}

static bool seg_is_loaded(const struct hvm_vcpu *v, enum hvm_seg n)
{
    return (n == HVM_FS || n == HVM_GS || n == HVM_LDTR || n == HVM_TR) && is_loaded(v);
}

static void get_seg(struct hvm_vcpu *v, enum hvm_seg n, struct hvm_segment *s)
{
    const struct vmcb_seg *from = seg_of(vmcb_of(v), n);

    if (seg_is_loaded(v, n))
        vmsave(v->control_pa);
    *s = (struct hvm_segment){ from->sel, from->attr, from->limit, from->base };
    if (n == HVM_SS) /* its privilege level is the processor's */
        s->attr = (uint16_t)((s->attr & ~0x60u) | (uint32_t)vmcb_of(v)->cpl << 5);
}

static void set_seg(struct hvm_vcpu *v, enum hvm_seg n, const struct hvm_segment *s)
{
    struct vmcb *b = vmcb_of(v);
    struct vmcb_seg *to = seg_of(b, n);

    if (seg_is_loaded(v, n))
        vmsave(v->control_pa);
    *to = (struct vmcb_seg){ s->sel, s->attr, s->limit, s->base };
    if (n == HVM_SS)
        b->cpl = (uint8_t)HVM_SEG_DPL(s->attr);
    if (seg_is_loaded(v, n))
        vmload(v->control_pa);
    svm_changed(v, n == HVM_GDTR || n == HVM_IDTR ? CLEAN_DT : CLEAN_SEG);
}

/* Where a register is; *loaded: on the CPU while v is; *clean: the bit that covers it. */
static uint64_t *reg_of(struct vmcb *b, enum hvm_reg r, bool *loaded, uint32_t *clean)
{
    *loaded = r >= HVM_STAR && r <= HVM_SYSENTER_EIP;
    *clean = CLEAN_CRX;
    switch (r) {
    case HVM_CR0:
        return &b->cr0;
    case HVM_CR3:
        return &b->cr3;
    case HVM_CR4:
        return &b->cr4;
    case HVM_EFER:
        return &b->efer;
    case HVM_CR2:
        *clean = CLEAN_CR2;
        return &b->cr2;
    case HVM_DR6:
        *clean = CLEAN_DRX;
        return &b->dr6;
    case HVM_DR7:
        *clean = CLEAN_DRX;
        return &b->dr7;
    case HVM_PAT:
        *clean = CLEAN_NP;
        return &b->pat;
    case HVM_DEBUGCTL:
        *clean = CLEAN_LBR;
        return &b->debugctl;
    case HVM_STAR:
        return &b->star;
    case HVM_LSTAR:
        return &b->lstar;
    case HVM_CSTAR:
        return &b->cstar;
    case HVM_SFMASK:
        return &b->sfmask;
    case HVM_KERNEL_GS_BASE:
        return &b->kernel_gs_base;
    case HVM_SYSENTER_CS:
        return &b->sysenter_cs;
    case HVM_SYSENTER_ESP:
        return &b->sysenter_esp;
    case HVM_SYSENTER_EIP:
        return &b->sysenter_eip;
    default:
        return &b->shadow;
    }
}

static uint64_t get(struct hvm_vcpu *v, enum hvm_reg r)
{
    bool loaded;
    uint32_t clean;
    uint64_t *at = reg_of(vmcb_of(v), r, &loaded, &clean);

    if (loaded && is_loaded(v))
        vmsave(v->control_pa);
    if (r == HVM_EFER)
        return *at & ~EFER_SVME;
    return r == HVM_SHADOW ? *at & SHADOW_INTERRUPT : *at;
}

static void set(struct hvm_vcpu *v, enum hvm_reg r, uint64_t val)
{
    struct vmcb *b = vmcb_of(v);
    bool loaded;
    uint32_t clean;
    uint64_t *at = reg_of(b, r, &loaded, &clean);

    loaded &= is_loaded(v);
    if (loaded)
        vmsave(v->control_pa);
    *at = r == HVM_EFER ? val | EFER_SVME : val;
    svm_changed(v, clean);
    if (loaded)
        vmload(v->control_pa);
}

static enum hvm_mode mode_of(struct hvm_vcpu *v, unsigned int *cpl)
{
    const struct vmcb *b = vmcb_of(v);

    *cpl = b->cpl;
    if (!(b->cr0 & CR0_PE))
        return HVM_MODE_REAL;
    if ((b->efer & EFER_LMA) && (b->cs.attr & HVM_SEG_LONG))
        return HVM_MODE_64;
    return b->cs.attr & HVM_SEG_DB ? HVM_MODE_32 : HVM_MODE_16;
}

static void get_paging(struct hvm_vcpu *v, struct guest_paging *g, unsigned int *cpl)
{
    const struct vmcb *b = vmcb_of(v);

    g->cr0 = b->cr0;
    g->cr3 = b->cr3;
    g->cr4 = b->cr4;
    g->efer = b->efer;
    *cpl = b->cpl;
}

static void dump(const struct hvm_vcpu *v)
{
    const struct vmcb *b = v->control;

    log_err("  cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx cpl %u", b->cr0, b->cr2, b->cr3, b->cr4,
            (unsigned long)(b->efer & ~EFER_SVME), b->cpl);
    log_err("  cs %04x base %lx limit %x attr %x; ss %04x base %lx; exit %lx info %lx %lx",
            b->cs.sel, b->cs.base, b->cs.limit, b->cs.attr, b->ss.sel, b->ss.base, b->exit_code,
            b->exit_info1, b->exit_info2);
}

static unsigned int max_order(void)
{
    return cpu_feat.page1gb ? P2M_ORDER_1G : P2M_ORDER_2M;
}

const struct hvm_vendor svm_vendor = {
    .name = "SVM",
    .format = &p2m_npt,
    .max_order = max_order,
    .enable_cpu = enable_cpu,
    .create = create,
    .destroy = destroy,
    .load = load,
    .save = save,
    .decode = svm_decode,
    .get_seg = get_seg,
    .set_seg = set_seg,
    .get = get,
    .set = set,
    .mode = mode_of,
    .get_paging = get_paging,
    .inject = inject,
    .can_inject = can_inject,
    .window = window,
    .set_tsc = set_tsc,
    .trap_dr = trap_dr,
    .flush = flush,
    .set_nested = set_nested,
    .dump = dump,
    .enter = svm_enter,
};

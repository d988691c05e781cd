/* SPDX-License-Identifier: MIT */
/*
 * The reasons seen and not yet passed on are one atomic word, since an NMI may come within
 * anything.
 */
#include "x86/cpu/nmi.h"

#include "core/types.h"

#include <xen/nmi.h>

#include "core/arch.h"
#include "core/domain.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/irq/lapic.h"

/* System control port B: what raised NMI, and whether it may again. */
#define PORT_B 0x61
#define PORT_B_SERR 0x80
#define PORT_B_IOCHK 0x40
#define PORT_B_IOCHK_OFF 0x08
#define PORT_B_SERR_OFF 0x04
#define PORT_B_WRITABLE 0x0f

#define WINDOW_NS 10000000000ull

static uint32_t reasons; /* atomic: not yet taken */

/* A source is held off once it fired; Dom0's kernel switches it on again, or not. */
static uint32_t read_reason(void)
{
    uint8_t b = inb(PORT_B);
    uint32_t why = (b & PORT_B_SERR ? NMI_SERR : 0) | (b & PORT_B_IOCHK ? NMI_IOCHK : 0);

    if (why)
        outb(PORT_B, (b & PORT_B_WRITABLE) | (why & NMI_SERR ? PORT_B_SERR_OFF : 0) |
                         (why & NMI_IOCHK ? PORT_B_IOCHK_OFF : 0));
    return why ? why : NMI_UNKNOWN;
}

void nmi_exception(void)
{
    struct pcpu *p = cpu_info()->pcpu;

    __atomic_fetch_or(&reasons, read_reason(), __ATOMIC_RELAXED);
    if (!p)
        return; /* early: the first exit path sees it */
    __atomic_fetch_or(&p->pending, WORK_SCHED, __ATOMIC_SEQ_CST);
    lapic_send_self(VEC_KICK);
}

/* Dom0's kernel takes the reason from its shared page, as it would from port 0x61. */
static void tell_dom0(unsigned int why)
{
    struct vcpu *v = dom0 ? dom0->vcpu[0] : NULL;
    uint64_t reason = (why & NMI_IOCHK ? XEN_NMIREASON_io_error : 0) |
                      (why & NMI_SERR ? XEN_NMIREASON_pci_serr : 0) |
                      (why & NMI_UNKNOWN ? XEN_NMIREASON_unknown : 0);

    if (!v)
        return;
    __atomic_store_n(&dom0->shared->arch.nmi_reason, reason, __ATOMIC_RELAXED);
    dom0->ops->send_nmi(v);
}

void nmi_pass_on(void)
{
    static uint64_t last_said; /* races only repeat a line */
    unsigned int why = __atomic_load_n(&reasons, __ATOMIC_RELAXED);

    if (__builtin_expect(why == 0, 1))
        return;
    why = __atomic_exchange_n(&reasons, 0, __ATOMIC_RELAXED);
    if (!why)
        return;
    if (!last_said || arch_now() - last_said > WINDOW_NS) {
        last_said = arch_now();
        log_warn("NMI:%s%s%s", why & NMI_SERR ? " PCI system error" : "",
                 why & NMI_IOCHK ? " I/O check" : "",
                 why & NMI_UNKNOWN ? " no reason in port 0x61" : "");
    }
    tell_dom0(why);
}

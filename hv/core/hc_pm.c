/* SPDX-License-Identifier: MIT */
/* sysctl pm_op and get_pmstat: CPUs run at one frequency and idle by HLT, which is state C1. */
#include "core/hypercall.h"

#include <xen/sysctl.h>

#include "lib/string.h"

#define CX_STATES 2 /* C0, C1 */

static long cx_stat(struct vcpu *v, uint32_t cpu, struct pm_cx_stat *cx)
{
    uint64_t idle = pcpu_idle_time(pcpus[cpu]), spent[CX_STATES] = { arch_now() - idle, idle };

    cx->nr = MIN(cx->nr, (uint32_t)CX_STATES);
    cx->last = pcpus[cpu]->current == pcpus[cpu]->idle;
    cx->idle_time = idle;
    cx->nr_pc = 0;
    cx->nr_cc = 0;
    for (uint32_t i = 0; i < cx->nr; i++) {
        uint64_t entered = 0; /* not counted */

        if (guest_put(v, HANDLE_AT(cx->residencies, i), &spent[i]) ||
            guest_put(v, HANDLE_AT(cx->triggers, i), &entered))
            return E(EFAULT);
    }
    return 0;
}

long sysctl_pmstat(struct vcpu *v, struct xen_sysctl_get_pmstat *op)
{
    if (op->cpuid >= nr_pcpus)
        return E(EINVAL);
    switch (op->type) {
    case PMSTAT_get_max_cx:
        op->u.getcx.nr = CX_STATES;
        return 0;
    case PMSTAT_get_cxstat:
        return cx_stat(v, (uint32_t)index_nospec(op->cpuid, MAX_CPUS), &op->u.getcx);
    case PMSTAT_get_max_px:
    case PMSTAT_get_pxstat:
    case PMSTAT_reset_pxstat:
        return E(ENODEV);
    default:
        return E(EOPNOTSUPP);
    }
}

long sysctl_pm_op(struct xen_sysctl_pm_op *op)
{
    if ((op->cmd & PM_PARA_CATEGORY_MASK) == CPUFREQ_PARA)
        return E(ENODEV);
    switch (op->cmd) {
    case XEN_SYSCTL_pm_op_get_max_cstate:
        op->u.get_max_cstate = XEN_SYSCTL_CX_UNLIMITED;
        return 0;
    default:
        return E(EOPNOTSUPP);
    }
}

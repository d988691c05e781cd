/* SPDX-License-Identifier: MIT */
/* CPU policies of the host and of domains; see cpu_features.h. */
#include "tools/cli/cpu_features.h"
#include "tools/lib/error.h"
#include "tools/lib/xen.h"

#include <errno.h>
#include <stdlib.h>

int cpu_policy_of_host(struct xen *x, bool hvm, struct cpu_features *f, struct error *e)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_get_cpu_policy };
    xen_cpuid_leaf_t *leaves = xen_buf(x, CPU_LEAVES * sizeof(*leaves));
    xen_msr_entry_t *msrs = xen_buf(x, CPU_MSRS * sizeof(*msrs));
    int rc;

    op.u.cpu_policy.index = hvm ? XEN_SYSCTL_cpu_policy_hvm_default
                                : XEN_SYSCTL_cpu_policy_pv_default;
    op.u.cpu_policy.nr_leaves = CPU_LEAVES;
    op.u.cpu_policy.nr_msrs = CPU_MSRS;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_sysctl(x, &op);
    if (rc >= 0)
        cpu_features_read(f, leaves, op.u.cpu_policy.nr_leaves);
    xen_buf_free(x, leaves);
    xen_buf_free(x, msrs);
    return rc < 0 ? xen_error(e, rc, "asking for the host's CPU policy") : 0;
}

static int policy_op(struct xen *x, uint32_t cmd, unsigned int domid, xen_cpuid_leaf_t *leaves,
                     unsigned int *n)
{
    struct xen_domctl op = { .cmd = cmd, .domain = (domid_t)domid };
    xen_msr_entry_t *msrs = xen_buf(x, CPU_MSRS * sizeof(*msrs));
    int rc;

    op.u.cpu_policy.nr_leaves = *n;
    op.u.cpu_policy.nr_msrs = cmd == XEN_DOMCTL_get_cpu_policy ? CPU_MSRS : 0;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_domctl(x, &op);
    xen_buf_free(x, msrs);
    *n = op.u.cpu_policy.nr_leaves;
    return rc;
}

int cpu_wish_apply(struct xen *x, unsigned int domid, const char *text, struct error *e)
{
    xen_cpuid_leaf_t *leaves = xen_buf(x, CPU_LEAVES * sizeof(*leaves));
    unsigned int n = CPU_LEAVES;
    struct cpu_features has;
    struct cpu_wish w;
    char *missing, *wrong = cpu_wish_parse(text, &w);
    int rc = policy_op(x, XEN_DOMCTL_get_cpu_policy, domid, leaves, &n);

    cpu_features_read(&has, leaves, rc < 0 ? 0 : n);
    missing = cpu_features_missing(&w.on, &has);
    if (wrong)
        rc = error_set(e, EINVAL, NULL, "cpuid=: %s", wrong);
    else if (rc < 0)
        rc = xen_error(e, rc, "asking for the guest's CPU policy");
    else if (*missing)
        rc = error_set(e, EOPNOTSUPP, "Leave it out, or take a host that has it.",
                       "cpuid= insists on what this host does not give guests: %s", missing);
    if (rc == 0) {
        cpu_features_clear(&w.off, leaves, n);
        rc = policy_op(x, XEN_DOMCTL_set_cpu_policy, domid, leaves, &n);
        rc = rc < 0 ? xen_error(e, rc, "cpuid=") : 0;
    }
    free(missing);
    free(wrong);
    xen_buf_free(x, leaves);
    return rc;
}

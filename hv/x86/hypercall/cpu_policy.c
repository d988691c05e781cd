/* SPDX-License-Identifier: MIT */
/* The tools' calls about CPU policies and the TSC. */
#include "core/hypercall.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "core/frame.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/policy/cpu_policy.h"
#include "x86/time/vtsc.h"

_Static_assert(sizeof(struct cpu_policy_leaf) == sizeof(xen_cpuid_leaf_t), "the ABI's");
_Static_assert(sizeof(struct cpu_policy_msr) == sizeof(xen_msr_entry_t), "the ABI's");

/* Both arrays of a policy; without a place for one, how many entries any has. */
static long put_policy(struct vcpu *v, const struct cpu_policy *p, gptr_t leaves,
                       uint32_t *nr_leaves, gptr_t msrs, uint32_t *nr_msrs)
{
    struct cpu_policy_leaf l;
    struct cpu_policy_msr m;
    unsigned int at = 0;
    uint32_t n;

    for (n = 0; leaves.v && cpu_policy_next_leaf(p, &at, &l); leaves = gptr_add(leaves, sizeof(l)))
        if (n++ == *nr_leaves || guest_put(v, leaves, &l))
            return n > *nr_leaves ? E(ENOBUFS) : E(EFAULT);
    *nr_leaves = n ? n : CPU_POLICY_LEAVES;
    at = 0;
    for (n = 0; msrs.v && cpu_policy_next_msr(p, &at, &m); msrs = gptr_add(msrs, sizeof(m)))
        if (n++ == *nr_msrs || guest_put(v, msrs, &m))
            return n > *nr_msrs ? E(ENOBUFS) : E(EFAULT);
    *nr_msrs = n ? n : CPU_POLICY_MSRS;
    return 0;
}

static long put_features(struct vcpu *v, struct cpu_policy *p, struct xen_sysctl_cpu_featureset *op)
{
    for (uint32_t i = 0; op->features.p && i < CPU_POLICY_WORDS; i++)
        if (i == op->nr_features || guest_put(v, HANDLE_AT(op->features, i), cpu_policy_word(p, i)))
            return i == op->nr_features ? E(ENOBUFS) : E(EFAULT);
    op->nr_features = CPU_POLICY_WORDS;
    return 0;
}

static long put_system(struct vcpu *v, struct xen_sysctl *op, struct cpu_policy *p)
{
    struct xen_sysctl_cpu_policy *cp = &op->u.cpu_policy;

    if (op->cmd == XEN_SYSCTL_get_cpu_featureset)
        return put_features(v, p, &op->u.cpu_featureset);
    return put_policy(v, p, HANDLE_PTR(cp->leaves), &cp->nr_leaves, HANDLE_PTR(cp->msrs),
                      &cp->nr_msrs);
}

/* The host's is the processor's own: nothing is switched off. */
long policy_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back)
{
    static struct cpu_policy *const of_policy[] = { NULL,
                                                    NULL,
                                                    &policy_max[POLICY_PV],
                                                    &policy_max[POLICY_HVM],
                                                    &policy_default[POLICY_PV],
                                                    &policy_default[POLICY_HVM] };
    static struct cpu_policy *const of_features[] = { NULL,
                                                      NULL,
                                                      &policy_default[POLICY_PV],
                                                      &policy_default[POLICY_HVM],
                                                      &policy_max[POLICY_PV],
                                                      &policy_max[POLICY_HVM] };
    bool features = op->cmd == XEN_SYSCTL_get_cpu_featureset;
    uint32_t index = features ? op->u.cpu_featureset.index : op->u.cpu_policy.index;
    struct cpu_policy *p, *raw;
    long rc;

    if (index >= ARRAY_SIZE(of_policy) || (!features && op->u.cpu_policy._rsvd))
        return E(EINVAL);
    index = (uint32_t)index_nospec(index, ARRAY_SIZE(of_policy));
    *copy_back = true;
    p = features ? of_features[index] : of_policy[index];
    if (p)
        return put_system(v, op, p);
    raw = frame_alloc_hv();
    if (!raw)
        return E(ENOMEM);
    policy_raw(raw);
    rc = put_system(v, op, raw);
    frame_free_hv(raw);
    return rc;
}

static int take_entries(struct vcpu *v, const struct xen_domctl_cpu_policy *op,
                        struct cpu_policy *p, const struct cpu_policy *max,
                        struct cpu_policy_where *where)
{
    struct cpu_policy_leaf l;
    struct cpu_policy_msr m;
    int err = 0;

    if (op->nr_leaves > CPU_POLICY_LEAVES || op->nr_msrs > CPU_POLICY_MSRS)
        return XEN_E2BIG;
    for (uint32_t i = 0; err == 0 && i < op->nr_leaves; i++)
        err = guest_get(v, &l, HANDLE_AT(op->leaves, i)) ? XEN_EFAULT
                                                         : cpu_policy_put_leaf(p, &l, where);
    for (uint32_t i = 0; err == 0 && i < op->nr_msrs; i++)
        err = guest_get(v, &m, HANDLE_AT(op->msrs, i)) ? XEN_EFAULT
                                                       : cpu_policy_put_msr(p, &m, where);
    if (err == 0 && !cpu_policy_limits_fit(p, max, where))
        err = XEN_EINVAL;
    return err;
}

/* What is given goes over what d has; features that are not here are left out, as on Xen. */
static long set_policy(struct vcpu *v, struct domain *d, struct xen_domctl_cpu_policy *op,
                       bool *copy_back)
{
    struct cpu_policy_where where = { CPU_POLICY_NOWHERE, CPU_POLICY_NOWHERE, CPU_POLICY_NOWHERE };
    const struct cpu_policy *max = &policy_max[policy_kind_of(d)];
    struct x86_told *told;
    struct cpu_policy *p;
    int err;

    if (d == v->domain)
        return E(EINVAL);
    if (d->started)
        return E(EEXIST);
    told = told_get(d);
    p = told ? frame_alloc_hv() : NULL;
    if (!p)
        return E(ENOMEM);
    *p = *policy_of(d);
    err = take_entries(v, op, p, max, &where);
    if (err) {
        log_refusal(d, "CPU policy: leaf %#x, sub-leaf %#x, MSR %#x: unknown, or more than is here",
                    where.leaf, where.subleaf, where.msr);
        op->err_leaf = where.leaf;
        op->err_subleaf = where.subleaf;
        op->err_msr = where.msr;
        *copy_back = true;
    } else {
        if (!cpu_policy_fits(p, max, &where))
            log_debug("d%u: CPU policy: leaf %#x, sub-leaf %#x, MSR %#x: more than is here goes",
                      d->id, where.leaf, where.subleaf, where.msr);
        cpu_policy_level(p, max);
        told->cpu = *p;
        told->has_cpu = true;
    }
    frame_free_hv(p);
    return -err;
}

long policy_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    struct xen_domctl_cpu_policy *cp = &op->u.cpu_policy;

    if (op->cmd == XEN_DOMCTL_set_cpu_policy)
        return set_policy(v, d, cp, copy_back);
    *copy_back = true;
    return put_policy(v, policy_of(d), HANDLE_PTR(cp->leaves), &cp->nr_leaves, HANDLE_PTR(cp->msrs),
                      &cp->nr_msrs);
}

long policy_domctl_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    if (op->cmd == XEN_DOMCTL_settscinfo)
        return d == v->domain ? E(EINVAL) : vtsc_set(x86_domain(d), &op->u.tsc_info);
    vtsc_get(x86_domain(d), &op->u.tsc_info);
    *copy_back = true;
    return 0;
}

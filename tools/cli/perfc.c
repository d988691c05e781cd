/* SPDX-License-Identifier: MIT */
/* The hypervisor's counters. */
#include "tools/cli/perfc.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOME 64 /* more than there were a moment ago: guests come */

static int query(struct xen *x, struct xen_sysctl_perfc_op *perfc)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_perfc_op, .u.perfc_op = *perfc };
    int rc = xen_sysctl(x, &op);

    *perfc = op.u.perfc_op;
    return rc < 0 ? rc : 0;
}

/* Sorts what was read into *p: what the hypervisor says of numbers is not relied on. */
static void take(struct perfc *p, const xen_sysctl_perfc_desc_t *desc, unsigned int descs,
                 const uint32_t *vals, unsigned int nr_vals)
{
    unsigned int used = 0;

    p->counter = mem_alloc((descs + 1) * sizeof(*p->counter));
    p->vals = mem_alloc((nr_vals + 1) * sizeof(*p->vals));
    memcpy(p->vals, vals, nr_vals * sizeof(*vals));
    for (unsigned int i = 0; i < descs && desc[i].nr_vals <= nr_vals - used; i++) {
        struct perfc_counter *c = &p->counter[p->nr++];

        memcpy(c->name, desc[i].name, sizeof(c->name) - 1);
        text_clean(c->name);
        c->nr = desc[i].nr_vals;
        c->vals = p->vals + used;
        used += c->nr;
    }
}

int perfc_read(struct xen *x, struct perfc *p)
{
    struct xen_sysctl_perfc_op op = { .cmd = XEN_SYSCTL_PERFCOP_query };
    xen_sysctl_perfc_desc_t *desc;
    xen_sysctl_perfc_val_t *vals;
    unsigned int descs, nr_vals;
    int rc = query(x, &op);

    memset(p, 0, sizeof(*p));
    if (rc < 0)
        return rc;
    /* The hypervisor writes all that there is, so room for guests that come in between. */
    descs = op.nr_counters + SOME;
    nr_vals = op.nr_vals + SOME * 32;
    desc = xen_buf(x, descs * sizeof(*desc));
    vals = xen_buf(x, nr_vals * sizeof(*vals));
    set_xen_guest_handle(op.desc, desc);
    set_xen_guest_handle(op.val, vals);
    rc = query(x, &op);
    if (rc == 0)
        take(p, desc, op.nr_counters < descs ? op.nr_counters : descs, vals,
             op.nr_vals < nr_vals ? op.nr_vals : nr_vals);
    xen_buf_free(x, desc);
    xen_buf_free(x, vals);
    return rc;
}

void perfc_free(struct perfc *p)
{
    free(p->counter);
    free(p->vals);
    memset(p, 0, sizeof(*p));
}

const struct perfc_counter *perfc_find(const struct perfc *p, const char *name)
{
    for (unsigned int i = 0; i < p->nr; i++) {
        if (strcmp(p->counter[i].name, name) == 0)
            return &p->counter[i];
    }
    return NULL;
}

const char *hypercall_name(unsigned int nr)
{
    static const char *const names[] = {
        [__HYPERVISOR_set_trap_table] = "set_trap_table",
        [__HYPERVISOR_mmu_update] = "mmu_update",
        [__HYPERVISOR_set_gdt] = "set_gdt",
        [__HYPERVISOR_stack_switch] = "stack_switch",
        [__HYPERVISOR_set_callbacks] = "set_callbacks",
        [__HYPERVISOR_fpu_taskswitch] = "fpu_taskswitch",
        [__HYPERVISOR_sched_op_compat] = "sched_op_compat",
        [__HYPERVISOR_platform_op] = "platform_op",
        [__HYPERVISOR_set_debugreg] = "set_debugreg",
        [__HYPERVISOR_get_debugreg] = "get_debugreg",
        [__HYPERVISOR_update_descriptor] = "update_descriptor",
        [__HYPERVISOR_memory_op] = "memory_op",
        [__HYPERVISOR_multicall] = "multicall",
        [__HYPERVISOR_update_va_mapping] = "update_va_mapping",
        [__HYPERVISOR_set_timer_op] = "set_timer_op",
        [__HYPERVISOR_event_channel_op_compat] = "event_channel_op_compat",
        [__HYPERVISOR_xen_version] = "xen_version",
        [__HYPERVISOR_console_io] = "console_io",
        [__HYPERVISOR_physdev_op_compat] = "physdev_op_compat",
        [__HYPERVISOR_grant_table_op] = "grant_table_op",
        [__HYPERVISOR_vm_assist] = "vm_assist",
        [__HYPERVISOR_update_va_mapping_otherdomain] = "update_va_mapping_otherdomain",
        [__HYPERVISOR_iret] = "iret",
        [__HYPERVISOR_vcpu_op] = "vcpu_op",
        [__HYPERVISOR_set_segment_base] = "set_segment_base",
        [__HYPERVISOR_mmuext_op] = "mmuext_op",
        [__HYPERVISOR_nmi_op] = "nmi_op",
        [__HYPERVISOR_sched_op] = "sched_op",
        [__HYPERVISOR_callback_op] = "callback_op",
        [__HYPERVISOR_event_channel_op] = "event_channel_op",
        [__HYPERVISOR_physdev_op] = "physdev_op",
        [__HYPERVISOR_hvm_op] = "hvm_op",
        [__HYPERVISOR_sysctl] = "sysctl",
        [__HYPERVISOR_domctl] = "domctl",
    };

    return nr < sizeof(names) / sizeof(names[0]) ? names[nr] : NULL;
}

bool perfc_call(const struct perfc *p, unsigned int nr, struct call_cost *c)
{
    const struct perfc_counter *calls = perfc_find(p, "hypercalls"), *cost;
    char name[40];

    memset(c, 0, sizeof(*c));
    if (!hypercall_name(nr) || !calls || nr >= calls->nr || calls->vals[nr] == 0)
        return false;
    c->calls = calls->vals[nr];
    snprintf(name, sizeof(name), "cost of hypercall %u", nr);
    cost = perfc_find(p, name);
    if (cost && cost->nr == 2 + CALL_COSTS) {
        c->ns = cost->vals[0] | (uint64_t)cost->vals[1] << 32;
        memcpy(c->took, cost->vals + 2, sizeof(c->took));
    }
    return true;
}

/* SPDX-License-Identifier: MIT */
/* The tools' calls about CPU policies (x86/hypercall/cpu_policy.c) where memory is short. */
#include "unit.h"

#include "privop_guest.h"

#include "x86/hypercall/cpu_policy.c"

static const struct host_cpuid processor[] = {
    { 0, 0, 7, 0x756e6547, 0x6c65746e, 0x49656e69 },
    { 0x80000000, 0, 0x80000008, 0, 0, 0 },
    { 0x80000008, 0, 0x3028, 0, 0, 0 },
    { ~0u, ~0u, 0, 0, 0, 0 },
};

static bool no_memory, not_told;
static unsigned int pages;
static struct x86_told other_told;
static struct pv_domain other;

void *frame_alloc_hv(void)
{
    pages += !no_memory;
    return no_memory ? NULL : calloc(1, PAGE_SIZE);
}

void frame_free_hv(void *p)
{
    pages--;
    free(p);
}

struct x86_told *told_get(struct domain *d)
{
    CHECK(d == &other.x.d);
    return not_told ? NULL : &other_told;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}

long vtsc_set(struct x86_domain *d, const struct xen_domctl_tsc_info *info)
{
    (void)d, (void)info;
    return 0;
}

void vtsc_get(const struct x86_domain *d, struct xen_domctl_tsc_info *info)
{
    (void)d, (void)info;
}

static void set_up(void)
{
    guest_reset();
    host_machine.cpuid = processor;
    cpu_feat.intel = true;
    policy_init();
    other.x.d.ops = &test_guest_ops;
    other.x.d.id = 5;
}

TEST(the_processors_own_policy)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_get_cpu_policy };
    bool back;

    set_up();
    CHECK_EQ(policy_sysctl(&guest_vcpu.x.v, &op, &back), 0);
    CHECK_EQ(op.u.cpu_policy.nr_leaves, CPU_POLICY_LEAVES);
    no_memory = true;
    CHECK_EQ(policy_sysctl(&guest_vcpu.x.v, &op, &back), E(ENOMEM));
    no_memory = false;
    CHECK_EQ(pages, 0);
}

TEST(a_domains_policy)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_cpu_policy };
    bool back;

    set_up();
    CHECK_EQ(policy_domctl(&guest_vcpu.x.v, &other.x.d, &op, &back), 0);
    CHECK(other_told.has_cpu);
    other_told.has_cpu = false;
    no_memory = true;
    CHECK_EQ(policy_domctl(&guest_vcpu.x.v, &other.x.d, &op, &back), E(ENOMEM));
    no_memory = false;
    not_told = true;
    CHECK_EQ(policy_domctl(&guest_vcpu.x.v, &other.x.d, &op, &back), E(ENOMEM));
    CHECK(!other_told.has_cpu);
    CHECK_EQ(pages, 0);
}

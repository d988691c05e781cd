/* SPDX-License-Identifier: MIT */
/*
 * The state of PV vCPUs that goes from host to host: what is got can be set, and what nobody here
 * may have is refused with nothing changed. On the model's machine, with AVX.
 */
#include "model/pv_pick.h"

#include <xen/domctl.h>

#include "core/audit.h"
#include "core/log.h"
#include "unit.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/domain.h"

#define NONCANON (1ull << 47)
#define AREA 832u /* x87, SSE, header, AVX */
#define STATES 7u

__attribute__((constructor)) static void boot(void)
{
    pv_machine_boot(getenv("HOST_LOG") != NULL);
    pv_model_setup();
    pv_model_seed(1);
    cpu_feat.xsave = true;
    cpu_feat.xcr0_mask = STATES;
    cpu_feat.xsave_size = AREA;
    for (unsigned int i = 0; i < 2; i++) {
        struct cpu_policy *p = i ? &policy_max[POLICY_PV] : &policy_default[POLICY_PV];

        *cpu_policy_at(p, 0xd, 0) = (struct cpuid_regs){ .a = STATES };
        *cpu_policy_at(p, 0xd, 2) = (struct cpuid_regs){ .a = 256, .b = 576 };
    }
}

static bool back; /* op was copied back */
static struct xen_domctl op;

/* A call by Domain 0 about vCPU 1 of domain 1, which does not run. */
static long ask(uint32_t cmd)
{
    host_be(0);
    op.cmd = cmd;
    back = false;
    pcpu_gave_way(arch_this_cpu());
    arch_this_cpu()->pending = 0;
    return pv_domctl(pv_dom[0]->vcpu[0], pv_dom[1], &op, &back);
}

static struct pv_vcpu *subject(void)
{
    return pv_vcpu(pv_dom[1]->vcpu[1]);
}

static uint64_t args(void)
{
    host_be(0);
    return args_va(pv_dom[0]->vcpu[0]);
}

static void put(const void *p, size_t n)
{
    host_be(0);
    CHECK(put_args(pv_dom[0]->vcpu[0], 0, p, n));
}

static void get(void *p, size_t n)
{
    host_be(0);
    CHECK(get_args(pv_dom[0]->vcpu[0], 0, p, n));
}

TEST(whose_state)
{
    static const uint32_t cmds[] = { XEN_DOMCTL_get_ext_vcpucontext, XEN_DOMCTL_set_ext_vcpucontext,
                                     XEN_DOMCTL_getvcpuextstate,     XEN_DOMCTL_setvcpuextstate,
                                     XEN_DOMCTL_get_vcpu_msrs,       XEN_DOMCTL_set_vcpu_msrs };

    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        memset(&op, 0, sizeof(op));
        op.u.ext_vcpucontext.vcpu = pv_dom[1]->max_vcpus; /* the first field of all three */
        CHECK_EQ(ask(cmds[i]), E(EINVAL));
        op.u.ext_vcpucontext.vcpu = UINT32_MAX;
        CHECK_EQ(ask(cmds[i]), E(EINVAL));
        op.u.ext_vcpucontext.vcpu = 0;
        op.cmd = cmds[i];
        CHECK_EQ(pv_domctl(pv_dom[0]->vcpu[0], pv_dom[0], &op, &back), E(EINVAL));
    }
}

/* Is it in the log? */
static bool said(const char *words)
{
    static char text[1 << 16];
    uint32_t index = 0;

    text[log_read(text, sizeof(text) - 1, &index, false)] = 0;
    return strstr(text, words);
}

TEST(entry_points)
{
    struct xen_domctl_ext_vcpucontext *c = &op.u.ext_vcpucontext;
    struct pv_vcpu *t = subject();

    memset(&op, 0xff, sizeof(op));
    c->vcpu = 1;
    t->syscall32_rip = 0x1234;
    t->sysenter_mask = true;
    CHECK_EQ(ask(XEN_DOMCTL_get_ext_vcpucontext), 0);
    CHECK(back && c->vcpu == 1 && c->size == sizeof(*c));
    CHECK_EQ(c->syscall32_callback_eip, 0x1234);
    CHECK(c->sysenter_disables_events == 1 && c->syscall32_disables_events == 0);
    CHECK_EQ(c->mcg_cap, 0);
    c->sysenter_callback_eip = 0x5678;
    c->syscall32_callback_eip = NONCANON;
    CHECK_EQ(ask(XEN_DOMCTL_set_ext_vcpucontext), E(EINVAL));
    c->syscall32_callback_eip = 0x4321;
    c->sysenter_callback_eip = NONCANON;
    CHECK_EQ(ask(XEN_DOMCTL_set_ext_vcpucontext), E(EINVAL));
    c->sysenter_callback_eip = 0x5678;
    c->size = offsetof(struct xen_domctl_ext_vcpucontext, vmce) - 1;
    CHECK_EQ(ask(XEN_DOMCTL_set_ext_vcpucontext), E(EINVAL));
    CHECK(said("bytes, not "));
    c->size = sizeof(*c) + 1;
    CHECK_EQ(ask(XEN_DOMCTL_set_ext_vcpucontext), E(EINVAL));
    CHECK(t->syscall32_rip == 0x1234 && t->sysenter_rip == 0);
    c->size = offsetof(struct xen_domctl_ext_vcpucontext, vmce);
    CHECK_EQ(ask(XEN_DOMCTL_set_ext_vcpucontext), 0);
    CHECK(t->syscall32_rip == 0x4321 && t->sysenter_rip == 0x5678 && t->sysenter_mask);
}

struct xsave_image {
    uint64_t xcr0, accum;
    uint8_t legacy[512];
    uint64_t bv, comp_bv, reserved[6];
    uint8_t avx[256];
};

static long set_xsave(const struct xsave_image *image, uint64_t size)
{
    put(image, sizeof(*image));
    op.u.vcpuextstate = (struct xen_domctl_vcpuextstate){ .vcpu = 1, .size = size };
    op.u.vcpuextstate.buffer.p = (void *)args();
    return ask(XEN_DOMCTL_setvcpuextstate);
}

static void refused(const char *what, struct xsave_image *image, uint64_t *field, uint64_t bad)
{
    uint64_t good = *field;

    *field = bad;
    if (set_xsave(image, sizeof(*image)) != E(EINVAL)) {
        printf("%s: not refused\n", what);
        unit_failures++;
    }
    *field = good;
}

TEST(extended_state)
{
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
    struct pv_vcpu *t = subject();
    struct xsave_image in, out;

    _Static_assert(sizeof(in) == 16 + AREA, "the ABI's buffer");
    t->x.xcr0 = 7;
    memset(t->x.xsave, 0x5a, AREA);
    memset((uint8_t *)t->x.xsave + 512, 0, 64);
    ((uint64_t *)t->x.xsave)[64] = 7;
    *x = (struct xen_domctl_vcpuextstate){ .vcpu = 1 };
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), 0);
    CHECK(back && x->size == 16 + AREA && x->xfeature_mask == STATES);
    x->size--;
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), E(EINVAL));
    x->size++;
    x->xfeature_mask = 3;
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), E(EINVAL));
    x->xfeature_mask = STATES;
    x->buffer.p = (void *)PV_VA(PV_SLOTS); /* nothing is there */
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), E(EFAULT));
    x->buffer.p = (void *)args();
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), 0);
    get(&in, sizeof(in));
    CHECK(in.xcr0 == 7 && in.accum == 7 && in.bv == 7 && in.avx[255] == 0x5a);

    t->x.xcr0 = 1;
    memset(t->x.xsave, 0, AREA);
    refused("XCR0 without x87", &in, &in.xcr0, 6);
    refused("XCR0 with AVX without SSE", &in, &in.xcr0, 5);
    refused("XCR0 with a state that is not here", &in, &in.xcr0, 0x207);
    refused("all states: one that is not here", &in, &in.accum, 0x207);
    refused("all states: less than XCR0", &in, &in.accum, 3);
    in.xcr0 = 3;
    refused("in use: more than all states", &in, &in.accum, 3);
    refused("in use: a bit that is no state", &in, &in.bv, 7 | 1ull << 63);
    refused("compacted", &in, &in.comp_bv, 1ull << 63);
    refused("header", &in, &in.reserved[0], 1);
    refused("header", &in, &in.reserved[5], 1ull << 63);
    CHECK_EQ(set_xsave(&in, sizeof(in) - 1), E(EINVAL));
    CHECK_EQ(set_xsave(&in, sizeof(in) + 1), E(EINVAL));
    CHECK_EQ(set_xsave(&in, 0), E(EINVAL));
    CHECK_EQ(set_xsave(&in, 16 + 576), E(EINVAL));
    CHECK_EQ(set_xsave(&in, UINT64_MAX), E(EINVAL));
    CHECK(t->x.xcr0 == 1 && ((uint64_t *)t->x.xsave)[64] == 0);

    memset(in.legacy + 24, 0xff, 8);
    CHECK_EQ(set_xsave(&in, sizeof(in)), 0);
    CHECK_EQ(t->x.xcr0, 3);
    memcpy(&out.legacy, t->x.xsave, AREA);
    CHECK(memcmp(out.avx, in.avx, 256) == 0 && out.bv == 7);
    CHECK(out.legacy[25] == 0xff && out.legacy[26] == 0 && out.legacy[27] == 0); /* MXCSR */

    in.accum = in.bv = 3; /* of a host without AVX */
    CHECK_EQ(set_xsave(&in, 16 + 576), 0);
    CHECK_EQ(((uint8_t *)t->x.xsave)[576], 0);
    CHECK_EQ(audit(), 0);
}

static void map_0(unsigned int slot, pte_t e)
{
    host_be(0);
    CHECK_EQ(
        call(pv_dom[0]->vcpu[0], __HYPERVISOR_update_va_mapping, PV_VA(slot), e, UVMF_INVLPG, 0),
        0);
}

/* A buffer of two pages of which one is not there; no memory; a processor without. */
TEST(extended_state_that_cannot_be_told)
{
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
    uint64_t page;

    host_be(0);
    page = slot_frame(pv_dom[0]->vcpu[0], 61) << PAGE_SHIFT | FLAGS;
    subject()->x.xcr0 = 7;
    *x = (struct xen_domctl_vcpuextstate){ .vcpu = 1 };
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), 0);
    x->buffer.p = (void *)(PV_VA(61) - 16);
    map_0(61, 0);
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), E(EFAULT));
    map_0(61, page);
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), 0);
    page = slot_frame(pv_dom[0]->vcpu[0], 60) << PAGE_SHIFT | FLAGS;
    map_0(60, 0);
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), E(EFAULT));
    CHECK_EQ(ask(XEN_DOMCTL_setvcpuextstate), E(EFAULT));
    map_0(60, page);
    CHECK_EQ(ask(XEN_DOMCTL_getvcpuextstate), 0);
    host_fail_every = 1;
    CHECK_EQ(ask(XEN_DOMCTL_setvcpuextstate), E(ENOMEM));
    host_fail_every = 0;
    cpu_feat.xsave = false;
    CHECK_EQ(ask(XEN_DOMCTL_setvcpuextstate), E(EINVAL));
    cpu_feat.xsave = true;
    CHECK_EQ(ask(XEN_DOMCTL_setvcpuextstate), 0);
}

/* What a context says of the FPU leaves wider registers alone: a suspend that is cancelled. */
TEST(a_context_leaves_other_states)
{
    static struct vcpu_guest_context c;
    struct pv_vcpu *t = subject();

    t->x.xcr0 = 7;
    ((uint64_t *)t->x.xsave)[64] = 4;
    memset((uint8_t *)t->x.xsave + 576, 0x77, 256);
    host_be(1);
    c.flags = VGCF_in_kernel | VGCF_i387_valid;
    c.ctrlreg[3] = first_l4[1] << PAGE_SHIFT;
    CHECK_EQ(pv_guest_ops.g.set_context(&t->x.v, &c), 0);
    CHECK_EQ(((uint64_t *)t->x.xsave)[64], 7);
    CHECK_EQ(((uint8_t *)t->x.xsave)[576], 0x77);
}

static long set_msr(uint32_t index, uint32_t reserved, uint64_t value)
{
    struct xen_domctl_vcpu_msr m = { index, reserved, value };

    put(&m, sizeof(m));
    op.u.vcpu_msrs = (struct xen_domctl_vcpu_msrs){ .vcpu = 1, .msr_count = 1 };
    op.u.vcpu_msrs.msrs.p = (void *)args();
    return ask(XEN_DOMCTL_set_vcpu_msrs);
}

TEST(msrs)
{
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
    struct xen_domctl_vcpu_msr one;
    struct pv_vcpu *t = subject();

    CHECK_EQ(set_msr(0xc0000103, 0, 1), E(EINVAL)); /* its guests have none */
    pv_machine_tsc_aux = true;
    CHECK_EQ(set_msr(0xc0000103, 0, 1ull << 32), E(EINVAL));
    CHECK_EQ(set_msr(0xc0000103, 1, 5), E(EINVAL));
    CHECK_EQ(set_msr(0xc0000080, 0, 0), E(EINVAL));
    CHECK_EQ(set_msr(0x140, 0, 1), E(EINVAL));
    CHECK_EQ(set_msr(0xc0011027, 0, 1), E(EINVAL));
    CHECK_EQ(t->priv.tsc_aux, 0);
    CHECK_EQ(set_msr(0x140, 0, 0), 0);
    CHECK_EQ(set_msr(0xc0011019, 0, 0), 0);
    CHECK_EQ(set_msr(0xc0011027, 0, 0), 0);
    CHECK_EQ(set_msr(0xc0000103, 0, 5), 0);
    CHECK_EQ(t->priv.tsc_aux, 5);
    m->msr_count = 9;
    CHECK_EQ(ask(XEN_DOMCTL_set_vcpu_msrs), E(EINVAL));
    m->msr_count = 1;
    m->msrs.p = (void *)PV_VA(PV_SLOTS);
    CHECK_EQ(ask(XEN_DOMCTL_set_vcpu_msrs), E(EFAULT));
    CHECK_EQ(ask(XEN_DOMCTL_get_vcpu_msrs), E(EFAULT));
    *m = (struct xen_domctl_vcpu_msrs){ .vcpu = 1 };
    CHECK_EQ(ask(XEN_DOMCTL_get_vcpu_msrs), 0);
    CHECK(back && m->msr_count == 1);
    m->msrs.p = (void *)args();
    m->msr_count = 0;
    CHECK_EQ(ask(XEN_DOMCTL_get_vcpu_msrs), E(ENOBUFS));
    m->msr_count = 4;
    CHECK_EQ(ask(XEN_DOMCTL_get_vcpu_msrs), 0);
    get(&one, sizeof(one));
    CHECK(m->msr_count == 1 && one.index == 0xc0000103 && one.value == 5);
    t->priv.tsc_aux = 0;
    CHECK_EQ(ask(XEN_DOMCTL_get_vcpu_msrs), 0);
    CHECK_EQ(m->msr_count, 0);
}

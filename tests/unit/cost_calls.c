/* SPDX-License-Identifier: MIT */
/*
 * A row for each hypercall number that has a handler: where what it does between two looks at
 * pending work is measured (see cost_core.c). A new hypercall without a row fails. Short calls are
 * measured here, all sub-operations with several arguments: what one costs, and what it says it
 * costs, bound what as many of them do in a multicall as run before it gives way.
 */
#include "model/pv_pick.h"

#include <string.h>

#include <xen/domctl.h>
#include <xen/physdev.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/platform.h>
#include <xen/vcpu.h>

#include "core/log.h"
#include "host/cost.h"
#include "unit.h"
#include "x86/irq/ioapic.h"
#include "x86/irq/msi.h"
#include "x86/irq/pirq.h"
#include "x86/cpu/ops.h"
#include "x86/hypercall/efi.h"
#include "x86/power.h"

static struct vcpu *v, *t0; /* of a domain without privilege; of Domain 0 */

__attribute__((constructor)) static void boot(void)
{
    pv_machine_boot(getenv("HOST_LOG") != NULL);
    pv_model_setup();
    pv_model_seed(1);
    host_be(0);
    t0 = pv_dom[0]->vcpu[0];
    host_be(1);
    v = pv_dom[1]->vcpu[0];
    for (unsigned int i = 0; i < 20;
         i++) { /* refusals are told ten times; time stands still here */
        log_refusal(v->domain, "a line");
        log_refusal(t0->domain, "a line");
        log_refusal(pv_dom[2], "a line");
    }
}

/* --- a machine with interrupts, for physdev_op and platform_op --- */

static struct irq *lines[24], *messages[4096];
static unsigned int nr_messages;

static struct irq *some(struct irq **place)
{
    if (!*place)
        *place = calloc(1, sizeof(**place));
    return *place;
}

uint32_t ioapic_nr_gsis(void)
{
    return ARRAY_SIZE(lines);
}

bool ioapic_read_register(uint64_t base, uint32_t reg, uint32_t *value)
{
    (void)base, (void)reg;
    *value = 0;
    return true;
}

bool ioapic_register_gsi(uint64_t base, uint32_t reg, uint32_t *gsi)
{
    (void)base;
    *gsi = reg % ARRAY_SIZE(lines);
    return true;
}

struct irq *irq_of_gsi(uint32_t gsi)
{
    return gsi < ARRAY_SIZE(lines) ? some(&lines[gsi]) : NULL;
}

int irq_assign_vector(struct irq *irq, unsigned int cpu)
{
    (void)irq, (void)cpu;
    return 0;
}

int irq_bind_guest(struct irq *irq, unsigned int cpu, struct domain *d, uint32_t port)
{
    (void)irq, (void)cpu, (void)d, (void)port;
    return 0;
}

void irq_unbind(struct irq *irq)
{
    (void)irq;
}

void irq_guest_eoi(struct irq *irq)
{
    (void)irq;
}

bool irq_needs_eoi(const struct irq *irq)
{
    (void)irq;
    return true;
}

void irq_set_cpu(struct irq *irq, unsigned int cpu)
{
    (void)irq, (void)cpu;
}

int irq_set_gsi_mode(uint32_t gsi, struct gsi_mode mode)
{
    (void)mode;
    return gsi < ARRAY_SIZE(lines) ? 0 : -XEN_EINVAL;
}

const struct irq_chip msi_chip;

int msi_create(const struct msi_request *r, struct irq **out)
{
    (void)r;
    if (nr_messages == ARRAY_SIZE(messages))
        return -XEN_ENOSPC;
    *out = some(&messages[nr_messages++]);
    return 0;
}

void msi_destroy(struct irq *irq)
{
    (void)irq;
}

bool msi_is_of(const struct irq *irq, struct pci_addr dev)
{
    (void)irq, (void)dev;
    return true;
}

bool msi_is_for(const struct irq *irq, const struct msi_request *r)
{
    (void)irq, (void)r;
    return false;
}

void msi_restore_begin(struct pci_addr dev)
{
    (void)dev;
}

void msi_restore_one(struct irq *irq)
{
    (void)irq;
}

void msi_restore_end(struct pci_addr dev)
{
    (void)dev;
}

bool pci_exists(struct pci_addr a)
{
    (void)a;
    return true;
}

void cpuid(uint32_t leaf, uint32_t sub, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    (void)leaf, (void)sub;
    *a = *b = *c = *d = 0;
}

/* A machine that a BIOS started. */
long platform_efi_info(struct vcpu *c, struct xenpf_firmware_info *info)
{
    (void)c, (void)info;
    return E(ESRCH);
}

long platform_efi_call(struct vcpu *c, struct xenpf_efi_runtime_call *call)
{
    (void)c, (void)call;
    return E(ENOSYS);
}

long power_enter_acpi_sleep(const struct xenpf_enter_acpi_sleep *op)
{
    (void)op;
    return 0;
}

/* --- short calls --- */

#define PER_ENTRY 300 /* what the multicall itself does for one */

static uint64_t worst;
static char worst_what[80];

/* One call, which does not give way. */
static void short_call(struct vcpu *by, const char *what, unsigned long nr, const struct hc_args *a)
{
    struct pcpu *p;
    uint64_t cost, begin;
    int32_t charged;
    long rc;

    host_be(by->domain->id); /* the model's vCPUs have a CPU each */
    p = arch_this_cpu();
    pcpu_gave_way(p);
    p->pending = 0;
    begin = host_cost;
    rc = hypercall_dispatch(by, nr, a);
    cost = host_cost - begin;
    if (rc == HC_RESTART || rc == HC_LEFT) /* it looks itself */
        charged = PREEMPT_BUDGET;
    else
        charged = PREEMPT_BUDGET - p->work_left + 1; /* the multicall's own */
    cost += (cost + PER_ENTRY) * (uint64_t)((PREEMPT_BUDGET + charged - 1) / charged);
    if (cost > worst) {
        worst = cost;
        snprintf(worst_what, sizeof(worst_what), "%s %lu(%#lx): %ld", what, nr, a->a[0], rc);
    }
    if (cost > COST_MAX) {
        printf("%s %lu(%#lx, %#lx, %#lx): %ld, about %lu instructions in a multicall\n", what, nr,
               a->a[0], a->a[1], a->a[2], rc, (unsigned long)cost);
        unit_failures++;
    }
}

/* What a sub-operation's record begins with. */
static const uint64_t records[][4] = {
    { 0 },
    { 1, 1, 1, 1 },
    { 0x7ff0, 8, 0, 0 }, /* DOMID_SELF */
    { ~0ull, ~0ull, ~0ull, ~0ull },
    { 0x100000001, 0x100000001, 64, 64 }, /* pairs of small numbers */
    { 0, 0x7fffffff, 0x7fffffff, 0 },
};

/* Sub-operations 0 to n - 1 of a call whose record is its argument number `at`. */
static void sweep(struct vcpu *by, const char *what, unsigned long nr, unsigned int n,
                  unsigned int at)
{
    for (unsigned int op = 0; op < n; op++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
            struct hc_args a = { .a = { op, op % 7, 1, 0 } };
            uint64_t record[16];

            for (unsigned int w = 0; w < 16; w++)
                record[w] = records[i][w % 4];
            host_be(by->domain->id);
            CHECK(put_args(by, 0, record, sizeof(record)));
            a.a[at] = args_va(by);
            short_call(by, what, nr, &a);
        }
    }
}

/* Numbers as arguments, sensible and not. */
static void numbers(struct vcpu *by, const char *what, unsigned long nr)
{
    static const uint64_t some_numbers[] = { 0, 1, 3, 7, 0x1000, 0x7fffffff, 1ull << 47, ~0ull };

    for (unsigned int i = 0; i < ARRAY_SIZE(some_numbers); i++)
        for (unsigned int j = 0; j < ARRAY_SIZE(some_numbers); j++)
            short_call(by, what, nr, &HC_ARGS(some_numbers[i], some_numbers[j]));
}

TEST(vcpu_op)
{
    sweep(v, "vcpu_op", __HYPERVISOR_vcpu_op, VCPUOP_down, 2);
    sweep(v, "vcpu_op", __HYPERVISOR_vcpu_op, 1, 2);
    for (unsigned int op = VCPUOP_is_up; op < 20; op++) {
        struct hc_args a = { .a = { op, 0, args_va(v) } };

        for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
            CHECK(put_args(v, 0, records[i], sizeof(records[i])));
            short_call(v, "vcpu_op", __HYPERVISOR_vcpu_op, &a);
        }
    }
}

TEST(console_io)
{
    static char text[8000];

    for (unsigned int kind = 0; kind < 3; kind++) {
        memset(text, "\nx\1"[kind], sizeof(text));
        for (unsigned int i = 0; i < 2; i++) {
            struct vcpu *by = i ? t0 : v;
            long rc;
            uint64_t cost;

            host_be(by->domain->id);
            CHECK(put_args(by, 0, text, sizeof(text)));
            cost = cost_of(by, __HYPERVISOR_console_io, CONSOLEIO_write, sizeof(text), args_va(by),
                           0, &rc);
            CHECK_EQ(rc, 0);
            if (getenv("COST_SHOW"))
                printf("  console_io write: %lu\n", (unsigned long)cost);
            CHECK(cost <= COST_MAX);
            short_call(by, "console_io", __HYPERVISOR_console_io,
                       &HC_ARGS(CONSOLEIO_write, 1, args_va(by)));
            short_call(by, "console_io", __HYPERVISOR_console_io,
                       &HC_ARGS(CONSOLEIO_write, 256, args_va(by)));
            short_call(by, "console_io", __HYPERVISOR_console_io,
                       &HC_ARGS(CONSOLEIO_read, 1024, args_va(by)));
        }
    }
}

TEST(update_descriptor)
{
    uint64_t m = slot_frame(v, 60) << PAGE_SHIFT;

    for (unsigned int i = 0; i < 512; i += 73)
        short_call(v, "update_descriptor", __HYPERVISOR_update_descriptor,
                   &HC_ARGS(m + 8 * i, 0x00cff2000000ffffull));
    numbers(v, "update_descriptor", __HYPERVISOR_update_descriptor);
}

/* Its tables full: the numbers that are looked for are the last. */
TEST(physdev_op)
{
    sweep(t0, "physdev_op", __HYPERVISOR_physdev_op, 40, 1);
    for (unsigned int i = 0; i < MAX_PIRQS; i++) {
        struct physdev_get_free_pirq free = { .type = MAP_PIRQ_TYPE_GSI };

        host_be(0);
        CHECK(put_args(t0, 0, &free, sizeof(free)));
        (void)hypercall_dispatch(t0, __HYPERVISOR_physdev_op,
                                 &HC_ARGS(PHYSDEVOP_get_free_pirq, args_va(t0)));
    }
    for (unsigned int i = 0; i < MAX_PIRQS; i++) {
        struct physdev_map_pirq map = { .domid = DOMID_SELF,
                                        .type = MAP_PIRQ_TYPE_MSI,
                                        .pirq = (int)i };

        host_be(0);
        CHECK(put_args(t0, 0, &map, sizeof(map)));
        (void)hypercall_dispatch(t0, __HYPERVISOR_physdev_op,
                                 &HC_ARGS(PHYSDEVOP_map_pirq, args_va(t0)));
    }
    sweep(t0, "physdev_op", __HYPERVISOR_physdev_op, 40, 1);
    sweep(v, "physdev_op", __HYPERVISOR_physdev_op, 40, 1);
    {
        struct physdev_pirq_eoi_gmfn op = { .gmfn = slot_frame(t0, 60) };

        host_be(0);
        CHECK(put_args(t0, 0, &op, sizeof(op)));
        short_call(t0, "pirq_eoi_gmfn", __HYPERVISOR_physdev_op,
                   &HC_ARGS(PHYSDEVOP_pirq_eoi_gmfn_v2, args_va(t0)));
        short_call(t0, "pirq_eoi_gmfn", __HYPERVISOR_physdev_op,
                   &HC_ARGS(PHYSDEVOP_pirq_eoi_gmfn_v2, args_va(t0)));
    }
}

TEST(platform_op)
{
    for (unsigned int cmd = 0; cmd < 80; cmd++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
            struct xen_platform_op op = { .cmd = cmd,
                                          .interface_version = XENPF_INTERFACE_VERSION };

            for (unsigned int w = 0; w < 8; w++)
                memcpy(op.u.pad + 8 * w, &records[i][w % 4], 8);
            if (cmd == XENPF_getidletime) {
                op.u.getidletime.cpumap_nr_cpus = ~0u;
                set_xen_guest_handle_raw(op.u.getidletime.cpumap_bitmap,
                                         (void *)(args_va(t0) + 512));
                set_xen_guest_handle_raw(op.u.getidletime.idletime, (void *)(args_va(t0) + 1024));
            }
            host_be(0);
            CHECK(put_args(t0, 0, &op, sizeof(op)));
            short_call(t0, "platform_op", __HYPERVISOR_platform_op, &HC_ARGS(args_va(t0)));
        }
    }
}

/* --- domctl --- */

static long domctl(const char *what, struct xen_domctl *op, uint32_t cmd, domid_t id)
{
    uint64_t cost;
    long rc;

    op->cmd = cmd;
    op->domain = id;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    host_be(0);
    CHECK(put_args(t0, 0, op, sizeof(*op)));
    cost = cost_of(t0, __HYPERVISOR_domctl, args_va(t0), 0, 0, 0, &rc);
    if (getenv("COST_SHOW"))
        printf("  domctl %s: %lu, %ld\n", what, (unsigned long)cost, rc);
    if (cost > COST_MAX) {
        printf("domctl %s: about %lu instructions between two looks\n", what, (unsigned long)cost);
        unit_failures++;
    }
    CHECK(get_args(t0, 0, op, sizeof(*op)));
    return rc;
}

TEST(domctl)
{
    static struct vcpu_guest_context c;
    struct xen_domctl op;
    static uint64_t list[1024];
    char what[32];

    /* Every one, with arguments that are nothing in particular. */
    for (uint32_t cmd = 0; cmd < 100; cmd++) {
        if (cmd == XEN_DOMCTL_createdomain || cmd == XEN_DOMCTL_destroydomain ||
            cmd == XEN_DOMCTL_pausedomain || cmd == XEN_DOMCTL_unpausedomain)
            continue;
        for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
            struct hc_args a = HC_ARGS(args_va(t0));

            memset(&op, 0, sizeof(op));
            op.cmd = cmd;
            op.domain = 2;
            op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
            for (unsigned int w = 0; w < sizeof(op.u) / 8; w++)
                memcpy((uint8_t *)&op.u + 8 * w, &records[i][w % 4], 8);
            host_be(0);
            CHECK(put_args(t0, 0, &op, sizeof(op)));
            snprintf(what, sizeof(what), "domctl %u with %u", cmd, i);
            short_call(t0, what, __HYPERVISOR_domctl, &a);
        }
    }
    memset(&op, 0, sizeof(op));
    op.u.getpageframeinfo3.num = 1024;
    for (unsigned int i = 0; i < 1024; i++)
        list[i] = slot_frame(v, 20 + i % 60);
    host_be(0);
    CHECK(put_args(t0, 1024, list, sizeof(list)));
    set_xen_guest_handle_raw(op.u.getpageframeinfo3.array, (void *)(args_va(t0) + 1024));
    CHECK_EQ(domctl("getpageframeinfo3", &op, XEN_DOMCTL_getpageframeinfo3, 1), 0);
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = 0;
    set_xen_guest_handle_raw(op.u.vcpucontext.ctxt, (void *)(args_va(t0) + 1024));
    CHECK_EQ(domctl("getvcpucontext", &op, XEN_DOMCTL_getvcpucontext, 2), 0);
    CHECK(get_args(t0, 1024, &c, sizeof(c)));
    CHECK_EQ(domctl("setvcpucontext", &op, XEN_DOMCTL_setvcpucontext, 2), 0);
    memset(&op, 0, sizeof(op));
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = ~0u;
    set_xen_guest_handle_raw(op.u.vcpuaffinity.cpumap_hard.bitmap, (void *)(args_va(t0) + 1024));
    op.u.vcpuaffinity.cpumap_soft = op.u.vcpuaffinity.cpumap_hard;
    (void)domctl("getvcpuaffinity", &op, XEN_DOMCTL_getvcpuaffinity, 2);
    (void)domctl("setvcpuaffinity", &op, XEN_DOMCTL_setvcpuaffinity, 2);
    CHECK_EQ(domctl("destroydomain", &op, XEN_DOMCTL_destroydomain, 2), 0);
}

/* --- every number --- */

static const struct {
    uint8_t nr;
    const char *where;
} rows[] = {
    { __HYPERVISOR_set_trap_table, "constant: 256 entries, charged" },
    { __HYPERVISOR_mmu_update, "cost_pv: updates" },
    { __HYPERVISOR_set_gdt, "cost_pv: descriptor_tables" },
    { __HYPERVISOR_stack_switch, "constant: two numbers" },
    { __HYPERVISOR_set_callbacks, "constant: three numbers" },
    { __HYPERVISOR_fpu_taskswitch, "constant: a bit" },
    { __HYPERVISOR_sched_op_compat, "cost_core: polls; the rest leaves the guest" },
    { __HYPERVISOR_platform_op, "here" },
    { __HYPERVISOR_set_debugreg, "constant: a register" },
    { __HYPERVISOR_get_debugreg, "constant: a register" },
    { __HYPERVISOR_update_descriptor, "here" },
    { __HYPERVISOR_memory_op, "cost_core: reservations, large_extents; cost_pv: exchanges" },
    { __HYPERVISOR_multicall, "with all others" },
    { __HYPERVISOR_update_va_mapping, "cost_pv: updates, the same work" },
    { __HYPERVISOR_set_timer_op, "here: every_number" },
    { __HYPERVISOR_event_channel_op_compat, "cost_core: as event_channel_op" },
    { __HYPERVISOR_xen_version, "here: every_number" },
    { __HYPERVISOR_console_io, "here" },
    { __HYPERVISOR_physdev_op_compat, "here: as physdev_op" },
    { __HYPERVISOR_grant_table_op, "cost_core: grants" },
    { __HYPERVISOR_vm_assist, "here: every_number" },
    { __HYPERVISOR_update_va_mapping_otherdomain, "cost_pv: updates, the same work" },
    { __HYPERVISOR_iret, "constant: a frame" },
    { __HYPERVISOR_vcpu_op, "here; cost_pv: contexts" },
    { __HYPERVISOR_set_segment_base, "constant: a number" },
    { __HYPERVISOR_mmuext_op, "cost_pv: pins_of_many_tables, extended_operations" },
    { __HYPERVISOR_nmi_op, "constant: a number" },
    { __HYPERVISOR_sched_op, "cost_core: polls; the rest leaves the guest" },
    { __HYPERVISOR_callback_op, "constant: a number" },
    { __HYPERVISOR_event_channel_op, "cost_core" },
    { __HYPERVISOR_physdev_op, "here" },
    { __HYPERVISOR_hvm_op, "constant: a parameter; not on this machine" },
    { __HYPERVISOR_sysctl, "cost_core: list_of_domains; here: every_number" },
    { __HYPERVISOR_domctl, "here" },
    { __HYPERVISOR_dm_op,
      "hardware-assisted domains only, which this machine has not: not measured" },
    { __HYPERVISOR_mca, "constant: a record; not on this machine" },
};

TEST(every_number)
{
    for (unsigned int nr = 0; nr < NR_HYPERCALLS; nr++) {
        unsigned int found = 0;

        for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
            found += rows[i].nr == nr;
        if (found == (hypercall_table[nr].name != NULL))
            continue;
        printf("hypercall %u (%s) has %u rows\n", nr,
               hypercall_table[nr].name ? hypercall_table[nr].name : "none", found);
        unit_failures++;
    }
    numbers(v, "set_timer_op", __HYPERVISOR_set_timer_op);
    numbers(v, "vm_assist", __HYPERVISOR_vm_assist);
    sweep(v, "xen_version", __HYPERVISOR_xen_version, 20, 1);
    sweep(t0, "xen_version", __HYPERVISOR_xen_version, 20, 1);
    sweep(v, "physdev_op_compat", __HYPERVISOR_physdev_op_compat, 1, 0);
    sweep(t0, "sysctl", __HYPERVISOR_sysctl, 1, 0);
    if (getenv("COST_SHOW"))
        printf("  most of the short ones: %s: %lu\n", worst_what, (unsigned long)worst);
}

/* SPDX-License-Identifier: MIT */
/*
 * What no clock shows, by the hypervisor's own counters of each vCPU (sysctl perfc_op): which
 * instructions exit, and for what the TLB is flushed. A right that is lost in the guest's map costs
 * each vCPU that may hold the translation one flush, and the others none.
 */
#include "pvh.h"

#include <xen/sysctl.h>

#define TIMES 10000
#define OTHERS 100 /* exits by interrupts of the machine and by the queries themselves */

/* Of "assistance of d0vN", in the order of perfc_op. */
struct counts {
    uint32_t exits, flushes, generations, cleared;
};

static struct xen_sysctl_perfc_desc desc[256];
static uint32_t vals[8192];

static bool names_equal(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && !strncmp(a, b, strlen(a));
}

static struct counts counts_of(unsigned int vcpu)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_perfc_op,
                             .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    char name[] = "assistance of d0v0";
    const uint32_t *at = vals;

    name[sizeof(name) - 2] += (char)vcpu;
    op.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query;
    op.u.perfc_op.desc.p = desc;
    op.u.perfc_op.val.p = vals;
    if (!CHECK_EQ(hc_sysctl(&op), 0, "perfc_op"))
        return (struct counts){ 0 };
    for (uint32_t i = 0; i < op.u.perfc_op.nr_counters; at += desc[i++].nr_vals)
        if (names_equal(desc[i].name, name) && desc[i].nr_vals >= 4)
            return (struct counts){ at[0], at[1], at[2], at[3] };
    CHECK(false, "no counter %s", name);
    return (struct counts){ 0 };
}

static void cpuids(void)
{
    for (int i = 0; i < TIMES; i++)
        (void)cpuid(0x40000000, 0);
}

static void cr3s(void)
{
    for (int i = 0; i < TIMES; i++)
        __asm__ volatile("mov %%cr3, %%rax\n\tmov %%rax, %%cr3" : : : "rax", "memory");
}

static void invlpgs(void)
{
    for (int i = 0; i < TIMES; i++)
        __asm__ volatile("invlpg (%0)" : : "r"(0x200000ul) : "memory");
}

static void rdtscs(void)
{
    for (int i = 0; i < TIMES; i++)
        __asm__ volatile("rdtsc" : : : "rax", "rdx");
}

static void instructions(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
        unsigned int exits;
    } kinds[] = {
        { "CPUID", cpuids, TIMES },
        { "MOV CR3", cr3s, 0 },
        { "INVLPG", invlpgs, 0 },
        { "RDTSC", rdtscs, 0 },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct counts before = counts_of(0), after;
        uint32_t exits;

        kinds[i].run();
        after = counts_of(0);
        exits = after.exits - before.exits;
        CHECK(exits >= kinds[i].exits && exits < kinds[i].exits + OTHERS, "%u of %s: %u exits",
              TIMES, kinds[i].name, exits);
        CHECK_EQ(after.flushes, before.flushes, "flushes by %s", kinds[i].name);
        CHECK_EQ(after.generations, before.generations, "generations of tags by %s", kinds[i].name);
        CHECK(after.cleared - before.cleared < OTHERS,
              "%s: %u times a part of the block is not kept", kinds[i].name,
              after.cleared - before.cleared);
    }
}

static volatile unsigned int stop, runs;

static void spin(void *arg)
{
    while (!stop) {
        (void)cpuid(0, 0); /* its exits look at what is asked of it */
        runs++;
    }
}

/* shared_info comes to another frame: the one before is not to be reached any more. */
static void move_shared_info(unsigned int i)
{
    struct xen_add_to_physmap op = { .domid = DOMID_SELF,
                                     .space = XENMAPSPACE_shared_info,
                                     .gpfn = PVH_HOLE_PFN + 16 + i % 2 };

    CHECK_EQ(hc_memory_op(XENMEM_add_to_physmap, &op), 0, "move shared_info");
}

#define MOVES 50

static void lost_rights(void)
{
    struct counts before[4], after[4];
    unsigned int at;

    move_shared_info(0);
    if (!cpu_start(1, spin, NULL))
        return;
    while (!runs)
        cpu_relax();
    for (unsigned int i = 0; i < 4; i++)
        before[i] = counts_of(i);
    for (unsigned int i = 1; i <= MOVES; i++) {
        move_shared_info(i);
        for (at = runs; runs < at + 2;) /* it entered again */
            cpu_relax();
    }
    for (unsigned int i = 0; i < 4; i++)
        after[i] = counts_of(i);
    stop = 1;
    cpu_wait(1);
    CHECK_EQ(after[0].flushes - before[0].flushes, MOVES, "flushes of the vCPU that took it away");
    CHECK_EQ(after[1].flushes - before[1].flushes, MOVES, "flushes of one that runs");
    CHECK_EQ(after[2].flushes, before[2].flushes, "flushes of one that does not");
    CHECK_EQ(after[3].flushes, before[3].flushes, "flushes of one that does not");
}

void guest_main(void)
{
    pvh_x2apic_on();
    instructions();
    lost_rights();
}

/* SPDX-License-Identifier: MIT */
/* Which translations are left after each kind of flush, with address-space tags and without. */
#include "hv/x86/mm/tlb.c"

#include <stdlib.h>

#include "unit.h"

#define OLD 0x5000ull
#define NEW 0x7000ull
#define PAGES 2

struct spec_choice spec_choice;
uint64_t tlb_clock = 1;
unsigned int nr_pcpus = 1;
static struct pcpu cpu;
static struct cpu_info info = { .pcpu = &cpu };
struct pcpu *pcpus[MAX_CPUS] = { &cpu };

struct pcpu *arch_this_cpu(void)
{
    return &cpu;
}

static uint64_t cr3;
static bool there[NR_TAGS][PAGES]; /* a translation of the page under the tag */

struct cpu_info *cpu_info(void)
{
    return &info;
}

struct x86_pcpu *this_x86(void)
{
    return NULL;
}

void arch_call_others(const struct cpumask *cpus, void (*fn)(void *), void *arg)
{
    (void)cpus, (void)fn, (void)arg;
}

uint64_t read_cr3(void)
{
    return cr3;
}

static void forget(unsigned int tag)
{
    memset(there[tag], 0, sizeof(there[tag]));
}

/* The processor walks ahead: whatever tables CR3 has are remembered at once. */
static void walk(void)
{
    memset(there[cr3 & 7], 1, sizeof(there[0]));
}

void write_cr3(uint64_t v)
{
    walk();
    cr3 = v & ~CR3_KEEP;
    if (!(v & CR3_KEEP))
        forget(cr3 & 7);
}

void invlpg(uint64_t va)
{
    there[cr3 & 7][va / PAGE_SIZE] = false;
}

void invpcid(uint64_t kind, uint64_t tag, uint64_t va)
{
    CHECK(spec_choice.tags);
    if (kind == INVPCID_ADDRESS)
        there[tag][va / PAGE_SIZE] = false;
    else if (kind == INVPCID_TAG)
        forget((unsigned int)tag);
    else
        memset(there, 0, sizeof(there));
}

static void start(bool tags, bool isolates, unsigned int tag)
{
    spec_choice = (struct spec_choice){ .tags = tags, .isolate_dom0 = isolates };
    cr3 = tags ? OLD | tag : OLD;
    memset(there, 0, sizeof(there));
    for (unsigned int i = 0; i < (tags ? NR_TAGS : 1); i++)
        memset(there[i], 1, sizeof(there[i]));
    tlb_clock = 101;
    cpu.tlb_flushed = 1;
}

static unsigned int left(unsigned int page)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < NR_TAGS; i++)
        n += there[i][page];
    return n;
}

TEST(everything)
{
    for (unsigned int tag = 0; tag < NR_TAGS; tag++)
        for (unsigned int tags = 0; tags < 2; tags++) {
            start(tags, false, tag);
            tlb_flush_local();
            CHECK_EQ(left(0) + left(1), 0);
            CHECK_EQ(cpu.tlb_flushed, 103);
            CHECK_EQ(cr3, tags ? OLD | tag : OLD);
            start(tags, false, tag);
            tlb_load(tlb_cr3(NEW, TAG_KERNEL));
            CHECK_EQ(left(0) + left(1), 0);
            CHECK_EQ(cpu.tlb_flushed, 103);
            CHECK_EQ(cr3, tags ? NEW | TAG_KERNEL : NEW);
        }
}

TEST(one_address)
{
    start(true, false, TAG_KERNEL);
    tlb_flush_va(PAGE_SIZE);
    CHECK_EQ(left(0), NR_TAGS);
    CHECK_EQ(left(1), 1); /* the hypervisor's own tables have nothing of a guest's */
    CHECK(there[TAG_OWN][1]);
    start(false, false, 0);
    tlb_flush_va(PAGE_SIZE);
    CHECK(there[0][0] && !there[0][1]);
    CHECK_EQ(cpu.tlb_flushed, 1);
}

TEST(the_programs)
{
    for (unsigned int isolates = 0; isolates < 2; isolates++) {
        start(true, isolates, TAG_KERNEL);
        tlb_flush_user();
        CHECK_EQ(left(0), isolates ? NR_TAGS - 2 : NR_TAGS - 1);
        CHECK(!there[TAG_USER][0] && there[TAG_ROOT_USER][0] == !isolates);
    }
    start(false, true, 0);
    tlb_flush_user();
    CHECK_EQ(left(0), 1);
}

/* A system call and the way back: nothing goes. */
TEST(a_change_of_view)
{
    start(true, false, TAG_USER);
    write_cr3(tlb_cr3(OLD, TAG_KERNEL));
    write_cr3(tlb_cr3(NEW, TAG_USER));
    CHECK_EQ(left(0), NR_TAGS);
    CHECK_EQ(tlb_cr3(OLD, TAG_KERNEL), OLD | 2 | 1ull << 63);
    spec_choice.tags = false;
    CHECK_EQ(tlb_cr3(OLD, TAG_KERNEL), OLD);
}

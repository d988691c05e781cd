/* SPDX-License-Identifier: MIT */
/*
 * vmx/failure.c: a guest state that VM entry takes, and with one thing after the other wrong, each
 * of which has to be named. Nothing is wrong in a real-mode and a 64-bit state.
 */
#include "unit.h"

#define vmread processor_vmread
#define vmwrite processor_vmwrite
#include "x86/hvm/vmx/vmcs.h"
#undef vmread
#undef vmwrite
#define rdmsr processor_rdmsr
#include "x86/cpu/ops.h"
#undef rdmsr

static uint64_t fields[0x8000];

static uint64_t vmread(uint32_t field)
{
    return fields[field];
}

/* CR4: VMXE must be 1, nothing above bit 22 may. */
static uint64_t rdmsr(uint32_t msr)
{
    return msr == 0x488 ? 0x2000 : 0x7fffff;
}

#include "x86/hvm/vmx/failure.c"

#define UNUSABLE 0x10000u
#define NON_CANONICAL 0x800000000000ull

static void segment(unsigned int n, uint32_t access, uint32_t limit)
{
    fields[F_GUEST_RIGHTS + 2 * n] = access;
    fields[F_GUEST_LIMIT + 2 * n] = limit;
}

/* Firmware's: real mode, TR and LDTR as after RESET. */
static void real_mode(void)
{
    memset(fields, 0, sizeof(fields));
    for (unsigned int n = ES; n <= GS; n++)
        segment(n, 0x93, 0xffff);
    segment(LDTR, 0x82, 0xffff);
    segment(TR, 0x8b, 0xffff);
    fields[F_GUEST_CR0] = 0x30;
    fields[F_GUEST_CR4] = 0x2000;
    fields[F_GUEST_RFLAGS] = 2;
}

/* A kernel's 64-bit code, with interrupts on. */
static void long_mode(void)
{
    real_mode();
    segment(CS, 0xa09b, ~0u);
    for (unsigned int n = ES; n <= GS; n++)
        if (n != CS)
            segment(n, UNUSABLE, 0);
    segment(LDTR, UNUSABLE, 0);
    fields[F_ENTRY] = ENTRY_GUEST_64;
    fields[F_GUEST_CR0] = 0x80010033;
    fields[F_GUEST_CR4] = 0x2020;
    fields[F_GUEST_EFER] = 0xd01;
    fields[F_GUEST_RFLAGS] = 0x202;
    fields[F_GUEST_RIP] = 0xffffffff81000000;
}

#define RIGHTS_OF(n) (F_GUEST_RIGHTS + 2 * (n))

static const struct wrong {
    bool real; /* in the state of real mode */
    uint32_t field;
    uint64_t value;
    const char *says;
} wrong[] = {
    { true, F_GUEST_CR0, 0x80000030, "PG without PE" },
    { true, F_GUEST_CR0, 0x20000030, "NW without CD" },
    { true, F_GUEST_CR4, 0, "CR4 has bits" },
    { true, F_GUEST_CR4, 0x802000, "CR4 has bits" },
    { false, F_GUEST_CR4, 0x2000, "without paging or PAE" },
    { false, F_GUEST_CR0, 0x33, "without paging or PAE" },
    { true, F_GUEST_CR4, 0x22000, "PCIDE outside" },
    { false, F_GUEST_DR7, 1ull << 32, "DR7" },
    { false, F_GUEST_SYSENTER_ESP, NON_CANONICAL, "SYSENTER" },
    { false, F_GUEST_SYSENTER_EIP, NON_CANONICAL, "SYSENTER" },
    { false, F_GUEST_EFER, 0x901, "LMA and LME" },
    { false, F_GUEST_EFER, 0xc01, "LMA and LME" },
    { true, F_GUEST_EFER, 0x400, "LMA and LME" },
    { true, RIGHTS_OF(CS), 0x8b, "no accessed code" },
    { true, RIGHTS_OF(CS), 0x9a, "no accessed code" },
    { false, RIGHTS_OF(CS), 0xe09b, "both L and D" },
    { false, RIGHTS_OF(CS), 0xa0fb, "levels of CS and SS differ" },
    { false, RIGHTS_OF(CS), 0xa0ff, "conforming" },
    { true, RIGHTS_OF(SS), 0xf3, "privilege level" },
    { true, RIGHTS_OF(SS), 0x92, "SS is no" },
    { true, RIGHTS_OF(DS), 0x13, "reserved rights, or is not present" },
    { true, RIGHTS_OF(DS), 0x193, "reserved rights, or is not present" },
    { true, F_GUEST_LIMIT + 2 * FS, 0x100000, "granularity" },
    { false, F_GUEST_LIMIT + 2 * CS, 0xffff0000, "granularity" },
    { true, RIGHTS_OF(TR), UNUSABLE, "TR is no busy TSS" },
    { false, RIGHTS_OF(TR), 0x83, "TR is no busy TSS" },
    { true, RIGHTS_OF(LDTR), 0x8b, "LDTR is no LDT" },
    { false, F_GUEST_BASE + 2 * GS, NON_CANONICAL, "base is not canonical" },
    { true, F_GUEST_LIMIT + 16, 0x10000, "descriptor table" },
    { true, F_GUEST_LIMIT + 18, 0x10000, "descriptor table" },
    { true, F_GUEST_RIP, 1ull << 32, "above 4 GiB" },
    { false, F_GUEST_RIP, NON_CANONICAL, "RIP is not canonical" },
    { true, F_GUEST_RFLAGS, 0, "RFLAGS has reserved" },
    { true, F_GUEST_RFLAGS, 0x8002, "RFLAGS has reserved" },
    { false, F_GUEST_RFLAGS, 0x20202, "RFLAGS has VM" },
    { true, F_ENTRY_EVENT, EV_VALID | EV_INTERRUPT | 0x30, "while the guest takes none" },
    { true, F_INTERRUPTIBILITY, BLOCK_STI, "by STI and by IF" },
};

TEST(nothing_is_wrong)
{
    real_mode();
    CHECK(strstr(vmx_explain_current(), "none of the checks"));
    long_mode();
    CHECK(strstr(vmx_explain_current(), "none of the checks"));
    fields[F_ENTRY_EVENT] = EV_VALID | EV_INTERRUPT | 0x30;
    CHECK(strstr(vmx_explain_current(), "none of the checks"));
    fields[F_INTERRUPTIBILITY] = BLOCK_STI;
    CHECK(strstr(vmx_explain_current(), "behind STI"));
    fields[F_ENTRY_EVENT] = EV_VALID | EV_NMI | 2; /* STI does not hold it off here */
    CHECK(strstr(vmx_explain_current(), "none of the checks"));
}

TEST(each_is_named)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *why;

        if (wrong[i].real)
            real_mode();
        else
            long_mode();
        fields[wrong[i].field] = wrong[i].value;
        why = vmx_explain_current();
        if (!strstr(why, wrong[i].says)) {
            printf("row %zu: \"%s\", not \"%s\"\n", i, why, wrong[i].says);
            unit_failures++;
        }
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Why VM entry refused a guest's state: the processor only says that it did. The checks are those
 * of Intel SDM volume 3, 27.3.1, in its order; the first that fails is named. Reads the current
 * control structure. No locks.
 */
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/regs.h"

#define CR0_NW_CD 0x60000000ull
#define FLAGS_RESERVED 0xffffffffffc08028ull

/* Rights of a segment register. */
#define TYPE(r) ((r)&15u)
#define IS_S(r) ((r) >> 4 & 1u)
#define DPL(r) ((r) >> 5 & 3u)
#define IS_P(r) ((r) >> 7 & 1u)
#define IS_L(r) ((r) >> 13 & 1u)
#define IS_DB(r) ((r) >> 14 & 1u)
#define IS_G(r) ((r) >> 15 & 1u)
#define RIGHTS_RESERVED 0xfffe0f00u

enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

static bool canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static uint32_t rights(unsigned int n)
{
    return (uint32_t)vmread(F_GUEST_RIGHTS + 2 * n);
}

static const char *check_control(bool lma)
{
    uint64_t cr0 = vmread(F_GUEST_CR0), cr4 = vmread(F_GUEST_CR4), efer = vmread(F_GUEST_EFER);
    uint64_t fixed4 = rdmsr(MSR_VMX_CR4_FIXED0);

    if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
        return "CR0 has PG without PE";
    if ((cr0 & CR0_NW_CD) == CR0_NW)
        return "CR0 has NW without CD";
    if ((cr4 & fixed4) != fixed4 || (cr4 & ~rdmsr(MSR_VMX_CR4_FIXED0 + 1)))
        return "CR4 has bits that VMX does not allow, or lacks some";
    if (lma && !((cr0 & CR0_PG) && (cr4 & CR4_PAE)))
        return "long mode without paging or PAE";
    if (!lma && (cr4 & CR4_PCIDE))
        return "CR4 has PCIDE outside long mode";
    if (vmread(F_GUEST_DR7) >> 32)
        return "DR7 has upper bits";
    if (!canonical(vmread(F_GUEST_SYSENTER_ESP)) || !canonical(vmread(F_GUEST_SYSENTER_EIP)))
        return "a SYSENTER register is not canonical";
    if (lma != ((efer & EFER_LMA) != 0) || ((cr0 & CR0_PG) && lma != ((efer & EFER_LME) != 0)))
        return "EFER's LMA and LME do not fit its mode";
    return NULL;
}

static const char *check_limit(unsigned int n)
{
    uint32_t r = rights(n), limit = (uint32_t)vmread(F_GUEST_LIMIT + 2 * n);

    if (r & RIGHTS_UNUSABLE)
        return NULL;
    if (!IS_P(r) || (r & RIGHTS_RESERVED))
        return "a segment register in use has reserved rights, or is not present";
    if (IS_G(r) ? (limit & 0xfff) != 0xfff : limit >> 20 != 0)
        return "a segment's limit does not fit its granularity";
    return NULL;
}

static const char *check_code_and_stack(bool lma)
{
    uint32_t cs = rights(CS), ss = rights(SS);

    if (!IS_S(cs) || (TYPE(cs) != 3 && (TYPE(cs) & 9) != 9))
        return "CS is no accessed code segment";
    if (lma && IS_L(cs) && IS_DB(cs))
        return "CS has both L and D";
    if ((TYPE(cs) == 9 || TYPE(cs) == 11) && DPL(cs) != DPL(ss))
        return "the privilege levels of CS and SS differ";
    if (TYPE(cs) > 11 && DPL(cs) > DPL(ss))
        return "CS, conforming, has less privilege than SS";
    if (DPL(ss) && (TYPE(cs) == 3 || !(vmread(F_GUEST_CR0) & CR0_PE)))
        return "real mode with a privilege level";
    if (!(ss & RIGHTS_UNUSABLE) && (!IS_S(ss) || (TYPE(ss) & 11) != 3))
        return "SS is no accessed, writable data segment";
    return NULL;
}

static const char *check_segments(bool lma)
{
    const char *why = check_code_and_stack(lma);
    uint32_t tr = rights(TR), ldtr = rights(LDTR);

    for (unsigned int n = ES; n <= TR && !why; n++)
        why = check_limit(n);
    if (why)
        return why;
    if ((tr & RIGHTS_UNUSABLE) || IS_S(tr) || (TYPE(tr) != 11 && (lma || TYPE(tr) != 3)))
        return "TR is no busy TSS";
    if (!(ldtr & RIGHTS_UNUSABLE) && (IS_S(ldtr) || TYPE(ldtr) != 2))
        return "LDTR is no LDT";
    for (unsigned int n = FS; n <= TR; n++)
        if (!canonical(vmread(F_GUEST_BASE + 2 * n)))
            return "a segment's base is not canonical";
    if (vmread(F_GUEST_LIMIT + 16) >> 16 || vmread(F_GUEST_LIMIT + 18) >> 16)
        return "a descriptor table's limit is above 64 KiB";
    return NULL;
}

static const char *check_flow(bool lma)
{
    uint64_t rip = vmread(F_GUEST_RIP), flags = vmread(F_GUEST_RFLAGS);
    uint64_t blocked = vmread(F_INTERRUPTIBILITY), event = vmread(F_ENTRY_EVENT);
    bool interrupt = (event & EV_VALID) && (event & EV_TYPE) == EV_INTERRUPT;

    if ((!lma || !IS_L(rights(CS))) && rip >> 32)
        return "RIP is above 4 GiB outside 64-bit code";
    if (lma && IS_L(rights(CS)) && !canonical(rip))
        return "RIP is not canonical";
    if ((flags & FLAGS_RESERVED) || !(flags & X86_FLAGS_FIXED))
        return "RFLAGS has reserved bits";
    if ((flags & X86_FLAGS_VM) && (lma || !(vmread(F_GUEST_CR0) & CR0_PE)))
        return "RFLAGS has VM in long or real mode";
    if (interrupt && !(flags & X86_FLAGS_IF))
        return "an interrupt is injected while the guest takes none";
    if (interrupt && (blocked & (BLOCK_STI | BLOCK_MOV_SS)))
        return "an interrupt is injected behind STI or MOV SS";
    if ((blocked & BLOCK_STI) && !(flags & X86_FLAGS_IF))
        return "interrupts are held off by STI and by IF";
    return NULL;
}

const char *vmx_explain_current(void)
{
    bool lma = vmread(F_ENTRY) & ENTRY_GUEST_64;
    const char *why = check_control(lma);

    if (!why)
        why = check_segments(lma);
    if (!why)
        why = check_flow(lma);
    return why ? why : "none of the checks that are known here fails";
}

/* SPDX-License-Identifier: MIT */
/* Fields of a virtual machine control structure and bits in them: Intel SDM volume 3, chapter 25
 * and appendix B. */
#ifndef X86_HVM_VMX_VMCS_H
#define X86_HVM_VMX_VMCS_H

#include <stdbool.h>
#include <stdint.h>

enum vmcs_field {
    /* clang-format off */
    F_VPID = 0x0000,
    F_INTERRUPT_STATUS = 0x0810, /* requested vector, | in service << 8 */
    F_GUEST_SEL = 0x0800, /* + 2 * ES, CS, SS, DS, FS, GS, LDTR, TR */
    F_HOST_ES_SEL = 0x0c00, F_HOST_CS_SEL = 0x0c02, F_HOST_SS_SEL = 0x0c04, F_HOST_DS_SEL = 0x0c06,
    F_HOST_FS_SEL = 0x0c08, F_HOST_GS_SEL = 0x0c0a, F_HOST_TR_SEL = 0x0c0c,
    F_IO_BITMAP_A = 0x2000, F_IO_BITMAP_B = 0x2002, F_MSR_BITMAP = 0x2004, F_TSC_OFFSET = 0x2010,
    F_VIRTUAL_APIC = 0x2012,
    F_EPT_POINTER = 0x201a, F_APIC_END = 0x201c, /* + 2 * n: vectors whose end exits */ F_GUEST_PHYSICAL = 0x2400,
    F_LINK = 0x2800, F_GUEST_DEBUGCTL = 0x2802, F_GUEST_PAT = 0x2804, F_GUEST_EFER = 0x2806,
    F_GUEST_PDPTE = 0x280a, /* + 2 * n */
    F_HOST_PAT = 0x2c00, F_HOST_EFER = 0x2c02,
    F_PIN = 0x4000, F_PROC = 0x4002, F_EXCEPTIONS = 0x4004, F_PF_MASK = 0x4006, F_PF_MATCH = 0x4008,
    F_CR3_TARGETS = 0x400a, F_EXIT = 0x400c, F_EXIT_MSR_STORE = 0x400e, F_EXIT_MSR_LOAD = 0x4010,
    F_ENTRY = 0x4012, F_ENTRY_MSR_LOAD = 0x4014, F_ENTRY_EVENT = 0x4016, F_ENTRY_CODE = 0x4018,
    F_ENTRY_LENGTH = 0x401a, F_TPR_THRESHOLD = 0x401c, F_PROC2 = 0x401e,
    F_ERROR = 0x4400, F_REASON = 0x4402, F_EXIT_EVENT = 0x4404, F_EXIT_CODE = 0x4406,
    F_VECTORING = 0x4408, F_VECTORING_CODE = 0x440a, F_LENGTH = 0x440c,
    F_GUEST_LIMIT = 0x4800, /* + 2 * ES ... TR, GDTR, IDTR */
    F_GUEST_RIGHTS = 0x4814, /* + 2 * ES ... TR */
    F_INTERRUPTIBILITY = 0x4824, F_ACTIVITY = 0x4826, F_GUEST_SYSENTER_CS = 0x482a,
    F_HOST_SYSENTER_CS = 0x4c00,
    F_CR0_MASK = 0x6000, F_CR4_MASK = 0x6002, F_CR0_SHADOW = 0x6004, F_CR4_SHADOW = 0x6006,
    F_QUALIFICATION = 0x6400,
    F_GUEST_CR0 = 0x6800, F_GUEST_CR3 = 0x6802, F_GUEST_CR4 = 0x6804,
    F_GUEST_BASE = 0x6806, /* + 2 * ES ... TR, GDTR, IDTR */
    F_GUEST_DR7 = 0x681a, F_GUEST_RSP = 0x681c, F_GUEST_RIP = 0x681e, F_GUEST_RFLAGS = 0x6820,
    F_PENDING_DEBUG = 0x6822, F_GUEST_SYSENTER_ESP = 0x6824, F_GUEST_SYSENTER_EIP = 0x6826,
    F_HOST_CR0 = 0x6c00, F_HOST_CR3 = 0x6c02, F_HOST_CR4 = 0x6c04, F_HOST_FS_BASE = 0x6c06,
    F_HOST_GS_BASE = 0x6c08, F_HOST_TR_BASE = 0x6c0a, F_HOST_GDTR_BASE = 0x6c0c,
    F_HOST_IDTR_BASE = 0x6c0e, F_HOST_SYSENTER_ESP = 0x6c10, F_HOST_SYSENTER_EIP = 0x6c12,
    F_HOST_RSP = 0x6c14, F_HOST_RIP = 0x6c16,
    /* clang-format on */
};

enum vmx_pin { PIN_INTERRUPT = 1u << 0, PIN_NMI = 1u << 3, PIN_VIRTUAL_NMI = 1u << 5 };
enum vmx_proc {
    /* clang-format off */
    PROC_WINDOW = 1u << 2, PROC_TSC_OFFSET = 1u << 3, PROC_HLT = 1u << 7, PROC_MWAIT = 1u << 10,
    PROC_RDPMC = 1u << 11, PROC_RDTSC = 1u << 12, PROC_CR3_LOAD = 1u << 15,
    PROC_CR3_STORE = 1u << 16, PROC_CR8_LOAD = 1u << 19, PROC_CR8_STORE = 1u << 20,
    PROC_TPR_SHADOW = 1u << 21, PROC_NMI_WINDOW = 1u << 22, PROC_MOV_DR = 1u << 23, PROC_IO_BITMAPS = 1u << 25,
    PROC_MSR_BITMAP = 1u << 28, PROC_MONITOR = 1u << 29, PROC_SECONDARY = 1u << 31,
    /* clang-format on */
};
enum vmx_proc2 {
    PROC2_EPT = 1u << 1,
    PROC2_RDTSCP = 1u << 3,
    PROC2_X2APIC = 1u << 4,
    PROC2_VPID = 1u << 5,
    PROC2_WBINVD = 1u << 6,
    PROC2_UNRESTRICTED = 1u << 7,
    PROC2_APIC_REGISTERS = 1u << 8,
    PROC2_APIC_DELIVERY = 1u << 9,
    PROC2_INVPCID = 1u << 12,
};
#define PROC2_APIC (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_APIC_DELIVERY)
enum vmx_exit_controls {
    EXIT_SAVE_DEBUG = 1u << 2,
    EXIT_HOST_64 = 1u << 9,
    EXIT_SAVE_PAT = 1u << 18,
    EXIT_LOAD_PAT = 1u << 19,
    EXIT_SAVE_EFER = 1u << 20,
    EXIT_LOAD_EFER = 1u << 21,
};
enum vmx_entry_controls {
    ENTRY_LOAD_DEBUG = 1u << 2,
    ENTRY_GUEST_64 = 1u << 9,
    ENTRY_LOAD_PAT = 1u << 14,
    ENTRY_LOAD_EFER = 1u << 15,
};

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_WALK_4 (1ull << 6)
#define EPT_CAP_WB (1ull << 14)
#define EPT_CAP_2M (1ull << 16)
#define EPT_CAP_1G (1ull << 17)
#define EPT_CAP_INVEPT (1ull << 20)
#define EPT_CAP_DIRTY (1ull << 21)
#define EPT_CAP_INVEPT_SINGLE (1ull << 25)
#define EPT_CAP_INVEPT_ALL (1ull << 26)
#define EPT_CAP_INVVPID (1ull << 32)
#define EPT_CAP_INVVPID_ALL (1ull << 42)

/* The EPT pointer: write-back tables, four levels. */
#define EPTP_WB 6ull
#define EPTP_WALK_4 (3ull << 3)
#define EPTP_DIRTY (1ull << 6)

/* F_ENTRY_EVENT, F_EXIT_EVENT, F_VECTORING */
#define EV_TYPE (7u << 8)
#define EV_INTERRUPT (0u << 8)
#define EV_NMI (2u << 8)
#define EV_EXCEPTION (3u << 8)
#define EV_SOFT_INT (4u << 8)
#define EV_ICEBP (5u << 8)
#define EV_SOFT_EXCEPTION (6u << 8)
#define EV_HAS_CODE (1u << 11)
#define EV_NMI_UNBLOCKED (1u << 12)
#define EV_VALID (1u << 31)

/* F_INTERRUPTIBILITY */
#define BLOCK_STI 1u
#define BLOCK_MOV_SS 2u
#define BLOCK_NMI 8u

#define RIGHTS_UNUSABLE (1u << 16)

enum vmx_reason {
    /* clang-format off */
    VMX_EXCEPTION = 0, VMX_INTERRUPT = 1, VMX_TRIPLE_FAULT = 2, VMX_INIT = 3, VMX_SIPI = 4,
    VMX_WINDOW = 7, VMX_NMI_WINDOW = 8, VMX_TASK_SWITCH = 9, VMX_CPUID = 10, VMX_HLT = 12,
    VMX_INVD = 13, VMX_RDTSC = 16, VMX_VMCALL = 18, VMX_CR = 28, VMX_DR = 29, VMX_IO = 30,
    VMX_RDMSR = 31, VMX_WRMSR = 32, VMX_BAD_STATE = 33, VMX_BAD_MSRS = 34, VMX_ENTRY_MC = 41,
    VMX_APIC_END = 45, VMX_EPT_VIOLATION = 48, VMX_EPT_MISCONFIG = 49, VMX_RDTSCP = 51, VMX_WBINVD = 54,
    VMX_XSETBV = 55, VMX_APIC_WRITE = 56,
    /* clang-format on */
};
#define REASON_ENTRY_FAILED (1u << 31)

#define BASIC_TRUE (1ull << 55)
#define FEATURE_CONTROL_LOCK 1ull
#define FEATURE_CONTROL_VMXON 4ull /* outside SMX */

/* --- the instructions; a field that is not there is a mistake of ours and reads as it was --- */

static inline uint64_t vmread(uint32_t field)
{
    uint64_t v;

    __asm__ volatile("vmread %1, %0" : "=r"(v) : "r"((uint64_t)field) : "cc");
    return v;
}

static inline void vmwrite(uint32_t field, uint64_t v)
{
    __asm__ volatile("vmwrite %1, %0" ::"r"((uint64_t)field), "r"(v) : "cc", "memory");
}

static inline void vmptrld(uint64_t pa)
{
    __asm__ volatile("vmptrld %0" ::"m"(pa) : "cc", "memory");
}

static inline void vmclear(uint64_t pa)
{
    __asm__ volatile("vmclear %0" ::"m"(pa) : "cc", "memory");
}

static inline bool vmxon(uint64_t pa)
{
    bool ok;

    __asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(pa) : "memory");
    return ok;
}

static inline void invept(uint64_t type, uint64_t eptp)
{
    const uint64_t d[2] = { eptp, 0 };

    __asm__ volatile("invept %0, %1" ::"m"(d), "r"(type) : "cc", "memory");
}

static inline void invvpid_all(void)
{
    const uint64_t d[2] = { 0, 0 };

    __asm__ volatile("invvpid %0, %1" ::"m"(d), "r"(2ul) : "cc", "memory");
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Bits of CR0, CR4 and EFER, and numbers of model-specific registers: Intel SDM volume 3 (chapter
 * 2) and volume 4, AMD APM volume 2 (chapter 3). Names and values only.
 */
#ifndef X86_CPU_REGISTERS_H
#define X86_CPU_REGISTERS_H

#define DR7_ENABLED 0xffull /* any breakpoint */
#define DR7_RESET 0x400ull  /* none, as after reset and after an exit of SVM and VMX */

#define CR0_PE 0x1ull
#define CR0_MP 0x2ull
#define CR0_TS 0x8ull
#define CR0_ET 0x10ull
#define CR0_NE 0x20ull
#define CR0_WP 0x10000ull
#define CR0_AM 0x40000ull
#define CR0_NW 0x20000000ull
#define CR0_CD 0x40000000ull
#define CR0_PG 0x80000000ull

#define CR4_TSD 0x4ull
#define CR4_DE 0x8ull
#define CR4_PSE 0x10ull
#define CR4_PAE 0x20ull
#define CR4_MCE 0x40ull
#define CR4_PGE 0x80ull
#define CR4_OSFXSR 0x200ull
#define CR4_OSXMMEXCPT 0x400ull
#define CR4_UMIP 0x800ull
#define CR4_VMXE 0x2000ull
#define CR4_FSGSBASE 0x10000ull
#define CR4_PCIDE 0x20000ull
#define CR4_OSXSAVE 0x40000ull
#define CR4_SMEP 0x100000ull
#define CR4_SMAP 0x200000ull

#define EFER_SCE 0x1ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define EFER_NX 0x800ull
#define EFER_SVME 0x1000ull
#define EFER_FFXSR 0x4000ull
#define EFER_AUTOIBRS 0x200000ull

#define MSR_TSC 0x10u
#define MSR_PLATFORM_ID 0x17u
#define MSR_APIC_BASE 0x1bu
#define MSR_FEATURE_CONTROL 0x3au
#define MSR_SPEC_CTRL 0x48u
#define MSR_PRED_CMD 0x49u
#define MSR_UCODE_REV 0x8bu
#define MSR_PLATFORM_INFO 0xceu
#define MSR_MTRR_CAP 0xfeu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_MISC_FEATURES 0x140u
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MCG_CTL 0x17bu
#define MSR_MC_CTL2(bank) (0x280u + (bank))
#define MSR_MC_CTL(bank) (0x400u + 4 * (bank))
#define MSR_MC_STATUS(bank) (0x401u + 4 * (bank))
#define MSR_MC_ADDR(bank) (0x402u + 4 * (bank))
#define MSR_MC_MISC(bank) (0x403u + 4 * (bank))
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_DEBUGCTL 0x1d9u
#define MSR_MTRR_FIRST 0x200u
#define MSR_MTRR_FIX_64K 0x250u
#define MSR_MTRR_FIX_16K 0x258u
#define MSR_MTRR_FIX_16K_LAST 0x259u
#define MSR_MTRR_FIX_4K 0x268u
#define MSR_MTRR_FIX_4K_LAST 0x26fu
#define MSR_PAT 0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_VMX_BASIC 0x480u
#define MSR_VMX_PIN 0x481u
#define MSR_VMX_PROC 0x482u
#define MSR_VMX_EXIT 0x483u
#define MSR_VMX_ENTRY 0x484u
#define MSR_VMX_CR0_FIXED0 0x486u
#define MSR_VMX_CR4_FIXED0 0x488u
#define MSR_VMX_PROC2 0x48bu
#define MSR_VMX_EPT_VPID 0x48cu
#define MSR_VMX_TRUE_PIN 0x48du
#define MSR_VMX_TRUE_PROC 0x48eu
#define MSR_VMX_TRUE_EXIT 0x48fu
#define MSR_VMX_TRUE_ENTRY 0x490u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define MSR_X2APIC_LAST 0x8ffu
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_AMD_SYSCFG 0xc0010010u
#define MSR_AMD_HWCR 0xc0010015u
#define MSR_AMD_NB_CFG 0xc001001fu
#define MSR_AMD_INT_PENDING 0xc0010055u
#define MSR_AMD_MMIO_CONF 0xc0010058u
#define MSR_AMD_PSTATE_LIMIT 0xc0010061u
#define MSR_AMD_PSTATE_STATUS 0xc0010063u
#define MSR_AMD_PSTATE_FIRST 0xc0010064u
#define MSR_AMD_PSTATE_LAST 0xc001006bu
#define MSR_VM_CR 0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u
#define MSR_AMD_DR1_MASK 0xc0011019u
#define MSR_AMD_DR3_MASK 0xc001101bu
#define MSR_AMD_DR0_MASK 0xc0011027u
#define MSR_AMD_DE_CFG 0xc0011029u

#endif

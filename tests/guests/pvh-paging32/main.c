/* SPDX-License-Identifier: MIT */
/*
 * A kernel of 32 bits with page tables of its own kinds: PAE's, and those of two levels with pages
 * of 4 MiB and of 4 KiB. Its instructions are found through these, and so is what its hypercalls
 * write.
 */
#include "pvh.h"

#define MSR_GS_BASE 0xc0000101u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define NOT_YET 0x5a5a5a5au

extern uint32_t signature32, version32, extra32;
extern char text32[16];

/* In 32-bit code with these tables: CPUID, xen_version twice. Interrupts are off. */
void run32(uint32_t cr3, uint32_t cr4);
__asm__(".text\n"
        ".globl run32\n"
        "run32:\n"
        "    push    %rbx\n"
        "    push    %rbp\n"
        "    push    %r12\n"
        "    push    %r13\n"
        "    push    %r14\n"
        "    push    %r15\n"
        "    lea     1f(%rip), %rax\n"
        "    push    $0x10\n"
        "    push    %rax\n"
        "    lretq\n"
        "    .code32\n"
        "1:  mov     $0x18, %eax\n"
        "    mov     %eax, %ss\n"
        "    mov     %eax, %ds\n"
        "    mov     %eax, %es\n"
        "    mov     %cr0, %eax\n"
        "    and     $0x7fffffff, %eax\n"
        "    mov     %eax, %cr0\n"
        "    mov     $0xc0000080, %ecx\n"
        "    rdmsr\n"
        "    and     $0xfffffeff, %eax\n" /* LME */
        "    wrmsr\n"
        "    mov     %esi, %cr4\n"
        "    mov     %edi, %cr3\n"
        "    mov     %cr0, %eax\n"
        "    or      $0x80000000, %eax\n"
        "    mov     %eax, %cr0\n"
        "    ljmp    $0x10, $2f\n"
        "2:  mov     $0x40000000, %eax\n"
        "    cpuid\n"
        "    mov     %ebx, signature32\n"
        "    mov     $17, %eax\n" /* xen_version: version */
        "    xor     %ebx, %ebx\n"
        "    call    4f\n"
        "    mov     %eax, version32\n"
        "    mov     $17, %eax\n"
        "    mov     $1, %ebx\n" /* extraversion */
        "    mov     $text32, %ecx\n"
        "    call    4f\n"
        "    mov     %eax, extra32\n"
        "    mov     %cr0, %eax\n"
        "    and     $0x7fffffff, %eax\n"
        "    mov     %eax, %cr0\n"
        "    call    to_long_mode32\n"
        "    .code64\n"
        "    pop     %r15\n"
        "    pop     %r14\n"
        "    pop     %r13\n"
        "    pop     %r12\n"
        "    pop     %rbp\n"
        "    pop     %rbx\n"
        "    ret\n"
        "    .code32\n"
        "4:  cmpb    $0xc1, hypercall_page + 7\n" /* the hypervisor's choice */
        "    je      5f\n"
        "    vmmcall\n"
        "    ret\n"
        "5:  vmcall\n"
        "    ret\n"
        "    .code64\n"
        ".bss\n"
        "signature32: .zero 4\n"
        "version32: .zero 4\n"
        "extra32: .zero 4\n"
        "text32: .zero 16\n"
        ".globl signature32, version32, extra32, text32\n"
        ".text\n");

static uint64_t first[4] __attribute__((aligned(32)));
static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t table[1024] __attribute__((aligned(4096)));

static void check(const char *what, const void *root, uint32_t cr4)
{
    uint64_t gs = rdmsr(MSR_GS_BASE), cr3, cr4_before;

    __asm__ volatile("mov %%cr3, %0\n\tmov %%cr4, %1" : "=r"(cr3), "=r"(cr4_before));
    signature32 = version32 = extra32 = NOT_YET;
    memset(text32, 0, sizeof(text32));
    run32((uint32_t)(uint64_t)root, cr4);
    __asm__ volatile("mov %0, %%cr4\n\tmov %1, %%cr3" : : "r"(cr4_before), "r"(cr3) : "memory");
    wrmsr(MSR_GS_BASE, gs);
    CHECK_EQ(signature32, 0x566e6558, "%s: CPUID", what);
    CHECK_EQ(version32 >> 16, 4, "%s: xen_version", what);
    CHECK_EQ(extra32, 0, "%s: extraversion", what);
    CHECK(text32[0], "%s: extraversion wrote nothing", what);
}

void guest_main(void)
{
    uint64_t cr4;

    irq_off();
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    for (unsigned int i = 0; i < 4; i++)
        first[i] = (uint64_t)(pvh_l2 + 512 * i) | 1;
    for (unsigned int i = 0; i < 1024; i++) {
        directory[i] = i << 22 | 0x83;
        table[i] = i << 12 | 3;
    }
    for (unsigned int i = 0; i < 3; i++) /* later times find what the first ones set */
        check("PAE", first, (uint32_t)cr4);
    check("4 MiB", directory, ((uint32_t)cr4 & ~CR4_PAE) | CR4_PSE);
    directory[0] = (uint32_t)(uint64_t)table | 3;
    check("4 KiB", directory, (uint32_t)cr4 & ~(CR4_PAE | CR4_PSE));
}

/* SPDX-License-Identifier: MIT */
/* The page of hypercall stubs that older kernels call: 32 bytes for each number. */
#ifndef X86_PV_HYPERCALL_PAGE_H
#define X86_PV_HYPERCALL_PAGE_H

#include <stdint.h>

#include "lib/string.h"

#define HYPERCALL_STUB 32
#define HYPERCALL_STUBS 128
#define HYPERCALL_NR_IRET 23

/*
 * SYSCALL destroys rcx and r11, which a called function of Linux's stubs expects to find again:
 *   push rcx; push r11; mov $nr, eax; syscall; pop r11; pop rcx; ret
 * iret leaves its frame as struct iret_context begins, and does not come back:
 *   push rcx; push r11; push rax; mov $23, eax; syscall
 */
static inline void hypercall_page_fill(void *page)
{
    static const uint8_t call[] = { 0x51, 0x41, 0x53, 0xb8, 0,    0,    0,
                                    0,    0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3 };
    static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, HYPERCALL_NR_IRET,
                                    0,    0,    0,    0x0f, 0x05 };
    uint8_t *at = page;

    memset(page, 0xcc, HYPERCALL_STUB * HYPERCALL_STUBS);
    for (unsigned int nr = 0; nr < HYPERCALL_STUBS; nr++, at += HYPERCALL_STUB) {
        if (nr == HYPERCALL_NR_IRET) {
            memcpy(at, iret, sizeof(iret));
            continue;
        }
        memcpy(at, call, sizeof(call));
        at[4] = (uint8_t)nr;
    }
}

#endif

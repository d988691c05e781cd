/* SPDX-License-Identifier: MIT */
/* Constants that assembly and C share. */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

/*
 * Each CPU owns one area, aligned to its size, so that the stack pointer names the CPU whatever a
 * test does to FS and GS. From low to high: struct cpu (one page), the stack for traps that come
 * from user mode, the main stack.
 */
#define CPU_AREA_SIZE 0x10000
#define CPU_TRAP_STACK 0x8000 /* offset of its top */

/* Selectors of a PVH micro-guest (lib-pvh/head.S). */
#define PVH_CS64 0x08
#define PVH_CS32 0x10
#define PVH_DS 0x18
#ifndef PVH_GUEST_OS
#define PVH_GUEST_OS "micro-guest"
#endif

#ifndef NOTE_FEATURES
#define NOTE_FEATURES "!writable_page_tables|pae_pgdir_above_4gb"
#endif

#endif

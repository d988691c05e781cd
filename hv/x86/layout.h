/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's address space: slots 256 to 271 of every L4 (the ABI's). Usable from assembly.
 *
 *   256  ffff8000_00000000  machine-to-physical table, read-only, readable by guests
 *   257  ffff8080_00000000  the same, writable by the hypervisor
 *   258  ffff8100_00000000  frame table
 *   259  ffff8180_00000000  image (from +2 MiB), stacks, descriptor tables, vmap: within 2 GiB
 *   262  ffff8300_00000000  direct map of RAM, up to slot 271
 *   272  ffff8800_00000000  from here on the guest's
 */
#ifndef X86_LAYOUT_H
#define X86_LAYOUT_H

#ifdef __ASSEMBLER__
#define VA(x) x
#else
#define VA(x) x##ul
#endif

#define HV_START VA(0xffff800000000000)
#define HV_END VA(0xffff880000000000) /* exclusive */
#define HV_FIRST_SLOT 256
#define HV_LAST_SLOT 271

#define M2P_RO_BASE VA(0xffff800000000000)
#define M2P_RO_END VA(0xffff804000000000)
#define M2P_RW_BASE VA(0xffff808000000000)
#define FRAME_TABLE_BASE VA(0xffff810000000000)
#define IMAGE_BASE VA(0xffff818000000000) /* + physical address as linked: image_pa() */
/*
 * The console ring lies at a fixed place, so that it is found again after a warm reboot: just below
 * the image. (SeaBIOS clears the first 640 KiB.)
 */
#define CONRING_PHYS VA(0x1f0000)
#define STACKS_BASE VA(0xffff818040000000) /* a 64 KiB slot for each CPU */
#define GDTS_BASE VA(0xffff818080000000)   /* a window for each CPU: GDT, LDT */
#define VMAP_BASE VA(0xffff818048000000)
#define VMAP_END VA(0xffff818068000000)
#define DIRECT_BASE VA(0xffff830000000000)

/*
 * A CPU's stack slot of 16 pages: guard, NMI, guard, #MC, guard, #DF, guard, #DB, guards, main
 * stack (4 pages). The top of the main stack holds struct cpu_info.
 */
#define STACK_SLOT_SHIFT 16
#define STACK_SLOT 0x10000
#define STACK_NMI_PAGE 1
#define STACK_MC_PAGE 3
#define STACK_DF_PAGE 5
#define STACK_DB_PAGE 7
#define STACK_MAIN_PAGE 12

/*
 * A CPU's window: 16 pages of GDT, 16 pages of LDT, and so far apart that each has a table of its
 * own: a guest that runs isolated sees its CPU's.
 */
#define GDT_WINDOW 0x200000
#define GDT_WINDOW_USED 0x20000
#define LDT_OFFSET 0x10000

/* Selectors: entries of the reserved page 14 of every GDT; the FLAT_* ones are the ABI's. */
#define HV_CS 0xe008
#define HV_SS 0xe010
#define SEL_RING1_CS 0xe019
#define SEL_RING3_CS32 0xe023
#define SEL_RING3_DS 0xe02b
#define SEL_RING3_CS64 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050
#define GDT_RESERVED_PAGE 14
#define BOOT_CS64 0x18 /* the hypervisor's code in the GDT of boot/head.S */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who uses which interrupt vector. Usable from assembly.
 *
 *   0x00-0x1f  exceptions
 *   0x20-0xdf  devices, given out for each CPU (irq.c), but for
 *   0x80 0x82  `int` of a guest's programs and of 32-bit guests' hypercalls
 *   0xe0-0xef  free
 *   0xf0-0xff  the hypervisor's own
 */
#ifndef X86_IRQ_VECTORS_H
#define X86_IRQ_VECTORS_H

#define VEC_DEVICE_FIRST 0x20
#define VEC_DEVICE_LAST 0xdf
#define VEC_INT80 0x80
#define VEC_INT82 0x82
#define VEC_OWN_FIRST 0xf0

#define VEC_THERMAL 0xf9  /* thermal and corrected machine checks: acknowledged only */
#define VEC_CALL 0xfb     /* cross-CPU call waits in the mailbox */
#define VEC_KICK 0xfc     /* pass through the exit path: pending work */
#define VEC_TIMER 0xfd    /* local APIC timer */
#define VEC_ERROR 0xfe    /* local APIC error */
#define VEC_SPURIOUS 0xff /* low four bits set: older APICs insist; no EOI */

#endif

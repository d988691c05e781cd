/* SPDX-License-Identifier: MIT */
/* The high precision event timer: IA-PC HPET specification 1.0a. The device lock is held. */
#ifndef X86_HVM_VHPET_H
#define X86_HVM_VHPET_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "x86/hvm/vtime.h"

#define VHPET_BASE 0xfed00000ull
#define VHPET_SIZE 0x400u
#define VHPET_TICK_NS 16u /* 62.5 MHz */

struct vhpet {
    struct hvm_hw_hpet hw;         /* mc64: the main counter at `since` */
    uint64_t since;                /* ns */
    uint64_t next[HPET_TIMER_NUM]; /* ns: when each timer is due, VTIMER_NONE */
    const struct vtimer_ops *ops;
    void *ctx;
    unsigned int which; /* the first of HPET_TIMER_NUM for set_timer */
};

void vhpet_init(struct vhpet *p, const struct vtimer_ops *ops, void *ctx, unsigned int which);
/* An access of 4 or 8 bytes, aligned, at an offset from VHPET_BASE; others read as ones. */
uint64_t vhpet_read(struct vhpet *p, unsigned int offset, unsigned int size);
void vhpet_write(struct vhpet *p, unsigned int offset, unsigned int size, uint64_t val);
/* Timer n's time has come. */
void vhpet_timer(struct vhpet *p, unsigned int n);
/* Does timer 0, or 1, hold the line of the PIT, or of the RTC? */
bool vhpet_replaces_legacy(const struct vhpet *p);
void vhpet_save(struct vhpet *p, struct hvm_hw_hpet *r);
void vhpet_load(struct vhpet *p, const struct hvm_hw_hpet *r);

#endif

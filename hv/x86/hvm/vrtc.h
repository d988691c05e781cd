/* SPDX-License-Identifier: MIT */
/* The real-time clock of a PC: Motorola MC146818A. The domain's device lock is held. */
#ifndef X86_HVM_VRTC_H
#define X86_HVM_VRTC_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "x86/hvm/vtime.h"

struct vrtc {
    struct hvm_hw_rtc hw; /* as the record has it; rtc_offset in seconds */
    uint64_t next_period; /* ns of now(): the next periodic flag, VTIMER_NONE */
    uint64_t seen_second; /* guest's seconds for which update and alarm flags are set already */
    const struct vtimer_ops *ops;
    void *ctx;
    unsigned int which;
};

void vrtc_init(struct vrtc *p, const struct vtimer_ops *ops, void *ctx, unsigned int which);
/*
 * Ports 0x70 and 0x71, one byte. False: the byte behind the clock's own was chosen, which is the
 * device model's; writes to 0x70 are kept here in any case.
 */
bool vrtc_read(struct vrtc *p, uint16_t port, uint8_t *val);
bool vrtc_write(struct vrtc *p, uint16_t port, uint8_t val);
void vrtc_timer(struct vrtc *p);
void vrtc_load(struct vrtc *p, const struct hvm_hw_rtc *r);

#endif

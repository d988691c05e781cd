/* SPDX-License-Identifier: MIT */
/* The interval timer of a PC: Intel 8254, and port 0x61. The domain's device lock is held. */
#ifndef X86_HVM_VPIT_H
#define X86_HVM_VPIT_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "x86/hvm/vtime.h"

#define VPIT_HZ 1193182u

struct vpit {
    struct hvm_hw_pit hw;  /* as the record has it */
    uint64_t loaded_at[3]; /* ns: when each channel began to count */
    uint64_t next;         /* ns: channel 0's next interrupt, VTIMER_NONE */
    const struct vtimer_ops *ops;
    void *ctx;
    unsigned int which; /* for set_timer */
};

void vpit_init(struct vpit *p, const struct vtimer_ops *ops, void *ctx, unsigned int which);
/* Ports 0x40 to 0x43 and 0x61, one byte. */
uint8_t vpit_read(struct vpit *p, uint16_t port);
void vpit_write(struct vpit *p, uint16_t port, uint8_t val);
void vpit_timer(struct vpit *p);
void vpit_save(const struct vpit *p, struct hvm_hw_pit *r);
void vpit_load(struct vpit *p, const struct hvm_hw_pit *r);

#endif

/* SPDX-License-Identifier: MIT */
/* The pair of interrupt controllers of a PC: Intel 8259A. The domain's device lock is held. */
#ifndef X86_HVM_VPIC_H
#define X86_HVM_VPIC_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

struct vpic {
    struct hvm_hw_vpic chip[2];         /* master, slave; as the records have them */
    void (*output)(void *ctx, bool up); /* the master's INT pin changed */
    void *ctx;
};

void vpic_init(struct vpic *p, void (*output)(void *ctx, bool up), void *ctx);
/* Line irq, 0 to 15, goes up or down. */
void vpic_line(struct vpic *p, unsigned int irq, bool up);
/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. */
uint8_t vpic_read(struct vpic *p, uint16_t port);
void vpic_write(struct vpic *p, uint16_t port, uint8_t val);
/* The CPU acknowledges: the vector. A request that is gone meanwhile gives IRQ 7's. */
uint8_t vpic_acknowledge(struct vpic *p);
/* A record of `chip` 0 or 1; 0 or -EINVAL. */
int vpic_load(struct vpic *p, unsigned int chip, const struct hvm_hw_vpic *r);

#endif

/* SPDX-License-Identifier: MIT */
/* The message by which a device's MSI becomes an interrupt (Intel SDM volume 3, section 11.11). */
#ifndef X86_IRQ_MSI_MSG_H
#define X86_IRQ_MSI_MSG_H

#include <stdint.h>

struct msi_msg {
    uint32_t addr_lo, addr_hi, data;
};

/* Fixed delivery, physical destination, edge. Ids above 254 need interrupt remapping. */
#define MSI_MAX_APIC_ID 254

static inline struct msi_msg msi_compose(uint32_t apic_id, uint8_t vector)
{
    return (struct msi_msg){ 0xfee00000u | (apic_id & 0xff) << 12, 0, vector };
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The ACPI power management timer and event registers: ACPI 6, 4.8.3. The domain's device lock is
 * held.
 */
#ifndef X86_HVM_VPM_H
#define X86_HVM_VPM_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "x86/hvm/vtime.h"

#define PMTIMER_HZ 3579545u
#define PM_TIMER_STS 0x0001u
#define PM_GLOBAL_STS 0x0020u
#define PM_POWER_BUTTON 0x0100u
#define PM_SLEEP_BUTTON 0x0200u

struct vpm {
    struct hvm_hw_pmtimer hw; /* tmr_val: the counter at `since` */
    uint64_t since;           /* ns */
    bool sci;                 /* the interrupt line is up */
    const struct vtimer_ops *ops;
    void *ctx;
    unsigned int which;
};

void vpm_init(struct vpm *p, const struct vtimer_ops *ops, void *ctx, unsigned int which);
/* The counter: offset 8 of the block, 4 bytes. */
uint32_t vpm_counter(struct vpm *p);
/* Status and enable: bytes 0 to 3 of the block; `size` of them from offset on. */
uint32_t vpm_read_event(struct vpm *p, unsigned int offset, unsigned int size);
void vpm_write_event(struct vpm *p, unsigned int offset, unsigned int size, uint32_t val);
/* A button was pressed: PM_POWER_BUTTON, PM_SLEEP_BUTTON. */
void vpm_press(struct vpm *p, uint16_t button);
void vpm_timer(struct vpm *p);
void vpm_save(struct vpm *p, struct hvm_hw_pmtimer *r);
void vpm_load(struct vpm *p, const struct hvm_hw_pmtimer *r);

#endif

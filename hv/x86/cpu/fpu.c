/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's area is written when it leaves the CPU where its state is resident, and belongs to
 * that CPU meanwhile (switch.c): no locks.
 */
#include <stdbool.h>

#include "lib/bitmap.h"
#include "lib/string.h"
#include "x86/vcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/segs.h"

/* The reset state: FCW 0x37f, MXCSR 0x1f80, everything else zero. */
static void reset_area(uint8_t *area)
{
    static const uint16_t fcw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;

    memset(area, 0, cpu_feat.xsave_size);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy(area + 24, &mxcsr, sizeof(mxcsr));
}

bool fpu_alloc(struct x86_vcpu *v)
{
    v->xsave = frame_alloc_hv_order(frame_order(cpu_feat.xsave_size));
    if (!v->xsave)
        return false;
    reset_area(v->xsave);
    v->xcr0 = cpu_feat.xcr0_mask ? 1 : 0;
    return true;
}

void fpu_free(struct x86_vcpu *v)
{
    if (v->xsave)
        frame_free_hv_order(v->xsave, frame_order(cpu_feat.xsave_size));
    v->xsave = NULL;
}

void fpu_save(struct x86_vcpu *v)
{
    if (!cpu_feat.xsave) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->xsave) : "memory");
        return;
    }
    if (v->xcr0 != cpu_feat.xcr0_mask)
        xsetbv0(cpu_feat.xcr0_mask);
    __asm__ volatile("xsave64 (%0)" ::"r"(v->xsave), "a"(-1), "d"(-1) : "memory");
}

/*
 * AMD's older processors restore the addresses of the last x87 instruction and operand only with an
 * exception pending: ours take the place of whoever was here before.
 */
static void forget_pointers(void)
{
    static const uint32_t zero;

    __asm__ volatile("fnclex; emms; fildl %0" ::"m"(zero));
}

void fpu_load(struct x86_vcpu *v)
{
    if (__builtin_expect(cpu_feat.fpu_pointers_stay, 0))
        forget_pointers();
    if (!cpu_feat.xsave) {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(v->xsave));
    } else {
        __asm__ volatile("xrstor64 (%0)" ::"r"(v->xsave), "a"(-1), "d"(-1));
        if (v->xcr0 != cpu_feat.xcr0_mask)
            xsetbv0(v->xcr0);
    }
}

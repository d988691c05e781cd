/* SPDX-License-Identifier: MIT */
/* Filled at boot; Domain 0 sets the mode of a line before it uses it. No locks. */
#include "x86/irq/gsi.h"

#include "lib/string.h"

/* MPS INTI flags: two bits each; 0 means as the bus does. */
#define MPS_POLARITY(f) ((f)&3)
#define MPS_TRIGGER(f) ((f) >> 2 & 3)
#define MPS_HIGH_EDGE 1
#define MPS_LOW_LEVEL 3

static uint32_t isa_gsi[NR_ISA_IRQS];
static struct {
    bool known;
    struct gsi_mode mode;
} gsis[MAX_GSIS];

void gsi_reset(void)
{
    memset(gsis, 0, sizeof(gsis));
    for (uint32_t i = 0; i < NR_ISA_IRQS; i++)
        isa_gsi[i] = i;
}

bool gsi_add_override(uint8_t isa_irq, uint32_t gsi, uint16_t mps_flags)
{
    struct gsi_mode mode;

    if (isa_irq >= NR_ISA_IRQS || gsi >= MAX_GSIS)
        return false;
    /* The ISA bus: edge, active high; a level line there is active low. */
    mode.level = MPS_TRIGGER(mps_flags) == MPS_LOW_LEVEL;
    mode.active_low = MPS_POLARITY(mps_flags) == MPS_LOW_LEVEL ||
                      (MPS_POLARITY(mps_flags) != MPS_HIGH_EDGE && mode.level);
    isa_gsi[isa_irq] = gsi;
    gsi_set_mode(gsi, mode);
    return true;
}

uint32_t gsi_of_isa(unsigned int isa_irq)
{
    return isa_gsi[isa_irq];
}

struct gsi_mode gsi_mode(uint32_t gsi)
{
    if (gsi < MAX_GSIS && gsis[gsi].known)
        return gsis[gsi].mode;
    if (gsi < NR_ISA_IRQS)
        return (struct gsi_mode){ .level = false, .active_low = false };
    return (struct gsi_mode){ .level = true, .active_low = true };
}

void gsi_set_mode(uint32_t gsi, struct gsi_mode mode)
{
    if (gsi >= MAX_GSIS)
        return;
    gsis[gsi].known = true;
    gsis[gsi].mode = mode;
}

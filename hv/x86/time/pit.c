/* SPDX-License-Identifier: MIT */
/* Channel 2 of the 8254 as a counter: gated by port 0x61, not wired to any interrupt. */
#include "x86/cpu/ops.h"
#include "x86/time/refclock.h"

#define PIT_HZ 1193182
#define PORT_CHANNEL2 0x42
#define PORT_COMMAND 0x43
#define PORT_GATE 0x61
#define GATE_ON 0x01
#define GATE_SPEAKER 0x02
#define CMD_CH2_RATE 0xb4 /* channel 2, low then high byte, mode 2 (rate generator), binary */
#define CMD_LATCH_CH2 0x80

static uint64_t pit_read(void)
{
    uint16_t count;

    outb(PORT_COMMAND, CMD_LATCH_CH2);
    count = inb(PORT_CHANNEL2);
    count = (uint16_t)(count | inb(PORT_CHANNEL2) << 8);
    return (uint16_t)-count; /* it counts down */
}

static const struct ref_clock pit = { "PIT", PIT_HZ, 0xffff, pit_read };

const struct ref_clock *pit_start(void)
{
    outb(PORT_GATE, (uint8_t)((inb(PORT_GATE) & ~GATE_SPEAKER) | GATE_ON));
    outb(PORT_COMMAND, CMD_CH2_RATE);
    outb(PORT_CHANNEL2, 0);
    outb(PORT_CHANNEL2, 0); /* 65536 */
    return &pit;
}

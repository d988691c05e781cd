/* SPDX-License-Identifier: MIT */
/* The I/O APIC of a PC: Intel 82093AA with 48 pins. The domain's device lock is held. */
#ifndef X86_HVM_VIOAPIC_H
#define X86_HVM_VIOAPIC_H

#include "x86/hvm/vlapic.h"

#define VIOAPIC_BASE 0xfec00000ull

struct vioapic {
    struct hvm_hw_vioapic hw; /* as the record has it */
    uint64_t lines;           /* bit per pin that is up */
    /* A message for the local APICs. False: nobody took it. */
    bool (*send)(void *ctx, const struct apic_message *m);
    void *ctx;
};

void vioapic_init(struct vioapic *p, bool (*send)(void *ctx, const struct apic_message *m),
                  void *ctx);
/* Pin 0 to 47 goes up or down. */
void vioapic_line(struct vioapic *p, unsigned int pin, bool up);
/* The local APICs ended level-triggered `vector`. */
void vioapic_eoi(struct vioapic *p, uint8_t vector);
/* Accesses at an offset from VIOAPIC_BASE; 32 bits count. */
uint32_t vioapic_read(const struct vioapic *p, unsigned int offset);
void vioapic_write(struct vioapic *p, unsigned int offset, uint32_t val);
/* Is pin 0 open for the PICs' interrupts (the virtual wire by way of the I/O APIC)? No lock. */
bool vioapic_takes_extint(const struct vioapic *p);
/* All pins at once, as they are after records were loaded: nothing counts as an edge. */
void vioapic_set_lines(struct vioapic *p, uint64_t lines);
/* Takes over a record; lines stay as they are. */
void vioapic_load(struct vioapic *p, const struct hvm_hw_vioapic *r);

#endif

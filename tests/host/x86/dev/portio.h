/* SPDX-License-Identifier: MIT */
/* Ports of device drivers in host programs: the simulated machine's. */
#ifndef DEV_PORTIO_H
#define DEV_PORTIO_H

#include "x86/cpu/ops.h"

#define port_in8 inb
#define port_in16 inw
#define port_in32 inl
#define port_out8 outb
#define port_out16 outw
#define port_out32 outl

#endif

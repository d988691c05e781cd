/* SPDX-License-Identifier: MIT */
/* Serial input: to Dom0, or to the debug keys after Ctrl-A three times. */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

/* A received byte (the UART's receiver). Takes RANK_CONSOLE and wakes Dom0: no locks held. */
void console_input(uint8_t c);
/* Up to n waiting bytes for Dom0; the number taken. */
size_t console_take(char *buf, size_t n);

#endif

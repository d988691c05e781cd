/* SPDX-License-Identifier: MIT */
/*
 * A 16550-compatible serial port behind I/O ports: polled output, input polled or by interrupt.
 * One port, the hypervisor's own (com1= or com2=). Output is serialised by the log's lock
 * (RANK_CONSOLE); input is read by whoever drains it, one CPU at a time.
 */
#ifndef DEV_UART_H
#define DEV_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_COM1_PORT 0x3f8
#define UART_COM1_IRQ 4
#define UART_COM2_PORT 0x2f8
#define UART_COM2_IRQ 3

/*
 * Finds and programs port `com` (1 or 2) by the value of com1= or com2= (NULL or "": 115200,8n1 at
 * 0x3f8, IRQ 4, or 0x2f8, IRQ 3). Needs nothing that boot sets up. False when no port answers or
 * the option is wrong: output is then dropped and uart_error() says why.
 */
bool uart_init_early(unsigned int com, const char *option);
const char *uart_error(void);

/* A log sink: writes n bytes, \n as \r\n. Waits for a stuck line only so long, then drops text. */
void uart_write(const char *text, size_t n);
/* The next received byte, or -1. Usable at any time, also in a panic. */
int uart_getc(void);

/* First I/O port, and the ISA interrupt (0: polled by choice of the option). */
uint16_t uart_port(void);
unsigned int uart_irq(void);

/* From now on `fn` gets each received byte, out of uart_drain(). */
void uart_set_receiver(void (*fn)(uint8_t c));
/* Hand all waiting bytes to the receiver: the interrupt handler's work, or a timer's. */
void uart_drain(void);
/* Let the device raise its interrupt on input; uart_drain() must be its handler by then. */
void uart_enable_irq(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Found and programmed at boot; uart.h says who may touch it after that. */
#include "x86/dev/uart.h"

#include "x86/dev/portio.h"
#include "lib/cmdline.h"

/* Register offsets (National Semiconductor PC16550D, section 8). */
enum {
    REG_DATA = 0, /* receive and transmit; divisor low while DLAB */
    REG_IER = 1,  /* interrupt enable; divisor high while DLAB */
    REG_IIR = 2,  /* read: interrupt identification; write: FIFO control */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_SCRATCH = 7
};

#define IER_RX 0x01
#define FCR_ENABLE_CLEAR 0x07 /* FIFOs on, both emptied */
#define IIR_FIFO 0xc0         /* both set: the FIFOs work */
#define LCR_DLAB 0x80
#define MCR_DTR_RTS 0x03
#define MCR_OUT2 0x08 /* gates the interrupt line on PCs */
#define LSR_DATA 0x01
#define LSR_THRE 0x20

#define CLOCK_BAUD 115200
#define FIFO_DEPTH 16
#define RX_BATCH 64 /* bytes taken at once: a babbling line must not hold a CPU */

/*
 * Looks at the transmitter before text is dropped. At 9600 baud a full FIFO takes 17 ms; a look is
 * a port access, about a microsecond on hardware.
 */
#define TX_SPINS 100000

static struct {
    uint16_t port; /* 0: no device, drop everything */
    uint8_t irq;
    uint8_t depth; /* bytes accepted once the transmitter is empty */
    uint8_t room;  /* of these, still free */
    bool stuck;    /* the last wait was in vain: look once only until it moves again */
    const char *error;
    void (*receiver)(uint8_t c);
} uart;

static uint8_t get(unsigned int reg)
{
    return port_in8((uint16_t)(uart.port + reg));
}

static void put(unsigned int reg, uint8_t v)
{
    port_out8((uint16_t)(uart.port + reg), v);
}

static uint8_t line_control(const struct cmdline_serial *s)
{
    uint8_t lcr = (uint8_t)(s->data_bits - 5);

    if (s->stop_bits == 2)
        lcr |= 0x04;
    switch (s->parity) {
    case 'o':
        return lcr | 0x08;
    case 'e':
        return lcr | 0x18;
    case 'm':
        return lcr | 0x28;
    case 's':
        return lcr | 0x38;
    default:
        return lcr;
    }
}

/* A scratch register that keeps two patterns, and a line status that is not a floating bus. */
static bool present(void)
{
    put(REG_SCRATCH, 0x5a);
    if (get(REG_SCRATCH) != 0x5a)
        return false;
    put(REG_SCRATCH, 0xa5);
    return get(REG_SCRATCH) == 0xa5 && get(REG_LSR) != 0xff;
}

static void program(const struct cmdline_serial *s)
{
    uint8_t lcr = line_control(s);

    put(REG_IER, 0);
    if (s->baud) { /* `auto`: the firmware's speed stays */
        uint64_t divisor = (s->base_baud ? s->base_baud : CLOCK_BAUD) / s->baud;

        if (divisor == 0)
            divisor = 1;
        put(REG_LCR, lcr | LCR_DLAB);
        put(REG_DATA, (uint8_t)divisor);
        put(REG_IER, (uint8_t)(divisor >> 8));
    }
    put(REG_LCR, lcr);
    put(REG_IIR, FCR_ENABLE_CLEAR);
    put(REG_MCR, MCR_DTR_RTS);
    uart.depth = (get(REG_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_DEPTH : 1;
}

bool uart_init_early(unsigned int com, const char *option)
{
    struct cmdline_serial s = { .baud = CLOCK_BAUD,
                                .data_bits = 8,
                                .parity = 'n',
                                .stop_bits = 1,
                                .port = com == 2 ? UART_COM2_PORT : UART_COM1_PORT,
                                .irq = com == 2 ? UART_COM2_IRQ : UART_COM1_IRQ };

    uart.port = 0;
    uart.error = NULL;
    if (option && *option)
        uart.error = cmdline_serial(option, &s);
    if (!uart.error && (s.port == 0 || s.port > 0xfff8))
        uart.error = "I/O port out of range";
    if (!uart.error && s.irq > 15)
        uart.error = "interrupt out of range";
    if (uart.error)
        return false;
    uart.port = (uint16_t)s.port;
    uart.irq = (uint8_t)s.irq;
    if (!present()) {
        uart.port = 0;
        uart.error = "no serial port there";
        return false;
    }
    program(&s);
    uart.room = 0;
    return true;
}

const char *uart_error(void)
{
    return uart.error;
}

/* True once the transmitter takes a byte. */
static bool wait_room(void)
{
    unsigned int tries = uart.stuck ? 1 : TX_SPINS;

    if (uart.room)
        return true;
    while (!(get(REG_LSR) & LSR_THRE)) {
        if (--tries == 0) {
            uart.stuck = true;
            return false;
        }
        __asm__ volatile("pause");
    }
    uart.stuck = false;
    uart.room = uart.depth;
    return true;
}

static void write_byte(uint8_t c)
{
    if (!wait_room())
        return;
    put(REG_DATA, c);
    uart.room--;
}

void uart_write(const char *text, size_t n)
{
    if (!uart.port)
        return;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            write_byte('\r');
        write_byte((uint8_t)text[i]);
    }
}

int uart_getc(void)
{
    uint8_t lsr;

    if (!uart.port)
        return -1;
    lsr = get(REG_LSR);
    if (lsr == 0xff || !(lsr & LSR_DATA))
        return -1;
    return get(REG_DATA);
}

uint16_t uart_port(void)
{
    return uart.port;
}

unsigned int uart_irq(void)
{
    return uart.irq;
}

void uart_set_receiver(void (*fn)(uint8_t c))
{
    uart.receiver = fn;
}

void uart_drain(void)
{
    int c;

    if (!uart.port)
        return;
    (void)get(REG_IIR);
    for (unsigned int i = 0; i < RX_BATCH && (c = uart_getc()) >= 0; i++)
        if (uart.receiver)
            uart.receiver((uint8_t)c);
}

void uart_enable_irq(void)
{
    if (!uart.port)
        return;
    put(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
    put(REG_IER, IER_RX);
}

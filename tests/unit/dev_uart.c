/* SPDX-License-Identifier: MIT */
/* The serial driver on a simulated 16550. */
#include "machine.h"
#include "x86/dev/uart.c"

static struct {
    bool present, fifo, stuck;
    uint16_t base;
    uint8_t regs[8], divisor[2];
    char out[256];
    size_t sent;
    unsigned int in_fifo; /* bytes since the transmitter was empty */
    const char *input;
} dev;

static uint32_t dev_in(uint16_t port, unsigned int size)
{
    unsigned int reg = port - dev.base;

    CHECK_EQ(size, 1);
    if (!dev.present || reg > 7)
        return 0xff;
    switch (reg) {
    case REG_DATA:
        return dev.input && *dev.input ? (uint8_t)*dev.input++ : 0;
    case REG_IIR:
        return dev.fifo ? 0xc1 : 0x01;
    case REG_LSR:
        if (!dev.stuck)
            dev.in_fifo = 0;
        return (dev.stuck ? 0 : LSR_THRE) | (dev.input && *dev.input ? LSR_DATA : 0);
    default:
        return dev.regs[reg];
    }
}

static void dev_out(uint16_t port, unsigned int size, uint32_t v)
{
    unsigned int reg = port - dev.base;

    CHECK_EQ(size, 1);
    if (!dev.present || reg > 7)
        return;
    if (reg < 2 && (dev.regs[REG_LCR] & LCR_DLAB)) {
        dev.divisor[reg] = (uint8_t)v;
        return;
    }
    if (reg == REG_DATA) {
        CHECK(++dev.in_fifo <= (dev.fifo ? 16u : 1u));
        if (dev.sent < sizeof(dev.out) - 1)
            dev.out[dev.sent++] = (char)v;
        return;
    }
    dev.regs[reg] = (uint8_t)v;
}

static void plug(uint16_t base, bool fifo)
{
    memset(&dev, 0, sizeof(dev));
    dev.present = true;
    dev.base = base;
    dev.fifo = fifo;
    host_machine.in = dev_in;
    host_machine.out = dev_out;
}

TEST(defaults)
{
    plug(0x3f8, true);
    CHECK(uart_init_early(1, NULL));
    CHECK_NULL(uart_error());
    CHECK_EQ(uart_port(), 0x3f8);
    CHECK_EQ(uart_irq(), 4);
    CHECK_EQ(dev.divisor[0] | dev.divisor[1] << 8, 1);
    CHECK_EQ(dev.regs[REG_LCR], 3);
    CHECK_EQ(dev.regs[REG_IER], 0);
}

TEST(options)
{
    plug(0x2f8, true);
    CHECK(uart_init_early(1, "9600,7e2,0x2f8,3"));
    CHECK_EQ(uart_port(), 0x2f8);
    CHECK_EQ(uart_irq(), 3);
    CHECK_EQ(dev.divisor[0] | dev.divisor[1] << 8, 12);
    CHECK_EQ(dev.regs[REG_LCR], 0x1e);
    plug(0x3f8, true);
    CHECK(uart_init_early(1, "auto"));
    CHECK_EQ(dev.divisor[0], 0); /* the firmware's speed stays */
}

TEST(second_port)
{
    plug(0x2f8, true);
    CHECK(!uart_init_early(1, NULL));
    CHECK(uart_init_early(2, NULL));
    CHECK_EQ(uart_port(), 0x2f8);
    CHECK_EQ(uart_irq(), 3);
    plug(0x3e8, true);
    CHECK(uart_init_early(2, "115200,8n1,0x3e8,4"));
    CHECK_EQ(uart_port(), 0x3e8);
    CHECK_EQ(uart_irq(), 4);
}

TEST(refused)
{
    plug(0x3f8, true);
    CHECK(!uart_init_early(1, "fast"));
    CHECK(uart_error() != NULL);
    CHECK(!uart_init_early(1, "115200,8n1,0x10000"));
    CHECK(!uart_init_early(1, "115200,8n1,0x3f8,77"));
    dev.present = false;
    CHECK(!uart_init_early(1, NULL));
    CHECK_WHY(uart_error(), "no serial port");
    uart_write("lost", 4); /* harmless */
    CHECK_EQ(uart_getc(), (unsigned long long)-1);
    uart_drain();
    uart_enable_irq();
    CHECK_EQ(dev.sent, 0);
}

TEST(output)
{
    static const char text[] = "a long line of text for the queue\nand another";

    for (int fifo = 0; fifo < 2; fifo++) {
        plug(0x3f8, fifo);
        CHECK(uart_init_early(1, NULL));
        uart_write(text, sizeof(text) - 1);
        CHECK_STR(dev.out, "a long line of text for the queue\r\nand another");
    }
}

TEST(stuck_output_is_dropped_in_bounded_time)
{
    plug(0x3f8, true);
    CHECK(uart_init_early(1, NULL));
    dev.stuck = true;
    for (int i = 0; i < 1000; i++)
        uart_write("0123456789abcdef", 16);
    CHECK_EQ(dev.sent, 0);
    dev.stuck = false;
    uart_write("x", 1);
    CHECK_STR(dev.out, "x");
}

static char got[256];
static size_t ngot;

static void receive(uint8_t c)
{
    if (ngot < sizeof(got) - 1)
        got[ngot++] = (char)c;
}

TEST(input)
{
    static char babble[1000];

    plug(0x3f8, true);
    CHECK(uart_init_early(1, NULL));
    dev.input = "hello";
    CHECK_EQ(uart_getc(), 'h');
    uart_set_receiver(receive);
    uart_drain();
    CHECK_STR(got, "ello");
    CHECK_EQ(uart_getc(), (unsigned long long)-1);
    uart_enable_irq();
    CHECK_EQ(dev.regs[REG_IER], IER_RX);
    CHECK(dev.regs[REG_MCR] & MCR_OUT2);
    memset(babble, 'x', sizeof(babble) - 1);
    dev.input = babble;
    uart_drain();
    CHECK_EQ(dev.input - babble, RX_BATCH);
}

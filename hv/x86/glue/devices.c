/* SPDX-License-Identifier: MIT */
/* Serial input comes by interrupt or, where no line is known, by a timer that looks. */
#include "x86/glue/devices.h"

#include "core/arch.h"
#include "core/console.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/timer.h"
#include "x86/dev/pci.h"
#include "x86/dev/uart.h"
#include "x86/acpi/acpi.h"
#include "x86/irq/irq.h"
#include "x86/mm/vmap.h"
#include "x86/irq/pirq.h"

#define POLL_NS 20000000ull

static struct timer poll_timer;

static void *map_device(uint64_t pa, uint64_t len)
{
    return vmap(MADDR(pa), len, VMAP_UC);
}

static void serial_interrupt(void *arg)
{
    (void)arg;
    uart_drain();
}

static void serial_poll(void *arg)
{
    struct pcpu *p = arg;

    uart_drain();
    timer_set(&poll_timer, p, arch_now() + POLL_NS);
}

static void init_serial_input(void)
{
    if (!uart_port())
        return;
    uart_set_receiver(console_input);
    if (uart_irq() && irq_bind_isa(uart_irq(), serial_interrupt, NULL) == 0) {
        uart_enable_irq();
        return;
    }
    log_info("serial input: polled");
    timer_init(&poll_timer, serial_poll, arch_this_cpu());
    timer_set(&poll_timer, arch_this_cpu(), arch_now() + POLL_NS);
}

void devices_init(const struct acpi_info *acpi)
{
    pci_set_mapper(map_device);
    for (unsigned int i = 0; i < acpi->nr_mcfg; i++) {
        const struct acpi_mcfg *m = &acpi->mcfg[i];

        if (!pci_add_mmcfg(m->base, m->segment, m->bus_first, m->bus_last))
            log_warn("PCI: configuration window of segment %u ignored", m->segment);
    }
    pirq_init();
    init_serial_input();
    keys_register('i', "interrupt sources", irq_dump);
}

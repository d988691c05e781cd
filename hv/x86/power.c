/* SPDX-License-Identifier: MIT */
/*
 * What ACPI says of power is read at boot and constant. Stopping goes by timers on each CPU,
 * whose exit paths end here; the last steps run on one CPU, without locks.
 */
#include "x86/power.h"

#include <xen/errno.h>
#include <xen/platform.h>

#include "core/arch.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/timer.h"
#include "lib/string.h"
#include "x86/acpi/acpi.h"
#include "x86/cpu/ops.h"
#include "x86/efi/efi.h"
#include "x86/mm/vmap.h"
#include "x86/time/tsc.h"

#define PM1_SCI_EN 0x0001u
#define PM1_SLP_TYP(t) ((uint16_t)((t) << 10))
#define PM1_SLP_EN 0x2000u
#define DSDT_MAX (1u << 20)
#define DSDT_HEADER 36

#define PORT_RESET 0xcf9
#define PORT_8042 0x64
#define CMD_8042_RESET 0xfe

static struct acpi_fadt fadt;
static bool s5_known;
static uint8_t s5_a, s5_b;
static struct timer stop_timer[MAX_CPUS];
static uint32_t stopped; /* atomic */

static void read_s5(void)
{
    const uint8_t *table = vmap(MADDR(fadt.dsdt), DSDT_HEADER, VMAP_RO);
    uint32_t len = 0;

    if (!table)
        return;
    if (!memcmp(table, "DSDT", 4))
        memcpy(&len, table + 4, sizeof(len));
    vunmap((void *)(uintptr_t)table, DSDT_HEADER);
    if (len <= DSDT_HEADER || len > DSDT_MAX)
        return;
    table = vmap(MADDR(fadt.dsdt), len, VMAP_RO);
    if (!table)
        return;
    s5_known = power_find_s5(table, len, &s5_a, &s5_b);
    vunmap((void *)(uintptr_t)table, len);
}

void power_init(const struct acpi_fadt *f)
{
    fadt = *f;
    if (fadt.present && fadt.dsdt)
        read_s5();
}

/* --- registers --- */

static bool io_register(const struct acpi_reg *r)
{
    return r->address && r->space == ACPI_SPACE_IO && r->address <= 0xffff;
}

static void write_control(const struct acpi_reg *r, uint16_t v)
{
    volatile uint16_t *p;

    if (io_register(r)) {
        outw((uint16_t)r->address, v);
    } else if (r->address && r->space == ACPI_SPACE_MEMORY) {
        p = vmap(MADDR(r->address), sizeof(v), VMAP_UC);
        if (p)
            *p = v;
    }
}

static bool has_control(void)
{
    return fadt.present && fadt.pm1a_control.address;
}

/* --- stopping --- */

static void stop_cpu(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Other CPUs stop at their next exit to a guest; one that does not within 100 ms is left alone. */
static void stop_others(void)
{
    struct pcpu *self = arch_this_cpu();

    if (!self)
        return;
    stopped = 0;
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (!pcpus[i] || pcpus[i] == self)
            continue;
        timer_init(&stop_timer[i], stop_cpu, NULL);
        timer_set(&stop_timer[i], pcpus[i], 0);
    }
    for (unsigned int i = 0; i < 1000; i++) {
        if (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) + 1 >= nr_pcpus)
            return;
        tsc_delay_us(100);
    }
}

static void enter_s5(uint16_t a, uint16_t b)
{
    stop_others();
    wbinvd();
    write_control(&fadt.pm1a_control, a);
    write_control(&fadt.pm1b_control, b);
    tsc_delay_us(100000); /* some machines take a while */
    efi_reset(EFI_RESET_SHUTDOWN);
}

long power_enter_acpi_sleep(const struct xenpf_enter_acpi_sleep *op)
{
    if (op->sleep_state != 5 || op->flags)
        return -XEN_EINVAL;
    if (!has_control())
        return -XEN_ENODEV;
    enter_s5(op->val_a | PM1_SLP_EN, op->val_b | PM1_SLP_EN);
    return -XEN_EIO;
}

void arch_poweroff(void)
{
    if (has_control() && s5_known) {
        uint16_t port = (uint16_t)fadt.pm1a_control.address;

        if (io_register(&fadt.pm1a_control) && fadt.smi_command && fadt.acpi_enable &&
            !(inw(port) & PM1_SCI_EN)) {
            outb((uint16_t)fadt.smi_command, fadt.acpi_enable);
            tsc_delay_us(10000);
        }
        enter_s5(PM1_SLP_TYP(s5_a) | PM1_SLP_EN, PM1_SLP_TYP(s5_b) | PM1_SLP_EN);
    }
    stop_others();
    efi_reset(EFI_RESET_SHUTDOWN);
    log_err("This machine gives no way to switch it off; you may do it now.");
    arch_halt();
}

void arch_halt(void)
{
    stop_others();
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void reset_by_fadt(void)
{
    volatile uint8_t *p;

    if (!fadt.present || !fadt.reset_supported)
        return;
    if (io_register(&fadt.reset)) {
        outb((uint16_t)fadt.reset.address, fadt.reset_value);
    } else if (fadt.reset.space == ACPI_SPACE_MEMORY) {
        p = vmap(MADDR(fadt.reset.address), 1, VMAP_UC);
        if (p)
            *p = fadt.reset_value;
    }
}

static void reset_by_8042(void)
{
    for (unsigned int i = 0; i < 1000 && (inb(PORT_8042) & 2); i++)
        tsc_delay_us(10);
    outb(PORT_8042, CMD_8042_RESET);
}

static void triple_fault(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = { 0, 0 };

    __asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void power_reboot(void)
{
    cli();
    efi_reset(EFI_RESET_COLD);
    reset_by_fadt();
    tsc_delay_us(10000);
    outb(PORT_RESET, 0x02); /* a hard reset is what comes */
    outb(PORT_RESET, 0x06); /* now */
    tsc_delay_us(10000);
    reset_by_8042();
    tsc_delay_us(100000);
    triple_fault();
    __builtin_unreachable();
}

void arch_reboot(void)
{
    stop_others();
    power_reboot();
}

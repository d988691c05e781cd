/* SPDX-License-Identifier: MIT */
/*
 * The ports of a PC that are more than a device of Dom0's:
 *
 *   20 21 A0 A1         interrupt controllers: the hypervisor's, hidden; so are 22 23 (IMCR)
 *   40 41               timer channels 0 and 1: hidden; 42 and 43 work for channel 2 (speaker)
 *   61                  bits 0 and 1 (channel 2's gate, speaker); the rest governs NMIs
 *   70 71               clock and CMOS: index and data in one step, NMI mask bit kept clear
 *   92                  A20 and fast reset: readable
 *   CF8 - CFF           PCI configuration: dev/pci.c joins address and data; CF9 (reset) is hidden
 *   4D0 4D1             edge or level of the old controllers: readable
 *   PM1 control         all but starting to sleep, which is XENPF_enter_acpi_sleep's
 *   COM1                hidden
 */
#include "x86/pv/ioport.h"

#include "core/guest.h"
#include "core/lock.h"
#include "core/log.h"
#include "x86/dev/pci.h"
#include "lib/bitmap.h"
#include "x86/cpu/ops.h"
#include "x86/pv/privop.h"

#define PORT_PIT_CHANNEL2 0x42
#define PORT_PIT_COMMAND 0x43
#define PORT_SPEAKER 0x61
#define PORT_CMOS_INDEX 0x70
#define PORT_CMOS_DATA 0x71
#define PORT_FAST_A20 0x92
#define PORT_ELCR 0x4d0
#define PORT_PCI_ADDRESS 0xcf8

#define PIT_CHANNEL2 2
#define PIT_READ_BACK 3
#define SPEAKER_WRITABLE 0x3u
#define CMOS_NMI_OFF 0x80u
#define PM1_SLEEP_ENABLE 0x2000u

static struct ioport_machine machine;
static uint8_t cmos_index; /* [machine_lock] what Dom0, who alone has ports, wrote to 0x70 last */
static spinlock_t machine_lock = SPINLOCK_INIT(RANK_MACHINE);

static void hide(unsigned long *bitmap, unsigned int first, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        bitmap_clear(bitmap, first + i);
}

void ioport_init_dom0(unsigned long *bitmap, const struct ioport_machine *m)
{
    static const uint16_t owned[] = { 0x20, 0x22, 0xa0, 0x40 };

    bitmap_fill(bitmap, NR_IOPORTS);
    for (unsigned int i = 0; i < ARRAY_SIZE(owned); i++)
        hide(bitmap, owned[i], 2);
    if (m->com1 && m->com1 <= NR_IOPORTS - 8)
        hide(bitmap, m->com1, 8);
    machine = *m;
}

static bool bitmap_allows(struct pv_vcpu *v, unsigned int port, unsigned int size)
{
    const struct pv_privstate *p = &v->priv;
    unsigned int mask = ((1u << size) - 1) << (port & 7);
    uint8_t bits[2] = { 0xff, 0xff };

    if (port + size > p->iobitmap_ports)
        return false;
    /* The second byte only if the access needs it: the first may be the last of the map, whose
     * range was looked at when it was set. */
    /* untested: what was not read stays all ones, which refuses as well */
    if (pv_read_kernel(v, bits, gptr_add(p->iobitmap, port / 8), mask > 0xff ? 2 : 1))
        return false;
    return !((bits[0] | (unsigned int)bits[1] << 8) & mask);
}

bool pv_ioport_allowed(struct pv_vcpu *v, uint16_t port, unsigned int size)
{
    if (port + size > NR_IOPORTS)
        return false;
    if (pv_io_privileged(v))
        return true;
    return bitmap_allows(v, port, size);
}

/* The domain's permission for all the ports of an access, which the guest's own is for. */
static bool domain_may(const struct pv_vcpu *v, unsigned int port, unsigned int size)
{
    const uint8_t *at = (const uint8_t *)x86_domain(v->x.v.domain)->ioports;
    unsigned int mask = ((1u << size) - 1) << (port & 7);

    if (!at)
        return false;
    at += port / 8;
    return !(mask & ~(at[0] | (mask > 0xff ? (unsigned int)at[1] << 8 : 0)));
}

static uint32_t ones(unsigned int size)
{
    return ~0u >> (32 - 8 * size);
}

static uint32_t raw_in(uint16_t port, unsigned int size)
{
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void raw_out(uint16_t port, unsigned int size, uint32_t val)
{
    if (size == 1)
        outb(port, (uint8_t)val);
    else if (size == 2)
        outw(port, (uint16_t)val);
    else
        outl(port, val);
}

/* Does an access of `size` bytes at `port` touch `n` ports from `first`? */
static bool touches(unsigned int port, unsigned int size, unsigned int first, unsigned int n)
{
    return port < first + n && first < port + size;
}

static uint32_t cmos_in(uint16_t port)
{
    uint8_t val;

    spin_lock(&machine_lock);
    if (port == PORT_CMOS_INDEX) {
        val = cmos_index;
    } else {
        outb(PORT_CMOS_INDEX, cmos_index);
        val = inb(PORT_CMOS_DATA);
    }
    spin_unlock(&machine_lock);
    return val;
}

static void cmos_out(uint16_t port, uint8_t val)
{
    spin_lock(&machine_lock);
    if (port == PORT_CMOS_INDEX) {
        cmos_index = val & (uint8_t)~CMOS_NMI_OFF;
    } else {
        outb(PORT_CMOS_INDEX, cmos_index);
        outb(PORT_CMOS_DATA, val);
    }
    spin_unlock(&machine_lock);
}

static void speaker_out(uint8_t val)
{
    spin_lock(&machine_lock);
    /* The upper four bits read as status and must be written as zero. */
    outb(PORT_SPEAKER, (inb(PORT_SPEAKER) & 0x0f & ~SPEAKER_WRITABLE) | (val & SPEAKER_WRITABLE));
    spin_unlock(&machine_lock);
}

/* The bits of an access that would start to sleep by the 16-bit register at `reg`. */
static uint32_t sleep_bits(unsigned int reg, unsigned int port, unsigned int size)
{
    if (!reg || !touches(port, size, reg, 2))
        return 0;
    return reg >= port ? PM1_SLEEP_ENABLE << 8 * (reg - port)
                       : PM1_SLEEP_ENABLE >> 8 * (port - reg);
}

/* Ports with a rule of their own lie below this, but for the ACPI registers. */
static bool is_special(unsigned int port, unsigned int size)
{
    return touches(port, size, PORT_PCI_ADDRESS, 8) || touches(port, size, PORT_CMOS_INDEX, 2) ||
           touches(port, size, PORT_PIT_CHANNEL2, 2) || touches(port, size, PORT_SPEAKER, 1) ||
           touches(port, size, PORT_FAST_A20, 1) || touches(port, size, PORT_ELCR, 2);
}

/* One byte of a special port, other than PCI's. */
static uint8_t special_in(uint16_t port)
{
    if (port == PORT_CMOS_INDEX || port == PORT_CMOS_DATA)
        return (uint8_t)cmos_in(port);
    return inb(port);
}

static void special_out(uint16_t port, uint8_t val)
{
    switch (port) {
    case PORT_CMOS_INDEX:
    case PORT_CMOS_DATA:
        cmos_out(port, val);
        break;
    case PORT_PIT_COMMAND:
        /* Read-back of other channels latches them for nobody; their ports are hidden. */
        if (val >> 6 == PIT_CHANNEL2 || val >> 6 == PIT_READ_BACK)
            outb(port, val);
        break;
    case PORT_SPEAKER:
        speaker_out(val);
        break;
    case PORT_FAST_A20:
    case PORT_ELCR:
    case PORT_ELCR + 1:
        break;
    default:
        outb(port, val);
    }
}

uint32_t pv_ioport_in(struct pv_vcpu *v, uint16_t port, unsigned int size)
{
    uint32_t val = 0;

    if (!domain_may(v, port, size))
        return ones(size);
    if (!is_special(port, size))
        return raw_in(port, size);
    if (touches(port, size, PORT_PCI_ADDRESS, 8))
        return pci_guest_port(port, size, false, &val) ? val : ones(size);
    for (unsigned int i = 0; i < size; i++)
        val |= (uint32_t)special_in((uint16_t)(port + i)) << (8 * i);
    return val;
}

void pv_ioport_out(struct pv_vcpu *v, uint16_t port, unsigned int size, uint32_t val)
{
    uint32_t sleep = sleep_bits(machine.pm1a_control, port, size) |
                     sleep_bits(machine.pm1b_control, port, size);

    if (!domain_may(v, port, size))
        return;
    if (val & sleep) {
        log_refusal(v->x.v.domain, "port %#x: sleep states are entered by platform_op only", port);
        val &= ~sleep;
    }
    if (!is_special(port, size)) {
        raw_out(port, size, val);
    } else if (touches(port, size, PORT_PCI_ADDRESS, 8)) {
        pci_guest_port(port, size, true, &val);
    } else {
        for (unsigned int i = 0; i < size; i++)
            special_out((uint16_t)(port + i), (uint8_t)(val >> (8 * i)));
    }
}

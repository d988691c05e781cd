/* SPDX-License-Identifier: MIT */
/*
 * The ports' pair of address and data is one register under ports_lock (RANK_MACHINE), shared
 * with Domain 0, whose last address is kept in guest_address. Windows in memory are mapped by
 * bus when they are first used and stay; who uses them needs no lock.
 */
#include "x86/dev/pci.h"

#include <stddef.h>

#include "core/lock.h"
#include "x86/dev/portio.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ADDRESS_ENABLE 0x80000000u

#define MAX_WINDOWS 16
#define BUS_SHIFT 20
#define CONFIG_SIZE 256
#define MAX_CAPS 48 /* more than fit behind the header, so a longer list is a loop */

static spinlock_t ports_lock = SPINLOCK_INIT(RANK_MACHINE);
static uint32_t guest_address; /* [ports_lock] what Dom0 wrote to PORT_ADDRESS */

static pci_map_fn *map_memory;
static struct window {
    uint64_t base;
    uint16_t seg;
    uint8_t first, last;
} windows[MAX_WINDOWS];
static unsigned int nr_windows;

/* The bus that was used last through memory: others replace it, and the mapping stays for ever. */
#define MAX_MAPPED 16
static struct {
    uint32_t id;            /* segment << 8 | bus */
    volatile uint8_t *regs; /* atomic */
} mapped[MAX_MAPPED];
static uint32_t nr_mapped; /* atomic */

void pci_set_mapper(pci_map_fn *fn)
{
    map_memory = fn;
}

bool pci_add_mmcfg(uint64_t base, uint16_t seg, uint8_t first_bus, uint8_t last_bus)
{
    if (nr_windows == MAX_WINDOWS || first_bus > last_bus || !base)
        return false;
    windows[nr_windows++] = (struct window){ base, seg, first_bus, last_bus };
    return true;
}

/* The registers of a bus in memory: found, or mapped now; NULL: no window, or no room. */
static volatile uint8_t *map_bus(uint16_t seg, uint8_t bus)
{
    uint32_t id = (uint32_t)seg << 8 | bus, slot;

    for (uint32_t i = 0; i < MAX_MAPPED && i < __atomic_load_n(&nr_mapped, __ATOMIC_ACQUIRE); i++)
        if (mapped[i].id == id && __atomic_load_n(&mapped[i].regs, __ATOMIC_ACQUIRE))
            return mapped[i].regs;
    for (unsigned int i = 0; map_memory && i < nr_windows; i++) {
        struct window *w = &windows[i];
        void *p;

        if (w->seg != seg || bus < w->first || bus > w->last)
            continue;
        slot = __atomic_fetch_add(&nr_mapped, 1, __ATOMIC_ACQ_REL);
        if (slot >= MAX_MAPPED) {
            __atomic_store_n(&nr_mapped, MAX_MAPPED, __ATOMIC_RELEASE);
            return NULL;
        }
        p = map_memory(w->base + ((uint64_t)bus << BUS_SHIFT), 1u << BUS_SHIFT);
        mapped[slot].id = id;
        __atomic_store_n(&mapped[slot].regs, p, __ATOMIC_RELEASE);
        return p;
    }
    return NULL;
}

static uint32_t by_ports(struct pci_addr a, uint16_t reg, unsigned int size, bool write, uint32_t v)
{
    uint16_t port = (uint16_t)(PORT_DATA + (reg & 3));

    spin_lock(&ports_lock);
    port_out32(PORT_ADDRESS,
               ADDRESS_ENABLE | (uint32_t)a.bus << 16 | (uint32_t)a.devfn << 8 | (reg & 0xfcu));
    if (write) {
        if (size == 4)
            port_out32(port, v);
        else
            port_out16(port, (uint16_t)v);
    } else {
        v = size == 4 ? port_in32(port) : size == 2 ? port_in16(port) : port_in8(port);
    }
    spin_unlock(&ports_lock);
    return v;
}

static uint32_t by_memory(struct pci_addr a, uint16_t reg, unsigned int size, bool write,
                          uint32_t v)
{
    volatile uint8_t *regs = map_bus(a.seg, a.bus);

    if (!regs)
        return ~0u;
    regs += (uint32_t)a.devfn << 12 | (reg & 0xfffu);
    if (size == 4) {
        if (!write)
            return *(volatile uint32_t *)(volatile void *)regs;
        *(volatile uint32_t *)(volatile void *)regs = v;
    } else if (size == 2) {
        if (!write)
            return *(volatile uint16_t *)(volatile void *)regs;
        *(volatile uint16_t *)(volatile void *)regs = (uint16_t)v;
    } else {
        return *regs;
    }
    return v;
}

static uint32_t access(struct pci_addr a, uint16_t reg, unsigned int size, bool write, uint32_t v)
{
    if (a.seg == 0 && reg < CONFIG_SIZE)
        return by_ports(a, reg, size, write, v);
    return by_memory(a, reg, size, write, v);
}

uint32_t pci_read32(struct pci_addr a, uint16_t reg)
{
    return access(a, reg, 4, false, 0);
}

uint16_t pci_read16(struct pci_addr a, uint16_t reg)
{
    return (uint16_t)access(a, reg, 2, false, 0);
}

uint8_t pci_read8(struct pci_addr a, uint16_t reg)
{
    return (uint8_t)access(a, reg, 1, false, 0);
}

void pci_write32(struct pci_addr a, uint16_t reg, uint32_t v)
{
    access(a, reg, 4, true, v);
}

void pci_write16(struct pci_addr a, uint16_t reg, uint16_t v)
{
    access(a, reg, 2, true, v);
}

bool pci_exists(struct pci_addr a)
{
    return pci_read16(a, PCI_VENDOR) != 0xffff;
}

uint8_t pci_find_cap(struct pci_addr a, uint8_t id)
{
    uint8_t at;

    if (!(pci_read16(a, PCI_STATUS) & PCI_STATUS_CAPS))
        return 0;
    at = pci_read8(a, PCI_CAP_POINTER) & 0xfcu;
    for (unsigned int i = 0; i < MAX_CAPS && at >= 0x40; i++) {
        uint16_t head = pci_read16(a, at);

        if ((head & 0xff) == id)
            return at;
        if ((head & 0xff) == 0xff)
            break;
        at = head >> 8 & 0xfcu;
    }
    return 0;
}

bool pci_guest_port(uint16_t port, unsigned int size, bool write, uint32_t *v)
{
    bool address = port == PORT_ADDRESS && size == 4;

    /* 0xcf9 and the like, byte accesses of the address port: other devices answer there. */
    if (!address && (port < PORT_DATA || port + size > PORT_DATA + 4))
        return false;
    spin_lock(&ports_lock);
    if (address) {
        if (write)
            guest_address = *v;
        else
            *v = guest_address;
    } else {
        port_out32(PORT_ADDRESS, guest_address);
        if (write && size == 4)
            port_out32(port, *v);
        else if (write && size == 2)
            port_out16(port, (uint16_t)*v);
        else if (write)
            port_out8(port, (uint8_t)*v);
        else
            *v = size == 4 ? port_in32(port) : size == 2 ? port_in16(port) : port_in8(port);
    }
    spin_unlock(&ports_lock);
    return true;
}

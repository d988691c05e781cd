/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space, by the ports 0xcf8 and 0xcfc and by memory (MMCFG). Dom0 owns the
 * devices; the hypervisor looks for capabilities and writes the messages of MSI and MSI-X.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct pci_addr {
    uint16_t seg;
    uint8_t bus, devfn;
};

#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define PCI_STATUS 0x06
#define PCI_HEADER_TYPE 0x0e
#define PCI_CAP_POINTER 0x34

#define PCI_COMMAND_MEMORY 0x2
#define PCI_STATUS_CAPS 0x10

#define PCI_CAP_MSI 0x05
#define PCI_CAP_MSIX 0x11

#define MSI_CONTROL 2
#define MSI_CONTROL_ENABLE 0x0001
#define MSI_CONTROL_COUNT 0x0070 /* messages enabled, as a power of two */
#define MSI_CONTROL_64BIT 0x0080
#define MSI_CONTROL_MASKABLE 0x0100

#define MSIX_CONTROL 2
#define MSIX_CONTROL_SIZE 0x07ff
#define MSIX_CONTROL_MASK_ALL 0x4000
#define MSIX_CONTROL_ENABLE 0x8000
#define MSIX_TABLE 4
#define MSIX_TABLE_BAR 0x7

/*
 * How to reach physical memory: x86's vmap, handed over at boot (equal ranks do not include each
 * other). NULL when that fails.
 */
typedef void *pci_map_fn(uint64_t pa, uint64_t len);
void pci_set_mapper(pci_map_fn *fn);
/* A window of the MCFG table: base address of bus 0 of the segment. False: no room, or silly. */
bool pci_add_mmcfg(uint64_t base, uint16_t seg, uint8_t first_bus, uint8_t last_bus);

/*
 * Configuration registers; `reg` aligned to the size. Where there is no device, or no way to it,
 * reads give all ones and writes do nothing. Take RANK_MACHINE; mapping a bus takes RANK_VMAP.
 */
uint32_t pci_read32(struct pci_addr a, uint16_t reg);
uint16_t pci_read16(struct pci_addr a, uint16_t reg);
uint8_t pci_read8(struct pci_addr a, uint16_t reg);
void pci_write32(struct pci_addr a, uint16_t reg, uint32_t v);
void pci_write16(struct pci_addr a, uint16_t reg, uint16_t v);

bool pci_exists(struct pci_addr a);
/* Offset of a capability, 0: the device has none such. Bounded against loops. */
uint8_t pci_find_cap(struct pci_addr a, uint8_t id);

/*
 * Dom0's access to the ports 0xcf8 to 0xcff, done so that it cannot fall between the two halves of
 * one of ours. `size` 1, 2 or 4. True: done, *v holds what was read; false: other ports.
 */
bool pci_guest_port(uint16_t port, unsigned int size, bool write, uint32_t *v);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The firmware of a machine that was started by UEFI: what it tells, and its runtime services.
 *
 * The services run at their physical addresses, as the firmware started them (nobody calls
 * SetVirtualAddressMap). Their regions are mapped so in page tables of their own, which a CPU is on
 * during a call only; those tables have the hypervisor's slots and no guest's. One call at a time
 * (efi_lock, RANK_MACHINE, in call.c), interrupts off, on the stack of who calls: the CPU's main
 * one for a hypercall. After a panic the reset may run on the single page that an NMI, a machine
 * check or a double fault has as its stack, where UEFI asks for 4 KiB to be left; firmware that
 * overruns it ends in the guard page below, and the machine stays halted. The firmware is trusted,
 * as docs/security.md says.
 */
#ifndef X86_EFI_EFI_H
#define X86_EFI_EFI_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/efi/spec.h"

struct efi_facts {
    bool started;  /* by UEFI: the fields below are true */
    bool services; /* runtime services may be called */
    uint32_t revision, firmware_revision, runtime_revision;
    uint64_t tables; /* physical address of the configuration tables, struct efi_config_entry */
    uint32_t nr_tables;
    uint64_t rsdp;       /* physical address of ACPI's root pointer, 0: none is named */
    uint16_t vendor[64]; /* UCS-2, ends in 0 */
};
extern struct efi_facts efi;

/*
 * Once, at boot, with vmap and the frame allocator working: read the tables that boot_info names
 * and map the runtime regions. `services` false (option efi=no-rs): these are left alone.
 */
void efi_init(bool services);

/*
 * Call a service with up to five arguments; addresses among them are the hypervisor's. What it
 * returns (EFI_*); EFI_UNSUPPORTED where there are no services.
 */
uint64_t efi_call(enum efi_service service, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                  uint64_t e);

/* ResetSystem. Returns if there are no services, if one is being called, or if it does not work. */
void efi_reset(enum efi_reset how);

#endif

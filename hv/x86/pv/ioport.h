/* SPDX-License-Identifier: MIT */
/*
 * Port I/O of PV guests. Two permissions are needed: the domain's (x86_domain.ioports, given by the
 * hypervisor) and, within the guest, that of the code that asks (I/O privilege level or bitmap,
 * given by its kernel). Without the second the instruction raises #GP. Without the first it finds
 * nothing: reads are all ones, writes are lost, as on a machine that lacks the device.
 */
#ifndef X86_PV_IOPORT_H
#define X86_PV_IOPORT_H

#include "core/types.h"
#include "x86/pv/pv.h"

#define NR_IOPORTS 65536

/* What the hypervisor keeps from Dom0; ports are 0 where there is none. */
struct ioport_machine {
    uint16_t com1;                       /* first of 8 ports of the serial line in use */
    uint16_t pm1a_control, pm1b_control; /* ACPI: sleeping goes by hypercall */
};

/*
 * Fill `bitmap` (65536 bits, set: allowed) with what Dom0 may use, and remember `m` for the checks
 * of single accesses. Once, at boot, before Dom0 runs.
 */
void ioport_init_dom0(unsigned long *bitmap, const struct ioport_machine *m);

/* May the interrupted code of v (kernel or program) use ports port .. port+size-1? */
bool pv_ioport_allowed(struct pv_vcpu *v, uint16_t port, unsigned int size);

/* Carry out one access of 1, 2 or 4 bytes for v; the guest's own permission has been checked. */
uint32_t pv_ioport_in(struct pv_vcpu *v, uint16_t port, unsigned int size);
void pv_ioport_out(struct pv_vcpu *v, uint16_t port, unsigned int size, uint32_t val);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef X86_HVM_DOMAIN_H
#define X86_HVM_DOMAIN_H

#include "x86/hvm/hvm.h"
#include "x86/regs.h"

/* An unpublished domain without memory; NULL: no memory, or no vendor. emulation: XEN_X86_EMU_*. */
struct hvm_domain *hvm_domain_create(domid_t id, unsigned int max_vcpus, uint32_t emulation);
struct hvm_vcpu *hvm_vcpu_create(struct domain *d, unsigned int id);

/* Registers the debug key that shows hardware-assisted vCPUs. */
void hvm_keys_init(void);

/* vcpu.c: registers as after RESET, or INIT; v is resident nowhere, or current. */
void hvm_reset_registers(struct hvm_vcpu *v);
/* INIT and SIPI for v, from any CPU. */
void hvm_send_init(struct hvm_vcpu *v);
void hvm_send_sipi(struct hvm_vcpu *v, uint8_t vector);
/* Flat 32-bit protected mode without paging at `entry`, ebx = `start_info`: how PVH begins. */
void hvm_set_pvh_entry(struct hvm_vcpu *v, uint32_t entry, uint32_t start_info);

struct vcpu_guest_context;
int hvm_set_context(struct vcpu *c, const struct vcpu_guest_context *ctx);
void hvm_get_context(struct vcpu *c, struct vcpu_guest_context *ctx);

/* hc_domctl.c: domctl's operations on hardware-assisted domains; -ENOSYS: not one of them. */
struct xen_domctl;
long hvm_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);

#endif

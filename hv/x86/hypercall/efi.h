/* SPDX-License-Identifier: MIT */
/* Domain 0's way to UEFI: the two parts of platform_op that are about it. */
#ifndef X86_HYPERCALL_EFI_H
#define X86_HYPERCALL_EFI_H

#include "core/domain.h"

struct xenpf_firmware_info;
struct xenpf_efi_runtime_call;

/*
 * XENPF_firmware_info of type XEN_FW_EFI_INFO. 0, -ESRCH (not started by UEFI, no memory of the
 * firmware's at the address), -ENOENT (no option ROM was kept), -EINVAL, -EFAULT.
 */
long platform_efi_info(struct vcpu *v, struct xenpf_firmware_info *info);

/*
 * XENPF_efi_runtime_call: 0 with the firmware's answer in `status`; -ENOSYS (not started by UEFI),
 * -EOPNOTSUPP (services left alone; capsules), -E2BIG (a name or value beyond all that firmware
 * keeps), -EINVAL, -ENOMEM, -EFAULT.
 */
long platform_efi_call(struct vcpu *v, struct xenpf_efi_runtime_call *call);

#endif

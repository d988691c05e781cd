/* SPDX-License-Identifier: MIT */
/* The log of a PV guest's writes. */
#ifndef X86_PV_LOG_DIRTY_H
#define X86_PV_LOG_DIRTY_H

#include "core/hypercall.h"

#include <xen/domctl.h>

#include "x86/pv/pv.h"

/*
 * XEN_DOMCTL_shadow_op on d, another domain than v's: ENABLE with LOG_DIRTY alone, or
 * ENABLE_LOGDIRTY; OFF; CLEAN and PEEK, by the guest's own frame numbers. 0; -EINVAL: on when it is
 * on, read when it is off, an unknown mode; -EOPNOTSUPP: shadow page tables; -ENOMEM: for ENABLE;
 * -EFAULT: the bitmap; -EAGAIN: call again.
 * [domctl lock]
 */
long pv_shadow_op(struct vcpu *v, struct domain *d, struct xen_domctl_shadow_op *op,
                  bool *copy_back);
/* Off, and a piece of what it needed goes. False: call again. [domctl lock, or d is dying] */
bool pv_log_end(struct pv_domain *pd);

#endif

/* SPDX-License-Identifier: MIT */
/* physdev_op's operations on the caller's own vCPU: what ports its code may use. */
#include "core/hypercall.h"

#include <xen/physdev.h>

#include "x86/pv/mm.h"

#define MAX_IOBITMAP_PORTS 65536

static long op_set_iopl(struct vcpu *v, gptr_t arg)
{
    struct physdev_set_iopl op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.iopl > 3)
        return E(EINVAL);
    pv_vcpu(v)->priv.iopl = (uint8_t)op.iopl;
    return 0;
}

/* The bitmap stays the guest's: it is read at each access (pv/ioport.c), with the guest's rights.
 */
static long op_set_iobitmap(struct vcpu *v, gptr_t arg)
{
    struct physdev_set_iobitmap op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.nr_ports > MAX_IOBITMAP_PORTS ||
        !pv_range_ok((uint64_t)op.bitmap.p, MAX(DIV_ROUND_UP(op.nr_ports, 8u), 1u)))
        return E(EINVAL);
    pv_vcpu(v)->priv.iobitmap = HANDLE_PTR(op.bitmap);
    pv_vcpu(v)->priv.iobitmap_ports = op.bitmap.p ? op.nr_ports : 0;
    return 0;
}

long pv_physdev_own(struct vcpu *v, unsigned int cmd, gptr_t arg)
{
    return cmd == PHYSDEVOP_set_iopl ? op_set_iopl(v, arg) : op_set_iobitmap(v, arg);
}

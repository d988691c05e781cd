/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_physdev_op: interrupts and PCI devices of Dom0 (<xen/physdev.h>). The number of the
 * hypercall is Dom0's alone but for set_iopl and set_iobitmap, which act on the caller itself.
 */
#include "core/hypercall.h"

#include <xen/physdev.h>

#include "core/log.h"
#include "x86/guest.h"
#include "x86/irq/ioapic.h"
#include "x86/irq/pirq.h"

#define SCAN_COST \
    (MAX_PIRQS / 64) /* of looking at all of a domain's PIRQs, in hc_charge()'s units */

static long op_eoi(struct vcpu *v, gptr_t arg)
{
    struct physdev_eoi op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    return pirq_eoi(v->domain, op.irq);
}

static long op_irq_status(struct vcpu *v, gptr_t arg)
{
    struct physdev_irq_status_query op;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = pirq_status(v->domain, op.irq, &op.flags);
    if (rc)
        return rc;
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_apic_read(struct vcpu *v, gptr_t arg)
{
    struct physdev_apic op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (!ioapic_read_register(op.apic_physbase, op.reg, &op.value))
        return E(EINVAL);
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

/* Of what older kernels write, the line's mode is taken; vectors and masks are ours. */
static long op_apic_write(struct vcpu *v, gptr_t arg)
{
    struct physdev_apic op;
    uint32_t gsi, id;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (!ioapic_read_register(op.apic_physbase, 0, &id))
        return E(EINVAL);
    if (ioapic_register_gsi(op.apic_physbase, op.reg, &gsi) && !(op.reg & 1)) {
        struct gsi_mode mode = { .level = op.value >> 15 & 1, .active_low = op.value >> 13 & 1 };

        (void)pirq_setup_gsi(v->domain, gsi, mode);
    }
    return 0;
}

/* Linux asks for a vector for each GSI that it binds, and does not use it. */
static long op_alloc_vector(struct vcpu *v, gptr_t arg)
{
    struct physdev_irq op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (!irq_of_gsi(op.irq))
        return E(EINVAL);
    op.vector = op.irq & 0xff;
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_setup_gsi(struct vcpu *v, gptr_t arg)
{
    struct physdev_setup_gsi op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.triggering > 1 || op.polarity > 1)
        return E(EINVAL);
    return pirq_setup_gsi(v->domain, (uint32_t)op.gsi, /* below 0: more than there are */
                          (struct gsi_mode){ .level = op.triggering, .active_low = op.polarity });
}

static long op_get_free_pirq(struct vcpu *v, gptr_t arg)
{
    struct physdev_get_free_pirq op;
    int rc;

    hc_charge(SCAN_COST);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = pirq_get_free(v->domain, &op.pirq);
    if (rc)
        return rc;
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

/* The segment is in the high half of `bus` for the types that say so. */
static int map_msi(struct domain *d, struct physdev_map_pirq *op)
{
    struct msi_request r = { .dev = { .bus = (uint8_t)op->bus, .devfn = (uint8_t)op->devfn },
                             .table_bar = op->table_base };

    if (op->type != MAP_PIRQ_TYPE_MSI)
        r.dev.seg = (uint16_t)((uint32_t)op->bus >> 16);
    if (op->type == MAP_PIRQ_TYPE_MULTI_MSI) {
        /* Several messages need neighbouring vectors; Linux then asks for a single one. */
        if (op->table_base)
            return -XEN_EINVAL;
        if (op->entry_nr != 1)
            return -XEN_EOPNOTSUPP;
    } else if (op->table_base) {
        if (op->entry_nr < 0 || op->entry_nr > 2047)
            return -XEN_EINVAL;
        r.entry_nr = (uint16_t)op->entry_nr;
    }
    return pirq_map_msi(d, &r, &op->pirq);
}

static long op_map_pirq(struct vcpu *v, gptr_t arg)
{
    struct physdev_map_pirq op;
    int rc;

    hc_charge(2 * SCAN_COST);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.domid != DOMID_SELF && op.domid != v->domain->id) {
        struct domain *d = domain_get(op.domid);

        if (!d)
            return E(ESRCH);
        domain_put(d);
        log_refusal(v->domain, "map_pirq: passing devices to domain %u is not supported", op.domid);
        return E(EOPNOTSUPP);
    }
    switch (op.type) {
    case MAP_PIRQ_TYPE_GSI:
        rc = op.index < 0 ? -XEN_EINVAL : pirq_map_gsi(v->domain, (uint32_t)op.index, &op.pirq);
        break;
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        rc = map_msi(v->domain, &op);
        break;
    default:
        rc = -XEN_EINVAL;
    }
    if (rc)
        return rc;
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_unmap_pirq(struct vcpu *v, gptr_t arg)
{
    struct physdev_unmap_pirq op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.domid != DOMID_SELF && op.domid != v->domain->id)
        return E(ESRCH);
    return op.pirq < 0 ? E(EINVAL) : pirq_unmap(v->domain, (uint32_t)op.pirq);
}

static long op_eoi_page(struct vcpu *v, gptr_t arg, bool unmask)
{
    struct physdev_pirq_eoi_gmfn op;

    hc_charge(4 * SCAN_COST);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    return pirq_set_eoi_page(v->domain, GFN(op.gmfn), unmask);
}

/*
 * Dom0 reports its devices. Nothing is kept: MSIs are looked up in configuration space when they
 * are mapped. A device that is not there is refused, so that a mistake shows.
 */
static long op_device(struct vcpu *v, gptr_t arg, bool must_exist)
{
    struct physdev_pci_device op; /* the head of physdev_pci_device_add, too */

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (must_exist && !pci_exists((struct pci_addr){ op.seg, op.bus, op.devfn }))
        return E(ENODEV);
    return 0;
}

/* The same without a segment; also the head of physdev_manage_pci_ext. */
static long op_manage(struct vcpu *v, gptr_t arg, bool must_exist)
{
    struct physdev_manage_pci op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (must_exist && !pci_exists((struct pci_addr){ 0, op.bus, op.devfn }))
        return E(ENODEV);
    return 0;
}

static long op_restore_msi(struct vcpu *v, gptr_t arg, bool ext)
{
    struct physdev_restore_msi old = { 0 };
    struct physdev_pci_device op = { 0 };

    hc_charge(2 * SCAN_COST);
    if (ext ? guest_get(v, &op, arg) : guest_get(v, &old, arg))
        return E(EFAULT);
    if (!ext)
        op = (struct physdev_pci_device){ .bus = old.bus, .devfn = old.devfn };
    return pirq_restore_msi(v->domain, (struct pci_addr){ op.seg, op.bus, op.devfn });
}

/* Windows come from the MCFG at boot; Dom0's word that one is reserved changes nothing. */
static long op_mmcfg(struct vcpu *v, gptr_t arg)
{
    struct physdev_pci_mmcfg_reserved op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    return op.start_bus > op.end_bus ? E(EINVAL) : 0;
}

/* There is no debug port of ours that a controller's reset could disturb. */
static long op_dbgp(struct vcpu *v, gptr_t arg)
{
    struct physdev_dbgp_op op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.op != PHYSDEVOP_DBGP_RESET_PREPARE && op.op != PHYSDEVOP_DBGP_RESET_DONE)
        return E(EINVAL);
    return 0;
}

static long dom0_op(struct vcpu *v, uint32_t cmd, gptr_t arg)
{
    switch (cmd) {
    case PHYSDEVOP_eoi:
        return op_eoi(v, arg);
    case PHYSDEVOP_irq_status_query:
        return op_irq_status(v, arg);
    case PHYSDEVOP_apic_read:
        return op_apic_read(v, arg);
    case PHYSDEVOP_apic_write:
        return op_apic_write(v, arg);
    case PHYSDEVOP_alloc_irq_vector:
        return op_alloc_vector(v, arg);
    case PHYSDEVOP_map_pirq:
        return op_map_pirq(v, arg);
    case PHYSDEVOP_unmap_pirq:
        return op_unmap_pirq(v, arg);
    case PHYSDEVOP_pirq_eoi_gmfn_v1:
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return op_eoi_page(v, arg, cmd == PHYSDEVOP_pirq_eoi_gmfn_v1);
    case PHYSDEVOP_setup_gsi:
        return op_setup_gsi(v, arg);
    case PHYSDEVOP_get_free_pirq:
        return op_get_free_pirq(v, arg);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return op_mmcfg(v, arg);
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_add_ext:
        return op_manage(v, arg, true);
    case PHYSDEVOP_manage_pci_remove:
        return op_manage(v, arg, false);
    case PHYSDEVOP_pci_device_add:
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
        return op_device(v, arg, true);
    case PHYSDEVOP_pci_device_remove:
        return op_device(v, arg, false);
    case PHYSDEVOP_restore_msi:
        return op_restore_msi(v, arg, false);
    case PHYSDEVOP_restore_msi_ext:
        return op_restore_msi(v, arg, true);
    case PHYSDEVOP_dbgp_op:
        return op_dbgp(v, arg);
    default:
        return E(ENOSYS);
    }
}

long hc_physdev_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long a1 = args->a[1];
    uint32_t cmd = (uint32_t)args->a[0];

    if (cmd == PHYSDEVOP_set_iopl || cmd == PHYSDEVOP_set_iobitmap)
        return x86_ops(v)->physdev_own ? x86_ops(v)->physdev_own(v, cmd, GPTR(a1)) : E(ENOSYS);
    return access_host(v->domain) ? dom0_op(v, cmd, GPTR(a1)) : E(EPERM);
}

/* The form of before 2005: command and operand in one record. */
long hc_physdev_op_compat(struct vcpu *v, const struct hc_args *args)
{
    struct hc_args new = { .a = { 0, args->a[0] + offsetof(struct physdev_op, u) } };
    uint32_t cmd;

    if (guest_get(v, &cmd, GPTR(args->a[0])))
        return E(EFAULT);
    switch (cmd) {
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY: /* its PIRQs were never masked without its knowledge */
        return 0;
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_set_iopl:
    case PHYSDEVOP_set_iobitmap:
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_alloc_irq_vector:
        new.a[0] = cmd;
        return hc_physdev_op(v, &new);
    default:
        return E(ENOSYS);
    }
}

/* SPDX-License-Identifier: MIT */
/* platform_op: Dom0's requests about the machine. What Dom0 can do better by itself is refused. */
#include "core/hypercall.h"

#include <xen/platform.h>

#include "core/clock.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/signature.h"
#include "x86/hypercall/efi.h"
#include "x86/mm/paging.h"
#include "x86/power.h"

#define NS_PER_S 1000000000u
#define BDA_KEYBOARD_FLAGS 0x417 /* BIOS data area: shift states */
#define S5 5

/* --- time --- */

static long settime(uint64_t secs, uint32_t nsecs, uint64_t system_ns)
{
    if (nsecs >= NS_PER_S || secs > UINT64_MAX / NS_PER_S / 2)
        return E(EINVAL);
    clock_set_wallclock(secs, nsecs, system_ns);
    return 0;
}

/* Idle time of the CPUs asked for, in ns; the bitmap comes back without those that are not there.
 */
static long getidletime(struct vcpu *v, struct xenpf_getidletime *op)
{
    uint64_t now = arch_now();

    for (uint32_t cpu = 0; cpu < op->cpumap_nr_cpus; cpu++) {
        uint8_t mask;
        gptr_t byte = gptr_add(HANDLE_PTR(op->cpumap_bitmap), cpu / 8), at;

        if (cpu >= ALIGN_UP(nr_pcpus, 8u))
            break; /* bounded by the machine's CPUs: the rest of the bitmap stays as it is */
        if (guest_get(v, &mask, byte))
            return E(EFAULT);
        if (!(mask & 1u << (cpu % 8)))
            continue;
        if (cpu < nr_pcpus) {
            uint64_t ns = pcpu_idle_time(pcpus[index_nospec(cpu, nr_pcpus)]);

            if (!gptr_index(HANDLE_PTR(op->idletime), cpu, sizeof(ns), &at) ||
                guest_put(v, at, &ns))
                return E(EFAULT);
        } else {
            mask &= (uint8_t) ~(1u << (cpu % 8));
            if (guest_put(v, byte, &mask))
                return E(EFAULT);
        }
    }
    op->now = now;
    return 0;
}

/* --- CPUs --- */

static long get_cpuinfo(struct xenpf_pcpuinfo *info)
{
    info->max_present = nr_pcpus - 1;
    info->flags = XEN_PCPU_FLAGS_INVALID;
    info->apic_id = info->acpi_id = ~0u;
    if (info->xen_cpuid < nr_pcpus) {
        const struct x86_pcpu *xp = (const struct x86_pcpu *)
            pcpus[index_nospec(info->xen_cpuid, nr_pcpus)];
        info->flags = xp->p.rq.pool == CPUPOOL_OFFLINE ? 0 : XEN_PCPU_FLAGS_ONLINE;
        info->apic_id = xp->apic_id;
        info->acpi_id = xp->acpi_id;
    }
    return 0;
}

/* All CPUs are of one kind: the answer is this one's. */
static long get_cpu_version(struct xenpf_pcpu_version *ver)
{
    struct cpu_signature sig;
    uint32_t a, b, c, d;

    ver->max_present = nr_pcpus - 1;
    memset(ver->vendor_id, 0, sizeof(ver->vendor_id));
    ver->family = ver->model = ver->stepping = 0;
    if (ver->xen_cpuid >= nr_pcpus)
        return 0;
    cpuid(0, 0, &a, &b, &c, &d);
    memcpy(ver->vendor_id, &b, 4);
    memcpy(ver->vendor_id + 4, &d, 4);
    memcpy(ver->vendor_id + 8, &c, 4);
    cpuid(1, 0, &a, &b, &c, &d);
    sig = cpu_signature(a);
    ver->family = sig.family;
    ver->model = sig.model;
    ver->stepping = sig.stepping;
    return 0;
}

static long cpu_online(uint32_t cpu)
{
    return cpu < nr_pcpus ? 0 : E(EINVAL);
}

static long cpu_offline(uint32_t cpu)
{
    return cpu >= nr_pcpus ? E(EINVAL) : E(EOPNOTSUPP);
}

/*
 * Power management data of a CPU, from AML. C and P states are not used yet, so they are accepted
 * and forgotten; _PDC is told that the hypervisor enters no state by MWAIT.
 */
static long set_pminfo(struct vcpu *v, const struct xenpf_set_processor_pminfo *info)
{
    uint32_t pdc[3];
    gptr_t bits = HANDLE_PTR(info->u.pdc);

    switch (info->type) {
    case XEN_PM_CX:
    case XEN_PM_PX:
    case XEN_PM_TX:
        return 0;
    case XEN_PM_PDC:
        if (guest_get(v, &pdc, bits))
            return E(EFAULT);
        if (pdc[0] != 1 || pdc[1] != 1)
            return E(EINVAL);
        pdc[2] = 0;
        return guest_put(v, bits, &pdc) ? E(EFAULT) : 0;
    default:
        return E(EINVAL);
    }
}

static long core_parking(struct xenpf_core_parking *op)
{
    switch (op->type) {
    case XEN_CORE_PARKING_SET: /* none is ever parked; Dom0 asks for the number that is */
        return 0;
    case XEN_CORE_PARKING_GET:
        op->idle_nums = 0;
        return 0;
    default:
        return E(EINVAL);
    }
}

/* --- firmware --- */

/* What a boot loader asks the BIOS in real mode: it was not there for us. */
static long firmware_info(struct vcpu *v, struct xenpf_firmware_info *info)
{
    switch (info->type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return E(ESRCH);
    case XEN_FW_EFI_INFO:
        return platform_efi_info(v, info);
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (info->index)
            return E(ESRCH);
        info->u.kbd_shift_flags = *(const volatile uint8_t *)direct(BDA_KEYBOARD_FLAGS);
        return 0;
    default:
        return E(EINVAL);
    }
}

static long enter_sleep(const struct xenpf_enter_acpi_sleep *op)
{
    if (op->sleep_state == S5) {
        log_info("Domain 0 switches the machine off");
        log_close();
    }
    return power_enter_acpi_sleep(op);
}

static long dispatch(struct vcpu *v, struct xen_platform_op *op, bool *copy_back)
{
    *copy_back = false;
    switch (op->cmd) {
    case XENPF_settime32:
        return settime(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
    case XENPF_settime64:
        return op->u.settime64.mbz ? E(EINVAL)
                                   : settime(op->u.settime64.secs, op->u.settime64.nsecs,
                                             op->u.settime64.system_time);
    case XENPF_enter_acpi_sleep:
        return enter_sleep(&op->u.enter_acpi_sleep);
    case XENPF_set_processor_pminfo:
        return set_pminfo(v, &op->u.set_pminfo);
    case XENPF_cpu_online:
        return cpu_online(op->u.cpu_ol.cpuid);
    case XENPF_cpu_offline:
        return cpu_offline(op->u.cpu_ol.cpuid);
    }
    *copy_back = true;
    switch (op->cmd) {
    case XENPF_firmware_info:
        return firmware_info(v, &op->u.firmware_info);
    case XENPF_efi_runtime_call:
        return platform_efi_call(v, &op->u.efi_runtime_call);
    case XENPF_getidletime:
        return getidletime(v, &op->u.getidletime);
    case XENPF_get_cpuinfo:
        return get_cpuinfo(&op->u.pcpu_info);
    case XENPF_get_cpu_version:
        return get_cpu_version(&op->u.pcpu_version);
    case XENPF_core_parking:
        return core_parking(&op->u.core_parking);
    /* The CPU's memory types are the page tables' (PAT); Linux's PV code does without MTRRs. */
    case XENPF_add_memtype:
    case XENPF_del_memtype:
    case XENPF_read_memtype:
    /* Not while guests run: the loader, or the firmware, brings microcode. */
    case XENPF_microcode_update:
    case XENPF_change_freq:
    case XENPF_cpu_hotadd:
    case XENPF_mem_hotadd:
    case XENPF_resource_op:
        return E(EOPNOTSUPP);
    default: /* symbols, chipset quirks */
        return E(ENOSYS);
    }
}

long hc_platform_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long arg = args->a[0];
    struct xen_platform_op op;
    bool copy_back;
    long rc;

    if (guest_get(v, &op, GPTR(arg)))
        return E(EFAULT);
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return E(EACCES);
    rc = dispatch(v, &op, &copy_back);
    if (rc == 0 && copy_back && guest_put(v, GPTR(arg), &op))
        return E(EFAULT);
    return rc;
}

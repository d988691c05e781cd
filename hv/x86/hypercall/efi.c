/* SPDX-License-Identifier: MIT */
/*
 * platform_op's UEFI: names and values are copied into the hypervisor, the firmware works on the
 * copies, and what it gives is copied back. No state of its own; x86/efi/call.c serialises.
 */
#include "x86/hypercall/efi.h"

#include <xen/errno.h>
#include <xen/platform.h>

#include "core/frame.h"
#include "core/guest.h"
#include "core/hypercall.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/efi/efi.h"

#define NAME_BYTES 4096u /* a variable's name, with its end */
#define DATA_ORDER 5u    /* 128 KiB: more than any firmware keeps in one variable */
#define DATA_BYTES (4096ull << DATA_ORDER)

/* --- facts --- */

static long vendor(struct vcpu *v, union xenpf_efi_info *info)
{
    uint32_t room = info->vendor.bufsz / 2, n = 0;
    uint16_t text[ARRAY_SIZE(efi.vendor)];

    info->vendor.revision = efi.firmware_revision;
    while (n + 1 < MIN(room, (uint32_t)ARRAY_SIZE(text)) && efi.vendor[n]) {
        text[n] = efi.vendor[n];
        n++;
    }
    if (!room)
        return 0;
    text[n] = 0;
    return guest_write(v, HANDLE_PTR(info->vendor.name), text, (n + 1) * 2) ? E(EFAULT) : 0;
}

static long mem_info(union xenpf_efi_info *info)
{
    struct efi_region r;
    uint64_t addr = info->mem.addr;

    if (!efi_map_find(&boot_info.efi_map, addr, &r))
        return E(ESRCH);
    info->mem.size = MIN(info->mem.size, r.end - addr);
    info->mem.attr = r.attr;
    info->mem.type = r.type;
    return 0;
}

long platform_efi_info(struct vcpu *v, struct xenpf_firmware_info *info)
{
    union xenpf_efi_info *u = &info->u.efi_info;

    if (!efi.started)
        return E(ESRCH);
    switch (info->index) {
    case XEN_FW_EFI_VERSION:
        u->version = efi.revision;
        return 0;
    case XEN_FW_EFI_RT_VERSION:
        if (!efi.services)
            return E(EOPNOTSUPP);
        u->version = efi.runtime_revision;
        return 0;
    case XEN_FW_EFI_CONFIG_TABLE:
        u->cfg.addr = efi.tables;
        u->cfg.nent = efi.nr_tables;
        return 0;
    case XEN_FW_EFI_VENDOR:
        return vendor(v, u);
    case XEN_FW_EFI_MEM_INFO:
        return mem_info(u);
    case XEN_FW_EFI_PCI_ROM:
    case XEN_FW_EFI_APPLE_PROPERTIES:
        return E(ENOENT);
    default:
        return E(EINVAL);
    }
}

/* --- time --- */

static struct xenpf_efi_time time_out(const struct efi_time *t)
{
    struct xenpf_efi_time out;

    memset(&out, 0, sizeof(out));
    out.year = t->year;
    out.month = t->month;
    out.day = t->day;
    out.hour = t->hour;
    out.min = t->minute;
    out.sec = t->second;
    out.ns = t->nanosecond;
    out.tz = t->time_zone;
    out.daylight = t->daylight;
    return out;
}

static struct efi_time time_in(const struct xenpf_efi_time *t)
{
    return (struct efi_time){ .year = t->year,
                              .month = t->month,
                              .day = t->day,
                              .hour = t->hour,
                              .minute = t->min,
                              .second = t->sec,
                              .nanosecond = t->ns,
                              .time_zone = t->tz,
                              .daylight = t->daylight };
}

static uint64_t ptr(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static long get_time(struct xenpf_efi_runtime_call *c)
{
    struct efi_time_capabilities caps = { 0 };
    struct efi_time t = { 0 };

    if (c->misc)
        return E(EINVAL);
    c->status = efi_call(EFI_GET_TIME, ptr(&t), ptr(&caps), 0, 0, 0);
    if (c->status & EFI_ERROR_BIT)
        return 0;
    c->u.get_time.time = time_out(&t);
    c->u.get_time.resolution = caps.resolution;
    c->u.get_time.accuracy = caps.accuracy;
    c->misc = caps.sets_to_zero ? XEN_EFI_GET_TIME_SET_CLEARS_NS : 0;
    return 0;
}

static long set_time(struct xenpf_efi_runtime_call *c)
{
    struct efi_time t = time_in(&c->u.set_time);

    if (c->misc)
        return E(EINVAL);
    c->status = efi_call(EFI_SET_TIME, ptr(&t), 0, 0, 0, 0);
    return 0;
}

static long get_wakeup_time(struct xenpf_efi_runtime_call *c)
{
    uint8_t enabled = 0, pending = 0;
    struct efi_time t = { 0 };

    if (c->misc)
        return E(EINVAL);
    c->status = efi_call(EFI_GET_WAKEUP_TIME, ptr(&enabled), ptr(&pending), ptr(&t), 0, 0);
    if (c->status & EFI_ERROR_BIT)
        return 0;
    c->u.get_wakeup_time = time_out(&t);
    c->misc = (enabled ? XEN_EFI_GET_WAKEUP_TIME_ENABLED : 0) |
              (pending ? XEN_EFI_GET_WAKEUP_TIME_PENDING : 0);
    return 0;
}

static long set_wakeup_time(struct xenpf_efi_runtime_call *c)
{
    struct efi_time t = time_in(&c->u.set_wakeup_time);
    bool only = c->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY;

    if (c->misc & ~(XEN_EFI_SET_WAKEUP_TIME_ENABLE | XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY))
        return E(EINVAL);
    c->status = efi_call(EFI_SET_WAKEUP_TIME, !!(c->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE),
                         only ? 0 : ptr(&t), 0, 0, 0);
    c->misc = 0;
    return 0;
}

/* --- variables --- */

/* The guest's string with its end, at most `room` bytes; bytes beyond its end are as they were. */
static long read_name(struct vcpu *v, uint16_t *out, gptr_t from, size_t room)
{
    for (size_t i = 0; i < room / 2; i++) {
        if (guest_get(v, &out[i], gptr_add(from, i * 2)))
            return E(EFAULT);
        if (!out[i])
            return 0;
    }
    return E(E2BIG);
}

/* Copied aligned: the firmware may insist on it. */
static void guid_in(uint8_t out[16], const struct xenpf_efi_guid *g)
{
    _Static_assert(sizeof(*g) == 16, "as UEFI has it");
    memcpy(out, g, 16);
}

static long get_variable(struct vcpu *v, struct xenpf_efi_runtime_call *c, uint16_t *name,
                         void *data)
{
    uint8_t guid[16] __attribute__((aligned(8)));
    uint64_t size = MIN(c->u.get_variable.size, DATA_BYTES), room = size;
    uint32_t attr = 0;
    long rc;

    if (c->misc)
        return E(EINVAL);
    rc = read_name(v, name, HANDLE_PTR(c->u.get_variable.name), NAME_BYTES);
    if (rc)
        return rc;
    guid_in(guid, &c->u.get_variable.vendor_guid);
    c->status = efi_call(EFI_GET_VARIABLE, ptr(name), ptr(guid), ptr(&attr), ptr(&size),
                         room ? ptr(data) : 0);
    if (!(c->status & EFI_ERROR_BIT) &&
        guest_write(v, HANDLE_PTR(c->u.get_variable.data), data, MIN(size, room)))
        return E(EFAULT);
    c->misc = attr;
    c->u.get_variable.size = size;
    return 0;
}

static long set_variable(struct vcpu *v, struct xenpf_efi_runtime_call *c, uint16_t *name,
                         void *data)
{
    uint8_t guid[16] __attribute__((aligned(8)));
    uint64_t size = c->u.set_variable.size;
    long rc = read_name(v, name, HANDLE_PTR(c->u.set_variable.name), NAME_BYTES);

    if (rc)
        return rc;
    if (size > DATA_BYTES)
        return E(E2BIG);
    if (size && guest_read(v, data, HANDLE_PTR(c->u.set_variable.data), size))
        return E(EFAULT);
    guid_in(guid, &c->u.set_variable.vendor_guid);
    c->status = efi_call(EFI_SET_VARIABLE, ptr(name), ptr(guid), c->misc, size, ptr(data));
    return 0;
}

static long next_variable(struct vcpu *v, struct xenpf_efi_runtime_call *c, uint16_t *name)
{
    uint8_t guid[16] __attribute__((aligned(8)));
    uint64_t size = MIN(c->u.get_next_variable_name.size, NAME_BYTES), room = size;
    gptr_t at = HANDLE_PTR(c->u.get_next_variable_name.name);
    long rc;

    if (c->misc)
        return E(EINVAL);
    rc = read_name(v, name, at, room);
    if (rc)
        return rc;
    guid_in(guid, &c->u.get_next_variable_name.vendor_guid);
    c->status = efi_call(EFI_GET_NEXT_VARIABLE_NAME, ptr(&size), ptr(name), ptr(guid), 0, 0);
    if (!(c->status & EFI_ERROR_BIT)) {
        if (guest_write(v, at, name, MIN(size, room)))
            return E(EFAULT);
        memcpy(&c->u.get_next_variable_name.vendor_guid, guid, 16);
    }
    c->u.get_next_variable_name.size = size;
    return 0;
}

static long query_info(struct xenpf_efi_runtime_call *c)
{
    uint64_t max = 0, left = 0, one = 0;

    if (c->misc & ~XEN_EFI_VARINFO_BOOT_SNAPSHOT)
        return E(EINVAL);
    if (c->misc) /* as it was at boot: not kept */
        return E(EOPNOTSUPP);
    c->status = efi_call(EFI_QUERY_VARIABLE_INFO, c->u.query_variable_info.attr, ptr(&max),
                         ptr(&left), ptr(&one), 0);
    c->u.query_variable_info.max_store_size = max;
    c->u.query_variable_info.remain_store_size = left;
    c->u.query_variable_info.max_size = one;
    return 0;
}

/* With a name's and a value's worth of memory for the call. */
static long with_variable(struct vcpu *v, struct xenpf_efi_runtime_call *c)
{
    uint16_t *name = frame_alloc_hv();
    void *data = NULL;
    long rc = E(ENOMEM);

    _Static_assert(NAME_BYTES == PAGE_SIZE, "a page");
    if (name && c->function == XEN_EFI_get_next_variable_name)
        rc = next_variable(v, c, name);
    else if (name && (data = frame_alloc_hv_order(DATA_ORDER)))
        rc = c->function == XEN_EFI_get_variable ? get_variable(v, c, name, data)
                                                 : set_variable(v, c, name, data);
    if (data)
        frame_free_hv_order(data, DATA_ORDER);
    if (name)
        frame_free_hv(name);
    return rc;
}

static long next_count(struct xenpf_efi_runtime_call *c)
{
    uint32_t high = 0;

    if (c->misc)
        return E(EINVAL);
    c->status = efi_call(EFI_GET_NEXT_HIGH_MONOTONIC_COUNT, ptr(&high), 0, 0, 0, 0);
    c->misc = high;
    return 0;
}

static long dispatch(struct vcpu *v, struct xenpf_efi_runtime_call *c)
{
    switch (c->function) {
    case XEN_EFI_get_time:
        return get_time(c);
    case XEN_EFI_set_time:
        return set_time(c);
    case XEN_EFI_get_wakeup_time:
        return get_wakeup_time(c);
    case XEN_EFI_set_wakeup_time:
        return set_wakeup_time(c);
    case XEN_EFI_get_next_high_monotonic_count:
        return next_count(c);
    case XEN_EFI_get_variable:
    case XEN_EFI_set_variable:
    case XEN_EFI_get_next_variable_name:
        return with_variable(v, c);
    case XEN_EFI_query_variable_info:
        return query_info(c);
    case XEN_EFI_query_capsule_capabilities:
    case XEN_EFI_update_capsule:
        log_info(
            "Domain 0: firmware updates by capsule are not passed on; install them from a system "
            "that runs without a hypervisor, or from the firmware's own menu");
        return E(EOPNOTSUPP);
    default:
        return E(EINVAL);
    }
}

long platform_efi_call(struct vcpu *v, struct xenpf_efi_runtime_call *c)
{
    uint32_t flags = c->misc;
    long rc;

    if (!efi.started)
        return E(ENOSYS);
    if (!efi.services)
        return E(EOPNOTSUPP);
    hc_charge(PREEMPT_BUDGET); /* how long it takes is the firmware's choice */
    rc = dispatch(v, c);
    if (rc == E(EINVAL))
        log_refusal(v->domain, "efi_runtime_call: function %u is not known, or not its flags %#x",
                    c->function, flags);
    else if (rc == E(E2BIG))
        log_refusal(v->domain,
                    "efi_runtime_call: function %u: a name of more than %u bytes, or a value of "
                    "more than %llu",
                    c->function, NAME_BYTES, DATA_BYTES);
    return rc;
}

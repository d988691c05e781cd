/* SPDX-License-Identifier: MIT */
/*
 * The xen_version hypercall: what this hypervisor is and does. Constants, and what was set at
 * boot; only Domain 0 is told of the host. No locks.
 */
#include "core/hypercall.h"

#include <xen/version.h>

#include "core/version.h"
#include "lib/string.h"
#include "lib/strutil.h"

#ifndef ORLOP_BUILD_DATE
#define ORLOP_BUILD_DATE "unknown"
#endif
#ifndef ORLOP_CHANGESET
#define ORLOP_CHANGESET "unknown"
#endif

const char *hv_command_line = "";

/* A string in a field of fixed size: what lies behind its end is zero. */
static long put_string(struct vcpu *v, unsigned long arg, const char *s, size_t size)
{
    char buf[1024] = "";

    str_copy(buf, s, size);
    return guest_write(v, GPTR(arg), buf, size) ? E(EFAULT) : 0;
}

/* What the host was booted with is the host's business. */
static const char *command_line(const struct domain *d)
{
    return access_host(d) ? hv_command_line : "<denied>";
}

#ifdef XENVER_commandline2 /* since Xen 4.18, whose tools ask for nothing else */
/* A string without its end and without a limit; arg is a length and behind it so many bytes. The
 * result is the string's length, which is all that is asked for without arg. */
static long put_whole(struct vcpu *v, unsigned long arg, const char *s)
{
    size_t size = strlen(s);
    uint32_t room;

    if (arg == 0)
        return (long)size;
    /* untested: compiled with headers of Xen 4.18 and later only */
    if (guest_get(v, &room, GPTR(arg)))
        return E(EFAULT);
    /* untested: compiled with headers of Xen 4.18 and later only */
    if (room < size)
        return E(ENOBUFS);
    return guest_write(v, GPTR(arg + sizeof(room)), s, size) ? E(EFAULT) : (long)size;
}
#endif

static long put_compile_info(struct vcpu *v, unsigned long arg)
{
    struct xen_compile_info info = { 0 };

    str_copy(info.compiler, "gcc " __VERSION__, sizeof(info.compiler));
    str_copy(info.compile_by, "orlop", sizeof(info.compile_by));
    str_copy(info.compile_domain, "localdomain", sizeof(info.compile_domain));
    str_copy(info.compile_date, ORLOP_BUILD_DATE, sizeof(info.compile_date));
    return guest_put(v, GPTR(arg), &info) ? E(EFAULT) : 0;
}

static long get_features(struct vcpu *v, unsigned long arg)
{
    struct xen_feature_info fi;

    if (guest_get(v, &fi, GPTR(arg)))
        return E(EFAULT);
    if (fi.submap_idx >= XENFEAT_NR_SUBMAPS)
        return E(EINVAL);
    fi.submap = v->domain->ops->features(v->domain, fi.submap_idx);
    return guest_put(v, GPTR(arg), &fi) ? E(EFAULT) : 0;
}

static long put_parameters(struct vcpu *v, unsigned long arg)
{
    struct xen_platform_parameters p = { .virt_start = arch_virt_start() };

    return guest_put(v, GPTR(arg), &p) ? E(EFAULT) : 0;
}

long hc_xen_version(struct vcpu *v, const struct hc_args *args)
{
    unsigned long cmd = args->a[0];
    unsigned long arg = args->a[1];
    struct domain *d = v->domain;

    /* First, since Linux calls it just to have pending events looked at. */
    if (__builtin_expect((uint32_t)cmd == XENVER_version, 1))
        return XEN_ABI_VERSION;
    switch ((uint32_t)cmd) {
    case XENVER_extraversion:
        return put_string(v, arg, ORLOP_EXTRAVERSION, XEN_EXTRAVERSION_LEN);
    case XENVER_compile_info:
        return put_compile_info(v, arg);
    case XENVER_capabilities:
        return put_string(v, arg, arch_capabilities(), XEN_CAPABILITIES_INFO_LEN);
    case XENVER_changeset:
        return put_string(v, arg, ORLOP_CHANGESET, XEN_CHANGESET_INFO_LEN);
    case XENVER_platform_parameters:
        return put_parameters(v, arg);
    case XENVER_get_features:
        return get_features(v, arg);
    case XENVER_pagesize:
        return arg ? E(EINVAL) : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return guest_write(v, GPTR(arg), d->handle, sizeof(d->handle)) ? E(EFAULT) : 0;
    case XENVER_commandline:
        return put_string(v, arg, command_line(d), sizeof(xen_commandline_t));
    case XENVER_build_id:
        return access_host(d) ? E(ENODATA) : E(EPERM);
#ifdef XENVER_commandline2
    case XENVER_extraversion2:
        return put_whole(v, arg, ORLOP_EXTRAVERSION);
    case XENVER_capabilities2:
        return put_whole(v, arg, arch_capabilities());
    case XENVER_changeset2:
        return put_whole(v, arg, ORLOP_CHANGESET);
    case XENVER_commandline2:
        return put_whole(v, arg, command_line(d));
#endif
    default:
        return E(ENOSYS);
    }
}

long hc_vm_assist(struct vcpu *v, const struct hc_args *args)
{
    unsigned long cmd = args->a[0];
    unsigned long type = args->a[1];
    struct domain *d = v->domain;
    uint64_t bit;

    cmd = (uint32_t)cmd;
    type = (uint32_t)type;
    if (type >= 64 || !(d->ops->vm_assist >> type & 1))
        return E(EINVAL);
    bit = BIT64(type);
    if (cmd == VMASST_CMD_enable)
        __atomic_fetch_or(&d->vm_assist, bit, __ATOMIC_RELAXED);
    else if (cmd == VMASST_CMD_disable)
        __atomic_fetch_and(&d->vm_assist, ~bit, __ATOMIC_RELAXED);
    else
        return E(ENOSYS);
    if (d->ops->vm_assist_changed)
        d->ops->vm_assist_changed(d);
    return 0;
}

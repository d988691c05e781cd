/* SPDX-License-Identifier: MIT */
/*
 * platform_op's UEFI (x86/hypercall/efi.c) on firmware that is a stand-in: what it tells, what is
 * passed on and comes back, and that nothing is passed on that is refused.
 */
#include "unit.h"

#include "core/hypercall.h"

#include <xen/errno.h>
#include <xen/platform.h>

#include "core/log.h"
#include "x86/boot/boot.h"
#include "x86/efi/efi.h"
#include "x86/hypercall/efi.h"

#define LARGEST (128u << 10) /* of a variable's value */
#define NOWHERE ((void *)8)

struct efi_facts efi;
struct boot_info boot_info;

static struct domain d;
static struct vcpu v;
static struct pcpu pcpu;
static bool read_only, no_memory;
static unsigned int pages;

/* The last call of the firmware, how many there were, what it answers and what it gives. */
static enum efi_service service;
static uint64_t args[5], answer;
static unsigned int calls;
static uint16_t name_seen[64];
static uint8_t value_seen[16];

static const uint16_t name[] = { 'B', 'o', 'o', 't', 0 }, next[] = { 'L', 'a', 'n', 'g', 0 };
static uint8_t value[2 * LARGEST];

/* --- stand-ins --- */

static int copy_from(struct vcpu *c, void *dst, gptr_t src, size_t n)
{
    (void)c;
    if (src.v < 4096)
        return -XEN_EFAULT;
    memcpy(dst, (const void *)src.v, n);
    return 0;
}

static int copy_to(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    (void)c;
    if (read_only || dst.v < 4096)
        return -XEN_EFAULT;
    memcpy((void *)dst.v, src, n);
    return 0;
}

static const struct guest_ops ops = { .copy_from = copy_from, .copy_to = copy_to };

void log_msg(enum log_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}

void log_refusal(struct domain *by, const char *fmt, ...)
{
    (void)by, (void)fmt;
}

struct pcpu *arch_this_cpu(void)
{
    return &pcpu;
}

void *frame_alloc_hv_order(unsigned int order)
{
    pages += !no_memory;
    return no_memory ? NULL : calloc(1, PAGE_SIZE << order);
}

void *frame_alloc_hv(void)
{
    return frame_alloc_hv_order(0);
}

void frame_free_hv_order(void *p, unsigned int order)
{
    (void)order;
    pages--;
    free(p);
}

void frame_free_hv(void *p)
{
    frame_free_hv_order(p, 0);
}

static void put(uint64_t at, const void *what, size_t n)
{
    memcpy((void *)at, what, n);
}

uint64_t efi_call(enum efi_service which, uint64_t a, uint64_t b, uint64_t c, uint64_t e,
                  uint64_t f)
{
    calls++;
    service = which;
    args[0] = a, args[1] = b, args[2] = c, args[3] = e, args[4] = f;
    if (answer & EFI_ERROR_BIT)
        return answer;
    if (which == EFI_GET_TIME) {
        ((struct efi_time *)a)->year = 2026;
        ((struct efi_time_capabilities *)b)->sets_to_zero = 1;
    } else if (which == EFI_SET_TIME) {
        args[0] = ((struct efi_time *)a)->year;
    } else if (which == EFI_SET_WAKEUP_TIME) {
        args[1] = b ? ((struct efi_time *)b)->hour : 99;
    } else if (which == EFI_GET_WAKEUP_TIME) {
        *(uint8_t *)a = 1;
        ((struct efi_time *)c)->minute = 17;
    } else if (which == EFI_GET_VARIABLE) {
        put((uint64_t)name_seen, (void *)a, sizeof(name));
        *(uint32_t *)c = 7;
        *(uint64_t *)e = 4;
        put(f, "data", 4);
    } else if (which == EFI_SET_VARIABLE) {
        put((uint64_t)name_seen, (void *)a, sizeof(name));
        put((uint64_t)value_seen, (void *)f, sizeof(value_seen));
    } else if (which == EFI_GET_NEXT_VARIABLE_NAME) {
        *(uint64_t *)a = sizeof(next);
        put(b, next, sizeof(next));
        memset((void *)c, 0x55, 16);
    } else if (which == EFI_QUERY_VARIABLE_INFO) {
        *(uint64_t *)b = 1000;
        *(uint64_t *)c = 600;
        *(uint64_t *)e = 500;
    } else if (which == EFI_GET_NEXT_HIGH_MONOTONIC_COUNT) {
        *(uint32_t *)a = 9;
    }
    return answer;
}

/* --- the tests --- */

__attribute__((constructor)) static void begin(void)
{
    d.ops = &ops;
    v.domain = &d;
    efi = (struct efi_facts){
        .started = true, .services = true, .revision = 0x20046, .runtime_revision = 0x20032
    };
    memset(value, 0x77, sizeof(value));
}

static struct xenpf_efi_runtime_call c;

static long call(uint32_t function, uint32_t misc)
{
    long rc;

    c.function = function;
    c.misc = misc;
    calls = 0;
    rc = platform_efi_call(&v, &c);
    CHECK_EQ(pages, 0);
    CHECK(calls == 1 || (rc != 0 && calls == 0) || rc == E(EFAULT));
    return rc;
}

/* Refused, and the firmware has not heard of it. */
static void refused(uint32_t function, uint32_t misc, long why)
{
    CHECK_EQ(call(function, misc), why);
    CHECK_EQ(calls, 0);
}

static long info(uint32_t index, struct xenpf_firmware_info *i)
{
    i->index = index;
    return platform_efi_info(&v, i);
}

TEST(what_it_tells)
{
    static const struct {
        uint32_t type, pad;
        uint64_t start, virtual_start, pages, attr;
    } map[] = { { EFI_RUNTIME_DATA, 0, 0x7f000000, 0, 16, EFI_ATTR_WB } };
    struct xenpf_firmware_info i = { .u.efi_info.mem = { .addr = 0x7f001000, .size = 1 << 20 } };

    boot_info.efi_map = (struct efi_map){ map, sizeof(map), sizeof(map[0]) };
    CHECK_EQ(info(XEN_FW_EFI_MEM_INFO, &i), 0);
    CHECK_EQ(i.u.efi_info.mem.size, 0xf000);
    CHECK_EQ(i.u.efi_info.mem.type, EFI_RUNTIME_DATA);
    i.u.efi_info.mem.addr = 0x1000;
    CHECK_EQ(info(XEN_FW_EFI_MEM_INFO, &i), E(ESRCH));
    CHECK_EQ(info(XEN_FW_EFI_PCI_ROM, &i), E(ENOENT));
    CHECK_EQ(info(99, &i), E(EINVAL));
    CHECK_EQ(info(XEN_FW_EFI_RT_VERSION, &i), 0);
    CHECK_EQ(i.u.efi_info.version, 0x20032);
    efi.services = false;
    CHECK_EQ(info(XEN_FW_EFI_RT_VERSION, &i), E(EOPNOTSUPP));
    CHECK_EQ(info(XEN_FW_EFI_VERSION, &i), 0);
    efi.started = false;
    CHECK_EQ(info(XEN_FW_EFI_VERSION, &i), E(ESRCH));
    efi.started = efi.services = true;
}

TEST(nothing_to_call)
{
    efi.services = false;
    refused(XEN_EFI_get_time, 0, E(EOPNOTSUPP));
    efi.started = false;
    refused(XEN_EFI_get_time, 0, E(ENOSYS));
    efi.started = efi.services = true;
    refused(99, 0, E(EINVAL));
    refused(XEN_EFI_update_capsule, 0, E(EOPNOTSUPP));
}

TEST(times)
{
    refused(XEN_EFI_get_time, 1, E(EINVAL));
    CHECK_EQ(call(XEN_EFI_get_time, 0), 0);
    CHECK_EQ(c.u.get_time.time.year, 2026);
    CHECK_EQ(c.misc, XEN_EFI_GET_TIME_SET_CLEARS_NS);
    c.u.set_time.year = 2031;
    refused(XEN_EFI_set_time, 1, E(EINVAL));
    CHECK_EQ(call(XEN_EFI_set_time, 0), 0);
    CHECK_EQ(args[0], 2031);
    refused(XEN_EFI_get_wakeup_time, 1, E(EINVAL));
    CHECK_EQ(call(XEN_EFI_get_wakeup_time, 0), 0);
    CHECK_EQ(c.u.get_wakeup_time.min, 17);
    CHECK_EQ(c.misc, XEN_EFI_GET_WAKEUP_TIME_ENABLED);
    refused(XEN_EFI_set_wakeup_time, 4, E(EINVAL));
    c.u.set_wakeup_time.hour = 6;
    CHECK_EQ(call(XEN_EFI_set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE), 0);
    CHECK(args[0] == 1 && args[1] == 6);
    CHECK_EQ(call(XEN_EFI_set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY), 0);
    CHECK(args[0] == 0 && args[1] == 99);
    refused(XEN_EFI_get_next_high_monotonic_count, 1, E(EINVAL));
    CHECK_EQ(call(XEN_EFI_get_next_high_monotonic_count, 0), 0);
    CHECK_EQ(c.misc, 9);
    answer = EFI_UNSUPPORTED; /* which is told, and nothing else */
    c.u.get_time.time.year = 1;
    CHECK_EQ(call(XEN_EFI_get_time, 0), 0);
    CHECK(c.status == EFI_UNSUPPORTED && c.u.get_time.time.year == 1);
    answer = 0;
}

TEST(a_variable_is_read)
{
    uint8_t out[8] = { 0 };

    memset(&c, 0, sizeof(c));
    c.u.get_variable.name.p = (void *)name;
    c.u.get_variable.data.p = out;
    c.u.get_variable.size = 6;
    refused(XEN_EFI_get_variable, 1, E(EINVAL));
    CHECK_EQ(call(XEN_EFI_get_variable, 0), 0);
    CHECK(memcmp(name_seen, name, sizeof(name)) == 0 && memcmp(out, "data", 5) == 0);
    CHECK(c.u.get_variable.size == 4 && c.misc == 7);
    read_only = true;
    CHECK_EQ(call(XEN_EFI_get_variable, 0), E(EFAULT));
    answer = EFI_BUFFER_TOO_SMALL; /* then there is nothing to write */
    CHECK_EQ(call(XEN_EFI_get_variable, 0), 0);
    answer = 0;
    read_only = false;
    c.u.get_variable.name.p = NOWHERE;
    refused(XEN_EFI_get_variable, 0, E(EFAULT));
    c.u.get_variable.name.p = (void *)value; /* without an end */
    refused(XEN_EFI_get_variable, 0, E(E2BIG));
    c.u.get_variable.name.p = (void *)name;
    no_memory = true;
    refused(XEN_EFI_get_variable, 0, E(ENOMEM));
    no_memory = false;
}

TEST(a_variable_is_written)
{
    memset(&c, 0, sizeof(c));
    c.u.set_variable.name.p = (void *)name;
    c.u.set_variable.data.p = value;
    c.u.set_variable.size = LARGEST;
    CHECK_EQ(call(XEN_EFI_set_variable, 3), 0);
    CHECK_EQ(service, EFI_SET_VARIABLE);
    CHECK(args[2] == 3 && args[3] == LARGEST && value_seen[0] == 0x77);
    c.u.set_variable.size = LARGEST + 1;
    refused(XEN_EFI_set_variable, 3, E(E2BIG));
    c.u.set_variable.size = 4;
    c.u.set_variable.data.p = NOWHERE;
    refused(XEN_EFI_set_variable, 3, E(EFAULT));
    c.u.set_variable.size = 0; /* it is to go: there is nothing to read */
    CHECK_EQ(call(XEN_EFI_set_variable, 3), 0);
}

TEST(the_next_name)
{
    uint16_t at[64];

    memset(&c, 0, sizeof(c));
    memcpy(at, name, sizeof(name));
    c.u.get_next_variable_name.name.p = at;
    c.u.get_next_variable_name.size = sizeof(at);
    refused(XEN_EFI_get_next_variable_name, 1, E(EINVAL));
    answer = EFI_BUFFER_TOO_SMALL;
    CHECK_EQ(call(XEN_EFI_get_next_variable_name, 0), 0);
    CHECK(memcmp(at, name, sizeof(name)) == 0 && !c.u.get_next_variable_name.vendor_guid.data1);
    answer = 0;
    c.u.get_next_variable_name.size = sizeof(at);
    CHECK_EQ(call(XEN_EFI_get_next_variable_name, 0), 0);
    CHECK_EQ(memcmp(at, next, sizeof(next)), 0);
    CHECK_EQ(c.u.get_next_variable_name.size, sizeof(next));
    CHECK_EQ(c.u.get_next_variable_name.vendor_guid.data1, 0x55555555);
    c.u.get_next_variable_name.size = sizeof(at);
    read_only = true;
    CHECK_EQ(call(XEN_EFI_get_next_variable_name, 0), E(EFAULT));
    read_only = false;
}

TEST(how_much_there_is)
{
    refused(XEN_EFI_query_variable_info, 2, E(EINVAL));
    refused(XEN_EFI_query_variable_info, XEN_EFI_VARINFO_BOOT_SNAPSHOT, E(EOPNOTSUPP));
    CHECK_EQ(call(XEN_EFI_query_variable_info, 0), 0);
    CHECK(c.u.query_variable_info.max_store_size == 1000 &&
          c.u.query_variable_info.remain_store_size == 600 &&
          c.u.query_variable_info.max_size == 500);
}

/* SPDX-License-Identifier: MIT */
/*
 * Asks UEFI by platform_op what Linux 6.1 does not ask on x86: the clock, the memory map, limits;
 * and what must be refused. Prints each answer that is wrong; exit code 1 if any was.
 */
#define __XEN_TOOLS__ 1
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <xen/xen.h>
#include <xen/platform.h>

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))
#define CALL(op) ((op)->u.efi_runtime_call)
#define INFO(op) ((op)->u.firmware_info)
#define ERROR (1ull << 63)
#define TOO_SMALL (ERROR | 5)
#define NOT_FOUND (ERROR | 14)

struct privcmd_hypercall {
    uint64_t op, arg[5];
};

static int fd, bad;
static struct xen_platform_op op;
static uint16_t name[2048];

static int call(void)
{
    struct privcmd_hypercall c = { .op = __HYPERVISOR_platform_op, .arg = { (uintptr_t)&op } };

    op.interface_version = XENPF_INTERFACE_VERSION;
    return ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &c) < 0 ? -errno : 0;
}

static int service(uint32_t function)
{
    op.cmd = XENPF_efi_runtime_call;
    CALL(&op).function = function;
    return call();
}

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("eficall: wrong: %s\n", what);
        bad = 1;
    }
}

/* The firmware's clock is the machine's, and Linux's was set by it. */
static void clock_times(void)
{
    time_t now = time(NULL);
    struct tm tm;

    memset(&op, 0, sizeof(op));
    check(!service(XEN_EFI_get_time) && !CALL(&op).status, "GetTime");
    struct xenpf_efi_time t = CALL(&op).u.get_time.time;
    memset(&tm, 0, sizeof(tm));
    tm.tm_year = t.year - 1900;
    tm.tm_mon = t.month - 1;
    tm.tm_mday = t.day;
    tm.tm_hour = t.hour;
    tm.tm_min = t.min;
    tm.tm_sec = t.sec;
    double apart = difftime(timegm(&tm), now);
    check(apart > -300 && apart < 300, "the firmware's clock is not Linux's");
    printf("eficall: the firmware's clock says %u-%02u-%02u %02u:%02u:%02u\n", t.year, t.month,
           t.day, t.hour, t.min, t.sec);
    memset(&op, 0, sizeof(op));
    CALL(&op).u.set_time = t;
    check(!service(XEN_EFI_set_time) && !CALL(&op).status, "SetTime");
    memset(&op, 0, sizeof(op));
    CALL(&op).misc = 8;
    check(service(XEN_EFI_get_time) == -EINVAL, "unknown flags are taken");
}

static void variables(void)
{
    unsigned int n = 0, too_small = 0;

    memset(&op, 0, sizeof(op));
    memset(name, 0, sizeof(name));
    for (; n < 1000; n++) {
        CALL(&op).u.get_next_variable_name.size = sizeof(name);
        CALL(&op).u.get_next_variable_name.name.p = name;
        if (service(XEN_EFI_get_next_variable_name) || (CALL(&op).status & ERROR))
            break;
        struct xenpf_efi_guid g = CALL(&op).u.get_next_variable_name.vendor_guid;
        memset(&op, 0, sizeof(op));
        CALL(&op).u.get_variable.name.p = name;
        CALL(&op).u.get_variable.vendor_guid = g;
        if (!service(XEN_EFI_get_variable) && CALL(&op).status == TOO_SMALL &&
            CALL(&op).u.get_variable.size)
            too_small++;
        memset(&op, 0, sizeof(op));
        CALL(&op).u.get_next_variable_name.vendor_guid = g;
    }
    check(n >= 10 && n < 1000 && too_small == n, "the list of variables");
    printf("eficall: %u variables\n", n);
    memset(&op, 0, sizeof(op));
    memset(name, 'a', sizeof(name)); /* no end within what a name may have */
    CALL(&op).u.set_variable.name.p = name;
    check(service(XEN_EFI_set_variable) == -E2BIG, "a name without end");
    memset(&op, 0, sizeof(op));
    memset(name, 0, sizeof(name));
    CALL(&op).u.set_variable.name.p = name;
    CALL(&op).u.set_variable.size = 1ul << 40;
    check(service(XEN_EFI_set_variable) == -E2BIG, "a value of 1 TiB");
    memset(&op, 0, sizeof(op));
    CALL(&op).u.query_variable_info.attr = 7;
    check(!service(XEN_EFI_query_variable_info) && !CALL(&op).status &&
              CALL(&op).u.query_variable_info.max_store_size,
          "QueryVariableInfo");
    memset(&op, 0, sizeof(op));
    check(service(XEN_EFI_update_capsule) == -EOPNOTSUPP, "capsules are not refused");
    check(service(77) == -EINVAL, "a service that is none");
}

/* The one that the task `efi` wrote by Linux: read, removed, gone. */
static void ours(void)
{
    static const struct xenpf_efi_guid guid = {
        0x5c2b1f1e, 0x8a1d, 0x4f3f, { 0x9d, 0x0a, 0x6f, 0x72, 0x6c, 0x6f, 0x70, 1 }
    };
    static const char text[] = "OrlopTest", value[] = "a value of ours";
    static char data[64];

    mlock(data, sizeof(data));
    for (unsigned int i = 0; i < sizeof(text); i++)
        name[i] = (uint8_t)text[i];
    for (int round = 0; round < 2; round++) {
        memset(&op, 0, sizeof(op));
        CALL(&op).u.get_variable.name.p = name;
        CALL(&op).u.get_variable.vendor_guid = guid;
        CALL(&op).u.get_variable.size = sizeof(data);
        CALL(&op).u.get_variable.data.p = data;
        check(!service(XEN_EFI_get_variable), "GetVariable");
        if (round) {
            check(CALL(&op).status == NOT_FOUND, "a removed variable is there");
            break;
        }
        check(!CALL(&op).status && CALL(&op).misc == 7 &&
                  CALL(&op).u.get_variable.size == sizeof(value) - 1 &&
                  !memcmp(data, value, sizeof(value) - 1),
              "the variable that Linux wrote");
        memset(&op, 0, sizeof(op));
        CALL(&op).u.set_variable.name.p = name;
        CALL(&op).u.set_variable.vendor_guid = guid;
        CALL(&op).misc = 7;
        check(!service(XEN_EFI_set_variable) && !CALL(&op).status, "its removal");
    }
}

static int info(uint32_t index)
{
    op.cmd = XENPF_firmware_info;
    INFO(&op).type = XEN_FW_EFI_INFO;
    INFO(&op).index = index;
    return call();
}

static void facts(void)
{
    memset(&op, 0, sizeof(op));
    check(!info(XEN_FW_EFI_VERSION) && INFO(&op).u.efi_info.version >= 0x20000, "version");
    check(!info(XEN_FW_EFI_RT_VERSION) && INFO(&op).u.efi_info.version >= 0x20000,
          "its services' version");
    memset(&op, 0, sizeof(op));
    check(!info(XEN_FW_EFI_CONFIG_TABLE) && INFO(&op).u.efi_info.cfg.nent, "tables");
    uint64_t at = INFO(&op).u.efi_info.cfg.addr;
    memset(&op, 0, sizeof(op));
    INFO(&op).u.efi_info.mem.addr = at;
    INFO(&op).u.efi_info.mem.size = UINT64_MAX - at;
    check(!info(XEN_FW_EFI_MEM_INFO) && INFO(&op).u.efi_info.mem.type == 6 &&
              (INFO(&op).u.efi_info.mem.attr & ERROR) && INFO(&op).u.efi_info.mem.size < 1ull << 32,
          "the tables lie in runtime data");
    INFO(&op).u.efi_info.mem.addr = 1ull << 50;
    check(info(XEN_FW_EFI_MEM_INFO) == -ESRCH, "memory beyond all");
    memset(&op, 0, sizeof(op));
    memset(name, 0xff, sizeof(name));
    INFO(&op).u.efi_info.vendor.bufsz = 4 * sizeof(name[0]);
    INFO(&op).u.efi_info.vendor.name.p = name;
    check(!info(XEN_FW_EFI_VENDOR) && name[0] >= ' ' && !name[3] && name[4] == 0xffff, "vendor");
    check(info(XEN_FW_EFI_PCI_ROM) == -ENOENT && info(99) == -EINVAL, "what is not there");
}

int main(void)
{
    fd = open("/dev/xen/privcmd", O_RDWR);
    mlock(&op, sizeof(op));
    mlock(name, sizeof(name));
    facts();
    clock_times();
    ours();
    variables();
    if (!bad)
        puts("eficall: all right");
    return bad;
}

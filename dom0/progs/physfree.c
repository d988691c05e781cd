/* SPDX-License-Identifier: MIT */
/* physfree: the pages that the hypervisor has free, those still being scrubbed included. */
#define __XEN_TOOLS__ 1
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/sysctl.h>

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

struct privcmd_hypercall {
    uint64_t op, arg[5];
};

int main(void)
{
    static struct xen_sysctl op;
    struct privcmd_hypercall call = { .op = __HYPERVISOR_sysctl, .arg = { (uintptr_t)&op } };
    int fd = open("/dev/xen/privcmd", O_RDWR);

    mlock(&op, sizeof(op));
    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    if (fd < 0 || ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
        perror("physfree");
        return 1;
    }
    printf("%llu\n", (unsigned long long)(op.u.physinfo.free_pages + op.u.physinfo.scrub_pages));
    return 0;
}

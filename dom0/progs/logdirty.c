/* SPDX-License-Identifier: MIT */
/* logdirty DOMID on|off: the hypervisor logs what this guest writes, as while it is migrated. */
#define __XEN_TOOLS__ 1
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/domctl.h>
#include <xen/xen.h>

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

struct privcmd_hypercall {
    uint64_t op, arg[5];
};

int main(int argc, char **argv)
{
    static struct xen_domctl op;
    struct privcmd_hypercall call = { .op = __HYPERVISOR_domctl, .arg = { (uintptr_t)&op } };
    int fd = open("/dev/xen/privcmd", O_RDWR);

    if (argc != 3)
        return 2;
    mlock(&op, sizeof(op));
    op.cmd = XEN_DOMCTL_shadow_op;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = (domid_t)atoi(argv[1]);
    op.u.shadow_op.op = !strcmp(argv[2], "on") ? XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY
                                               : XEN_DOMCTL_SHADOW_OP_OFF;
    if (fd < 0 || ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
        perror("logdirty");
        return 1;
    }
    return 0;
}

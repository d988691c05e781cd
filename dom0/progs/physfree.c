/* SPDX-License-Identifier: MIT */
/*
 * physfree: the pages that the hypervisor has free, those still being scrubbed included.
 * physfree owned: those and what domains own; what is lacking afterwards is the hypervisor's.
 */
#define __XEN_TOOLS__ 1
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/sysctl.h>

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

struct privcmd_hypercall {
    uint64_t op, arg[5];
};

static int fd;

static void sysctl(struct xen_sysctl *op)
{
    struct privcmd_hypercall call = { .op = __HYPERVISOR_sysctl, .arg = { (uintptr_t)op } };

    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    if (fd < 0 || ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
        perror("physfree");
        exit(1);
    }
}

static uint64_t owned_pages(struct xen_sysctl *op)
{
    static xen_domctl_getdomaininfo_t info[64];
    uint64_t sum = 0;

    mlock(info, sizeof(info));
    memset(info, 0, sizeof(info));
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_SYSCTL_getdomaininfolist;
    op->u.getdomaininfolist.max_domains = 64;
    op->u.getdomaininfolist.buffer.p = info;
    sysctl(op);
    for (unsigned int i = 0; i < op->u.getdomaininfolist.num_domains; i++)
        sum += info[i].tot_pages;
    return sum;
}

int main(int argc, char **argv)
{
    static struct xen_sysctl op;
    uint64_t pages;

    fd = open("/dev/xen/privcmd", O_RDWR);
    mlock(&op, sizeof(op));
    op.cmd = XEN_SYSCTL_physinfo;
    sysctl(&op);
    pages = op.u.physinfo.free_pages + op.u.physinfo.scrub_pages;
    if (argc > 1 && !strcmp(argv[1], "owned"))
        pages += owned_pages(&op);
    printf("%llu\n", (unsigned long long)pages);
    return 0;
}

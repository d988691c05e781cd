/* SPDX-License-Identifier: MIT */
/*
 * dmprobe PID OTHER: what could be done with a process's handles to the hypervisor. For each of
 * them a line: its device, and why a call about the domain OTHER is refused ("works" if it is not).
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>

/* Any hypercall (here: xen_version's first) goes beyond one domain; so does a port for another. */
static int attempt(int fd, const char *device, domid_t other)
{
    privcmd_hypercall_t call = { .op = __HYPERVISOR_xen_version };
    struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = other };

    if (strcmp(device, "privcmd") == 0 || strcmp(device, "hypercall") == 0)
        return ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call);
    if (strcmp(device, "evtchn") == 0)
        return ioctl(fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);
    return 0;
}

int main(int argc, char **argv)
{
    int pidfd = argc == 3 ? (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0) : -1;
    char path[64], what[256];
    struct dirent *d;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/fd", argc == 3 ? argv[1] : "self");
    dir = opendir(path);
    if (pidfd < 0 || !dir) {
        fprintf(stderr, "dmprobe PID OTHER\n");
        return 2;
    }
    while ((d = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), d->d_name, what, sizeof(what) - 1);
        int fd;

        what[n > 0 ? n : 0] = '\0';
        if (strncmp(what, "/dev/xen/", 9) != 0)
            continue;
        fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(d->d_name), 0);
        printf("%s: %s\n", what + 9,
               fd < 0                                              ? "not to be had"
               : attempt(fd, what + 9, (domid_t)atoi(argv[2])) < 0 ? strerror(errno)
                                                                   : "works");
        close(fd);
    }
    return 0;
}

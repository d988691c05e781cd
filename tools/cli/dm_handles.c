/* SPDX-License-Identifier: MIT */
/* See dm_handles.h. A restriction is the open file's: it holds for all descriptors of it, also for
 * the copies that are taken here. */
#define _GNU_SOURCE
#include "tools/cli/dm_handles.h"
#include "tools/lib/error.h"

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

#define DEVICES "/dev/xen/"

/* One descriptor of the process, of this device. 0 or -errno. */
static int restrict_one(int pidfd, int fd, const char *device, domid_t domid)
{
    struct ioctl_evtchn_restrict_domid of = { .domid = domid };
    int copy, rc = -EOPNOTSUPP;

    if (strcmp(device, "hypercall") == 0)
        return 0; /* memory for calls' arguments is all that it gives */
    copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0)
        return -errno;
    if (strcmp(device, "privcmd") == 0)
        rc = ioctl(copy, IOCTL_PRIVCMD_RESTRICT, &domid) ? -errno : 0;
    else if (strcmp(device, "evtchn") == 0)
        rc = ioctl(copy, IOCTL_EVTCHN_RESTRICT_DOMID, &of) ? -errno : 0;
    close(copy);
    return rc;
}

static int restrict_all(int pidfd, DIR *dir, domid_t domid, char what[64])
{
    struct dirent *d;
    int rc = 0;

    while (rc == 0 && (d = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), d->d_name, what, 63);

        if (n < 0)
            continue;
        what[n] = '\0';
        if (strncmp(what, DEVICES, strlen(DEVICES)) == 0)
            rc = restrict_one(pidfd, atoi(d->d_name), what + strlen(DEVICES), domid);
    }
    return rc;
}

int dm_restrict_handles(pid_t pid, unsigned int domid, struct error *e)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), rc;
    char path[64], what[64] = "";
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    rc = pidfd < 0 || !dir ? -errno : restrict_all(pidfd, dir, (domid_t)domid, what);
    if (dir)
        closedir(dir);
    if (pidfd >= 0)
        close(pidfd);
    return rc ? error_sys(e, -rc, NULL, "restricting its device model's handle %s", what) : 0;
}

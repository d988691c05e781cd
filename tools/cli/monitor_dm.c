/* SPDX-License-Identifier: MIT */
/*
 * A descriptor for each device model tells its end, whoever its parent is, and whether or not that
 * waits for it. Nothing here outlives the monitor that matters: another one finds the processes
 * again by xenstore. One thread, no locks.
 */
#define _GNU_SOURCE
#include "tools/cli/monitor_dm.h"
#include "tools/cli/device_model.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/monitor_act.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/sched.h>

struct watched {
    domid_t domid;
    uint8_t handle[16];
    int fd; /* of its process */
    bool seen;
};

static struct {
    struct watched *list;
    unsigned int n;
} dm;

static struct watched *find(const struct xen_domctl_getdomaininfo *info)
{
    for (unsigned int i = 0; i < dm.n; i++) {
        if (dm.list[i].domid == info->domain && memcmp(dm.list[i].handle, info->handle, 16) == 0)
            return &dm.list[i];
    }
    return NULL;
}

/* The number may have become another process's between the two looks at it. */
static bool begin(struct store *s, const struct xen_domctl_getdomaininfo *info, int pid)
{
    struct watched w = { .domid = info->domain, .seen = true };

    memcpy(w.handle, info->handle, 16);
    w.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (w.fd < 0 && errno != ESRCH)
        return true; /* it is our trouble, not the guest's: the next look may be luckier */
    if (w.fd < 0 || dm_pid(s, info->domain) != pid) {
        if (w.fd >= 0)
            close(w.fd);
        return false;
    }
    dm.list = mem_grow(dm.list, (dm.n + 1) * sizeof(*dm.list));
    dm.list[dm.n++] = w;
    return true;
}

static bool ended(const struct watched *w)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static void end_guest(struct host *h, const struct xen_domctl_getdomaininfo *info)
{
    struct sched_remote_shutdown *r = xen_buf(h->xen, sizeof(*r));
    char name[NAME_SIZE];
    long rc;

    name_of(&h->store, info->domain, name);
    *r = (struct sched_remote_shutdown){ .domain_id = info->domain, .reason = SHUTDOWN_crash };
    rc = xen_call(h->xen, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, (uintptr_t)r, 0, 0);
    xen_buf_free(h->xen, r);
    monitor_log(
        "%s: its device model (QEMU) has ended, and with it the guest%s -- its log is " DM_LOGS
        "/%s.log",
        name, rc ? ", which could not be stopped" : "", name);
}

/* One that is not to be found belongs to a guest that is just being made, as long as that is
 * paused: its process is noted before it becomes QEMU. */
bool monitor_dm_look(struct host *h, const struct xen_domctl_getdomaininfo *info)
{
    struct watched *w;
    int pid;

    if (!(info->flags & XEN_DOMINF_hvm_guest))
        return true;
    w = find(info);
    if (w) {
        w->seen = true;
        if (ended(w))
            end_guest(h, info);
        return true;
    }
    pid = dm_pid(&h->store, info->domain);
    if (pid == 0 || (pid > 0 && begin(&h->store, info, pid)))
        return true;
    if (info->flags & XEN_DOMINF_paused)
        return false;
    end_guest(h, info);
    return true;
}

void monitor_dm_sweep(void)
{
    unsigned int kept = 0;

    for (unsigned int i = 0; i < dm.n; i++) {
        if (dm.list[i].seen && !ended(&dm.list[i])) {
            dm.list[kept] = dm.list[i];
            dm.list[kept++].seen = false;
        } else {
            close(dm.list[i].fd);
        }
    }
    dm.n = kept;
}

unsigned int monitor_dm_fds(struct pollfd *p, unsigned int max)
{
    unsigned int n = dm.n < max ? dm.n : max;

    for (unsigned int i = 0; i < n; i++)
        p[i] = (struct pollfd){ .fd = dm.list[i].fd, .events = POLLIN };
    return n;
}

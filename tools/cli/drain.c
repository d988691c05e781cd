/* SPDX-License-Identifier: MIT */
/*
 * Rings of disks (<xen/io/ring.h>): the frontend counts its requests in the first word of the ring,
 * the backend its answers in the third, and it answers when the request is done. The guest stands
 * still, so no request comes any more. A guest that writes lies there harms only itself: it is
 * never migrated, or its own late write hits its own disk.
 */
#include "tools/cli/drain.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xengnttab.h>

#define LOOK_AGAIN_NS 2000000
#define MAX_QUEUES 64
enum { REQ_PROD = 0, RSP_PROD = 2 };

struct drain {
    struct host *h;
    xengnttab_handle *gnt;
    unsigned int domid;
    int64_t deadline;
    struct error *e;
};

static int await_ring(struct drain *d, const char *disk, uint32_t ref)
{
    const volatile uint32_t *ring = xengnttab_map_grant_ref(d->gnt, d->domid, ref, PROT_READ);
    int rc = 0;

    if (!ring)
        return error_sys(d->e, errno, NULL, "disk %s: its ring cannot be looked at", disk);
    while (ring[REQ_PROD] != ring[RSP_PROD] && rc == 0) {
        struct timespec pause = { .tv_nsec = LOOK_AGAIN_NS };

        if (left_ms(d->deadline) == 0)
            rc = error_set(d->e, ETIMEDOUT, "Domain 0's kernel log may say what its device does.",
                           "disk %s does not complete the guest's requests", disk);
        nanosleep(&pause, NULL);
    }
    xengnttab_unmap(d->gnt, (void *)ring, 1);
    return rc;
}

/* The first page of each ring has the counters. */
static int await_disk(struct drain *d, const char *disk)
{
    static const char *const one[] = { "ring-ref", "ring-ref0" };
    struct store *s = &d->h->store;
    int rc = 0;

    for (int q = -1; q < MAX_QUEUES && rc == 0; q++) {
        bool found = false;

        for (unsigned int i = 0; i < 2 && rc == 0; i++) {
            char queue[16] = "";
            long long ref;

            if (q >= 0)
                snprintf(queue, sizeof(queue), "queue-%d/", q);
            ref = store_read_num(s, -1, "/local/domain/%u/device/vbd/%s/%s%s", d->domid, disk,
                                 queue, one[i]);
            if (ref < 0 || ref > UINT32_MAX)
                continue;
            found = true;
            rc = await_ring(d, disk, (uint32_t)ref);
        }
        if (q >= 0 && !found)
            break;
    }
    return rc;
}

/* A loop device's file, or the device itself, as the backend has it. */
static int to_media(struct drain *d, const char *disk)
{
    static const char *const names[] = { "node", "physical-device-path", "params" };
    int rc = 0;

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = store_read(&d->h->store, "/local/domain/0/backend/vbd/%u/%s/%s", d->domid,
                                disk, names[i]);
        int fd = path && path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        free(path);
        if (fd < 0)
            continue;
        if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
            rc = error_sys(d->e, errno, NULL, "disk %s: writing out what the guest wrote", disk);
        close(fd);
        break;
    }
    return rc;
}

int drain_disks(struct host *h, unsigned int domid, int64_t deadline, struct error *e)
{
    struct drain d = { .h = h, .domid = domid, .deadline = deadline, .e = e };
    unsigned int n;
    char **disks = store_list(&h->store, &n, "/local/domain/0/backend/vbd/%u", domid);
    int rc = 0;

    d.gnt = n ? xengnttab_open(NULL, 0) : NULL;
    if (n && !d.gnt)
        rc = error_sys(e, errno, "Load the kernel module: modprobe xen_gntdev",
                       "/dev/xen/gntdev cannot be opened");
    for (unsigned int i = 0; i < n && rc == 0; i++) {
        rc = await_disk(&d, disks[i]);
        rc = rc ? rc : to_media(&d, disks[i]);
    }
    if (d.gnt)
        xengnttab_close(d.gnt);
    free(disks);
    return rc;
}

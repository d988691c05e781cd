/* SPDX-License-Identifier: MIT */
/* Guests' disks and network cards in xenstore. */
#include "tools/cli/device.h"
#include "tools/cli/disk_use.h"
#include "tools/cli/host.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/undo.h"
#include "tools/cli/userdata.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xenbus.h>

#define NODE DEVICE_PATH
#define HANDSHAKE_MS 2000

const char *device_class(enum device_kind kind)
{
    return kind == DEVICE_VBD ? "vbd" : "vif";
}

void device_paths(unsigned int domid, enum device_kind kind, unsigned int id,
                  char front[DEVICE_PATH], char back[DEVICE_PATH])
{
    snprintf(front, NODE, "/local/domain/%u/device/%s/%u", domid, device_class(kind), id);
    snprintf(back, NODE, "/local/domain/0/backend/%s/%u/%u", device_class(kind), domid, id);
}

void device_of_disk(struct device *d, const struct disk_config *disk, struct disk_backing *b)
{
    memset(d, 0, sizeof(*d));
    d->kind = DEVICE_VBD;
    d->id = disk->number;
    d->disk = disk;
    d->backing = b;
}

void device_of_vif(struct device *d, const struct vif_config *vif, const uint8_t uuid[16])
{
    memset(d, 0, sizeof(*d));
    d->kind = DEVICE_VIF;
    d->id = vif->devid;
    d->vif = vif;
    vif_address(vif, uuid, d->mac);
}

static int store_disk(struct store *s, const char *front, const char *back, const struct device *d)
{
    const struct disk_config *c = d->disk;
    const struct disk_backing *b = d->backing;
    const char *type = c->cdrom ? "cdrom" : "disk";
    int rc = store_put(s, front, "virtual-device", "%u", d->id);

    rc = rc ? rc : store_put(s, front, "device-type", "%s", type);
    rc = rc ? rc : store_put(s, front, "protocol", "x86_64-abi");
    rc = rc ? rc : store_put(s, back, "params", "%s", c->target);
    rc = rc ? rc : store_put(s, back, "specification", "xen");
    rc = rc ? rc : store_put(s, back, "key", "%s", b->key);
    rc = rc ? rc : store_put(s, back, "type", "phy");
    rc = rc ? rc : store_put(s, back, "dev", "%s", c->vdev);
    rc = rc ? rc : store_put(s, back, "mode", "%s", c->readonly ? "r" : "w");
    rc = rc ? rc : store_put(s, back, "device-type", "%s", type);
    rc = rc ? rc : store_put(s, back, "removable", "%d", c->cdrom);
    rc = rc ? rc : store_put(s, back, "bootable", "1");
    rc = rc ? rc : store_put(s, back, "discard-enable", "%d", c->discard);
    if (rc || c->script)
        return rc ? rc : store_put(s, back, "script", "%s", c->script);
    rc = rc ? rc : store_put(s, back, "node", "%s", b->node);
    rc = rc ? rc : store_put(s, back, "physical-device", "%x:%x", b->major, b->minor);
    rc = rc ? rc : store_put(s, back, "physical-device-path", "%s", b->node);
    rc = rc ? rc : store_put(s, back, "script", HOTPLUG_NONE); /* libxl wants one to call */
    return rc ? rc : store_put(s, back, "hotplug-status", "connected");
}

static int store_vif(struct store *s, unsigned int domid, const char *front, const char *back,
                     const struct device *d)
{
    const struct vif_config *c = d->vif;
    char mac[18], path[NODE + 8];
    int rc;

    mac_format(mac, d->mac);
    rc = store_put(s, front, "handle", "%u", d->id);
    rc = rc ? rc : store_put(s, front, "mac", "%s", mac);
    if (c->mtu) {
        snprintf(path, sizeof(path), "%s/mtu", front);
        rc = rc ? rc : store_put(s, front, "mtu", "%u", c->mtu);
        rc = rc ? rc : store_mkdir(s, path, 0, domid); /* read-only for the guest */
    }
    rc = rc ? rc : store_put(s, back, "handle", "%u", d->id);
    rc = rc ? rc : store_put(s, back, "mac", "%s", mac);
    rc = rc ? rc : store_put(s, back, "bridge", "%s", c->bridge);
    rc = rc ? rc : store_put(s, back, "type", c->kind == VIF_EMULATED ? "vif_ioemu" : "vif");
    /* The backend insists on a name here; nobody runs vif-bridge. */
    rc = rc ? rc
            : store_put(s, back, "script", "%s", c->script ? c->script : HOTPLUG_DIR "/vif-bridge");
    if (c->gatewaydev)
        rc = rc ? rc : store_put(s, back, "gatewaydev", "%s", c->gatewaydev);
    if (c->ip)
        rc = rc ? rc : store_put(s, back, "ip", "%s", c->ip);
    if (c->vifname)
        rc = rc ? rc : store_put(s, back, "vifname", "%s", c->vifname);
    if (c->rate_bytes)
        rc = rc ? rc
                : store_put(s, back, "rate", "%llu,%u", (unsigned long long)c->rate_bytes,
                            c->rate_us);
    return rc;
}

int device_store(struct store *s, unsigned int domid, const struct device *d)
{
    bool untrusted = d->kind == DEVICE_VBD ? d->disk->untrusted : d->vif->untrusted;
    char front[NODE], back[NODE];
    int rc;

    device_paths(domid, d->kind, d->id, front, back);
    rc = store_mkdir(s, front, domid, 0);
    rc = rc ? rc : store_mkdir(s, back, 0, domid);
    rc = rc ? rc : store_put(s, front, "backend", "%s", back);
    rc = rc ? rc : store_put(s, front, "backend-id", "0");
    rc = rc ? rc : store_put(s, front, "trusted", "%d", !untrusted);
    rc = rc ? rc : store_put(s, back, "frontend", "%s", front);
    rc = rc ? rc : store_put(s, back, "frontend-id", "%u", domid);
    rc = rc ? rc : store_put(s, back, "online", "1");
    if (rc)
        return rc;
    rc = d->kind == DEVICE_VBD ? store_disk(s, front, back, d)
                               : store_vif(s, domid, front, back, d);
    rc = rc ? rc : store_put(s, back, "state", "%d", XenbusStateInitialising);
    rc = rc ? rc : store_put(s, front, "state", "%d", XenbusStateInitialising);
    return rc ? rc : libxl_store_device(s, domid, device_class(d->kind), d->id, front, back);
}

static void describe(const struct device *d, char *text, size_t size)
{
    if (d->kind == DEVICE_VBD)
        snprintf(text, size, "disk %s (%s)", d->disk->vdev, d->disk->target);
    else
        snprintf(text, size, "network card %u", d->id);
}

/* What the backend driver wrote about a device it gave up. */
static char *backend_error(struct store *s, unsigned int domid, const struct device *d)
{
    return store_read(s, "/local/domain/0/error/backend/%s/%u/%u/error", device_class(d->kind),
                      domid, d->id);
}

static int failed(struct host *h, unsigned int domid, const struct device *d, const char *how,
                  struct error *e)
{
    char *why = backend_error(&h->store, domid, d), text[256];

    describe(d, text, sizeof(text));
    error_set(e, EIO, NULL, "%s: Domain 0's %s backend %s%s%s", text,
              d->kind == DEVICE_VBD ? "block" : "network", how, why ? ": " : "", why ? why : "");
    free(why);
    return error_remedy(
        e, "Domain 0's kernel log has more: dmesg | tail. The backend is the module %s.",
        d->kind == DEVICE_VBD ? "xen-blkback" : "xen-netback");
}

/* Until the backend's state node says that it has taken the device up. */
static int await_state(struct host *h, unsigned int domid, const struct device *d, const char *back,
                       int64_t deadline, struct error *e)
{
    char path[NODE + 8];
    bool watching = false;
    int rc = 0;

    snprintf(path, sizeof(path), "%s/state", back);
    for (;;) {
        long long state = store_read_num(&h->store, -1, "%s", path);
        char *event;

        if (state >= XenbusStateInitWait && state <= XenbusStateConnected)
            break;
        if (state > XenbusStateConnected || state < 0) {
            rc = failed(h, domid, d, "gave it up", e);
            break;
        }
        if (!watching && (rc = store_watch(&h->store, path, path)) != 0) {
            rc = store_error(e, rc, "watching %s", path);
            break;
        }
        watching = true;
        event = store_next(&h->store, deadline, NULL);
        if (!event && errno == EINTR)
            rc = interrupt_check(e);
        else if (!event && errno == ETIMEDOUT)
            rc = failed(h, domid, d, "did not take it up in time", e);
        else if (!event)
            rc = store_error(e, errno, "waiting for a backend");
        free(event);
        if (rc != 0)
            break;
    }
    if (watching)
        store_unwatch(&h->store, path, path);
    return rc;
}

/*
 * blkback opens the device some time after its state says InitWait, and shows it in sysfs only.
 * That is nearly always past when somebody asks, since building the guest lies between.
 */
static int await_opened(struct host *h, unsigned int domid, const struct device *d,
                        int64_t deadline, struct error *e)
{
    char path[128], *why;

    snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/vbd-%u-%u/physical_device", domid,
             d->id);
    for (int tries = 0; access(path, F_OK) != 0; tries++) {
        struct timespec ms = { .tv_nsec = 1000000 };

        if (interrupt_check(e) != 0)
            return -1;
        if (tries % 32 == 1 && (why = backend_error(&h->store, domid, d))) {
            free(why);
            return failed(h, domid, d, "cannot open it", e);
        }
        if (left_ms(deadline) == 0)
            return failed(h, domid, d, "did not open it in time", e);
        nanosleep(&ms, NULL);
    }
    return 0;
}

/*
 * The interface is made before the state says InitWait; but a backend that gives up takes it away
 * again. An interface that has its other name already is there, too.
 */
static int await_interface(struct host *h, unsigned int domid, const struct device *d,
                           const char *ifname, const char *back, int64_t deadline, struct error *e)
{
    while (!vif_exists(ifname) && !(d->vif->vifname && vif_exists(d->vif->vifname))) {
        long long state = store_read_num(&h->store, -1, "%s/state", back);
        struct timespec ms = { .tv_nsec = 1000000 };

        if (interrupt_check(e) != 0)
            return -1;
        if (state < XenbusStateInitWait || state > XenbusStateConnected)
            return failed(h, domid, d, "gave it up", e);
        if (left_ms(deadline) == 0)
            return failed(h, domid, d, "made no interface in time", e);
        nanosleep(&ms, NULL);
    }
    return 0;
}

static int plug_vif(struct host *h, unsigned int domid, const struct device *d, const char *back,
                    int64_t deadline, struct error *e)
{
    char ifname[32];
    int rc;

    snprintf(ifname, sizeof(ifname), "vif%u.%u", domid, d->id);
    if (await_interface(h, domid, d, ifname, back, deadline, e) != 0)
        return -1;
    if (d->vif->script) /* it writes hotplug-status */
        return hotplug_add(h, domid, d, deadline, e) ? error_in(e, "network card %u", d->id) : 0;
    if (vif_plug(ifname, d->vif->vifname, d->vif->bridge, d->vif->mtu, e) != 0) {
        store_put(&h->store, back, "hotplug-error", "%s", e->cause);
        store_put(&h->store, back, "hotplug-status", "error");
        return error_in(e, "network card %u", d->id);
    }
    rc = store_put(&h->store, back, "hotplug-status", "connected");
    return rc ? store_error(e, rc, "network card %u", d->id) : 0;
}

/*
 * What bytes it is, only the script's device says; another's are given back at once. The backend
 * opens it when it sees physical-device, which for a moment is before that look: it reads then at
 * most.
 */
static int plug_scripted(struct host *h, unsigned int domid, const struct device *d,
                         const char *back, int64_t deadline, struct error *e)
{
    char *device;
    unsigned int major, minor;
    int rc = hotplug_add(h, domid, d, deadline, e);

    if (rc || d->force)
        return rc;
    device = store_read(&h->store, "%s/physical-device", back);
    if (!device || sscanf(device, "%x:%x", &major, &minor) != 2)
        rc = error_set(e, EIO, NULL, "its script named a device that is none");
    else
        rc = disk_use_check_device(h, domid, d->disk, major, minor, e);
    free(device);
    return rc;
}

int device_await(struct host *h, unsigned int domid, const struct device *d, int64_t deadline,
                 struct error *e)
{
    char front[NODE], back[NODE];

    device_paths(domid, d->kind, d->id, front, back);
    if (await_state(h, domid, d, back, deadline, e) != 0)
        return -1;
    if (d->kind == DEVICE_VBD && d->disk->script && plug_scripted(h, domid, d, back, deadline, e))
        return error_in(e, "disk %s (%s)", d->disk->vdev, d->disk->target);
    if (d->kind == DEVICE_VBD)
        return await_opened(h, domid, d, deadline, e);
    return plug_vif(h, domid, d, back, deadline, e);
}

struct nodes {
    unsigned int domid, id;
    enum device_kind kind;
    char front[NODE], back[NODE];
    long long state; /* of the backend, before we asked it to close */
};

/* One that was asked before, by a detach that was killed, may have closed already: its state stays.
 */
static int begin_close(struct store *s, void *ctx)
{
    struct nodes *n = ctx;
    int rc = store_put(s, n->back, "online", "0");

    if (n->state == XenbusStateClosing || n->state == XenbusStateClosed)
        return rc;
    return rc ? rc : store_put(s, n->back, "state", "%d", XenbusStateClosing);
}

/*
 * It stays: what only we wrote is taken back. Not from a guest that has begun to close: Linux's
 * blkfront does not survive a backend that connects to it then.
 */
static int reopen(struct store *s, void *ctx)
{
    struct nodes *n = ctx;
    int rc = store_put(s, n->back, "online", "1");

    if (store_read_num(s, -1, "%s/state", n->back) != XenbusStateClosing ||
        store_read_num(s, -1, "%s/state", n->front) != XenbusStateConnected || n->state < 0)
        return rc;
    return rc ? rc : store_put(s, n->back, "state", "%lld", n->state);
}

/*
 * While guest and backend are shaking hands, the backend may overwrite the state by which we ask
 * the guest to close, and then connects to one that has closed. A guest that does not answer at all
 * (paused, no driver) is not waited for long.
 */
static void let_connect(struct host *h, const struct nodes *n)
{
    int64_t deadline = now_ms() + HANDSHAKE_MS;

    while (left_ms(deadline) > 0) {
        long long back = store_read_num(&h->store, -1, "%s/state", n->back);
        long long front = store_read_num(&h->store, -1, "%s/state", n->front);
        struct timespec ms = { .tv_nsec = 5000000 };

        if (back < XenbusStateInitialising || back >= XenbusStateConnected ||
            front > XenbusStateConnected)
            break;
        nanosleep(&ms, NULL);
    }
}

static int remove_nodes(struct store *s, void *ctx)
{
    struct nodes *n = ctx;
    int rc = store_rm(s, "%s", n->front);

    rc = rc ? rc : store_rm(s, "%s", n->back);
    return rc ? rc : libxl_rm_device(s, n->domid, device_class(n->kind), n->id);
}

/* The backend has closed, or is gone. */
static int await_closed(struct host *h, const char *back, int64_t deadline, struct error *e)
{
    char path[NODE + 8];
    int rc;

    snprintf(path, sizeof(path), "%s/state", back);
    rc = store_watch(&h->store, path, path);
    if (rc)
        return store_error(e, rc, "watching %s", path);
    for (;;) {
        char *event = store_next(&h->store, deadline, NULL);
        long long state;

        if (!event) {
            rc = errno == EINTR ? interrupt_check(e) : -1;
            if (rc == 0)
                continue;
            if (errno == ETIMEDOUT)
                error_set(e, ETIMEDOUT,
                          "Unmount it or take it down in the guest first; --force takes it away.",
                          "the guest does not let go of the device");
            else if (errno != EINTR)
                store_error(e, errno, "waiting for a backend");
            break;
        }
        free(event);
        state = store_read_num(&h->store, XenbusStateClosed, "%s", path);
        if (state == XenbusStateClosed || state == XenbusStateUnknown)
            break;
    }
    store_unwatch(&h->store, path, path);
    return rc;
}

int device_unplug(struct host *h, unsigned int domid, enum device_kind kind, unsigned int id,
                  bool force, int64_t deadline, struct error *e)
{
    struct nodes n = { .domid = domid, .id = id, .kind = kind };
    char *node;
    int rc = 0;

    device_paths(domid, kind, id, n.front, n.back);
    node = store_read(&h->store, "%s/node", n.back);
    let_connect(h, &n);
    if (!force) {
        n.state = store_read_num(&h->store, -1, "%s/state", n.back);
        rc = store_transact(&h->store, begin_close, &n);
        if (rc)
            rc = store_error(e, rc, "%s", n.back);
        else
            rc = await_closed(h, n.back, deadline, e);
        if (rc)
            store_transact(&h->store, reopen, &n);
    }
    if (rc == 0 && hotplug_has(&h->store, domid, kind, id)) {
        if (kind == DEVICE_VBD)
            store_rm(&h->store, "%s", n.front); /* the backend closes, if it has not yet */
        hotplug_remove(h, domid, kind, id);
    }
    if (rc == 0) {
        rc = store_transact(&h->store, remove_nodes, &n);
        if (rc)
            store_error(e, rc, "%s", n.back);
    }
    if (rc == 0 && node)
        disk_node_release(node);
    free(node);
    return rc ? -1 : 0;
}

int device_check_backend(enum device_kind kind, struct error *e)
{
    const char *module = kind == DEVICE_VBD ? "xen-blkback" : "xen-netback";
    char path[64];

    snprintf(path, sizeof(path), "/sys/bus/xen-backend/drivers/%s", device_class(kind));
    if (access(path, F_OK) == 0)
        return 0;
    error_set(e, ENODEV, NULL, "Domain 0's kernel has no backend for %s",
              kind == DEVICE_VBD ? "disks" : "network cards");
    return error_remedy(e, "Load it: modprobe %s", module);
}

/* SPDX-License-Identifier: MIT */
/* The nodes of a new guest, as frontends, backends, consoles and Xen's tools expect them. */
#include "tools/cli/device.h"
#include "tools/cli/device_model.h"
#include "tools/cli/guest.h"
#include "tools/cli/screen.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * What the guest may write: its answers, what it says about itself (Xen's xenstore-paths). Children
 * inherit the owner. The other nodes of control/ are not the guest's.
 */
static const char *const guests_own[] = { "control/shutdown",
                                          "control/feature-poweroff",
                                          "control/feature-reboot",
                                          "control/feature-suspend",
                                          "control/sysrq",
                                          "data",
                                          "drivers",
                                          "feature",
                                          "attr",
                                          "error",
                                          "device/suspend/event-channel" };

/* For those who look; only xl's own restart would read it. */
static int image(struct store *s, const struct guest_nodes *n, const char *vm)
{
    const struct guest_config *c = n->cfg;
    int rc = store_put(s, vm, "image/ostype", c->type == GUEST_HVM ? "hvm" : "linux");

    if (c->kernel)
        rc = rc ? rc : store_put(s, vm, "image/kernel", "%s", c->kernel);
    if (c->ramdisk)
        rc = rc ? rc : store_put(s, vm, "image/ramdisk", "%s", c->ramdisk);
    return rc ? rc : store_put(s, vm, "image/cmdline", "%s", c->cmdline);
}

static int identity(struct store *s, const struct guest_nodes *n, const char *base)
{
    char vm[96], uuid[UUID_TEXT];
    int rc;

    uuid_to_text(n->cfg->uuid, uuid);
    snprintf(vm, sizeof(vm), "/vm/%s", uuid);
    rc = store_mkdir(s, vm, 0, n->domid);
    rc = rc ? rc : store_put(s, vm, "name", "%s", n->cfg->name);
    rc = rc ? rc : store_put(s, vm, "uuid", "%s", uuid);
    rc = rc ? rc : store_put(s, vm, "start_time", "%lld.00", (long long)time(NULL));
    rc = rc ? rc : image(s, n, vm);
    rc = rc ? rc : store_mkdir(s, base, 0, n->domid);
    rc = rc ? rc : store_put(s, base, "name", "%s", n->cfg->name);
    rc = rc ? rc : store_put(s, base, "domid", "%u", n->domid);
    return rc ? rc : store_put(s, base, "vm", "%s", vm);
}

static int resources(struct store *s, const struct guest_nodes *n, const char *base)
{
    int rc = store_put(s, base, "memory/target", "%llu", n->cfg->memory_mb * 1024ull);
    char name[32];

    rc = rc ? rc : store_put(s, base, "memory/static-max", "%llu", n->cfg->maxmem_mb * 1024ull);
    rc = rc ? rc : store_put(s, base, "memory/videoram", "%u", n->cfg->screen.videoram_mb << 10);
    for (unsigned int i = 0; i < n->cfg->maxvcpus; i++) {
        snprintf(name, sizeof(name), "cpu/%u/availability", i);
        rc = rc ? rc : store_put(s, base, name, i < n->cfg->vcpus ? "online" : "offline");
    }
    return rc;
}

/* What the platform can do, for the guest to read. */
static int platform(struct store *s, const char *base)
{
    int rc = store_put(s, base, "control/platform-feature-multiprocessor-suspend", "1");

    return rc ? rc : store_put(s, base, "control/platform-feature-xs_reset_watches", "1");
}

/* The console daemon goes by the guest's own nodes; these are for whoever looks for backends. */
static int console_backend(struct store *s, const struct guest_nodes *n, const char *base)
{
    char back[96], path[128];
    int rc;

    snprintf(back, sizeof(back), "/local/domain/0/backend/console/%u/0", n->domid);
    rc = store_mkdir(s, back, 0, n->domid);
    rc = rc ? rc : store_put(s, back, "frontend", "%s/console", base);
    rc = rc ? rc : store_put(s, back, "frontend-id", "%u", n->domid);
    rc = rc ? rc : store_put(s, back, "online", "1");
    rc = rc ? rc : store_put(s, back, "protocol", "vt100");
    rc = rc ? rc : store_put(s, back, "state", "1");
    rc = rc ? rc : store_put(s, base, "console/backend", "%s", back);
    rc = rc ? rc : store_put(s, base, "console/backend-id", "0");
    snprintf(path, sizeof(path), "%s/console/backend-id", base);
    rc = rc ? rc : store_mkdir(s, path, n->domid, 0);
    snprintf(path, sizeof(path), "%s/console", base);
    return rc ? rc : libxl_store_device(s, n->domid, "console", 0, path, back);
}

static int console(struct store *s, const struct guest_nodes *n, const char *base)
{
    int rc = store_put(s, base, "console/port", "%u", n->console_port);

    rc = rc ? rc : store_put(s, base, "console/limit", "1048576");
    rc = rc ? rc : store_put(s, base, "console/type", "xenconsoled");
    rc = rc ? rc : store_put(s, base, "console/output", "pty");
    rc = rc ? rc : store_put(s, base, "console/tty", "%s", "");
    rc = rc ? rc : console_backend(s, n, base);
    return rc ? rc : store_put(s, base, "store/port", "%u", n->store_port);
}

static int devices(struct store *s, const struct guest_nodes *n)
{
    const struct guest_config *cfg = n->cfg;
    struct device d;
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i < cfg->nr_disks; i++) {
        device_of_disk(&d, &cfg->disks[i], &n->backing[i]);
        rc = device_store(s, n->domid, &d);
        rc = rc ? rc : record_add_disk(s, cfg->uuid, &n->backing[i], cfg->disks[i].readonly);
    }
    for (unsigned int i = 0; rc == 0 && i < cfg->nr_vifs; i++) {
        device_of_vif(&d, &cfg->vifs[i], cfg->uuid);
        rc = device_store(s, n->domid, &d);
    }
    return rc;
}

static int record(struct store *s, const struct guest_nodes *n)
{
    char dir[96], uuid[UUID_TEXT];
    int rc;

    uuid_to_text(n->cfg->uuid, uuid);
    snprintf(dir, sizeof(dir), RECORD_ROOT "/%s", uuid);
    rc = store_mkdir(s, dir, 0, -1);
    rc = rc ? rc : store_put(s, dir, "domid", "%u", n->domid);
    rc = rc ? rc : store_put(s, dir, "started", "%lld", (long long)time(NULL));
    return rc ? rc : record_store_config(s, n->cfg);
}

int guest_store_nodes(struct store *s, void *ctx)
{
    const struct guest_nodes *n = ctx;
    char base[64], path[128];
    int rc;

    snprintf(base, sizeof(base), "/local/domain/%u", n->domid);
    rc = store_rm(s, "%s", base); /* an older domain of that number, whose tools died */
    rc = rc ? rc : libxl_store(s, n->domid, n->cfg);
    rc = rc ? rc : identity(s, n, base);
    for (unsigned int i = 0; rc == 0 && i < sizeof(guests_own) / sizeof(guests_own[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", base, guests_own[i]);
        rc = store_mkdir(s, path, n->domid, -1);
    }
    rc = rc ? rc : platform(s, base);
    rc = rc ? rc : resources(s, n, base);
    rc = rc ? rc : console(s, n, base);
    rc = rc ? rc : screen_store(s, n->domid, n->cfg, n->vnc_port);
    if (n->cfg->type == GUEST_HVM)
        rc = rc ? rc : dm_store_nodes(s, n->cfg, base);
    rc = rc ? rc : record(s, n);
    return rc ? rc : devices(s, n);
}

/* SPDX-License-Identifier: MIT */
/* Hotplug scripts: what they are called with, what their answers mean, and that they are called
 * again when the device goes. The scripts are the test's own, and write with `orlop xenstore`. */
#define _GNU_SOURCE
#include "tools/cli/disk.h"
#include "tools/cli/guest.h"
#include "tools/cli/hotplug.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "store_daemon.h"
#include "unit.h"

#define VIF_BACK "/local/domain/0/backend/vif/7/1"
#define VBD_BACK "/local/domain/0/backend/vbd/7/51712"

static char *script(const char *name, const char *body)
{
    char *path = str_fmt("%s/%s", dir, name), *here = getcwd(NULL, 0);
    char *text = str_fmt(
        "#!/bin/sh\nxs='%s/build/tools/orlop xenstore'\nlog=%s/log\n"
        "echo \"$0 $* $XENBUS_TYPE $XENBUS_PATH vif=$vif netdev=$netdev\" >>$log\n%s\n",
        here, dir, body);

    CHECK_EQ(file_write(path, text), 0);
    CHECK_EQ(chmod(path, 0755), 0);
    free(here);
    free(text);
    return path;
}

static bool logged(const char *part)
{
    char *path = str_fmt("%s/log", dir), *text = file_read(path, 1 << 16, NULL);
    bool is = text && strstr(text, part);

    if (!is)
        printf("    log: %s\n", text ? text : "none");
    unlink(path);
    free(text);
    free(path);
    return is;
}

static struct vif_config vif = { .devid = 1, .bridge = "xenbr0", .gatewaydev = "eth0" };

static int add_vif(char *path, int64_t ms, struct error *e)
{
    struct device d;
    uint8_t uuid[16] = { 1 };

    memset(e, 0, sizeof(*e));
    vif.script = path;
    device_of_vif(&d, &vif, uuid);
    store_rm(&h.store, VIF_BACK);
    CHECK_EQ(device_store(&h.store, 7, &d), 0);
    return hotplug_add(&h, 7, &d, now_ms() + ms, e);
}

TEST(cards_by_script)
{
    struct error e;
    char *good, *silent, *bad, *slow;

    start_daemon();
    good = script("good", "[ $1 = offline ] || $xs write $XENBUS_PATH/hotplug-status connected");
    silent = script("silent", "");
    bad = script("bad", "$xs write $XENBUS_PATH/hotplug-error 'no route'; exit 3");
    slow = script("slow", "sleep 1000");
    CHECK_EQ(add_vif(good, 5000, &e), 0);
    CHECK(logged("/good online type_if=vif vif " VIF_BACK " vif=vif7.1 netdev=eth0"));
    CHECK(hotplug_has(&h.store, 7, DEVICE_VIF, 1));
    hotplug_remove_all(&h, 7);
    CHECK(logged("/good offline type_if=vif vif " VIF_BACK));
    CHECK_EQ(add_vif(silent, 5000, &e), -1);
    CHECK_WHY(e.cause, "did not say that the card is connected");
    CHECK_EQ(add_vif(bad, 5000, &e), -1);
    CHECK_WHY(e.cause, "exit code 3): no route");
    CHECK_EQ(add_vif(slow, 200, &e), -1);
    CHECK_EQ(e.code, ETIMEDOUT);
    CHECK_EQ(add_vif("/nonexistent/script", 200, &e), -1);
    CHECK_EQ(e.code, ENOENT);
    CHECK_EQ(hotplug_check(DEVICE_VIF, "/nonexistent/script", &e), -1);
    CHECK_WHY(e.remedy, "xen-utils-common");
    CHECK_EQ(hotplug_check(DEVICE_VIF, good, &e), 0);
    store_rm(&h.store, VIF_BACK);
    free(good);
    free(silent);
    free(bad);
    free(slow);
}

/* vif-bridge is named in the nodes, and is ours: it is not run. */
TEST(our_own_is_not_run)
{
    uint8_t uuid[16] = { 1 };
    struct device d;

    start_daemon();
    vif.script = NULL;
    device_of_vif(&d, &vif, uuid);
    CHECK_EQ(device_store(&h.store, 7, &d), 0);
    CHECK(!hotplug_has(&h.store, 7, DEVICE_VIF, 1));
    store_rm(&h.store, VIF_BACK);
}

static int add_disk(char *path, char *target, struct error *e)
{
    struct disk_config c = { .target = target, .vdev = "xvda", .number = 51712, .script = path };
    struct disk_backing b = { .fd = -1 };
    struct device d;

    memset(e, 0, sizeof(*e));
    CHECK_EQ(disk_check(&c, &b, e), 0);
    CHECK(b.key[0] == 's');
    CHECK_EQ(disk_open(&c, &b, e), 0);
    device_of_disk(&d, &c, &b);
    store_rm(&h.store, VBD_BACK);
    CHECK_EQ(device_store(&h.store, 7, &d), 0);
    CHECK(!store_exists(&h.store, VBD_BACK "/physical-device"));
    return hotplug_add(&h, 7, &d, now_ms() + 5000, e);
}

TEST(disks_by_script)
{
    struct error e;
    char *good, *none;

    start_daemon();
    good = script("block-good",
                  "[ $1 = remove ] || { [ \"$($xs read $XENBUS_PATH/params)\" = iqn=x,y ] && "
                  "$xs write $XENBUS_PATH/physical-device fd:a; }");
    none = script("block-none", "");
    CHECK_EQ(add_disk(good, "iqn=x,y", &e), 0);
    CHECK(logged("/block-good add vbd " VBD_BACK));
    CHECK(store_exists(&h.store, "/local/domain/7/device/vbd/51712"));
    hotplug_remove_all(&h, 7);
    CHECK(logged("/block-good remove vbd " VBD_BACK));
    CHECK(!store_exists(&h.store, "/local/domain/7/device/vbd/51712")); /* so its backend closes */
    CHECK_EQ(add_disk(none, "x", &e), -1);
    CHECK_WHY(e.cause, "named no device");
    store_rm(&h.store, VBD_BACK);
    free(good);
    free(none);
}

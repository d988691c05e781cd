/* SPDX-License-Identifier: MIT */
/* orlop block-attach, block-detach, block-list */
#include "tools/cli/attach.h"
#include "tools/cli/command.h"
#include "tools/cli/device_list.h"
#include "tools/cli/disk_use.h"
#include "tools/cli/guest.h"
#include "tools/cli/target.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct new_disk {
    unsigned int domid;
    const uint8_t *uuid;
    const struct disk_config *disk;
    struct disk_backing *backing;
};

static int add_disk(struct store *s, struct guest_config *cfg, void *ctx)
{
    const struct new_disk *n = ctx;
    struct config_errors errors = { 0 };
    struct json_object *j;
    struct device d;
    int rc;

    device_of_disk(&d, n->disk, n->backing);
    rc = device_store(s, n->domid, &d);
    rc = rc ? rc : record_add_disk(s, n->uuid, n->backing, n->disk->readonly);
    if (rc || !cfg)
        return rc;
    cfg->disks = mem_grow(cfg->disks, (cfg->nr_disks + 1) * sizeof(*cfg->disks));
    memset(&cfg->disks[cfg->nr_disks], 0, sizeof(*cfg->disks));
    j = disk_config_to_json(n->disk);
    if (disk_config_from_json(&cfg->disks[cfg->nr_disks], j, &errors))
        cfg->nr_disks++;
    json_object_put(j);
    config_errors_free(&errors);
    return 0;
}

static int check_new(struct target *t, const struct disk_config *disk, struct disk_backing *b,
                     bool force)
{
    if (device_check_backend(DEVICE_VBD, &t->e) != 0)
        return -1;
    if (store_exists(&t->h.store, "/local/domain/0/backend/vbd/%u/%u", t->domid, disk->number))
        return error_set(&t->e, EEXIST, "Choose another vdev; orlop block-list shows those in use.",
                         "it has a disk %s already", disk->vdev);
    if (disk_check(disk, b, &t->e) != 0)
        return -1;
    /* Only now: what a guest writes into its disk later must not keep it from rebooting. */
    if (!disk->script && !disk_format_fits(disk))
        return error_set(&t->e, EINVAL, "qemu-img info shows what it is; format=qcow2 says it.",
                         "disk %s: %s is not in the format %s", disk->vdev, disk->target,
                         disk_format_name(disk->format));
    return force || disk->script ? 0 : disk_use_check(&t->h, disk, &t->e);
}

static int attach(struct target *t, const struct disk_config *disk, bool force)
{
    struct disk_backing b = { .fd = -1 };
    struct new_disk n = { t->domid, t->info.handle, disk, &b };
    struct device d;
    int rc;

    if (check_new(t, disk, &b, force) != 0 || disk_open(disk, &b, &t->e) != 0)
        return -1;
    device_of_disk(&d, disk, &b);
    d.force = force;
    rc = record_change(&t->h.store, t->info.handle, add_disk, &n, &t->e);
    if (rc == 0) {
        rc = device_await(&t->h, t->domid, &d, now_ms() + ATTACH_WAIT_MS, &t->e);
        if (rc != 0)
            attach_forget(t, DEVICE_VBD, disk->number, b.key);
    }
    if (rc == 0)
        disk_close(&b);
    else
        disk_drop(&b);
    return rc;
}

static int run_attach(int argc, char **argv)
{
    struct disk_config disk = { 0 };
    struct json_object *j;
    struct target t;
    bool force = false;
    int rc = attach_options(argc, argv, &force, 2, "give a guest and a disk");

    if (rc)
        return rc;
    rc = attach_spec_disk(&disk, argv + optind + 1, argc - optind - 1);
    if (rc)
        return rc;
    if (!target_open(&t, argv[optind]) || attach_refuse_domain0(&t) != 0 ||
        attach(&t, &disk, force) != 0) {
        disk_config_free(&disk);
        return target_fail(&t);
    }
    j = target_json(&t);
    json_object_object_add(j, "vdev", json_object_new_string(disk.vdev));
    json_object_object_add(j, "id", json_object_new_int64(disk.number));
    rc = target_done(&t, j, "%s: disk %s is %s", t.name, disk.vdev, disk.target);
    disk_config_free(&disk);
    return rc;
}

const struct command cmd_block_attach = {
    .name = "block-attach",
    .synopsis = "[-f] GUEST DISK",
    .summary = "give a running guest another disk",
    .help =
        "DISK is written as an element of disk= (xl-disk-configuration(5)):\n"
        "    orlop block-attach web1 /srv/data.img,raw,xvdb,w\n"
        "    orlop block-attach web1 format=qcow2,vdev=xvdc,access=r,target=/srv/a.qcow2\n"
        "The guest keeps it over reboots.\n"
        "\n"
        "  -f, --force   even if another guest or Domain 0 writes it: this destroys what is on\n"
        "                it unless you know better",
    .options = "--force",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_attach,
};

/* By name (xvdb) or number. */
static int find_disk(struct target *t, const char *vdev, unsigned int *id)
{
    if (!vdev_number(vdev, id) && !parse_uint(vdev, id))
        return error_set(&t->e, EINVAL, "orlop block-list shows its disks.",
                         "\"%s\" is no name of a disk", vdev);
    if (store_exists(&t->h.store, "/local/domain/0/backend/vbd/%u/%u", t->domid, *id))
        return 0;
    return error_set(&t->e, ENOENT, "orlop block-list shows its disks.", "it has no disk %s", vdev);
}

static int run_detach(int argc, char **argv)
{
    return attach_detach(argc, argv, DEVICE_VBD, "give a guest and the name of one disk",
                         find_disk);
}

const struct command cmd_block_detach = {
    .name = "block-detach",
    .synopsis = "[-f] GUEST VDEV",
    .summary = "take a disk away from a running guest",
    .help =
        "VDEV is the disk's name (xvdb) or number. Unmount it in the guest first: Linux gives it\n"
        "up even in use.\n"
        "\n"
        "  -f, --force   do not ask the guest",
    .options = "--force",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_detach,
};

static int run_list(int argc, char **argv)
{
    return attach_list(argc, argv, DEVICE_VBD);
}

const struct command cmd_block_list = {
    .name = "block-list",
    .synopsis = "GUEST...",
    .summary = "show guests' disks",
    .help =
        "Name, number, backend's domain, state on the guest's and on Domain 0's side, mode and\n"
        "what lies behind it.",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_list,
};

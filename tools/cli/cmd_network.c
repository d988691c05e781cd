/* SPDX-License-Identifier: MIT */
/* orlop network-attach, network-detach, network-list */
#include "tools/cli/attach.h"
#include "tools/cli/command.h"
#include "tools/cli/device_list.h"
#include "tools/cli/guest.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/target.h"
#include "tools/cli/vif.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct new_vif {
    unsigned int domid;
    const uint8_t *uuid;
    const struct vif_config *vif;
};

static int add_vif(struct store *s, struct guest_config *cfg, void *ctx)
{
    const struct new_vif *n = ctx;
    struct config_errors errors = { 0 };
    struct json_object *j;
    struct device d;
    int rc;

    device_of_vif(&d, n->vif, n->uuid);
    rc = device_store(s, n->domid, &d);
    if (rc || !cfg)
        return rc;
    cfg->vifs = mem_grow(cfg->vifs, (cfg->nr_vifs + 1) * sizeof(*cfg->vifs));
    memset(&cfg->vifs[cfg->nr_vifs], 0, sizeof(*cfg->vifs));
    j = vif_config_to_json(n->vif);
    if (vif_config_from_json(&cfg->vifs[cfg->nr_vifs], j, &errors))
        cfg->nr_vifs++;
    json_object_put(j);
    config_errors_free(&errors);
    return 0;
}

/* The lowest number that none of its cards has. */
static int choose_id(struct target *t, struct vif_config *vif)
{
    bool taken = vif->devid != VIF_DEVID_ANY;

    if (!taken)
        vif->devid = 0;
    while (store_exists(&t->h.store, "/local/domain/0/backend/vif/%u/%u", t->domid, vif->devid)) {
        if (taken)
            return error_set(&t->e, EEXIST, "Leave out devid=, and the next free one is taken.",
                             "it has a network card %u already", vif->devid);
        if (++vif->devid == CONFIG_MAX_VIFS)
            return error_set(&t->e, ENOSPC, "Detach one: orlop network-detach",
                             "it has all %d network cards a guest may have", CONFIG_MAX_VIFS);
    }
    return 0;
}

static int attach(struct target *t, struct vif_config *vif)
{
    struct new_vif n = { t->domid, t->info.handle, vif };
    struct device d;

    if (device_check_backend(DEVICE_VIF, &t->e) != 0 || hotplug_check_vif(vif, &t->e) != 0 ||
        choose_id(t, vif) != 0)
        return -1;
    vif_warn_address(&t->h.store, vif, t->info.handle);
    device_of_vif(&d, vif, t->info.handle);
    if (record_change(&t->h.store, t->info.handle, add_vif, &n, &t->e) != 0)
        return -1;
    if (device_await(&t->h, t->domid, &d, now_ms() + ATTACH_WAIT_MS, &t->e) == 0)
        return 0;
    attach_forget(t, DEVICE_VIF, vif->devid, NULL);
    return -1;
}

static int run_attach(int argc, char **argv)
{
    int rc = attach_options(argc, argv, NULL, 1, "which guest?");
    struct vif_config vif = { 0 };
    struct json_object *j;
    struct device d;
    struct target t;
    char mac[18];

    if (rc)
        return rc;
    rc = attach_spec_vif(&vif, argv + optind + 1, argc - optind - 1);
    if (rc)
        return rc;
    if (!target_open(&t, argv[optind]) || attach_refuse_domain0(&t) != 0 || attach(&t, &vif) != 0) {
        vif_config_free(&vif);
        return target_fail(&t);
    }
    device_of_vif(&d, &vif, t.info.handle);
    mac_format(mac, d.mac);
    j = target_json(&t);
    json_object_object_add(j, "devid", json_object_new_int64(vif.devid));
    json_object_object_add(j, "mac", json_object_new_string(mac));
    rc = target_done(&t, j, "%s: network card %u, %s, on bridge %s", t.name, vif.devid, mac,
                     vif.bridge);
    vif_config_free(&vif);
    return rc;
}

const struct command cmd_network_attach = {
    .name = "network-attach",
    .synopsis = "GUEST [KEY=VALUE...]",
    .summary = "give a running guest another network card",
    .help = "The keys are those of an element of vif= (xl-network-configuration(5)):\n"
            "    orlop network-attach web1 bridge=xenbr1 mac=00:16:3e:01:02:03\n"
            "Without mac= the address is always the same for this guest and card. The guest keeps\n"
            "the card over reboots.",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_attach,
};

/* By number or by address. */
static int find_card(struct target *t, const char *which, unsigned int *id)
{
    struct device_info *list;
    unsigned int n = device_list(&t->h.store, t->domid, DEVICE_VIF, &list), number;
    bool by_number = parse_uint(which, &number), found = false;

    for (unsigned int i = 0; i < n && !found; i++) {
        found = by_number ? list[i].id == number : strcasecmp(list[i].mode, which) == 0;
        *id = list[i].id;
    }
    device_list_free(list, n);
    return found ? 0
                 : error_set(&t->e, ENOENT, "orlop network-list shows its cards.",
                             "it has no network card \"%s\"", which);
}

static int run_detach(int argc, char **argv)
{
    return attach_detach(argc, argv, DEVICE_VIF,
                         "give a guest and the number or address of one card", find_card);
}

const struct command cmd_network_detach = {
    .name = "network-detach",
    .synopsis = "[-f] GUEST DEVID|MAC",
    .summary = "take a network card away from a running guest",
    .help = "  -f, --force   do not ask the guest",
    .options = "--force",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_detach,
};

static int run_list(int argc, char **argv)
{
    return attach_list(argc, argv, DEVICE_VIF);
}

const struct command cmd_network_list = {
    .name = "network-list",
    .synopsis = "GUEST...",
    .summary = "show guests' network cards",
    .help = "Number, backend's domain, state on the guest's and on Domain 0's side, address,\n"
            "interface and bridge.",
    .group = GROUP_DEVICE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_list,
};

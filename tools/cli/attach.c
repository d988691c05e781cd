/* SPDX-License-Identifier: MIT */
/* Disks and network cards that come and go. */
#include "tools/cli/attach.h"
#include "tools/cli/command.h"
#include "tools/cli/device_list.h"
#include "tools/cli/guest.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int attach_options(int argc, char **argv, bool *force, int least, const char *what)
{
    static const struct option longs[] = { { "force", no_argument, NULL, 'f' }, { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, force ? ":f" : ":", force ? longs : longs + 1, NULL)) !=
           -1) {
        if (c != 'f')
            return cmd_bad_option(argv);
        *force = true;
    }
    return argc - optind >= least ? 0 : cmd_usage("%s", what);
}

static char *join(char **argv, int n)
{
    char *all = str_dup("");

    for (int i = 0; i < n; i++) {
        char *more = str_fmt("%s%s%s", all, i ? "," : "", argv[i]);

        free(all);
        all = more;
    }
    return all;
}

static int refused(struct config_errors *errors)
{
    int rc = cmd_usage("%s", errors->count ? errors->text[0] : "not understood");

    config_errors_free(errors);
    return rc;
}

int attach_spec_disk(struct disk_config *disk, char **argv, int n)
{
    struct config_errors errors = { 0 };
    char *spec = join(argv, n);
    bool ok = disk_config_parse(disk, spec, "disk", &errors);

    free(spec);
    if (ok && !*disk->target) {
        disk_config_free(disk);
        config_error(&errors, "disk: this is a drive without a medium; name an image");
        ok = false;
    }
    cmd_warnings(&errors);
    if (!ok)
        return refused(&errors);
    config_errors_free(&errors);
    return 0;
}

int attach_spec_vif(struct vif_config *vif, char **argv, int n)
{
    struct config_errors errors = { 0 };
    char *spec = join(argv, n);
    bool ok = vif_config_parse(vif, spec, "network card", &errors);

    free(spec);
    if (ok && vif->kind == VIF_EMULATED) {
        vif_config_free(vif);
        config_error(&errors, "network card: type=ioemu: a running guest gets PV cards only; leave "
                              "it out");
        ok = false;
    }
    if (ok && vif->model)
        config_warning(&errors, "network card: model=%s is for emulated cards; it has no effect",
                       vif->model);
    if (ok) {
        vif->kind = VIF_PV;
        vif->model = NULL;
    }
    cmd_warnings(&errors);
    if (!ok)
        return refused(&errors);
    config_errors_free(&errors);
    return 0;
}

int attach_refuse_domain0(struct target *t)
{
    if (t->domid)
        return 0;
    return error_set(&t->e, EINVAL, "It has the machine's own devices.",
                     "Domain 0 cannot be given devices");
}

struct removal {
    const uint8_t *uuid;
    enum device_kind kind;
    unsigned int id;
    const char *key;
};

static int forget(struct store *s, struct guest_config *cfg, void *ctx)
{
    const struct removal *r = ctx;
    int rc = r->key && *r->key ? record_drop_disk(s, r->uuid, r->key) : 0;

    if (!cfg)
        return rc;
    for (unsigned int i = 0; r->kind == DEVICE_VBD && i < cfg->nr_disks; i++) {
        if (cfg->disks[i].number != r->id)
            continue;
        disk_config_free(&cfg->disks[i]);
        memmove(&cfg->disks[i], &cfg->disks[i + 1], (--cfg->nr_disks - i) * sizeof(cfg->disks[0]));
        break;
    }
    for (unsigned int i = 0; r->kind == DEVICE_VIF && i < cfg->nr_vifs; i++) {
        if (cfg->vifs[i].devid != r->id)
            continue;
        vif_config_free(&cfg->vifs[i]);
        memmove(&cfg->vifs[i], &cfg->vifs[i + 1], (--cfg->nr_vifs - i) * sizeof(cfg->vifs[0]));
        break;
    }
    return rc;
}

static int detach(struct target *t, enum device_kind kind, unsigned int id, bool force)
{
    struct removal r = { t->info.handle, kind, id, NULL };
    char *key = store_read(&t->h.store, "/local/domain/0/backend/%s/%u/%u/key", device_class(kind),
                           t->domid, id);
    int rc = device_unplug(&t->h, t->domid, kind, id, force, now_ms() + DETACH_WAIT_MS, &t->e);

    r.key = key;
    if (rc == 0)
        rc = record_change(&t->h.store, t->info.handle, forget, &r, &t->e);
    free(key);
    return rc;
}

int attach_detach(int argc, char **argv, enum device_kind kind, const char *what, attach_find *find)
{
    bool force = false, vbd = kind == DEVICE_VBD;
    int rc = attach_options(argc, argv, &force, 2, what);
    struct json_object *j;
    unsigned int id = 0;
    struct target t;

    if (rc)
        return rc;
    if (argc - optind != 2)
        return cmd_usage("%s", what);
    if (!target_open(&t, argv[optind]) || find(&t, argv[optind + 1], &id) != 0 ||
        detach(&t, kind, id, force) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, vbd ? "id" : "devid", json_object_new_int64(id));
    return target_done(&t, j, "%s: %s %s is gone", t.name, vbd ? "disk" : "network card",
                       argv[optind + 1]);
}

/*
 * The guest may be just taking the device up, and waits for its backend: taken away under its hands
 * a driver may never come back. So it is asked first.
 */
void attach_forget(struct target *t, enum device_kind kind, unsigned int id, const char *key)
{
    struct removal r = { t->info.handle, kind, id, key };
    struct error e = { 0 };
    int rc = store_reopen(&t->h.store, now_ms() + FORGET_WAIT_MS, &e);

    if (rc == 0)
        rc = device_unplug(&t->h, t->domid, kind, id, false, now_ms() + FORGET_WAIT_MS, &e);
    if (rc != 0 && t->h.store.h)
        rc = device_unplug(&t->h, t->domid, kind, id, true, now_ms(), &e);
    if (rc != 0 || record_change(&t->h.store, t->info.handle, forget, &r, &e) != 0)
        error_print(&e, "orlop: taking the device back");
}

static struct json_object *info_json(const struct target *t, enum device_kind kind,
                                     const struct device_info *d)
{
    bool vbd = kind == DEVICE_VBD;
    struct json_object *j = target_json(t);

    json_object_object_add(j, vbd ? "vdev" : "interface", json_object_new_string(d->name));
    json_object_object_add(j, vbd ? "id" : "devid", json_object_new_int64(d->id));
    json_object_object_add(j, "backend_domid", json_object_new_int64(d->backend));
    json_object_object_add(j, "state", json_object_new_string(device_state_name(d->state)));
    json_object_object_add(j, "backend_state",
                           json_object_new_string(device_state_name(d->backend_state)));
    json_object_object_add(j, vbd ? "mode" : "mac", json_object_new_string(d->mode));
    json_object_object_add(j, vbd ? "target" : "bridge", json_object_new_string(d->target));
    return j;
}

static void list_one(struct target *t, enum device_kind kind, struct json_object *all)
{
    struct device_info *list;
    unsigned int n = device_list(&t->h.store, t->domid, kind, &list);

    for (unsigned int i = 0; i < n; i++) {
        const struct device_info *d = &list[i];

        if (json_output)
            json_object_array_add(all, info_json(t, kind, d));
        else
            printf("%-15s %-8s %7u %7u  %-13s %-13s %-17s %s\n", t->name, d->name, d->id,
                   d->backend, device_state_name(d->state), device_state_name(d->backend_state),
                   d->mode, d->target);
    }
    device_list_free(list, n);
}

int attach_list(int argc, char **argv, enum device_kind kind)
{
    bool vbd = kind == DEVICE_VBD;
    int rc = attach_options(argc, argv, NULL, 1, "which guest?");
    struct json_object *all;
    struct target t;

    if (rc)
        return rc;
    all = json_object_new_array();
    for (int i = optind; i < argc; i++) {
        if (!target_open(&t, argv[i])) {
            json_object_put(all);
            return target_fail(&t);
        }
        if (i == optind && !json_output)
            printf("%-15s %-8s %7s %7s  %-13s %-13s %-17s %s\n", "GUEST", vbd ? "VDEV" : "IFACE",
                   "ID", "BACKEND", "STATE", "BACKEND STATE", vbd ? "MODE" : "MAC",
                   vbd ? "TARGET" : "BRIDGE");
        list_one(&t, kind, all);
        host_close(&t.h);
    }
    if (json_output)
        print_json(all);
    else
        json_object_put(all);
    return EXIT_DONE;
}

/* SPDX-License-Identifier: MIT */
/* Guests as libxl expects to find them. */
#include "tools/cli/userdata.h"
#include "tools/cli/config_libxl.h"
#include "tools/cli/guest.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef USERDATA_DIR
#define USERDATA_DIR "/var/lib/xen"
#endif
#define MAX_USERDATA (1u << 20)

static char *path_of(unsigned int domid, const uint8_t uuid[16])
{
    char text[UUID_TEXT];

    uuid_to_text(uuid, text);
    return str_fmt(USERDATA_DIR "/userdata-d.%u.%s.libxl-json", domid, text);
}

void userdata_macs(struct guest_config *cfg, const uint8_t uuid[16])
{
    for (unsigned int i = 0; i < cfg->nr_vifs; i++) {
        struct vif_config *v = &cfg->vifs[i];

        if (!v->has_mac)
            vif_mac(uuid, v->devid, v->mac);
        v->has_mac = true;
    }
}

static void write_file(unsigned int domid, const struct guest_config *cfg)
{
    char *path = path_of(domid, cfg->uuid), *text = config_to_libxl(cfg);
    int rc = make_dirs(path, 0755);

    rc = rc ? rc : file_write(path, text);
    if (rc)
        fprintf(stderr, "orlop: warning: %s: %s: xl will not know this guest's configuration\n",
                path, strerror(-rc));
    free(text);
    free(path);
}

void userdata_update(struct store *s, const uint8_t uuid[16])
{
    char *number = record_get(s, uuid, "domid");
    struct guest_config cfg = { 0 };
    struct error none = { 0 };
    unsigned int domid;

    if (number && parse_uint(number, &domid) && record_load(s, uuid, &cfg, &none) == 0) {
        memcpy(cfg.uuid, uuid, sizeof(cfg.uuid));
        userdata_macs(&cfg, uuid);
        if (cfg.type != GUEST_HVM)
            write_file(domid, &cfg);
    }
    config_free(&cfg);
    free(number);
}

void userdata_remove(unsigned int domid)
{
    char *pattern = str_fmt(USERDATA_DIR "/userdata-?.%u.*", domid);
    glob_t found = { 0 };

    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    }
    globfree(&found);
    free(pattern);
}

int userdata_load(unsigned int domid, const uint8_t uuid[16], struct guest_config *cfg,
                  bool *by_orlop, struct error *e)
{
    struct config_errors errors = { 0 };
    char *path = path_of(domid, uuid), *text = file_read(path, MAX_USERDATA, NULL);
    int rc = 0;

    if (!text)
        rc = error_set(e, ENOENT, "Only guests that orlop or xl made are known in full.",
                       "neither xenstore nor %s has this guest's configuration", path);
    else if (!config_from_libxl(cfg, text, &errors))
        rc = error_set(e, EINVAL, "Save it with xl, which made it.", "%s: %s", path,
                       errors.count ? errors.text[0] : "not understood");
    else
        *by_orlop = config_libxl_is_ours(text);
    config_errors_free(&errors);
    free(text);
    free(path);
    return rc;
}

/* --- xenstore --- */

static void dir_of(unsigned int domid, const char *class, unsigned int id, char dir[96])
{
    snprintf(dir, 96, "/libxl/%u/device/%s/%u", domid, class, id);
}

int libxl_store(struct store *s, unsigned int domid, const struct guest_config *cfg)
{
    char dir[64];
    int rc;

    snprintf(dir, sizeof(dir), "/libxl/%u", domid);
    rc = store_rm(s, "%s", dir); /* an older domain of that number, whose tools died */
    rc = rc ? rc : store_put(s, dir, "type", "%s", guest_type_name(cfg->type));
    return rc ? rc : store_put(s, dir, "dm-version", "qemu_xen");
}

int libxl_store_device(struct store *s, unsigned int domid, const char *class, unsigned int id,
                       const char *front, const char *back)
{
    char dir[96], **names;
    unsigned int n;
    int rc;

    dir_of(domid, class, id, dir);
    rc = store_put(s, dir, "frontend", "%s", front);
    rc = rc ? rc : store_put(s, dir, "backend", "%s", back);
    names = store_list(s, &n, "%s", back);
    for (unsigned int i = 0; rc == 0 && i < n; i++) {
        char *value = store_read(s, "%s/%s", back, names[i]);

        if (value && strcmp(names[i], "frontend") != 0)
            rc = store_put(s, dir, names[i], "%s", value);
        free(value);
    }
    free(names);
    return rc;
}

int libxl_rm_device(struct store *s, unsigned int domid, const char *class, unsigned int id)
{
    char dir[96];

    dir_of(domid, class, id, dir);
    return store_rm(s, "%s", dir);
}

/* SPDX-License-Identifier: MIT */
/* What save and migrate have in common. */
#include "tools/cli/save.h"
#include "tools/cli/config_libxl.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/suspend.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/stream_out.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/version.h>

#define ERASE_WAIT_MS 30000
#define USERDATA "/var/lib/xen/userdata-d.%u.%s.libxl-json"
#define MAX_USERDATA (1u << 20)

/* Of a guest that xl made, libxl keeps the configuration in a file. */
static char *userdata_path(const struct save *s)
{
    char uuid[UUID_TEXT];

    uuid_to_text(s->uuid, uuid);
    return str_fmt(USERDATA, s->domid, uuid);
}

static int load_userdata(struct save *s, struct error *e)
{
    struct config_errors errors = { 0 };
    char *path = userdata_path(s), *text = file_read(path, MAX_USERDATA, NULL);
    int rc = 0;

    if (!text)
        rc = error_set(e, ENOENT, "Only guests that orlop or xl made are known in full.",
                       "neither xenstore nor %s has this guest's configuration", path);
    else if (!config_from_libxl(&s->cfg, text, &errors))
        rc = error_set(e, EINVAL, "Save it with xl, which made it.", "%s: %s", path,
                       errors.count ? errors.text[0] : "not understood");
    config_errors_free(&errors);
    free(text);
    free(path);
    return rc;
}

static int load_config(struct save *s, struct error *e)
{
    struct error none = { 0 };
    long long target;

    if (record_load(&s->h->store, s->uuid, &s->cfg, &none) != 0) {
        if (none.code != ENOENT) {
            *e = none;
            return -1;
        }
        if (load_userdata(s, e) != 0)
            return -1;
    }
    target = store_read_num(&s->h->store, 0, "/local/domain/%u/memory/target", s->domid);
    if (target > 0 && (target + 1023) >> 10 <= s->cfg.maxmem_mb)
        s->cfg.memory_mb = (unsigned)((target + 1023) >> 10);
    memcpy(s->cfg.uuid, s->uuid, sizeof(s->uuid));
    s->cfg.has_uuid = true;
    for (unsigned int i = 0; i < s->cfg.nr_vifs; i++) {
        struct vif_config *v = &s->cfg.vifs[i];

        if (!v->has_mac)
            vif_mac(s->uuid, v->devid, v->mac);
        v->has_mac = true;
    }
    return 0;
}

int save_open(struct save *s, struct host *h, unsigned int domid, enum guest_left left,
              struct error *e)
{
    int rc;

    memset(s, 0, sizeof(*s));
    s->h = h;
    s->domid = domid;
    s->lock.fd = -1;
    if (domid == 0)
        return error_set(e, EINVAL, NULL, "this cannot be done to Domain 0");
    if (record_uuid(h, domid, s->uuid, e) != 0 || image_can_save(h, domid, e) != 0 ||
        guest_lock(&s->lock, s->uuid, false, e) != 0)
        return -1;
    rc = guest_lock_note(&s->lock, left);
    if (rc)
        return error_sys(e, -rc, NULL, "%s", s->lock.path);
    return load_config(s, e);
}

int save_suspend(struct save *s, unsigned int seconds, struct error *e)
{
    int rc = suspend_guest(s->h, s->domid, seconds, e);

    s->suspended = rc == 0;
    return rc;
}

int save_write(struct save *s, struct stream_out *o, struct error *e)
{
    long v = xen_call(s->h->xen, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);

    if (!stream_out_begin(o, v < 0 ? 0 : (uint32_t)v >> 16, v < 0 ? 0 : (uint32_t)v & 0xffff))
        return error_sys(e, o->err, NULL, "writing the guest");
    if (image_save(s->h, s->domid, o, e) != 0)
        return -1;
    return stream_out_end(o) ? 0 : error_sys(e, o->err, NULL, "writing the guest");
}

int save_resume(struct save *s, struct error *e)
{
    s->suspended = false;
    record_put(&s->h->store, s->uuid, "kept", NULL); /* the monitor may have seen it stopped */
    return suspend_cancel(s->h, s->domid, e);
}

int save_erase(struct save *s, struct error *e)
{
    char *path = userdata_path(s);
    int rc;

    s->suspended = false;
    guest_lock_note(&s->lock, LEFT_ERASE);
    rc = guest_erase(s->h, (int)s->domid, s->uuid, false, now_ms() + ERASE_WAIT_MS, e);
    unlink(path); /* of a guest that xl made */
    free(path);
    return rc;
}

void save_close(struct save *s)
{
    struct error e = { 0 };

    if (s->suspended && save_resume(s, &e) != 0)
        error_print(&e, "orlop: letting the guest go on");
    config_free(&s->cfg);
    guest_unlock(&s->lock);
}

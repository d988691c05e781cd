/* SPDX-License-Identifier: MIT */
/* What save and migrate have in common. */
#include "tools/cli/save.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/suspend.h"
#include "tools/cli/userdata.h"
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

/* As it is called now: libxl keeps of a guest that came by xl the name that it had on its way. */
static void name_of_now(struct save *s)
{
    char *name = store_read(&s->h->store, "/local/domain/%u/name", s->domid);

    if (name && guest_name_valid(name)) {
        free(s->cfg.name);
        s->cfg.name = name;
    } else {
        free(name);
    }
}

/* xl keeps its own: when it changed the guest last, that is what is true of its devices. */
static int load_config(struct save *s, struct error *e)
{
    struct guest_config xl = { 0 };
    struct error none = { 0 }, other = { 0 };
    bool by_orlop = true, known = record_load(&s->h->store, s->uuid, &s->cfg, &none) == 0;
    int rc = userdata_load(s->domid, s->uuid, &xl, &by_orlop, &other);
    long long target;

    if (!known && none.code != ENOENT) {
        *e = none;
    } else if (!known || (rc == 0 && !by_orlop)) {
        config_free(&s->cfg);
        s->cfg = xl;
        xl = (struct guest_config){ 0 };
        *e = other;
        known = rc == 0;
    }
    config_free(&xl);
    if (!known)
        return -1;
    target = store_read_num(&s->h->store, 0, "/local/domain/%u/memory/target", s->domid);
    if (target > 0 && (target + 1023) >> 10 <= s->cfg.maxmem_mb)
        s->cfg.memory_mb = (unsigned)((target + 1023) >> 10);
    memcpy(s->cfg.uuid, s->uuid, sizeof(s->uuid));
    s->cfg.has_uuid = true;
    userdata_macs(&s->cfg, s->uuid);
    name_of_now(s);
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

int save_begin(struct save *s, struct stream_out *o, struct error *e)
{
    long v = xen_call(s->h->xen, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);

    if (!stream_out_begin(o, v < 0 ? 0 : (uint32_t)v >> 16, v < 0 ? 0 : (uint32_t)v & 0xffff))
        return error_sys(e, o->err, NULL, "writing the guest");
    s->image = image_save_open(s->h, s->domid, o, e);
    return image_save_static(s->image);
}

int save_rounds(struct save *s, const struct image_goal *goal)
{
    return image_save_rounds(s->image, goal);
}

int save_suspend(struct save *s, unsigned int seconds, struct error *e)
{
    int rc = suspend_guest(s->h, s->domid, seconds, e);

    s->suspended = rc == 0;
    return rc;
}

int save_write(struct save *s, struct stream_out *o, bool verify, struct error *e)
{
    if (image_save_rest(s->image, verify) != 0)
        return -1;
    return stream_out_end(o) ? 0 : error_sys(e, o->err, NULL, "writing the guest");
}

/* Its pages are not looked at any more: nothing is logged. */
static void end_image(struct save *s)
{
    image_save_close(s->image);
    s->image = NULL;
}

int save_resume(struct save *s, struct error *e)
{
    s->suspended = false;
    end_image(s);
    record_put(&s->h->store, s->uuid, "kept", NULL); /* the monitor may have seen it stopped */
    return suspend_cancel(s->h, s->domid, e);
}

int save_erase(struct save *s, struct error *e)
{
    s->suspended = false;
    end_image(s);
    guest_lock_note(&s->lock, LEFT_ERASE);
    return guest_erase(s->h, (int)s->domid, s->uuid, false, now_ms() + ERASE_WAIT_MS, e);
}

void save_close(struct save *s)
{
    struct error e = { 0 };

    end_image(s);
    if (s->suspended && save_resume(s, &e) != 0)
        error_print(&e, "orlop: letting the guest go on");
    config_free(&s->cfg);
    guest_unlock(&s->lock);
}

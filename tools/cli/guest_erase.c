/* SPDX-License-Identifier: MIT */
/*
 * The end of a guest. The domain is destroyed first, so that nothing of it runs any more; with its
 * nodes gone Domain 0's backends let go of its memory and close their disks (which clears loop
 * devices); then the hypervisor has everything back and says so through @releaseDomain.
 */
#include "tools/cli/device.h"
#include "tools/cli/device_model.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/undo.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xenbus.h>

#define TOKEN "gone"

struct erasing {
    int domid;
    const uint8_t *uuid;
    bool keep_record;
};

static int drop_disks(struct store *s, const uint8_t *uuid, const char *text)
{
    unsigned int n;
    char **keys = store_list(s, &n, RECORD_ROOT "/%s/keys", text);
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i < n; i++)
        rc = record_drop_disk(s, uuid, keys[i]);
    free(keys);
    return rc;
}

/* The directory, if nothing is left in it. */
static int prune(struct store *s, const char *dir)
{
    unsigned int n;
    char **names = store_list(s, &n, "%s", dir);
    int rc = names || errno == ENOENT ? 0 : -errno;

    free(names);
    return rc == 0 && names && n == 0 ? store_rm(s, "%s", dir) : rc;
}

/* What only guests have use for goes with the last of them. */
static int prune_all(struct store *s)
{
    static const char *const dirs[] = { "/local/domain/0/backend/vbd",
                                        "/local/domain/0/backend/vif",
                                        "/local/domain/0/backend/vfb",
                                        "/local/domain/0/backend/vkbd",
                                        "/local/domain/0/backend/console",
                                        "/local/domain/0/backend",
                                        "/local/domain/0/error/backend/vbd",
                                        "/local/domain/0/error/backend/vif",
                                        "/local/domain/0/error/backend",
                                        "/local/domain/0/error",
                                        "/local/domain/0/device-model",
                                        "/libxl",
                                        "/vm",
                                        RECORD_ROOT "/disks",
                                        RECORD_ROOT };
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i < sizeof(dirs) / sizeof(dirs[0]); i++)
        rc = prune(s, dirs[i]);
    return rc;
}

static int remove_nodes(struct store *s, void *ctx)
{
    const struct erasing *x = ctx;
    char uuid[UUID_TEXT];
    int rc = 0;

    uuid_to_text(x->uuid, uuid);
    if (x->domid >= 0) {
        rc = store_rm(s, "/local/domain/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vbd/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vif/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vfb/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vkbd/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/backend/console/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/error/backend/vbd/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/error/backend/vif/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/local/domain/0/device-model/%d", x->domid);
        rc = rc ? rc : store_rm(s, "/libxl/%d", x->domid);
    }
    rc = rc ? rc : store_rm(s, "/vm/%s", uuid);
    rc = rc ? rc : drop_disks(s, x->uuid, uuid);
    if (x->keep_record)
        rc = rc ? rc : store_rm(s, RECORD_ROOT "/%s/domid", uuid);
    else
        rc = rc ? rc : store_rm(s, RECORD_ROOT "/%s", uuid);
    return rc ? rc : prune_all(s);
}

/* A device of the domain, as Domain 0's kernel has it. */
struct served {
    const char *class;
    unsigned int id;
    char *node; /* of a block device that a program in Domain 0 serves; NULL otherwise */
    char *file; /* behind a loop device that xl's script made; NULL otherwise */
};

static unsigned int add_served(struct store *s, int domid, const char *class, struct served **list,
                               unsigned int count)
{
    unsigned int n;
    char **ids = store_list(s, &n, "/local/domain/0/backend/%s/%d", class, domid);

    *list = mem_grow(*list, (count + n + 1) * sizeof(**list));
    for (unsigned int i = 0; i < n; i++) {
        struct served *d = *list + count;

        if (!parse_uint(ids[i], &d->id))
            continue;
        d->class = class;
        d->node = store_read(s, "/local/domain/0/backend/%s/%d/%u/node", class, domid, d->id);
        d->file = NULL; /* ours have a key, and go by themselves */
        if (d->node &&
            !store_exists(s, "/local/domain/0/backend/%s/%d/%u/key", class, domid, d->id))
            d->file = store_read(s, "/local/domain/0/backend/%s/%d/%u/params", class, domid, d->id);
        count++;
    }
    free(ids);
    return count;
}

#define SETTLE_MS 2000
#define LOOK_AGAIN_MS 20

static void pause_ms(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/*
 * Nodes that are removed while a backend is just taking its device up come back, since it writes
 * some more. So it is left to get that far; it takes milliseconds.
 */
static void let_settle(struct store *s, int domid, const struct served *list, unsigned int n)
{
    int64_t deadline = now_ms() + SETTLE_MS;

    for (unsigned int i = 0; i < n; i++) {
        while (store_read_num(s, 0, "/local/domain/0/backend/%s/%d/%u/state", list[i].class, domid,
                              list[i].id) == XenbusStateInitialising &&
               left_ms(deadline) > 0)
            pause_ms();
    }
}

/* Until the kernel has none of them any more. */
static void await_unregistered(int domid, const struct served *list, unsigned int n)
{
    int64_t deadline = now_ms() + SETTLE_MS;
    char path[96];

    for (unsigned int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/%s-%d-%u", list[i].class, domid,
                 list[i].id);
        while (access(path, F_OK) == 0 && left_ms(deadline) > 0)
            pause_ms();
    }
}

static void free_served(struct served *list, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++) {
        free(list[i].node);
        free(list[i].file);
    }
    free(list);
}

/* What a backend wrote after its nodes were removed: its last words, mostly errors. */
static bool wrote_again(struct store *s, int domid)
{
    static const char *const dirs[] = { "backend/vbd", "backend/vif", "error/backend/vbd",
                                        "error/backend/vif" };

    for (unsigned int i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        if (store_exists(s, "/local/domain/0/%s/%d", dirs[i], domid))
            return true;
    }
    return false;
}

static int still_there(struct host *h, int domid, const struct xen_domctl_getdomaininfo *i,
                       struct error *e)
{
    error_set(e, ETIMEDOUT, NULL,
              "domain %d is destroyed, but %llu of its pages are still mapped by others", domid,
              (unsigned long long)i->tot_pages);
    return error_remedy(
        e, "A backend in Domain 0 may hang on I/O (dmesg); the pages come back when it lets go.");
}

/*
 * Until the hypervisor no longer knows the domain. @releaseDomain may have come before the last
 * page did, so the domain is looked at again every now and then.
 */
static int await_gone(struct host *h, int domid, const uint8_t *uuid, int64_t deadline,
                      struct error *e)
{
    struct xen_domctl_getdomaininfo info;

    for (;;) {
        int rc = xen_dominfo(h->xen, domid, &info);
        int64_t soon = now_ms() + LOOK_AGAIN_MS;
        char *event;

        if (rc == -ESRCH || (rc == 0 && memcmp(info.handle, uuid, 16) != 0))
            return 0;
        if (rc < 0)
            return xen_error(e, rc, "domain %d", domid);
        if (left_ms(deadline) <= 0)
            return still_there(h, domid, &info, e);
        event = store_next(&h->store, soon < deadline ? soon : deadline, NULL);
        if (!event && errno != EINTR && errno != ETIMEDOUT)
            return store_error(e, errno, "waiting for the end of domain %d", domid);
        free(event);
    }
}

static int destroy(struct host *h, const struct erasing *x, int64_t deadline, struct error *e)
{
    bool watched;
    int rc = xen_destroy(h->xen, x->domid);

    if (rc < 0 && rc != -ESRCH)
        return xen_error(e, rc, "destroying domain %d", x->domid);
    dm_stop(&h->store, (unsigned int)x->domid);
    hotplug_remove_all(h, x->domid);
    rc = store_transact(&h->store, remove_nodes, (void *)x);
    if (rc)
        return store_error(e, rc, "removing the nodes of domain %d", x->domid);
    watched = store_watch(&h->store, "@releaseDomain", TOKEN) == 0;
    xs_release_domain(h->store.h, x->domid);
    rc = await_gone(h, x->domid, x->uuid, deadline, e);
    if (watched)
        store_unwatch(&h->store, "@releaseDomain", TOKEN);
    return rc;
}

static int end_domain(struct host *h, const struct erasing *x, int64_t deadline, struct error *e)
{
    struct served *list = NULL;
    unsigned int n = add_served(&h->store, x->domid, "vbd", &list, 0);
    int rc;

    n = add_served(&h->store, x->domid, "vif", &list, n);
    let_settle(&h->store, x->domid, list, n);
    rc = destroy(h, x, deadline, e);
    await_unregistered(x->domid, list, n);
    userdata_remove((unsigned int)x->domid);
    if (rc == 0 && n && wrote_again(&h->store, x->domid))
        store_transact(&h->store, remove_nodes, (void *)x);
    for (unsigned int i = 0; i < n; i++) {
        if (list[i].node)
            disk_node_release(list[i].node);
        if (list[i].file)
            disk_loop_release(list[i].node, list[i].file);
    }
    free_served(list, n);
    return rc;
}

int guest_erase(struct host *h, int domid, const uint8_t uuid[16], bool keep_record,
                int64_t deadline, struct error *e)
{
    struct erasing x = { .domid = domid, .uuid = uuid, .keep_record = keep_record };
    int rc;

    if (domid >= 0)
        return end_domain(h, &x, deadline, e);
    rc = store_transact(&h->store, remove_nodes, &x);
    return rc ? store_error(e, rc, "removing the guest's nodes") : 0;
}

void guest_clean_unfinished(struct host *h, const uint8_t uuid[16])
{
    int domid = xen_find_uuid(h->xen, uuid);
    char *pending = record_get(&h->store, uuid, "pending"),
         *old = record_get(&h->store, uuid, "domid");
    struct xen_domctl_getdomaininfo info;
    struct error e = { 0 };

    /* Its nodes may be there without it; but its number may be another's by now. */
    if (domid < 0 && old && xen_dominfo(h->xen, atoi(old), &info) == -ESRCH)
        domid = atoi(old);
    if (guest_erase(h, domid, uuid, pending != NULL, now_ms() + 10000, &e) != 0)
        error_print(&e, "orlop: cleaning up after one that was killed");
    free(pending);
    free(old);
}

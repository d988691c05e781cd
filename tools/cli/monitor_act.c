/* SPDX-License-Identifier: MIT */
/*
 * What the monitor does about one guest. Each step leaves xenstore so that a monitor that was
 * killed and started anew goes on: `pending` says that a guest whose domain is taken away comes
 * back.
 */
#include "tools/cli/monitor_act.h"
#include "tools/cli/core.h"
#include "tools/cli/dump_dir.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/policy.h"
#include "tools/cli/suspend.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ERASE_WAIT_MS 30000

struct guest {
    struct host *h;
    const uint8_t *uuid;
    struct guest_lock lock;
    struct guest_config cfg;
    int domid;
};

static bool stopped(uint32_t flags)
{
    return flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown);
}

enum monitor_need monitor_look(struct host *h, const uint8_t uuid[16],
                               const struct xen_domctl_getdomaininfo *info)
{
    char *kept;

    if (info && !stopped(info->flags))
        return NEED_NOTHING;
    if (!info) {
        kept = record_get(&h->store, uuid, "down");
        free(kept);
        return kept ? NEED_NOTHING : monitor_wait(h, uuid) > 0 ? NEED_TIME : NEED_ACTION;
    }
    if (info->flags & XEN_DOMINF_dying)
        return NEED_ACTION;
    kept = record_get(&h->store, uuid, "kept");
    free(kept);
    return kept ? NEED_NOTHING : NEED_ACTION;
}

int64_t monitor_wait(struct host *h, const uint8_t uuid[16])
{
    char *text = record_get(&h->store, uuid, "restart_at");
    int64_t left = text ? strtoll(text, NULL, 10) - time(NULL) : 0;

    free(text);
    return left > RESTART_PAUSE_MAX_S ? 0 : left; /* more: the clock was set back */
}

static bool is_down(struct guest *g)
{
    char *down = record_get(&g->h->store, g->uuid, "down");

    free(down);
    return down != NULL;
}

static void log_error(struct guest *g, const char *what, const struct error *e)
{
    monitor_log("%s: %s: %s%s%s", g->cfg.name ? g->cfg.name : "a guest", what, e->cause,
                e->remedy[0] ? " -- " : "", e->remedy);
}

static void write_core(struct guest *g)
{
    struct error e = { 0 };
    char *path = dump_path(DUMP_DIR, g->cfg.name, time(NULL));
    unsigned int gone = dump_prune(DUMP_DIR, g->cfg.name, DUMP_KEEP);

    if (gone)
        monitor_log("%s: %u older core file%s removed: %d of a guest are kept", g->cfg.name, gone,
                    gone == 1 ? "" : "s", DUMP_KEEP);
    if (make_dirs(path, 0700) < 0 || core_write(g->h, g->domid, path, &e) != 0)
        log_error(g, "no core file", &e);
    else
        monitor_log("%s: core file %s", g->cfg.name, path);
    free(path);
}

static bool erase(struct guest *g, bool keep_record)
{
    struct error e = { 0 };
    int rc;

    guest_lock_note(&g->lock, LEFT_ERASE);
    rc = guest_erase(g->h, g->domid, g->uuid, keep_record, now_ms() + ERASE_WAIT_MS, &e);

    if (rc)
        log_error(g, "cleaning up", &e);
    return rc == 0;
}

/* Made anew from its record; when that fails it stays down, and the log says why. */
static void make_anew(struct guest *g)
{
    char *force = record_get(&g->h->store, g->uuid, "force");
    struct create_options o = { .restart = true, .force = force != NULL, .held = &g->lock };
    struct error e = { 0 };
    unsigned int domid;

    free(force);
    if (guest_create(g->h, &g->cfg, &o, &domid, NULL, &e) == 0) {
        monitor_log("%s: started again as domain %u", g->cfg.name, domid);
        return;
    }
    log_error(g, "could not be started again, it stays down", &e);
    g->domid = -1;
    if (erase(g, true)) { /* its record stays, for people to see */
        record_put(&g->h->store, g->uuid, "down", e.cause);
        record_put(&g->h->store, g->uuid, "pending", NULL);
    }
}

struct renaming {
    struct guest *g;
    const uint8_t *uuid; /* the old domain's from now on */
    const char *name;
};

/* The stopped domain lets go of its devices, which the new one needs. */
static int rename_nodes(struct store *s, void *ctx)
{
    const struct renaming *r = ctx;
    char text[UUID_TEXT], path[96], old[UUID_TEXT];
    unsigned int n;
    char **keys;
    int rc;

    uuid_to_text(r->g->uuid, old);
    uuid_to_text(r->uuid, text);
    keys = store_list(s, &n, RECORD_ROOT "/%s/keys", old);
    snprintf(path, sizeof(path), "/local/domain/%d", r->g->domid);
    rc = store_put(s, path, "name", "%s", r->name);
    rc = rc ? rc : store_put(s, path, "vm", "/vm/%s", text);
    rc = rc ? rc : store_rm(s, "%s/device", path);
    rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vbd/%d", r->g->domid);
    rc = rc ? rc : store_rm(s, "/local/domain/0/backend/vif/%d", r->g->domid);
    rc = rc ? rc : store_rm(s, "/libxl/%d/device/vbd", r->g->domid);
    rc = rc ? rc : store_rm(s, "/libxl/%d/device/vif", r->g->domid);
    rc = rc ? rc : store_rm(s, "/vm/%s", old);
    for (unsigned int i = 0; rc == 0 && i < n; i++)
        rc = record_drop_disk(s, r->g->uuid, keys[i]);
    free(keys);
    rc = rc ? rc : store_rm(s, RECORD_ROOT "/%s/domid", old);
    snprintf(path, sizeof(path), "/vm/%s", text);
    rc = rc ? rc : store_put(s, path, "name", "%s", r->name);
    snprintf(path, sizeof(path), RECORD_ROOT "/%s", text);
    rc = rc ? rc : store_mkdir(s, path, 0, -1);
    rc = rc ? rc : store_put(s, path, "domid", "%d", r->g->domid);
    return rc ? rc : store_put(s, path, "kept", "rename-restart");
}

static bool set_aside(struct guest *g)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setdomainhandle, .domain = g->domid };
    char *name = str_fmt("%s-%d", g->cfg.name, g->domid);
    struct renaming r = { .g = g, .name = name };
    uint8_t uuid[16];
    int rc;

    hotplug_remove_all(g->h, g->domid);
    userdata_remove((unsigned int)g->domid);
    uuid_random(uuid);
    r.uuid = uuid;
    memcpy(op.u.setdomainhandle.handle, uuid, 16);
    rc = store_transact(&g->h->store, rename_nodes, &r);
    if (rc == 0)
        rc = xen_domctl(g->h->xen, &op);
    if (rc)
        monitor_log("%s: setting domain %d aside: %s", g->cfg.name, g->domid, strerror(-rc));
    else
        monitor_log("%s: the stopped domain is kept as %s", g->cfg.name, name);
    free(name);
    return rc == 0;
}

static int64_t recorded_number(struct guest *g, const char *name)
{
    char *text = record_get(&g->h->store, g->uuid, name);
    int64_t v = text ? strtoll(text, NULL, 10) : 0;

    free(text);
    return v;
}

static void put_number(struct guest *g, const char *name, int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    record_put(&g->h->store, g->uuid, name, text);
}

/* Notes in the record that it is to come back, and when: the pause in seconds. */
static unsigned int note_restart(struct guest *g)
{
    int64_t now = time(NULL), started = recorded_number(g, "started");
    unsigned int quick = (unsigned int)recorded_number(g, "quick");
    unsigned int pause = policy_restart_pause(&quick, now - started);

    put_number(g, "quick", quick);
    put_number(g, "restarts", recorded_number(g, "restarts") + 1);
    put_number(g, "restart_at", now + pause);
    record_put(&g->h->store, g->uuid, "pending", "restart");
    if (pause)
        monitor_log("%s: restart %lld, %u of them quickly one after the other: it waits %u s",
                    g->cfg.name, (long long)recorded_number(g, "restarts"), quick, pause);
    return pause;
}

/* The host goes down: nobody comes back. */
static bool stopping(struct guest *g)
{
    return store_exists(&g->h->store, RECORD_ROOT "/%s", RECORD_STOPPING);
}

static void carry_out(struct guest *g, unsigned int reason)
{
    enum guest_action action = policy_action(&g->cfg, reason);
    unsigned int pause = 0;
    struct policy_plan plan;

    if (stopping(g))
        action = ACTION_DESTROY;
    plan = policy_plan(action);
    monitor_log("%s: domain %d stopped (%s): %s", g->cfg.name, g->domid, shutdown_name(reason),
                guest_action_name(action));
    if (plan.core)
        write_core(g);
    if (!plan.destroy && !plan.rename) {
        record_put(&g->h->store, g->uuid, "kept", shutdown_name(reason));
        return;
    }
    if (plan.restart)
        pause = note_restart(g);
    if (plan.rename ? !set_aside(g) : !erase(g, plan.restart))
        return;
    if (plan.restart && !pause)
        make_anew(g);
}

static bool has_record(struct guest *g)
{
    char text[UUID_TEXT];

    uuid_to_text(g->uuid, text);
    return store_exists(&g->h->store, RECORD_ROOT "/%s", text);
}

/* Again under the lock: what was seen without it may have changed. */
static void act_locked(struct guest *g)
{
    struct xen_domctl_getdomaininfo info;
    struct error e = { 0 };
    char *pending = record_get(&g->h->store, g->uuid, "pending");
    bool known = record_load(&g->h->store, g->uuid, &g->cfg, &e) == 0;

    g->domid = xen_find_uuid(g->h->xen, g->uuid);
    if (g->domid < 0 && e.code == ENOENT && !has_record(g)) {
        free(pending);
        return; /* whoever held the lock has done it all */
    }
    if (g->domid >= 0 && (xen_dominfo(g->h->xen, g->domid, &info) != 0 || !stopped(info.flags))) {
        free(pending);
        return;
    }
    if (pending && g->domid < 0 && stopping(g)) {
        erase(g, false); /* the host goes down while it waited */
    } else if (pending && known) {
        if ((g->domid < 0 || erase(g, true)) && monitor_wait(g->h, g->uuid) <= 0)
            make_anew(g);
    } else if (g->domid < 0 && known && is_down(g)) {
        ; /* nothing to do until somebody creates or destroys it */
    } else if (g->domid < 0) {
        monitor_log("%s: its domain is gone; its nodes are removed",
                    known ? g->cfg.name : "a guest");
        guest_clean_unfinished(g->h, g->uuid);
    } else if ((info.flags & XEN_DOMINF_dying) || !known) {
        if (erase(g, false))
            monitor_log("%s: domain %d was destroyed; cleaned up", known ? g->cfg.name : "a guest",
                        g->domid);
    } else {
        carry_out(g, shutdown_reason(info.flags));
    }
    free(pending);
}

bool monitor_act(struct host *h, const uint8_t uuid[16])
{
    struct guest g = { .h = h, .uuid = uuid };

    if (guest_lock(&g.lock, uuid, false, NULL) != 0)
        return false;
    if (g.lock.left == LEFT_RESUME)
        suspend_recover(h, uuid);
    if (g.lock.left == LEFT_ERASE)
        guest_clean_unfinished(h, uuid);
    if (g.lock.left == LEFT_ERASE || g.lock.left == LEFT_ALONE)
        act_locked(&g);
    guest_unlock(&g.lock);
    config_free(&g.cfg);
    return true;
}

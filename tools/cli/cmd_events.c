/* SPDX-License-Identifier: MIT */
/*
 * orlop events: what happens to guests, as it happens. Two sources: the hypervisor's list of
 * domains, compared with what it was before whenever a domain comes or goes, and once a second,
 * since it does not tell of pauses; and the store, of which a few paths mean something to a reader.
 */
#include "tools/cli/command.h"
#include "tools/cli/guest.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 1000 };

struct follower {
    struct host host;
    struct view *views; /* as they were last shown */
    int count;
    uint64_t left; /* events until the end; 0: no end */
    bool done;
    char *device; /* the last device event */
};

/* One event: about `name` (may be empty), with an optional detail. */
static void tell(struct follower *f, unsigned domid, const char *name, const char *event,
                 const char *detail)
{
    struct json_object *j;
    char when[32];
    time_t now = time(NULL);

    if (f->done)
        return;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    if (json_output) {
        j = json_object_new_object();
        json_object_object_add(j, "time", json_object_new_string(when));
        json_object_object_add(j, "domid", json_object_new_int(domid));
        json_object_object_add(j, "name", *name ? json_object_new_string(name) : NULL);
        json_object_object_add(j, "event", json_object_new_string(event));
        if (detail)
            json_object_object_add(j, "detail", json_object_new_string(detail));
        print_json_line(j);
    } else {
        printf("%s  %-20s %5u  %s%s%s\n", when, *name ? name : "-", domid, event,
               detail ? ": " : "", detail ? detail : "");
        fflush(stdout);
    }
    f->done = ferror(stdout) || (f->left && --f->left == 0);
}

static const char *name_in(const struct follower *f, unsigned domid)
{
    for (int i = 0; i < f->count; i++) {
        if (f->views[i].info.domain == domid)
            return f->views[i].name;
    }
    return "";
}

static const struct view *find(const struct view *views, int n, const struct view *like)
{
    for (int i = 0; i < n; i++) {
        if (views[i].info.domain == like->info.domain &&
            memcmp(views[i].info.handle, like->info.handle, 16) == 0)
            return &views[i];
    }
    return NULL;
}

/* running, blocked and runnable alternate all the time: they are one state here. */
static const char *lasting_state(const struct view *v)
{
    uint32_t special = XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_paused;

    return v->info.flags & special ? view_state(v) : "running";
}

static void tell_change(struct follower *f, const struct view *old, const struct view *new)
{
    const char *state = lasting_state(new);
    const char *name = new->name[0] ? new->name : old ? old->name : "";
    char was[NAME_SIZE + 8];

    if (!old)
        tell(f, new->info.domain, name, "created", state);
    else if (strcmp(old->name, new->name) != 0 && new->name[0]) {
        snprintf(was, sizeof(was), "from %s", old->name);
        tell(f, new->info.domain, new->name, old->name[0] ? "renamed" : "named",
             old->name[0] ? was : NULL);
    }
    if (!old || strcmp(lasting_state(old), state) == 0)
        return;
    if (strcmp(state, "shutdown") == 0)
        tell(f, new->info.domain, name, "shutdown",
             shutdown_name(shutdown_reason(new->info.flags)));
    else
        tell(f, new->info.domain, name, state, NULL);
}

/* A domain that is going has lost its name before its end. */
static void keep_names(const struct follower *f, struct view *now, int n)
{
    for (int i = 0; i < n; i++) {
        const struct view *old = find(f->views, f->count, &now[i]);

        if (old && !now[i].name[0])
            memcpy(now[i].name, old->name, sizeof(old->name));
    }
}

/* Compares the domains with what they were; -1 with e. */
static int look(struct follower *f, bool silent, struct error *e)
{
    struct view *now;
    int n = views_get(&f->host, &now, e);

    if (n < 0)
        return -1;
    keep_names(f, now, n);
    for (int i = 0; !silent && i < f->count; i++) {
        if (!find(now, n, &f->views[i]))
            tell(f, f->views[i].info.domain, f->views[i].name, "gone", NULL);
    }
    for (int i = 0; !silent && i < n; i++)
        tell_change(f, find(f->views, f->count, &now[i]), &now[i]);
    free(f->views);
    f->views = now;
    f->count = n;
    return 0;
}

/* States of backends, as XenbusState has them. */
static const char *device_state(const char *number)
{
    static const char *const names[] = { "unknown", "initialising",  "waiting for the guest",
                                         "ready",   "connected",     "closing",
                                         "closed",  "reconfiguring", "reconfigured" };
    unsigned n;

    return parse_uint(number, &n) && n < sizeof(names) / sizeof(names[0]) ? names[n] : number;
}

/* A guest's record says that it waits for its restart, or stays down. */
static void tell_record(struct follower *f, const char *path, const char *value)
{
    struct guest_config cfg = { 0 };
    struct error e = { 0 };
    char text[UUID_TEXT], *detail;
    uint8_t uuid[16];
    const char *node = strchr(path, '/');
    bool down = node && strcmp(node, "/down") == 0;

    if (!node || (!down && strcmp(node, "/restart_at") != 0) || node - path != UUID_TEXT - 1 ||
        snprintf(text, sizeof(text), "%s", path) < UUID_TEXT - 1 || !uuid_from_text(text, uuid) ||
        record_load(&f->host.store, uuid, &cfg, &e) != 0)
        return;
    detail = down ? str_fmt("%s", value)
                  : str_fmt("in %lld s", strtoll(value, NULL, 10) - (long long)time(NULL));
    tell(f, 0, cfg.name, down ? "stays down" : "restarts", detail);
    free(detail);
    config_free(&cfg);
}

/* A path of the store that has changed. */
static void tell_path(struct follower *f, const char *path)
{
    unsigned domid, device;
    char kind[16], rest[64], *value, *detail;
    int end = 0;

    value = store_read(&f->host.store, "%s", path);
    if (!value)
        return; /* removed: the end of a domain is told otherwise */
    text_clean(value);
    if (sscanf(path, "/local/domain/0/backend/%15[a-z]/%u/%u/stat%1[e]%n", kind, &domid, &device,
               rest, &end) == 4 &&
        !path[end]) {
        detail = str_fmt("%s %u %s", strcmp(kind, "vbd") == 0 ? "disk" : kind, device,
                         device_state(value));
        if (!f->device || strcmp(f->device, detail) != 0)
            tell(f, domid, name_in(f, domid), "device", detail);
        free(f->device); /* backends write the same state again */
        f->device = detail;
    } else if (strncmp(path, RECORD_ROOT "/", sizeof(RECORD_ROOT)) == 0) {
        tell_record(f, path + sizeof(RECORD_ROOT), value);
    } else if (sscanf(path, "/local/domain/%u/%63s", &domid, rest) == 2) {
        if (strcmp(rest, "control/shutdown") == 0 && *value)
            tell(f, domid, name_in(f, domid), "asked to", value);
        else if (strcmp(rest, "memory/target") == 0)
            tell(f, domid, name_in(f, domid), "memory target in KiB", value);
        else if (sscanf(rest, "cpu/%u/availabilit%15[y]", &device, kind) == 2) {
            detail = str_fmt("%u %s", device, value);
            tell(f, domid, name_in(f, domid), "vcpu", detail);
            free(detail);
        }
    }
    free(value);
}

/* Until the count or the deadline (negative: none) is reached; -1 with e. */
static int follow(struct follower *f, int64_t deadline, struct error *e)
{
    static const char *const paths[] = { "@introduceDomain", "@releaseDomain", "/local/domain",
                                         RECORD_ROOT };

    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int rc = store_watch(&f->host.store, paths[i], "orlop");

        if (rc < 0)
            return store_error(e, rc, "watching %s", paths[i]);
    }
    if (look(f, true, e) < 0)
        return -1;
    while (!f->done && (deadline < 0 || now_ms() < deadline)) {
        char *token, *path = store_next(&f->host.store, now_ms() + POLL_MS, &token);

        if (!path && errno != ETIMEDOUT)
            return errno == EINTR ? 0 : store_error(e, errno, "following the store");
        if (!path || path[0] == '@' || strstr(path, "/name")) {
            if (look(f, false, e) < 0)
                return -1;
        } else {
            tell_path(f, path);
        }
        free(path);
    }
    return 0;
}

static int events_run(int argc, char **argv)
{
    static const struct option options[] = { { "count", required_argument, NULL, 'n' },
                                             { "seconds", required_argument, NULL, 's' },
                                             { 0 } };
    struct follower f = { .left = 0 };
    struct error e = { 0 };
    int64_t deadline = -1;
    uint64_t n;
    int c;

    while ((c = getopt_long(argc, argv, ":n:s:", options, NULL)) != -1) {
        if (c == '?' || c == ':')
            return cmd_bad_option(argv);
        if (!parse_number(optarg, 1, 1u << 30, &n))
            return cmd_usage("-%c %s: a number above 0", c, optarg);
        if (c == 'n')
            f.left = n;
        else
            deadline = now_ms() + n * 1000;
    }
    if (optind < argc)
        return cmd_usage("%s: no argument is expected", argv[optind]);
    if (host_open(&f.host, &e) < 0 || follow(&f, deadline, &e) < 0) {
        free(f.views);
        free(f.device);
        return host_fail(&f.host, &e);
    }
    free(f.views);
    free(f.device);
    host_close(&f.host);
    return EXIT_DONE;
}

const struct command cmd_events = {
    .name = "events",
    .synopsis = "[--count N] [--seconds N]",
    .summary = "follow what happens to guests: one line an event",
    .help = "  -n, --count N    end after N events\n"
            "  -s, --seconds N  end after N seconds\n"
            "Events: created, named, renamed, running, paused, shutdown, crashed, dying, gone;\n"
            "restarts (with the pause before it), stays down (and why);\n"
            "asked to (poweroff, reboot ...), memory target, vcpu, device (a disk's or card's\n"
            "backend changes its state). Pauses are seen within a second. With --json each event\n"
            "is an object on its own line.\n",
    .options = "--count --seconds",
    .group = GROUP_VIEW,
    .json = true,
    .run = events_run,
};

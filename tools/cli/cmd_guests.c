/* SPDX-License-Identifier: MIT */
/*
 * orlop guests start|stop|status: the guests that live with the host. /etc/orlop/auto holds their
 * configurations (or links to them) and is walked in order of names; they stop in reverse order,
 * after all others.
 */
#define _GNU_SOURCE
#include "tools/cli/command.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_DIR "/etc/orlop/auto"
#define STOP_WAIT_S 120
#define ERASE_WAIT_MS 30000
#define ASK_AGAIN_MS 5000

struct autos {
    struct host h;
    struct guest_config *cfg;
    char **path;
    unsigned int count;
    bool bad; /* a file was not accepted, and said so */
};

static int is_cfg(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".cfg") == 0;
}

static void load_one(struct autos *a, const char *name)
{
    char *path = str_fmt("%s/%s", AUTO_DIR, name);
    struct config_errors errors = { 0 };

    a->cfg = mem_grow(a->cfg, (a->count + 1) * sizeof(*a->cfg));
    a->path = mem_grow(a->path, (a->count + 1) * sizeof(*a->path));
    memset(&a->cfg[a->count], 0, sizeof(*a->cfg));
    if (config_load(&a->cfg[a->count], path, NULL, 0, &errors)) {
        cmd_warnings(&errors);
        config_errors_free(&errors);
        a->path[a->count++] = path;
        return;
    }
    for (unsigned int i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.text[i]);
    config_errors_free(&errors);
    free(path);
    a->bad = true;
}

static void load_all(struct autos *a)
{
    struct dirent **names;
    int n = scandir(AUTO_DIR, &names, is_cfg, alphasort);

    if (n < 0)
        return; /* no folder, no guests */
    for (int i = 0; i < n; i++) {
        load_one(a, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

static void drop_all(struct autos *a)
{
    for (unsigned int i = 0; i < a->count; i++) {
        config_free(&a->cfg[i]);
        free(a->path[i]);
    }
    free(a->cfg);
    free(a->path);
    host_close(&a->h);
}

/* --- start --- */

static int start(struct autos *a)
{
    int code = a->bad ? EXIT_FAILED : EXIT_DONE;
    struct create_options o = { 0 };

    store_rm(&a->h.store, RECORD_ROOT "/%s", RECORD_STOPPING);
    leftovers_clean(&a->h);
    monitor_ensure();
    for (unsigned int i = 0; i < a->count; i++) {
        struct error e = { 0 };
        unsigned int domid;

        if (name_find(a->h.xen, &a->h.store, a->cfg[i].name, NULL) >= 0) {
            printf("%s runs already\n", a->cfg[i].name);
            continue;
        }
        if (guest_create(&a->h, &a->cfg[i], &o, &domid, NULL, &e) == 0) {
            printf("%s is domain %u\n", a->cfg[i].name, domid);
            continue;
        }
        code = cmd_fail("%s: %s%s%s", a->cfg[i].name, e.cause, e.remedy[0] ? "\n    " : "",
                        e.remedy);
        if (e.code == EINTR)
            break;
    }
    return code;
}

/* --- stop --- */

static bool in_autos(struct autos *a, const char *name)
{
    for (unsigned int i = 0; i < a->count; i++) {
        if (strcmp(a->cfg[i].name, name) == 0)
            return true;
    }
    return false;
}

static void ask(struct autos *a, unsigned int domid)
{
    struct xen_domctl_getdomaininfo info;
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
    store_write(&a->h.store, path, "poweroff");
    if (xen_dominfo(a->h.xen, domid, &info) == 0 && (info.flags & XEN_DOMINF_paused))
        xen_domctl_plain(a->h.xen, domid, XEN_DOMCTL_unpausedomain); /* it could not answer */
}

static bool stopped(struct autos *a, unsigned int domid)
{
    struct xen_domctl_getdomaininfo info;

    return xen_dominfo(a->h.xen, domid, &info) != 0 ||
           (info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown));
}

/* What is left of it goes; the monitor may be doing the same, then this waits for its lock. */
static void finish(struct autos *a, unsigned int domid, const char *name, bool in_time)
{
    struct guest_lock l;
    struct error e = { 0 };
    uint8_t uuid[16];

    if (record_uuid(&a->h, domid, uuid, NULL) == 0 && guest_lock(&l, uuid, true, &e) == 0) {
        int now = xen_find_uuid(a->h.xen, uuid);

        guest_lock_note(&l, LEFT_ERASE);
        if (now >= 0)
            guest_erase(&a->h, now, uuid, false, now_ms() + ERASE_WAIT_MS, &e);
        guest_unlock(&l);
    }
    if (e.code)
        cmd_fail("%s: %s", name, e.cause);
    else
        printf("%s has %s\n", name, in_time ? "stopped" : "not stopped in time and was destroyed");
}

static int stop_group(struct autos *a, const unsigned int *domid, unsigned int n, int64_t deadline)
{
    struct error e = { 0 };
    unsigned int i = 0;
    int64_t again;

    for (unsigned int k = 0; k < n; k++)
        ask(a, domid[k]);
    while (i < n) {
        char name[NAME_SIZE], *event;
        bool done = stopped(a, domid[i]);

        if (done || left_ms(deadline) == 0) {
            name_of(&a->h.store, domid[i], name);
            finish(a, domid[i++], name, done);
            continue;
        }
        again = now_ms() + ASK_AGAIN_MS;
        event = store_next(&a->h.store, again < deadline ? again : deadline, NULL);
        if (!event && errno == ETIMEDOUT)
            ask(a, domid[i]); /* a kernel that is still starting drops the request */
        if (!event && errno != ETIMEDOUT && errno != EINTR)
            return cmd_fail("waiting for guests: the connection to xenstored broke");
        free(event);
        if (interrupt_check(&e) != 0)
            return cmd_fail("%s", e.cause);
    }
    return EXIT_DONE;
}

/* All have stopped: what is created from now on may be restarted again. */
static void going_on(struct autos *a)
{
    unsigned int n;
    char **rest;

    store_rm(&a->h.store, RECORD_ROOT "/%s", RECORD_STOPPING);
    rest = store_list(&a->h.store, &n, RECORD_ROOT);
    if (rest && n == 0)
        store_rm(&a->h.store, RECORD_ROOT);
    free(rest);
}

static int stop(struct autos *a, uint64_t seconds)
{
    int64_t deadline = now_ms() + seconds * 1000;
    struct xen_domctl_getdomaininfo *all = NULL;
    int n = xen_domlist(a->h.xen, &all), code = EXIT_DONE;
    unsigned int *others = mem_alloc((n > 0 ? n : 1) * sizeof(*others)), count = 0;

    store_write(&a->h.store, RECORD_ROOT "/" RECORD_STOPPING, "1");
    store_watch(&a->h.store, "@releaseDomain", "stop");
    for (int i = 0; i < n; i++) {
        char name[NAME_SIZE];

        name_of(&a->h.store, all[i].domain, name);
        if (all[i].domain && !in_autos(a, name))
            others[count++] = all[i].domain;
    }
    code = stop_group(a, others, count, deadline);
    for (unsigned int i = a->count; i-- > 0 && code == EXIT_DONE;) {
        int domid = name_find(a->h.xen, &a->h.store, a->cfg[i].name, NULL);
        unsigned int one = domid;

        if (domid > 0)
            code = stop_group(a, &one, 1, deadline);
    }
    going_on(a);
    free(others);
    free(all);
    return code;
}

/* --- status --- */

static int status(struct autos *a)
{
    struct json_object *all = json_object_new_array();

    for (unsigned int i = 0; i < a->count; i++) {
        int domid = name_find(a->h.xen, &a->h.store, a->cfg[i].name, NULL);
        struct json_object *j = json_object_new_object();

        json_object_object_add(j, "name", json_object_new_string(a->cfg[i].name));
        json_object_object_add(j, "file", json_object_new_string(a->path[i]));
        json_object_object_add(j, "running", json_object_new_boolean(domid >= 0));
        if (domid >= 0)
            json_object_object_add(j, "domid", json_object_new_int(domid));
        json_object_array_add(all, j);
        if (!json_output && domid >= 0)
            printf("%-20s domain %-5d %s\n", a->cfg[i].name, domid, a->path[i]);
        else if (!json_output)
            printf("%-20s does not run %s\n", a->cfg[i].name, a->path[i]);
    }
    if (json_output)
        print_json(all);
    else
        json_object_put(all);
    return a->bad ? EXIT_FAILED : EXIT_DONE;
}

static int parse(int argc, char **argv, uint64_t *seconds)
{
    static const struct option longs[] = { { "timeout", required_argument, NULL, 't' }, { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":t:", longs, NULL)) != -1) {
        if (c != 't')
            return cmd_bad_option(argv);
        if (!parse_number(optarg, 0, 86400, seconds))
            return cmd_usage("--timeout %s: give seconds, 0 to 86400", optarg);
    }
    return argc - optind == 1 ? 0 : cmd_usage("say start, stop or status");
}

static int run(int argc, char **argv)
{
    struct autos a = { 0 };
    struct error e = { 0 };
    uint64_t seconds = STOP_WAIT_S;
    int code = parse(argc, argv, &seconds);
    const char *what = code ? "" : argv[optind];

    if (code)
        return code;
    if (strcmp(what, "start") != 0 && strcmp(what, "stop") != 0 && strcmp(what, "status") != 0)
        return cmd_usage("%s: say start, stop or status", what);
    interrupt_catch();
    if (host_open(&a.h, &e) != 0)
        return host_fail(&a.h, &e);
    load_all(&a);
    if (strcmp(what, "start") == 0)
        code = start(&a);
    else if (strcmp(what, "stop") == 0)
        code = stop(&a, seconds);
    else
        code = status(&a);
    drop_all(&a);
    return code;
}

const struct command cmd_guests = {
    .name = "guests",
    .synopsis = "[-t SECONDS] start|stop|status",
    .summary = "start the guests that live with the host, or stop all guests",
    .help = "start    makes the guests of " AUTO_DIR "/*.cfg, in order of the files' names\n"
            "stop     asks all guests to power off and waits: these last and in reverse order.\n"
            "         Those that have not stopped in time are destroyed. Nothing is restarted.\n"
            "status   says which of them run\n"
            "\n"
            "  -t, --timeout SECONDS   how long stop waits in all (120)",
    .options = "--timeout",
    .group = GROUP_HOST,
    .arg = ARG_NONE,
    .json = true,
    .run = run,
};

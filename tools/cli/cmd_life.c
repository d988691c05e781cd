/* SPDX-License-Identifier: MIT */
/* orlop destroy, shutdown, reboot, pause, unpause */
#include "tools/cli/command.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/policy.h"
#include "tools/cli/suspend.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERASE_WAIT_MS 30000
#define ASK_AGAIN_MS 5000

/* What these commands do to each of the guests they are given. */
typedef int guest_fn(struct host *h, unsigned int domid, struct error *e);

/* [{"name":, "domid":, <done>: true}, ...] */
static void add_result(struct json_object *all, const char *name, unsigned int domid,
                       const char *done)
{
    struct json_object *j = json_object_new_object();

    json_object_object_add(j, "name", json_object_new_string(name));
    json_object_object_add(j, "domid", json_object_new_int(domid));
    json_object_object_add(j, done, json_object_new_boolean(true));
    json_object_array_add(all, j);
}

static int no_domain0(unsigned int domid, struct error *e)
{
    if (domid)
        return 0;
    return error_set(e, EINVAL, "The host itself is ended from within: poweroff, reboot.",
                     "this cannot be done to Domain 0");
}

static int destroy(struct host *h, unsigned int domid, struct error *e);

/* One after the other; a failure does not keep the others from it. */
static int for_each(struct host *h, char **names, int n, const char *done, guest_fn *fn)
{
    struct json_object *all = json_object_new_array();
    int code = EXIT_DONE;

    for (int i = 0; i < n; i++) {
        struct error e = { 0 };
        int domid = name_find(h->xen, &h->store, names[i], &e);

        if (domid < 0 && fn == destroy && down_forget(h, names[i])) {
            add_result(all, names[i], 0, done);
            continue;
        }
        if (domid < 0 || no_domain0(domid, &e) != 0 || fn(h, domid, &e) != 0) {
            code = cmd_fail("%s: %s%s%s", names[i], e.cause, e.remedy[0] ? "\n    " : "", e.remedy);
            if (e.code == EINTR)
                break;
            continue;
        }
        add_result(all, names[i], domid, done);
    }
    if (json_output)
        print_json(all);
    else
        json_object_put(all);
    return code;
}

static int with_guests(int argc, char **argv, const char *done, guest_fn *fn)
{
    struct error e = { 0 };
    struct host h;
    int code;

    if (optind >= argc)
        return cmd_usage("which guest?");
    interrupt_catch();
    if (host_open(&h, &e) != 0)
        return host_fail(&h, &e);
    code = for_each(&h, argv + optind, argc - optind, done, fn);
    host_close(&h);
    return code;
}

static int no_options(int argc, char **argv)
{
    static const struct option none[] = { { 0 } };

    return getopt_long(argc, argv, ":", none, NULL) == -1 ? 0 : cmd_bad_option(argv);
}

/* --- destroy --- */

static int destroy(struct host *h, unsigned int domid, struct error *e)
{
    struct guest_lock l;
    uint8_t uuid[16];
    int rc;

    if (record_uuid(h, domid, uuid, e) != 0 || guest_lock(&l, uuid, true, e) != 0)
        return -1;
    guest_lock_note(&l, LEFT_ERASE);
    rc = guest_erase(h, domid, uuid, false, now_ms() + ERASE_WAIT_MS, e);
    guest_unlock(&l);
    return rc;
}

static int run_destroy(int argc, char **argv)
{
    int rc = no_options(argc, argv);

    return rc ? rc : with_guests(argc, argv, "destroyed", destroy);
}

const struct command cmd_destroy = {
    .name = "destroy",
    .synopsis = "GUEST...",
    .summary = "end guests at once, as if their power failed",
    .help = "Nothing is asked of the guest: what it has not written to its disks is lost. Its\n"
            "memory, devices and nodes are gone when the command returns. orlop shutdown asks\n"
            "the guest to end by itself.",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_destroy,
};

/* --- pause, unpause --- */

static int pause_guest(struct host *h, unsigned int domid, struct error *e)
{
    int rc = xen_domctl_plain(h->xen, domid, XEN_DOMCTL_pausedomain);

    return rc < 0 ? xen_error(e, rc, "pausing it") : 0;
}

/*
 * One that another orlop saves, sends or receives is not ours to let run: two copies might. One
 * that suspended when nobody waited for it any more goes on.
 */
static int unpause_guest(struct host *h, unsigned int domid, struct error *e)
{
    uint8_t uuid[16];
    int rc;

    if (record_uuid(h, domid, uuid, e) == 0 && guest_lock_busy(uuid))
        return error_set(e, EWOULDBLOCK, "Wait for it; orlop list shows when it is done.",
                         "another orlop works on this guest just now");
    if (suspend_is(h, domid)) {
        if (store_exists(&h->store, "/local/domain/%u/" SUSPEND_UNRESOLVED, domid))
            return error_set(e, EINVAL, "Look there, and then: orlop migrate --resolve keep|drop.",
                             "it may run on another host");
        return suspend_cancel(h, domid, e);
    }
    *e = (struct error){ 0 };
    rc = xen_domctl_plain(h->xen, domid, XEN_DOMCTL_unpausedomain);
    return rc < 0 ? xen_error(e, rc, "letting it run") : 0;
}

static int run_pause(int argc, char **argv)
{
    int rc = no_options(argc, argv);

    return rc ? rc : with_guests(argc, argv, "paused", pause_guest);
}

static int run_unpause(int argc, char **argv)
{
    int rc = no_options(argc, argv);

    return rc ? rc : with_guests(argc, argv, "unpaused", unpause_guest);
}

const struct command cmd_pause = {
    .name = "pause",
    .synopsis = "GUEST...",
    .summary = "stop guests' vCPUs; they keep their memory and devices",
    .help = "orlop unpause lets them go on.",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_pause,
};

const struct command cmd_unpause = {
    .name = "unpause",
    .synopsis = "GUEST...",
    .summary = "let paused guests go on",
    .help = "Also starts guests that were made with orlop create --paused.",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_unpause,
};

/* --- shutdown, reboot --- */

struct asking {
    const char *what; /* "poweroff", "reboot" */
    bool all, wait, force;
    uint64_t timeout_s; /* 0: none */
};

static struct asking asking;

static int write_request(struct host *h, unsigned int domid)
{
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
    return store_write(&h->store, path, asking.what);
}

static int ask(struct host *h, unsigned int domid, struct error *e)
{
    char *feature = store_read(&h->store, "/local/domain/%u/control/feature-%s", domid,
                               asking.what);
    enum policy_listens listens = policy_listens(feature);
    int rc;

    free(feature);
    if (listens == LISTENS_NOT && !asking.force)
        return error_set(e, EOPNOTSUPP, "Use orlop destroy to end it. --force asks all the same.",
                         "the guest says that it does not listen to requests to %s", asking.what);
    if (listens == LISTENS_PERHAPS && !asking.wait)
        fprintf(stderr,
                "orlop: domain %u has not said that it listens to this; a kernel that still starts "
                "drops the request (--wait repeats it)\n",
                domid);
    rc = write_request(h, domid);
    return rc ? store_error(e, rc, "asking the guest") : 0;
}

/* The monitor carries out what follows; what it preserves stays for good. */
static bool ended(struct host *h, unsigned int domid)
{
    struct xen_domctl_getdomaininfo info;
    char *kept;
    bool stays;

    if (xen_dominfo(h->xen, domid, &info) != 0 || (info.flags & XEN_DOMINF_dying))
        return true;
    if (!(info.flags & XEN_DOMINF_shutdown))
        return false;
    kept = record_get(&h->store, info.handle, "kept");
    stays = kept != NULL;
    free(kept);
    return stays;
}

/* A kernel that is still starting takes the request and drops it: it is asked again. */
static int await_one(struct host *h, const char *name, unsigned int domid, int64_t deadline,
                     struct error *e)
{
    while (!ended(h, domid)) {
        int64_t again = now_ms() + ASK_AGAIN_MS;
        char *event = store_next(&h->store, deadline >= 0 && deadline < again ? deadline : again,
                                 NULL);

        if (event) {
            free(event);
        } else if (errno == EINTR) {
            if (interrupt_check(e) != 0)
                return -1;
        } else if (errno != ETIMEDOUT) {
            return store_error(e, errno, "waiting for the guests");
        } else if (deadline >= 0 && left_ms(deadline) == 0) {
            return error_set(
                e, ETIMEDOUT, "Look at its console (orlop log), or end it: orlop destroy",
                "%s still runs after %llu s", name, (unsigned long long)asking.timeout_s);
        } else {
            write_request(h, domid);
        }
    }
    return 0;
}

static int await_end(struct host *h, char **names, const unsigned int *domid, int n)
{
    int64_t deadline = asking.timeout_s ? now_ms() + asking.timeout_s * 1000 : -1;
    struct error e = { 0 };
    int rc = store_watch(&h->store, "@releaseDomain", "end");

    if (rc)
        store_error(&e, rc, "waiting for the guests");
    for (int i = 0; rc == 0 && i < n; i++)
        rc = await_one(h, names[i], domid[i], deadline, &e);
    if (rc == 0)
        return EXIT_DONE;
    return cmd_fail("%s%s%s", e.cause, e.remedy[0] ? "\n    " : "", e.remedy);
}

/* All guests but Domain 0, by number; to free() as one. */
static char **all_guests(struct host *h, int *count, struct error *e)
{
    struct xen_domctl_getdomaininfo *all = NULL;
    int n = xen_domlist(h->xen, &all);
    char **names;

    *count = 0;
    if (n < 0) {
        xen_error(e, n, "listing the domains");
        return NULL;
    }
    names = mem_alloc(n * (sizeof(*names) + 16));
    for (int i = 0; i < n; i++) {
        if (!all[i].domain || (all[i].flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)))
            continue;
        names[*count] = (char *)(names + n) + 16 * *count;
        snprintf(names[*count], 16, "%u", all[i].domain);
        ++*count;
    }
    free(all);
    return names;
}

static int parse_asking(int argc, char **argv)
{
    static const struct option longs[] = { { "all", no_argument, NULL, 'a' },
                                           { "wait", no_argument, NULL, 'w' },
                                           { "force", no_argument, NULL, 'F' },
                                           { "timeout", required_argument, NULL, 't' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":awFt:", longs, NULL)) != -1) {
        if (c == 'a')
            asking.all = true;
        else if (c == 'w')
            asking.wait = true;
        else if (c == 'F')
            asking.force = true;
        else if (c == 't' && !parse_number(optarg, 1, 86400, &asking.timeout_s))
            return cmd_usage("--timeout %s: give seconds, 1 to 86400", optarg);
        else if (c != 't')
            return cmd_bad_option(argv);
    }
    if (asking.all && optind < argc)
        return cmd_usage("--all and the names of guests exclude each other");
    if (!asking.all && optind >= argc)
        return cmd_usage("which guest?");
    return 0;
}

static int ask_all(struct host *h, char **names, int n)
{
    unsigned int *domid = mem_alloc(n * sizeof(*domid));
    const char *done = strcmp(asking.what, "reboot") == 0 ? "reboot_requested"
                                                          : "shutdown_requested";
    int code;

    for (int i = 0; i < n; i++) {
        int id = name_find(h->xen, &h->store, names[i], NULL);

        domid[i] = id < 0 ? DOMID_INVALID : id;
    }
    code = for_each(h, names, n, done, ask);
    if (code == EXIT_DONE && asking.wait)
        code = await_end(h, names, domid, n);
    free(domid);
    return code;
}

static int run_asking(int argc, char **argv, const char *what)
{
    struct error e = { 0 };
    struct host h;
    char **names, **all = NULL;
    int n, code;

    asking = (struct asking){ .what = what };
    code = parse_asking(argc, argv);
    if (code)
        return code;
    names = argv + optind;
    n = argc - optind;
    interrupt_catch();
    if (host_open(&h, &e) != 0)
        return host_fail(&h, &e);
    if (asking.all) {
        names = all = all_guests(&h, &n, &e);
        if (!all)
            return host_fail(&h, &e);
    }
    monitor_ensure();
    code = ask_all(&h, names, n);
    free(all);
    host_close(&h);
    return code;
}

static int run_shutdown(int argc, char **argv)
{
    return run_asking(argc, argv, "poweroff");
}

static int run_reboot(int argc, char **argv)
{
    return run_asking(argc, argv, "reboot");
}

#define ASKING_HELP                                                 \
    "  -a, --all          all guests\n"                             \
    "  -w, --wait         return when they have ended\n"            \
    "  -t, --timeout S    with --wait: not longer than S seconds\n" \
    "  -F, --force        ask even guests that say that they do not listen"

const struct command cmd_shutdown = {
    .name = "shutdown",
    .synopsis = "[-w] [-t SECONDS] [-F] -a | GUEST...",
    .summary = "ask guests to power off",
    .help = "The guest ends by itself, as after a press on the power button. What then becomes of\n"
            "it says on_poweroff= in its configuration (destroy by default).\n\n" ASKING_HELP,
    .options = "--all --wait --timeout --force",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_shutdown,
};

const struct command cmd_reboot = {
    .name = "reboot",
    .synopsis = "[-w] [-t SECONDS] [-F] -a | GUEST...",
    .summary = "ask guests to reboot",
    .help =
        "The guest ends by itself and is made anew with its configuration as it is now, if\n"
        "on_reboot= says so (restart by default). Its domain gets a new number.\n\n" ASKING_HELP,
    .options = "--all --wait --timeout --force",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_reboot,
};

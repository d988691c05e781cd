/* SPDX-License-Identifier: MIT */
/*
 * orlop migrate: a guest goes to another host. Its memory is sent while it runs, what it writes
 * meanwhile again, and it stands still for the rest. What both sides say stands in handshake.h.
 *
 * Two copies never run. Ours goes on whenever the other side has not got the permission to run its
 * own, and that is given only when the disks have completed all that the guest asked of them here.
 * From then on ours ends, if the other side reports that its copy runs; goes on, if it reports that
 * it never will; and stays suspended if neither comes: "unresolved", which is for people to decide.
 */
#include "tools/cli/channel.h"
#include "tools/cli/command.h"
#include "tools/cli/config_libxl.h"
#include "tools/cli/disk_sizes.h"
#include "tools/cli/drain.h"
#include "tools/cli/guest.h"
#include "tools/cli/handshake.h"
#include "tools/cli/image.h"
#include "tools/cli/monitor.h"
#include "tools/cli/rename.h"
#include "tools/cli/save.h"
#include "tools/cli/suspend.h"
#include "tools/cli/target.h"
#include "tools/cli/undo.h"
#include "tools/lib/stream_out.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S 60
#define DOWNTIME_MS 300
#define HELLO_MS 60000 /* somebody may have to type a password */
#define READY_MS 60000
#define DRAIN_MS 10000
#define STALL_MS 60000 /* for a receiver that takes nothing */
#define REPORT_MS 60000

struct options {
    uint64_t timeout_s, downtime_ms, limit_s;
    bool debug;
    const char *command, *port, *resolve;
    const char *guest, *host;
};

struct migration {
    struct target *t;
    const struct options *o;
    struct channel ch;
    struct save s;
    uint64_t bytes;
    unsigned int rounds; /* while it ran */
    int64_t started, suspended_at, down_ms;
    bool unresolved;
};

static int check_options(int argc, const struct options *o)
{
    if (o->resolve && strcmp(o->resolve, "keep") != 0 && strcmp(o->resolve, "drop") != 0)
        return cmd_usage("--resolve %s: say keep or drop", o->resolve);
    if (o->command && o->port)
        return cmd_usage("--command and --tcp exclude each other");
    if (o->resolve && (o->command || o->port))
        return cmd_usage("--resolve goes with no other option");
    if (o->resolve && o->debug)
        return cmd_usage("--resolve goes with no other option");
    if (argc - optind != (o->resolve || o->command ? 1 : 2))
        return cmd_usage(o->resolve || o->command ? "which guest?" : "give a guest and a host");
    return 0;
}

static int parse_option(int c, struct options *o, char **argv)
{
    if (c == 'c')
        o->command = optarg;
    else if (c == 'p')
        o->port = optarg;
    else if (c == 'r')
        o->resolve = optarg;
    else if (c == 'D')
        o->debug = true;
    else if (c == 't' && !parse_number(optarg, 1, 86400, &o->timeout_s))
        return cmd_usage("--timeout %s: give seconds, 1 to 86400", optarg);
    else if (c == 'd' && !parse_number(optarg, 1, 3600000, &o->downtime_ms))
        return cmd_usage("--downtime %s: give milliseconds, 1 to 3600000", optarg);
    else if (c == 'l' && !parse_number(optarg, 1, 86400, &o->limit_s))
        return cmd_usage("--time-limit %s: give seconds, 1 to 86400", optarg);
    else if (c == '?' || c == ':')
        return cmd_bad_option(argv);
    return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = { { "command", required_argument, NULL, 'c' },
                                           { "tcp", required_argument, NULL, 'p' },
                                           { "resolve", required_argument, NULL, 'r' },
                                           { "timeout", required_argument, NULL, 't' },
                                           { "downtime", required_argument, NULL, 'd' },
                                           { "time-limit", required_argument, NULL, 'l' },
                                           { "debug", no_argument, NULL, 'D' },
                                           { 0 } };
    int c, rc = 0;

    o->timeout_s = TIMEOUT_S;
    o->downtime_ms = DOWNTIME_MS;
    while (rc == 0 && (c = getopt_long(argc, argv, ":t:", longs, NULL)) != -1)
        rc = parse_option(c, o, argv);
    rc = rc ? rc : check_options(argc, o);
    if (rc)
        return rc;
    o->guest = argv[optind];
    o->host = o->command ? NULL : argv[optind + 1];
    return 0;
}

/* --- to the other side --- */

static int connect_host(struct migration *m)
{
    const struct options *o = m->o;
    char *const shell[] = { "sh", "-c", (char *)o->command, NULL };
    char *const ssh[] = {
        "ssh", "-e", "none", "--", (char *)o->host, "orlop", "migrate-receive", "--checks", NULL
    };

    if (o->port)
        return channel_tcp(&m->ch, o->host, o->port, &m->t->e);
    return channel_program(&m->ch, o->command ? shell : ssh, &m->t->e);
}

static int expect(struct migration *m, const char *words, size_t n, int64_t wait_ms, bool signals,
                  const char *what)
{
    char got[64];

    if (channel_read(&m->ch, got, n, now_ms() + wait_ms, signals, &m->t->e) != 0)
        return error_in(&m->t->e, "waiting for %s", what);
    if (memcmp(got, words, n) != 0)
        return error_set(&m->t->e, EPROTO, "Is it orlop migrate-receive or xl migrate-receive?",
                         "the other side says something else than %s", what);
    return 0;
}

static int read_hello(struct migration *m, bool *checks)
{
    char got[HANDSHAKE_HELLO_SIZE];

    if (channel_read(&m->ch, got, sizeof(got), now_ms() + HELLO_MS, true, &m->t->e) != 0)
        return error_in(&m->t->e, "waiting for its greeting");
    *checks = memcmp(got, HANDSHAKE_HELLO_CHECKS, sizeof(got)) == 0;
    if (*checks || memcmp(got, HANDSHAKE_HELLO, sizeof(got)) == 0)
        return 0;
    return error_set(&m->t->e, EPROTO, "Is it orlop migrate-receive or xl migrate-receive?",
                     "the other side says something else than its greeting");
}

/* What an orlop says before the guest stops. */
static int await_checks(struct migration *m)
{
    static const char what[] = "word whether it can take the guest";
    struct error *e = &m->t->e;
    uint8_t length[2];
    char why[256] = "";
    size_t n;

    if (expect(m, HANDSHAKE_CHECKED, HANDSHAKE_CHECKED_SIZE, READY_MS, true, what) != 0)
        return -1;
    if (channel_read(&m->ch, length, sizeof(length), now_ms() + READY_MS, true, e) != 0)
        return error_in(e, "waiting for %s", what);
    n = length[0] | length[1] << 8;
    if (!n)
        return 0;
    if (n >= sizeof(why))
        n = sizeof(why) - 1;
    if (channel_read(&m->ch, why, n, now_ms() + READY_MS, true, e) != 0)
        return error_in(e, "waiting for %s", what);
    return error_set(e, EREMOTEIO, "It did not stop for this.",
                     "the other host cannot take the guest: %s", text_clean(why));
}

static void tell_round(void *arg, const struct image_round *r)
{
    struct migration *m = arg;

    m->rounds = r->nr;
    if (!progress_off)
        fprintf(stderr,
                "round %u: %llu pages sent, %llu MiB/s; %llu written meanwhile, which would take "
                "%lld ms\n",
                r->nr, (unsigned long long)r->sent, (unsigned long long)(r->bytes_per_s >> 20),
                (unsigned long long)r->dirty, (long long)r->rest_ms);
}

/* While it runs; or not at all, where what it writes cannot be known. */
static int send_running(struct migration *m)
{
    const struct image_goal goal = { .rest_ms = (int64_t)m->o->downtime_ms,
                                     .limit_ms = (int64_t)m->o->limit_s * 1000,
                                     .tell = tell_round,
                                     .arg = m };
    int rc = save_rounds(&m->s, &goal);

    if (rc <= 0)
        return rc;
    fprintf(stderr, "orlop migrate: %s: it stands still while all its memory is sent\n",
            m->t->e.cause);
    m->t->e = (struct error){ 0 };
    return 0;
}

static int send_guest(struct migration *m)
{
    struct stream_out out = { .fd = m->ch.out, .stall_ms = STALL_MS, .stop = interrupted };
    struct error *e = &m->t->e;
    char *text = config_to_libxl(&m->s.cfg), *json = disk_sizes_add(text, &m->s.cfg);
    bool checks = false;
    int rc = read_hello(m, &checks);

    if (rc == 0 && !stream_out_file(&out, json))
        rc = error_sys(e, out.err, NULL, "sending the configuration");
    free(json);
    free(text);
    rc = rc ? rc : save_begin(&m->s, &out, e);
    if (checks && (rc == 0 || out.err == EPIPE)) {
        *e = (struct error){ 0 }; /* it says itself why it has gone */
        rc = await_checks(m);
    }
    rc = rc ? rc : send_running(m);
    rc = rc ? rc : save_suspend(&m->s, (unsigned int)m->o->timeout_s, e);
    m->suspended_at = now_ms();
    rc = rc ? rc : save_write(&m->s, &out, m->o->debug, e);
    m->bytes = out.bytes;
    if (rc && e->code == EPIPE)
        error_remedy(e,
                     "The other side has given up; it has said why above, or on its own screen.");
    return rc ? rc
              : expect(m, HANDSHAKE_READY, HANDSHAKE_READY_SIZE, READY_MS, true,
                       "word that the guest has arrived");
}

/* --- the moment when it changes hands --- */

static void set_unresolved(struct migration *m, bool yes)
{
    char dir[64];

    snprintf(dir, sizeof(dir), "/local/domain/%u", m->t->domid);
    /* Killed in between, the node is one too many: suspend_recover() takes it away. */
    if (!yes)
        guest_lock_note(&m->s.lock, LEFT_RESUME);
    if (yes)
        store_put(&m->t->h.store, dir, SUSPEND_UNRESOLVED, "1");
    else
        store_rm(&m->t->h.store, "%s/" SUSPEND_UNRESOLVED, dir);
    if (yes)
        guest_lock_note(&m->s.lock, LEFT_UNRESOLVED);
}

/* On one host the other copy takes the name; a failure there shows. */
static void rename_to(struct migration *m, const char *name)
{
    struct error none = { 0 };
    int lock = name_lock(&none);

    if (lock < 0)
        return;
    if (name_free(m->t->h.xen, &m->t->h.store, name, &none) == 0)
        guest_rename(&m->t->h, m->t->domid, m->s.uuid, name, &none);
    close(lock);
}

static void take_back(struct migration *m)
{
    rename_to(m, m->t->name);
    set_unresolved(m, false);
}

static int leave_unresolved(struct migration *m)
{
    m->s.suspended = false; /* save_close() leaves it alone */
    m->unresolved = true;
    rename_to(m, m->t->name);
    error_in(&m->t->e, "unresolved: the other side was allowed to run the guest, and has not said "
                       "whether it does");
    return error_remedy(
        &m->t->e,
        "Look there. If it runs: orlop migrate --resolve drop %s; if it does not and "
        "never will: orlop migrate --resolve keep %s. Until then it is suspended "
        "here, and nothing is lost.",
        m->t->name, m->t->name);
}

static int hand_over(struct migration *m)
{
    struct error *e = &m->t->e;
    char *away = str_fmt("%s--migratedaway", m->t->name);
    uint8_t code = 0;
    int rc;

    set_unresolved(m, true);
    rename_to(m, away);
    free(away);
    if (interrupt_check(e) != 0) {
        take_back(m);
        return -1;
    }
    rc = write_all(m->ch.out, HANDSHAKE_GO, HANDSHAKE_GO_SIZE);
    if (rc) { /* it was written whole or not at all */
        take_back(m);
        return error_sys(e, -rc, NULL, "giving the other side permission to run the guest");
    }
    if (expect(m, HANDSHAKE_REPORT, HANDSHAKE_REPORT_SIZE, REPORT_MS, false, "its report") != 0 ||
        channel_read(&m->ch, &code, sizeof(code), now_ms() + REPORT_MS, false, e) != 0)
        return leave_unresolved(m);
    if (code && expect(m, HANDSHAKE_GO, HANDSHAKE_GO_SIZE, REPORT_MS, false,
                       "word that it has taken the guest away") != 0)
        return leave_unresolved(m);
    if (code) {
        take_back(m);
        return error_set(e, EREMOTEIO, "It has said why above, or on its own screen.",
                         "the other side could not start the guest; it goes on here");
    }
    m->down_ms = now_ms() - m->suspended_at;
    return save_erase(&m->s, e);
}

static int migrate(struct migration *m)
{
    struct target *t = m->t;
    int rc = save_open(&m->s, &t->h, t->domid, LEFT_RESUME, &t->e);

    m->ch = (struct channel){ -1, -1, 0 };
    rc = rc ? rc : connect_host(m);
    rc = rc ? rc : send_guest(m);
    rc = rc ? rc : drain_disks(&t->h, t->domid, now_ms() + DRAIN_MS, &t->e);
    rc = rc ? rc : hand_over(m);
    save_close(&m->s);
    channel_close(&m->ch);
    return rc;
}

/* --- unresolved ones --- */

static int resolve(struct migration *m)
{
    static const char suffix[] = "--migratedaway";
    struct target *t = m->t;
    bool drop = strcmp(m->o->resolve, "drop") == 0;
    int rc;

    if (!store_exists(&t->h.store, "/local/domain/%u/" SUSPEND_UNRESOLVED, t->domid))
        return error_set(&t->e, EINVAL, NULL, "it is not unresolved; nothing was done");
    rc = save_open(&m->s, &t->h, t->domid, LEFT_UNRESOLVED, &t->e);
    if (rc == 0 && !suspend_is(&t->h, t->domid))
        rc = error_set(&t->e, EINVAL, NULL, "it is not suspended; nothing was done");
    if (rc == 0 && drop)
        rc = save_erase(&m->s, &t->e);
    if (rc == 0 && !drop) {
        size_t n = strlen(t->name);

        if (n >= sizeof(suffix) && strcmp(t->name + n - (sizeof(suffix) - 1), suffix) == 0)
            t->name[n - (sizeof(suffix) - 1)] = 0;
        rename_to(m, t->name);
        rc = save_resume(&m->s, &t->e);
        if (rc == 0)
            set_unresolved(m, false);
    }
    save_close(&m->s);
    return rc;
}

/* --- the command --- */

static int report(struct migration *m)
{
    struct json_object *j = target_json(m->t);

    if (m->o->resolve) {
        json_object_object_add(j, "resolved", json_object_new_string(m->o->resolve));
        return target_done(m->t, j, "%s: %s", m->t->name,
                           strcmp(m->o->resolve, "keep") == 0 ? "it goes on here"
                                                              : "it ended here");
    }
    json_object_object_add(j, "bytes", json_object_new_int64((int64_t)m->bytes));
    json_object_object_add(j, "rounds", json_object_new_int((int)m->rounds));
    json_object_object_add(j, "ms", json_object_new_int64(now_ms() - m->started));
    json_object_object_add(j, "down_ms", json_object_new_int64(m->down_ms));
    return target_done(m->t, j, "%s: migrated, %llu MiB in %u rounds; it stood still for %lld ms",
                       m->t->name, (unsigned long long)(m->bytes >> 20), m->rounds + 1,
                       (long long)m->down_ms);
}

static int run(int argc, char **argv)
{
    struct options o = { 0 };
    struct target t;
    struct migration m = { .t = &t, .o = &o, .started = now_ms() };
    int code = parse(argc, argv, &o);

    if (code)
        return code;
    signal(SIGPIPE, SIG_IGN);
    if (!target_open(&t, o.guest))
        return target_fail(&t);
    leftovers_clean(&t.h);
    monitor_ensure();
    if ((o.resolve ? resolve(&m) : migrate(&m)) != 0)
        return target_fail(&t);
    return report(&m);
}

const struct command cmd_migrate = {
    .name = "migrate",
    .synopsis = "[OPTION...] GUEST HOST | --command COMMAND GUEST | --resolve keep|drop GUEST",
    .summary = "move a guest to another host",
    .help =
        "The guest's memory is sent while it runs, and what it writes meanwhile again, in rounds;\n"
        "it is suspended for the rest, and goes on there; here it ends. Both hosts must see its\n"
        "disks under the same names. Whatever fails before the other host is allowed to run it,\n"
        "the guest goes on here; so it does after Ctrl-C. The other side is orlop\n"
        "migrate-receive or xl migrate-receive.\n"
        "\n"
        "      --tcp PORT    connect to this port of HOST, unprotected, instead of ssh HOST orlop\n"
        "                    migrate-receive\n"
        "      --command C   the shell command C leads to the other side by its input and output\n"
        "      --downtime MS suspend it when the rest takes at most so long (300 ms). After 30\n"
        "                    rounds, or two that brought nothing, it is suspended nonetheless\n"
        "      --time-limit S  rather give up, the guest going on here, if that is not reached in\n"
        "                    so many seconds\n"
        "  -t, --timeout S   how long to wait for the guest to suspend itself (60 seconds)\n"
        "      --debug       send all its memory once more when it is suspended: the other side\n"
        "                    reports each page that differs\n"
        "      --resolve A   of a guest that orlop list shows as unresolved, since the connection\n"
        "                    broke while it changed hands: keep (it goes on here) or drop (it\n"
        "                    ends here). Look first whether it runs on the other host",
    .options = "--tcp --command --downtime --time-limit --timeout --debug --resolve",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run,
};

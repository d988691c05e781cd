/* SPDX-License-Identifier: MIT */
/* orlop-consoled: options, start and end. */
#define _GNU_SOURCE /* asprintf */
#include "consoled/client.h"
#include "consoled/console.h"
#include "consoled/domain.h"
#include "consoled/hypervisor.h"
#include "consoled/store.h"
#include "consoled/xen.h"
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "0.1"

static const char usage[] =
    "Usage: orlop-consoled [OPTION]...\n"
    "Serves the consoles of all guests: a terminal, a log file and a history for each.\n\n"
    "  -F, --foreground       stay in the foreground, messages to stderr\n"
    "  -P, --pid-file FILE    where to write the process id (/run/orlop/consoled.pid)\n"
    "  -s, --socket FILE      for `orlop console` and `orlop log` (/run/orlop/consoled.sock)\n"
    "  -l, --log-dir DIR      logs: DIR/consoles/NAME.log and DIR/hypervisor.log (/var/log/orlop)\n"
    "  -d, --state-dir DIR    what is needed after a restart of this daemon; on a file system in\n"
    "                         memory (/run/orlop/consoled)\n"
    "      --log-size BYTES   a log begins a new file at this size (1M); 0: no logs\n"
    "      --log-keep N       older files beside it (3)\n"
    "      --history BYTES    kept in memory for each guest (64K)\n"
    "      --rate BYTES       taken from a guest in a second at most (256K)\n"
    "      --keep-dead SECS   a guest's history stays so long after its end (3600)\n"
    "      --group GROUP      its members may look at all consoles, not only root\n"
    "      --group-input      and type\n"
    "      --no-hypervisor    leave the hypervisor's own console alone\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n\n"
    "BYTES may end in K or M. SIGHUP opens the logs anew.\n";

struct options {
    bool foreground;
    const char *pid_file, *log_dir;
};

enum {
    OPT_LOG_SIZE = 256,
    OPT_LOG_KEEP,
    OPT_HISTORY,
    OPT_RATE,
    OPT_KEEP_DEAD,
    OPT_GROUP,
    OPT_GROUP_INPUT,
    OPT_NO_HYPERVISOR
};

static const struct option longs[] = { { "foreground", no_argument, NULL, 'F' },
                                       { "pid-file", required_argument, NULL, 'P' },
                                       { "socket", required_argument, NULL, 's' },
                                       { "log-dir", required_argument, NULL, 'l' },
                                       { "state-dir", required_argument, NULL, 'd' },
                                       { "log-size", required_argument, NULL, OPT_LOG_SIZE },
                                       { "log-keep", required_argument, NULL, OPT_LOG_KEEP },
                                       { "history", required_argument, NULL, OPT_HISTORY },
                                       { "rate", required_argument, NULL, OPT_RATE },
                                       { "keep-dead", required_argument, NULL, OPT_KEEP_DEAD },
                                       { "group", required_argument, NULL, OPT_GROUP },
                                       { "group-input", no_argument, NULL, OPT_GROUP_INPUT },
                                       { "no-hypervisor", no_argument, NULL, OPT_NO_HYPERVISOR },
                                       { "help", no_argument, NULL, 'h' },
                                       { "version", no_argument, NULL, 'V' },
                                       { 0 } };

static struct consoled d;

/* A number, with K or M behind it, from min to max. */
static bool bytes(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char digits[24];
    size_t n = strlen(text);
    uint64_t unit = 1;

    if (n && n < sizeof(digits) && strchr("KMkm", text[n - 1]))
        unit = strchr("Kk", text[--n]) ? 1 << 10 : 1 << 20;
    if (!n || n >= sizeof(digits))
        return false;
    memcpy(digits, text, n);
    digits[n] = 0;
    if (!con_number(digits, 0, max / unit, value) || *value * unit < min)
        return false;
    *value *= unit;
    return true;
}

/* An option with a number; false: a bad one. */
static bool number_option(int c, struct settings *s)
{
    uint64_t n = 0;
    bool ok = true;

    switch (c) {
    case OPT_LOG_SIZE:
        ok = strcmp(optarg, "0") == 0 || bytes(optarg, 4096, 1ull << 40, &n);
        s->log.size = n;
        break;
    case OPT_LOG_KEEP:
        ok = con_number(optarg, 0, 1000, &n);
        s->log.keep = n;
        break;
    case OPT_HISTORY:
        ok = bytes(optarg, 4096, 64 << 20, &s->history);
        break;
    case OPT_RATE:
        ok = bytes(optarg, 4096, 1 << 30, &s->rate);
        break;
    case OPT_KEEP_DEAD:
        ok = con_number(optarg, 0, 1000000000, &s->keep_dead);
        break;
    }
    if (!ok)
        fprintf(stderr,
                "orlop-consoled: %s: a number out of range; orlop-consoled --help names the "
                "usual ones\n",
                optarg);
    return ok;
}

static bool group_option(struct settings *s)
{
    struct group *g = getgrnam(optarg);

    if (!g) {
        fprintf(stderr, "orlop-consoled: --group %s: there is no such group (addgroup makes one)\n",
                optarg);
        return false;
    }
    s->group = optarg;
    d.group_id = g->gr_gid;
    return true;
}

/* -1: go on; else the exit code. */
static int option(int c, struct options *o, struct settings *s)
{
    switch (c) {
    case 'F':
        o->foreground = true;
        return -1;
    case 'P':
        o->pid_file = optarg;
        return -1;
    case 's':
        s->socket = optarg;
        return -1;
    case 'l':
        o->log_dir = optarg;
        return -1;
    case 'd':
        s->state_dir = optarg;
        return -1;
    case OPT_GROUP:
        return group_option(s) ? -1 : 2;
    case OPT_GROUP_INPUT:
        s->group_types = true;
        return -1;
    case OPT_NO_HYPERVISOR:
        s->hypervisor = false;
        return -1;
    case 'h':
        fputs(usage, stdout);
        return 0;
    case 'V':
        puts("orlop-consoled (Orlop) " VERSION);
        return 0;
    case '?':
        fputs("Try orlop-consoled --help\n", stderr);
        return 2;
    default:
        return number_option(c, s) ? -1 : 2;
    }
}

static int parse(int argc, char **argv, struct options *o)
{
    int c, code;

    while ((c = getopt_long(argc, argv, "FP:s:l:d:hV", longs, NULL)) != -1) {
        code = option(c, o, &d.set);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "orlop-consoled: what is \"%s\"? Try orlop-consoled --help\n", argv[optind]);
    return 2;
}

static int fail(const char *what, const char *why)
{
    con_log("%s: %s", what, why);
    return 1;
}

/* Makes a directory and those above it; 0 or an errno. */
static int make_dirs(const char *path, mode_t mode)
{
    char *copy = con_strdup(path);
    int rc;

    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        mkdir(copy, 0755);
        *p = '/';
    }
    rc = mkdir(copy, mode) == 0 || errno == EEXIST ? 0 : errno;
    free(copy);
    return rc;
}

static char *join(const char *dir, const char *name)
{
    char *s;

    if (asprintf(&s, "%s/%s", dir, name) < 0)
        abort();
    return s;
}

/* Each guest has a log and two ends of a pty. */
static void raise_limits(void)
{
    struct rlimit r = { 1 << 17, 1 << 17 };

    if (setrlimit(RLIMIT_NOFILE, &r) == 0)
        return;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void reopen_one(struct consoled *daemon, struct console *con, void *arg)
{
    log_reopen(&con->log);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
    domain_each(&d, reopen_one, NULL);
}

static void on_end(evutil_socket_t sig, short what, void *arg)
{
    event_base_loopbreak(d.base);
}

static int start(struct options *o)
{
    static struct platform plat;
    static struct store store;
    struct settings *s = &d.set;
    const char *why;
    int err;

    s->hypervisor_log_dir = o->log_dir;
    s->log_dir = join(o->log_dir, "consoles");
    err = make_dirs(s->state_dir, 0700);
    if (err)
        return fail(s->state_dir, strerror(err));
    err = s->log.size ? make_dirs(s->log_dir, 0700) : 0;
    if (err)
        return fail(s->log_dir, strerror(err));
    why = daemon_claim(o->pid_file);
    if (why)
        return fail(o->pid_file, why);
    raise_limits();
    why = xen_open(&plat);
    if (why)
        return fail("Xen", why);
    store_init(&store);
    consoled_init(&d, &plat, &store);
    if (!domain_start(&d))
        con_log("no connection to the store yet: trying again until xenstored is there");
    if (s->hypervisor)
        hypervisor_start(&d);
    err = client_listen(&d, s->socket);
    return err ? fail(s->socket, strerror(err)) : 0;
}

int main(int argc, char **argv)
{
    struct options o = { .pid_file = "/run/orlop/consoled.pid", .log_dir = "/var/log/orlop" };
    struct event *hup, *term, *intr;
    int fd = -1, code;

    settings_default(&d.set);
    code = parse(argc, argv, &o);
    if (code >= 0)
        return code;
    if (!o.foreground && (fd = daemon_detach()) < 0)
        return fail("fork", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    code = start(&o);
    if (code)
        return code;
    hup = evsignal_new(d.base, SIGHUP, on_hangup, NULL);
    term = evsignal_new(d.base, SIGTERM, on_end, NULL);
    intr = evsignal_new(d.base, SIGINT, on_end, NULL);
    if (!hup || !term || !intr || event_add(hup, NULL) || event_add(term, NULL) ||
        event_add(intr, NULL))
        return fail("signals", "out of memory");
    if (fd >= 0) {
        con_log_to_syslog();
        daemon_ready(fd);
    }
    event_base_dispatch(d.base);
    event_free(hup);
    event_free(term);
    event_free(intr);
    unlink(d.set.socket);
    unlink(o.pid_file);
    consoled_free(&d);
    return 0;
}

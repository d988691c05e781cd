/* SPDX-License-Identifier: MIT */
/* xenstored: options, start and end. */
#include "lib/daemon.h"
#include "xenstored/domain.h"
#include "xenstored/server.h"
#include "xenstored/wire.h"
#include "xenstored/xen.h"
#include "xenstored/xs.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "0.1"
#define RUN_DIR "/var/run/xenstored"

static const char usage[] =
    "Usage: xenstored [OPTION]...\n"
    "Keeps the tree of configuration and status that Domain 0 and all guests share.\n\n"
    "  -F, --foreground       stay in the foreground, log to stderr (also -N, --no-fork)\n"
    "  -P, --pid-file FILE    where to write the process id (" RUN_DIR "/xenstored.pid)\n"
    "  -s, --socket FILE      the Unix socket for programs (" RUN_DIR "/socket)\n"
    "  -d, --state-dir DIR    where the state is kept across a restart of this daemon; on a file\n"
    "                         system in memory (" RUN_DIR "/state)\n"
    "      --no-domains       serve programs only: no Xen below\n"
    "  -q, --quota NAME=N     a limit for guests; may be repeated. The names and values in use:\n"
    "                         `xenstore-control quota`\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n";

struct options {
    bool foreground, no_domains;
    const char *pid_file, *socket, *state_dir;
};

static struct xs xs;

/* Without Xen below, a domain cannot be connected. */
static bool no_map(void *ctx, struct client *c)
{
    return false;
}

static void on_signal(int sig)
{
    xs.stop = true;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        { "foreground", no_argument, NULL, 'F' },      { "no-fork", no_argument, NULL, 'N' },
        { "pid-file", required_argument, NULL, 'P' },  { "socket", required_argument, NULL, 's' },
        { "state-dir", required_argument, NULL, 'd' }, { "no-domains", no_argument, NULL, 'x' },
        { "quota", required_argument, NULL, 'q' },     { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },         { 0 }
    };
    int c;

    while ((c = getopt_long(argc, argv, "FNP:s:d:q:hV", longs, NULL)) != -1) {
        switch (c) {
        case 'F':
        case 'N':
            o->foreground = true;
            break;
        case 'P':
            o->pid_file = optarg;
            break;
        case 's':
            o->socket = optarg;
            break;
        case 'd':
            o->state_dir = optarg;
            break;
        case 'x':
            o->no_domains = true;
            break;
        case 'q':
            if (!quota_set(&xs.quota, optarg)) {
                fprintf(stderr, "xenstored: --quota %s: not NAME=NUMBER with a known name\n",
                        optarg);
                return 2;
            }
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            puts("xenstored (Orlop) " VERSION);
            return 0;
        default:
            fputs("Try xenstored --help\n", stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "xenstored: what is \"%s\"? Try xenstored --help\n", argv[optind]);
    return 2;
}

static int fail(const char *what, const char *why)
{
    xs_log("%s: %s", what, why);
    return 1;
}

static int start(struct options *o, struct platform *plat)
{
    const char *why = NULL;
    uint32_t port;
    int err;

    if (strncmp(o->pid_file, RUN_DIR, strlen(RUN_DIR)) == 0)
        mkdir(RUN_DIR, 0755);
    why = daemon_claim(o->pid_file);
    if (why)
        return fail(o->pid_file, why);
    if (!o->no_domains)
        why = xen_open(plat);
    if (why)
        return fail("Xen", why);
    err = journal_open(&xs, o->state_dir);
    if (err)
        return fail(o->state_dir, strerror(err));
    domain_reconnect_all(&xs);
    if (!o->no_domains && !xs.domains[0]) {
        if (!xen_dom0_port(&port) || domain_introduce(&xs, 0, 0, port) != 0)
            xs_log("Domain 0's own kernel offers no ring in /proc/xen: it is not served");
        client_send_events(&xs);
        journal_commit(&xs);
    }
    err = server_open(&xs, o->socket);
    return err ? fail(o->socket, strerror(err)) : 0;
}

int main(int argc, char **argv)
{
    struct options o = { .pid_file = RUN_DIR "/xenstored.pid",
                         .socket = RUN_DIR "/socket",
                         .state_dir = RUN_DIR "/state" };
    struct sigaction sa = { .sa_handler = on_signal };
    static struct platform plat = { .fd = -1, .map = no_map };
    int fd = -1, code;

    xs_init(&xs, &plat);
    code = parse(argc, argv, &o);
    if (code >= 0)
        return code;
    if (!o.foreground && (fd = daemon_detach()) < 0)
        return fail("fork", strerror(errno));
    code = start(&o, &plat);
    if (code)
        return code;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (fd >= 0) {
        xs_log_to_syslog();
        daemon_ready(fd);
    }
    server_run(&xs);
    server_close(&xs);
    unlink(o.socket);
    unlink(o.pid_file);
    xs_free(&xs);
    return 0;
}

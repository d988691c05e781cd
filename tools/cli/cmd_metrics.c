/* SPDX-License-Identifier: MIT */
/* orlop metrics: reads the machine's and the domains' counters; prints or serves them. */
#include "tools/cli/command.h"
#include "tools/cli/metrics_serve.h"
#include "tools/cli/metrics_text.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* How long each CPU idled, of at most `cpus`: how many it told. */
static unsigned int read_idle(struct xen *x, uint64_t *ns, unsigned int cpus)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };
    xen_sysctl_cpuinfo_t *info = xen_buf(x, cpus * sizeof(*info));
    unsigned int n = 0;

    op.u.getcpuinfo.max_cpus = cpus;
    set_xen_guest_handle(op.u.getcpuinfo.info, info);
    if (xen_sysctl(x, &op) >= 0)
        n = op.u.getcpuinfo.nr_cpus < cpus ? op.u.getcpuinfo.nr_cpus : cpus;
    for (unsigned int i = 0; i < n; i++)
        ns[i] = info[i].idletime;
    xen_buf_free(x, info);
    return n;
}

static int write_metrics(FILE *out, void *unused, struct error *e)
{
    struct top_sample s;
    struct metrics m = { .sample = &s };
    struct perfc p;
    struct host h;
    uint64_t *idle;

    (void)unused;
    if (view_open(&h, e) < 0 || top_read(&h, &s, e) < 0) {
        host_close(&h);
        return -1;
    }
    idle = mem_alloc((s.cpus + 1) * sizeof(*idle));
    m.cpus = read_idle(h.xen, idle, s.cpus);
    m.idle_ns = idle;
    if (perfc_read(h.xen, &p) == 0)
        m.perfc = &p;
    metrics_text(out, &m);
    if (m.perfc)
        perfc_free(&p);
    free(idle);
    top_free(&s);
    host_close(&h);
    return 0;
}

static int fail(const struct error *e)
{
    error_print(e, "orlop metrics");
    return EXIT_FAILED;
}

/* Until somebody ends it. */
static int serve(const char *where)
{
    struct sockaddr_storage at;
    struct error e = { 0 };
    struct metrics_server *s;
    FILE *nowhere;
    sigset_t end;
    int rc, sig;

    if (metrics_address(where, &at, &e) < 0)
        return cmd_usage("%s. %s", e.cause, e.remedy);
    nowhere = fopen("/dev/null", "w");
    rc = nowhere ? write_metrics(nowhere, NULL, &e) : error_sys(&e, errno, NULL, "/dev/null");
    if (nowhere)
        fclose(nowhere);
    if (rc < 0) /* a scrape would fail as well: say so now */
        return fail(&e);
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL); /* before the server's thread is there */
    signal(SIGPIPE, SIG_IGN);
    s = metrics_serve(&at, write_metrics, NULL, &e);
    if (!s)
        return fail(&e);
    if (!metrics_loopback(&at))
        fprintf(stderr, "orlop metrics: warning: whoever reaches this address reads what is served "
                        "there; nothing is encrypted\n");
    printf("serving /metrics on port %u\n", metrics_port(s));
    fflush(stdout);
    sigwait(&end, &sig);
    metrics_stop(s);
    return EXIT_DONE;
}

static int metrics_run(int argc, char **argv)
{
    static const struct option longs[] = { { "listen", required_argument, NULL, 'l' }, { 0 } };
    const char *listen = NULL;
    struct error e = { 0 };
    int c;

    while ((c = getopt_long(argc, argv, ":l:", longs, NULL)) != -1) {
        if (c != 'l')
            return cmd_bad_option(argv);
        listen = optarg;
    }
    if (optind < argc)
        return cmd_usage("what is \"%s\"?", argv[optind]);
    if (listen)
        return serve(listen);
    return write_metrics(stdout, NULL, &e) < 0 ? fail(&e) : EXIT_DONE;
}

const struct command cmd_metrics = {
    .name = "metrics",
    .synopsis = "[--listen [ADDR:]PORT]",
    .summary = "print counters of the host and its domains for Prometheus",
    .help =
        "Prometheus' text format, for node_exporter's folder of text files:\n"
        "    orlop metrics >/var/lib/prometheus/node-exporter/orlop.prom.$$ &&\n"
        "        mv /var/lib/prometheus/node-exporter/orlop.prom{.$$,}\n"
        "Counters of hypercalls and events have 32 bits and begin anew at 0.\n"
        "The histogram of what hypercalls cost grows up to 100 seconds after somebody read it.\n"
        "\n"
        "  -l, --listen [ADDR:]PORT  serve it as /metrics over HTTP until Ctrl-C; without ADDR\n"
        "                            on the loopback (127.0.0.1) only. Needs libmicrohttpd12\n",
    .options = "--listen",
    .group = GROUP_HOST,
    .arg = ARG_NONE,
    .run = metrics_run,
};

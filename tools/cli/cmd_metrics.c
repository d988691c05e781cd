/* SPDX-License-Identifier: MIT */
/* orlop metrics: the machine's and the domains' counters in Prometheus' text format (version
 * 0.0.4). */
#include "tools/cli/command.h"
#include "tools/cli/metrics_serve.h"
#include "tools/cli/perfc.h"
#include "tools/cli/top.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP orlop_%s %s\n# TYPE orlop_%s %s\n", name, help, name, type);
}

/* A label's value: the format's three escapes. */
static void put_label(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            putc('\\', out);
        putc(*text, out);
    }
}

static void domain_labels(FILE *out, const struct top_row *r)
{
    fprintf(out, "{domid=\"%u\",domain=\"", r->view.info.domain);
    put_label(out, r->view.name);
    putc('"', out);
}

struct metric {
    const char *name, *type, *help;
    double (*value)(const struct top_row *r);
};

static double cpu_seconds(const struct top_row *r)
{
    return r->view.info.cpu_time / 1e9;
}

static double memory_bytes(const struct top_row *r)
{
    return r->view.info.tot_pages * 4096.0;
}

static double vcpus(const struct top_row *r)
{
    return r->view.info.nr_online_vcpus;
}

static double pool(const struct top_row *r)
{
    return r->view.info.cpupool;
}

static double sent(const struct top_row *r)
{
    return r->io.sent;
}

static double received(const struct top_row *r)
{
    return r->io.received;
}

static double bytes_read(const struct top_row *r)
{
    return r->io.read;
}

static double bytes_written(const struct top_row *r)
{
    return r->io.written;
}

static const struct metric metrics[] = {
    { "domain_cpu_seconds_total", "counter", "CPU time that the domain has used.", cpu_seconds },
    { "domain_memory_bytes", "gauge", "Memory that the domain has.", memory_bytes },
    { "domain_vcpus", "gauge", "vCPUs that are online.", vcpus },
    { "domain_cpupool", "gauge", "Number of the domain's CPU pool.", pool },
    { "domain_network_sent_bytes_total", "counter", "Bytes that its network cards sent.", sent },
    { "domain_network_received_bytes_total", "counter", "Bytes that its network cards received.",
      received },
    { "domain_disk_read_bytes_total", "counter", "Bytes read from its disks.", bytes_read },
    { "domain_disk_written_bytes_total", "counter", "Bytes written to its disks.", bytes_written },
};

static void put_domains(FILE *out, const struct top_sample *s)
{
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *m = &metrics[i];

        family(out, m->name, m->type, m->help);
        for (int k = 0; k < s->count; k++) {
            fprintf(out, "orlop_%s", m->name);
            domain_labels(out, &s->rows[k]);
            fprintf(out, "} %.17g\n", m->value(&s->rows[k]));
        }
    }
    family(out, "domain_state", "gauge", "1 for the state that the domain is in.");
    for (int k = 0; k < s->count; k++) {
        fprintf(out, "orlop_domain_state");
        domain_labels(out, &s->rows[k]);
        fprintf(out, ",state=\"%s\"} 1\n", view_state(&s->rows[k].view));
    }
}

static void put_machine(FILE *out, const struct top_sample *s)
{
    family(out, "cpus", "gauge", "Physical CPUs.");
    fprintf(out, "orlop_cpus %u\n", s->cpus);
    family(out, "memory_bytes", "gauge", "The machine's memory.");
    fprintf(out, "orlop_memory_bytes %" PRIu64 "\n", s->total_kib * 1024);
    family(out, "memory_free_bytes", "gauge", "Memory that no domain has.");
    fprintf(out, "orlop_memory_free_bytes %" PRIu64 "\n", s->free_kib * 1024);
}

static void put_idle(FILE *out, struct xen *x, unsigned int cpus)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };
    xen_sysctl_cpuinfo_t *info = xen_buf(x, cpus * sizeof(*info));

    op.u.getcpuinfo.max_cpus = cpus;
    set_xen_guest_handle(op.u.getcpuinfo.info, info);
    if (xen_sysctl(x, &op) >= 0) {
        family(out, "cpu_idle_seconds_total", "counter",
               "Time in which the CPU had nothing to run.");
        for (unsigned int i = 0; i < op.u.getcpuinfo.nr_cpus && i < cpus; i++)
            fprintf(out, "orlop_cpu_idle_seconds_total{cpu=\"%u\"} %.9f\n", i,
                    info[i].idletime / 1e9);
    }
    xen_buf_free(x, info);
}

static void put_hypercalls(FILE *out, const struct perfc_counter *c)
{
    if (!c)
        return;
    family(out, "hypercalls_total", "counter",
           "Hypercalls by name (32 bits; an iret that takes the short way is not counted).");
    for (unsigned int i = 0; i < c->nr; i++) {
        if (hypercall_name(i))
            fprintf(out, "orlop_hypercalls_total{call=\"%s\"} %u\n", hypercall_name(i), c->vals[i]);
    }
}

/* The hypervisor's single counters, by their names there. */
static void put_counters(FILE *out, const struct perfc *p)
{
    static const char *const names[][3] = {
        { "switches of vCPUs", "switches_total", "Times that another vCPU got a CPU." },
        { "vCPUs taken from another CPU", "steals_total", "vCPUs taken from another CPU's queue." },
        { "wake-ups", "wakeups_total", "Times that a vCPU had a reason to run again." },
        { "events sent", "events_sent_total", "Events that guests sent." },
        { "interrupts to other CPUs", "kicks_total", "Interrupts between CPUs for work." },
        { "timers fired", "timers_total", "Timers of the hypervisor that fired." },
        { "looks at pending work", "work_total", "Looks at pending work before a guest runs." },
        { "grants mapped", "grants_mapped_total", "Grants mapped." },
        { "grants unmapped", "grants_unmapped_total", "Grants unmapped." },
        { "grant copies", "grant_copies_total", "Grant copies." },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct perfc_counter *c = perfc_find(p, names[i][0]);

        if (!c || c->nr != 1)
            continue;
        family(out, names[i][1], "counter", names[i][2]);
        fprintf(out, "orlop_%s %u\n", names[i][1], c->vals[0]);
    }
}

static void put_waits(FILE *out, const struct perfc *p)
{
    bool said = false;

    for (unsigned int i = 0; i < p->nr; i++) {
        const struct perfc_counter *c = &p->counter[i];
        unsigned int domid, vcpu;

        if (sscanf(c->name, "waits of d%uv%u", &domid, &vcpu) != 2)
            continue;
        if (!said)
            family(out, "vcpu_waits_total", "counter",
                   "How often a vCPU waited for a CPU, by the power of two of microseconds that it "
                   "waited less than.");
        said = true;
        for (unsigned int k = 0; k < c->nr; k++)
            fprintf(out, "orlop_vcpu_waits_total{domid=\"%u\",vcpu=\"%u\",below_us=\"%llu\"} %u\n",
                    domid, vcpu, 1ull << k, c->vals[k]);
    }
}

static int write_metrics(FILE *out, void *unused, struct error *e)
{
    struct top_sample s;
    struct perfc p;
    struct host h;

    (void)unused;
    if (view_open(&h, e) < 0 || top_read(&h, &s, e) < 0) {
        host_close(&h);
        return -1;
    }
    put_machine(out, &s);
    put_idle(out, h.xen, s.cpus);
    put_domains(out, &s);
    if (perfc_read(h.xen, &p) == 0) {
        put_counters(out, &p);
        put_hypercalls(out, perfc_find(&p, "hypercalls"));
        put_waits(out, &p);
        perfc_free(&p);
    }
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
        "\n"
        "  -l, --listen [ADDR:]PORT  serve it as /metrics over HTTP until Ctrl-C; without ADDR\n"
        "                            on the loopback (127.0.0.1) only. Needs libmicrohttpd12\n",
    .options = "--listen",
    .group = GROUP_HOST,
    .arg = ARG_NONE,
    .run = metrics_run,
};

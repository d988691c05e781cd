/* SPDX-License-Identifier: MIT */
/* orlop metrics: the machine's and the domains' counters in Prometheus' text format (version
 * 0.0.4). */
#include "tools/cli/command.h"
#include "tools/cli/perfc.h"
#include "tools/cli/top.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void family(const char *name, const char *type, const char *help)
{
    printf("# HELP orlop_%s %s\n# TYPE orlop_%s %s\n", name, help, name, type);
}

/* A label's value: the format's three escapes. */
static void put_label(const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            putchar('\\');
        putchar(*text);
    }
}

static void domain_labels(const struct top_row *r)
{
    printf("{domid=\"%u\",domain=\"", r->view.info.domain);
    put_label(r->view.name);
    putchar('"');
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

static void put_domains(const struct top_sample *s)
{
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *m = &metrics[i];

        family(m->name, m->type, m->help);
        for (int k = 0; k < s->count; k++) {
            printf("orlop_%s", m->name);
            domain_labels(&s->rows[k]);
            printf("} %.17g\n", m->value(&s->rows[k]));
        }
    }
    family("domain_state", "gauge", "1 for the state that the domain is in.");
    for (int k = 0; k < s->count; k++) {
        printf("orlop_domain_state");
        domain_labels(&s->rows[k]);
        printf(",state=\"%s\"} 1\n", view_state(&s->rows[k].view));
    }
}

static void put_machine(const struct top_sample *s)
{
    family("cpus", "gauge", "Physical CPUs.");
    printf("orlop_cpus %u\n", s->cpus);
    family("memory_bytes", "gauge", "The machine's memory.");
    printf("orlop_memory_bytes %" PRIu64 "\n", s->total_kib * 1024);
    family("memory_free_bytes", "gauge", "Memory that no domain has.");
    printf("orlop_memory_free_bytes %" PRIu64 "\n", s->free_kib * 1024);
}

static void put_idle(struct xen *x, unsigned int cpus)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };
    xen_sysctl_cpuinfo_t *info = xen_buf(x, cpus * sizeof(*info));

    op.u.getcpuinfo.max_cpus = cpus;
    set_xen_guest_handle(op.u.getcpuinfo.info, info);
    if (xen_sysctl(x, &op) >= 0) {
        family("cpu_idle_seconds_total", "counter", "Time in which the CPU had nothing to run.");
        for (unsigned int i = 0; i < op.u.getcpuinfo.nr_cpus && i < cpus; i++)
            printf("orlop_cpu_idle_seconds_total{cpu=\"%u\"} %.9f\n", i, info[i].idletime / 1e9);
    }
    xen_buf_free(x, info);
}

static void put_hypercalls(const struct perfc_counter *c)
{
    if (!c)
        return;
    family("hypercalls_total", "counter",
           "Hypercalls by name (32 bits; an iret that takes the short way is not counted).");
    for (unsigned int i = 0; i < c->nr; i++) {
        if (hypercall_name(i))
            printf("orlop_hypercalls_total{call=\"%s\"} %u\n", hypercall_name(i), c->vals[i]);
    }
}

/* The hypervisor's single counters, by their names there. */
static void put_counters(const struct perfc *p)
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
        family(names[i][1], "counter", names[i][2]);
        printf("orlop_%s %u\n", names[i][1], c->vals[0]);
    }
}

static void put_waits(const struct perfc *p)
{
    bool said = false;

    for (unsigned int i = 0; i < p->nr; i++) {
        const struct perfc_counter *c = &p->counter[i];
        unsigned int domid, vcpu;

        if (sscanf(c->name, "waits of d%uv%u", &domid, &vcpu) != 2)
            continue;
        if (!said)
            family("vcpu_waits_total", "counter",
                   "How often a vCPU waited for a CPU, by the power of two of microseconds that it "
                   "waited less than.");
        said = true;
        for (unsigned int k = 0; k < c->nr; k++)
            printf("orlop_vcpu_waits_total{domid=\"%u\",vcpu=\"%u\",below_us=\"%llu\"} %u\n", domid,
                   vcpu, 1ull << k, c->vals[k]);
    }
}

static int metrics_run(int argc, char **argv)
{
    struct top_sample s;
    struct error e = { 0 };
    struct perfc p;
    struct host h;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (optind < argc)
        return cmd_usage("what is \"%s\"?", argv[optind]);
    if (view_open(&h, &e) < 0 || top_read(&h, &s, &e) < 0)
        return host_fail(&h, &e);
    put_machine(&s);
    put_idle(h.xen, s.cpus);
    put_domains(&s);
    if (perfc_read(h.xen, &p) == 0) {
        put_counters(&p);
        put_hypercalls(perfc_find(&p, "hypercalls"));
        put_waits(&p);
        perfc_free(&p);
    }
    top_free(&s);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_metrics = {
    .name = "metrics",
    .synopsis = "",
    .summary = "print counters of the host and its domains for Prometheus",
    .help = "Prometheus' text format, for node_exporter's folder of text files:\n"
            "    orlop metrics >/var/lib/prometheus/node-exporter/orlop.prom.$$ &&\n"
            "        mv /var/lib/prometheus/node-exporter/orlop.prom{.$$,}\n"
            "Counters of hypercalls and events have 32 bits and begin anew at 0.\n",
    .group = GROUP_HOST,
    .arg = ARG_NONE,
    .run = metrics_run,
};

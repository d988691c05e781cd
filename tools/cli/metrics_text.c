/* SPDX-License-Identifier: MIT */
/* The machine's and the domains' counters in Prometheus' text format (version 0.0.4). */
#include "tools/cli/metrics_text.h"

#include <inttypes.h>

static void family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP orlop_%s %s\n# TYPE orlop_%s %s\n", name, help, name, type);
}

/* A label's value, with the format's escapes; names of domains are one clean line. */
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

static void put_idle(FILE *out, const uint64_t *idle_ns, unsigned int cpus)
{
    if (cpus == 0)
        return;
    family(out, "cpu_idle_seconds_total", "counter", "Time in which the CPU had nothing to run.");
    for (unsigned int i = 0; i < cpus; i++)
        fprintf(out, "orlop_cpu_idle_seconds_total{cpu=\"%u\"} %.9f\n", i, idle_ns[i] / 1e9);
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

static void put_cost(FILE *out, const char *call, const struct call_cost *c)
{
    uint64_t so_far = 0;

    for (unsigned int i = 0; i < CALL_COSTS; i++) {
        so_far += c->took[i];
        fprintf(out, "orlop_hypercall_duration_seconds_bucket{call=\"%s\",le=", call);
        if (i < CALL_COSTS - 1)
            fprintf(out, "\"%g\"} ", call_cost_below_ns(i) / 1e9);
        else
            fprintf(out, "\"+Inf\"} ");
        fprintf(out, "%" PRIu64 "\n", so_far);
    }
    fprintf(out, "orlop_hypercall_duration_seconds_sum{call=\"%s\"} %.9f\n", call, c->ns / 1e9);
    fprintf(out, "orlop_hypercall_duration_seconds_count{call=\"%s\"} %" PRIu64 "\n", call, so_far);
}

static void put_costs(FILE *out, const struct perfc *p)
{
    struct call_cost c;
    bool said = false;

    for (unsigned int nr = 0; nr < CALL_NUMBERS; nr++) {
        if (!perfc_call(p, nr, &c) || c.ns == 0)
            continue;
        if (!said)
            family(
                out, "hypercall_duration_seconds", "histogram",
                "What hypercalls cost that were measured: those up to 100 seconds after somebody "
                "read the counters.");
        said = true;
        put_cost(out, hypercall_name(nr), &c);
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

/* Told in microseconds. */
static void put_forced(FILE *out, const struct perfc_counter *c)
{
    if (!c || c->nr != 1)
        return;
    family(out, "forced_idle_seconds_total", "counter",
           "Time in which CPUs idled beside another domain, though vCPUs waited for them "
           "(sched-gran=core; begins anew after 4,294 s).");
    fprintf(out, "orlop_forced_idle_seconds_total %.6f\n", c->vals[0] / 1e6);
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

void metrics_text(FILE *out, const struct metrics *m)
{
    put_machine(out, m->sample);
    put_idle(out, m->idle_ns, m->cpus);
    put_domains(out, m->sample);
    if (!m->perfc)
        return;
    put_counters(out, m->perfc);
    put_hypercalls(out, perfc_find(m->perfc, "hypercalls"));
    put_forced(out, perfc_find(m->perfc, "us idled beside another domain"));
    put_costs(out, m->perfc);
    put_waits(out, m->perfc);
}

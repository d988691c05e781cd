/* SPDX-License-Identifier: MIT */
/*
 * The scheduler in simulated time: build/tests/model/sched [FILE...] runs each workload file
 * (without arguments all of tests/model/sched) against the real scheduler on the machine of
 * tests/host and judges what each guest got. Nothing here takes real time into account, so a busy
 * computer changes nothing. `-v` prints the shares; `-t FILE` writes who ran when, and
 * how long each wake-up took, for scripts/plot-sched.
 *
 * A workload file has one statement a line ('#' begins a comment):
 * - cpus N | seconds N | slice MS | ratelimit US
 * - threads N: core scheduling, so many CPUs are a core, which runs one domain at a time; that it
 *   does is looked at throughout
 * - pool N CPUS: a pool, which takes that many CPUs, the last ones, from pool 0
 * - shifts N: N runs; in all but the first one guest more wakes every three seconds, at other times
 *   and for another while in each, so that nothing holds by the luck of one order
 * - guest NAME [weight N] [cap N] [vcpus N] [pin CPU] [copies N] [pool N] [spin N] DO
 *   DO: busy | run US sleep US | random US sleep US | hop US | yield US
 *   run: computes so long, then sleeps; random: as run, with times spread between 0 and twice that;
 *   hop: its vCPUs hand one job around, each computing so long; yield: busy, gives way so often;
 *   spin N: but its first N vCPUs are busy
 * - expect NAME cpu PERCENT within PERCENT: of one CPU, over the whole run
 * - expect NAME each-second within PERCENT: of its own mean, in each full second
 * - expect NAME wakes p99 US: 99 of 100 wake-ups run within this time
 * - expect NAME pause US: runnable, it is never kept waiting longer
 * - expect all busy PERCENT: of all CPUs' time is used by guests, at least
 */
#include "core/types.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/hypercall.h"
#include "core/sched_core.h"
#include "host/host.h"

#include <stdio.h>

#define MAX_GUESTS 160
#define MAX_TASKS 256
#define MAX_SECONDS 64
#define US 1000ull
#define SECOND 1000000000ull
#define NEVER (~0ull)

enum what { BUSY, RUN, RANDOM, HOP, YIELD };

struct guest {
    char name[24];
    unsigned int weight, cap, vcpus, pool, spin;
    int pin;
    enum what what;
    uint64_t run, sleep;
    struct domain *d;
    uint64_t ran, second[MAX_SECONDS];
    uint64_t worst_wait;
};

struct task {
    struct guest *g;
    struct vcpu *v;
    uint64_t left;    /* ns until it sleeps, NEVER */
    uint64_t wake;    /* ns: when it wakes, NEVER: it runs or waits */
    uint64_t ready;   /* ns: since when it waits for a CPU, 0: it does not */
    bool woken;       /* it waits since it woke */
    uint32_t *delays; /* of each wake-up, us */
    unsigned int nr_delays;
};

static struct guest guests[MAX_GUESTS];
static struct task tasks[MAX_TASKS];
static unsigned int nr_guests, nr_tasks, cpus = 1, seconds = 10, threads, shifts = 1;
static unsigned int pool_cpus[MAX_CPUPOOLS];
static const char *file;
static bool verbose;
static FILE *trace;
static uint64_t counted_from = NEVER; /* the start of what counts */
static int failures;
static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* --- reading a workload --- */

static void die(const char *why, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", file, why, what);
    exit(2);
}

static uint64_t number(void)
{
    const char *word = strtok(NULL, " \t\n");

    if (!word)
        die("a number is missing", "end of line");
    return strtoull(word, NULL, 10);
}

static bool takes(const char *word, const char *name, unsigned int *to)
{
    if (strcmp(word, name) != 0)
        return false;
    *to = (unsigned int)number();
    return true;
}

static void set_what(struct guest *g, const char *word)
{
    static const char *const names[] = { "busy", "run", "random", "hop", "yield" };
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(names) && strcmp(word, names[i]) != 0; i++)
        ;
    if (i == ARRAY_SIZE(names))
        die("unknown word", word);
    g->what = (enum what)i;
    if (g->what != BUSY)
        g->run = number() * US;
    if (g->what == RUN || g->what == RANDOM) {
        strtok(NULL, " \t\n"); /* "sleep" */
        g->sleep = number() * US;
    }
}

static void read_guest(void)
{
    struct guest g = { .weight = 256, .vcpus = 1, .pin = -1 };
    unsigned int copies = 1, pin;
    char *word = strtok(NULL, " \t\n");

    snprintf(g.name, sizeof(g.name), "%s", word ? word : "");
    while ((word = strtok(NULL, " \t\n")) != NULL) {
        if (takes(word, "weight", &g.weight) || takes(word, "cap", &g.cap) ||
            takes(word, "vcpus", &g.vcpus) || takes(word, "copies", &copies) ||
            takes(word, "pool", &g.pool) || takes(word, "spin", &g.spin))
            continue;
        if (takes(word, "pin", &pin))
            g.pin = (int)pin;
        else
            set_what(&g, word);
    }
    while (copies--) {
        if (nr_guests == MAX_GUESTS)
            die("too many guests", g.name);
        guests[nr_guests++] = g;
    }
}

static uint64_t pause_of(const struct guest *g, uint64_t ns)
{
    return g->what == RANDOM ? next_random() % (2 * ns + 1) : ns;
}

static void add_tasks(struct guest *g, domid_t id)
{
    struct cpumask map = CPUMASK_NONE;

    g->d = host_domain(id, g->vcpus, 0, id == 0);
    sched_set_share(g->d, (uint16_t)g->weight, (uint16_t)g->cap);
    g->d->sched.pool = g->pool;
    if (g->pin >= 0)
        cpumask_set(&map, (unsigned int)g->pin);
    for (unsigned int i = 0; i < g->vcpus; i++) {
        struct task *t = &tasks[nr_tasks++];

        *t = (struct task){ .g = g, .v = g->d->vcpu[i], .left = NEVER, .wake = NEVER };
        t->delays = calloc(1u << 17, sizeof(*t->delays));
        if (g->what != BUSY && i >= g->spin)
            t->left = pause_of(g, g->run);
        if (g->pin >= 0)
            sched_set_affinity(t->v, &map);
        host_up(g->d, i);
        t->ready = t->v->sched.running ? 0 : host_time;
    }
}

/* --- the run --- */

static void note_waits(void)
{
    for (struct task *t = tasks; t < tasks + nr_tasks; t++) {
        uint64_t waited;

        if (t->ready == 0 && (t->v->sched.queued || t->v->sched.parked))
            t->ready = host_time;
        if (t->ready == 0 || (t->v->sched.queued || t->v->sched.parked))
            continue;
        waited = host_time - t->ready;
        t->g->worst_wait = MAX(t->g->worst_wait, waited);
        if (t->woken && trace && host_time >= counted_from)
            fprintf(trace, "w %llu %llu %s.%u\n", (unsigned long long)(host_time - counted_from),
                    (unsigned long long)(waited / US), t->g->name, t->v->id);
        if (t->woken && t->nr_delays < 1u << 17)
            t->delays[t->nr_delays++] = (uint32_t)(waited / US);
        t->ready = 0;
        t->woken = false;
    }
}

static void sleep_now(struct task *t)
{
    struct task *to = t;

    t->left = pause_of(t->g, t->g->run);
    host_be(t->v->cpu->id);
    if (t->g->what == YIELD) {
        host_call(t->v, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
        return;
    }
    if (t->g->what == HOP) {
        to = t + 1 < tasks + nr_tasks && t[1].g == t->g ? t + 1 : tasks;
        while (to->g != t->g)
            to++;
        t->wake = NEVER;
        to->wake = host_time;
    } else {
        t->wake = host_time + pause_of(t->g, t->g->sleep);
    }
    t->v->info->evtchn_upcall_pending = 0;
    host_call(t->v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
}

static void wake_now(struct task *t)
{
    t->wake = NEVER;
    t->woken = true;
    t->ready = host_time;
    host_be(0);
    vcpu_mark_events_pending(t->v);
}

static uint64_t next_event(uint64_t end)
{
    uint64_t next = end;

    for (unsigned int i = 0; i < cpus; i++)
        next = MIN(next, host_cpus[i].deadline);
    for (struct task *t = tasks; t < tasks + nr_tasks; t++) {
        next = MIN(next, t->wake);
        if (t->v->sched.running && t->left != NEVER)
            next = MIN(next, host_time + t->left);
    }
    return next;
}

/* No two domains are on one core. */
static void look_at_cores(void)
{
    const struct domain *on[MAX_CPUS] = { NULL };

    for (unsigned int i = 0; i < cpus; i++) {
        const struct domain *d = host_cpus[i].p.current->domain;
        unsigned int core = i / threads;

        if (d && on[core] && on[core] != d && failures++ < 5)
            printf("    domains %u and %u on core %u at %llu ns\n", d->id, on[core]->id, core,
                   (unsigned long long)host_time);
        if (d)
            on[core] = d;
    }
}

static void account(uint64_t from, uint64_t start)
{
    uint64_t ns = host_time - from;
    unsigned int s = (unsigned int)MIN((from - start) / SECOND, (uint64_t)MAX_SECONDS - 1);

    for (struct task *t = tasks; t < tasks + nr_tasks; t++) {
        if (!t->v->sched.running)
            continue;
        t->g->ran += ns;
        t->g->second[s] += ns;
        if (t->left != NEVER)
            t->left -= MIN(t->left, ns);
        if (trace && counted_from != NEVER)
            fprintf(trace, "%llu %llu %u %s.%u\n", (unsigned long long)(from - start),
                    (unsigned long long)ns, t->v->cpu->id, t->g->name, t->v->id);
    }
}

/* The first half second is the start of all guests; what they get from then on counts. */
static void begin_to_count(void)
{
    counted_from = host_time;
    for (struct guest *g = guests; g < guests + nr_guests; g++) {
        g->ran = g->worst_wait = 0;
        memset(g->second, 0, sizeof(g->second));
    }
    for (struct task *t = tasks; t < tasks + nr_tasks; t++)
        t->nr_delays = 0;
}

static void run_until(uint64_t start, uint64_t end)
{
    while (host_time < end) {
        uint64_t from = host_time, next = next_event(end);

        host_advance(next > from ? next - from : 0);
        if (threads)
            look_at_cores();
        account(from, start);
        for (struct task *t = tasks; t < tasks + nr_tasks; t++) {
            if (t->v->sched.running && t->left == 0)
                sleep_now(t);
            else if (t->wake <= host_time)
                wake_now(t);
        }
        host_settle();
        note_waits();
    }
}

static void run(void)
{
    run_until(host_time, host_time + SECOND / 2);
    begin_to_count();
    run_until(host_time, host_time + seconds * SECOND);
    note_waits();
    if (audit())
        printf("    audit found something\n"), failures++;
}

/* --- judging --- */

static double cpu_of(const struct guest *g)
{
    return 100.0 * (double)g->ran / (double)(seconds * SECOND);
}

static void bad(const char *name, const char *what, double is, double want)
{
    printf("    %s: %s is %.2f, expected %.2f\n", name, what, is, want);
    failures++;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void judge_wakes(const struct guest *g, double most)
{
    for (struct task *t = tasks; t < tasks + nr_tasks; t++) {
        if (t->g != g || t->nr_delays == 0)
            continue;
        qsort(t->delays, t->nr_delays, sizeof(*t->delays), by_value);
        if (t->delays[t->nr_delays * 99 / 100] > most)
            bad(g->name, "99th percentile of its wake-ups (us)", t->delays[t->nr_delays * 99 / 100],
                most);
        if (verbose)
            printf("    %s.%u: %u wake-ups, p50 %u us, p99 %u us, worst %u us\n", g->name, t->v->id,
                   t->nr_delays, t->delays[t->nr_delays / 2], t->delays[t->nr_delays * 99 / 100],
                   t->delays[t->nr_delays - 1]);
    }
}

static void judge_seconds(const struct guest *g, double within)
{
    double mean = (double)g->ran / seconds;

    for (unsigned int s = 0; s < seconds && s < MAX_SECONDS; s++) {
        double off = 100.0 * ((double)g->second[s] - mean) / mean;

        if (off > within || off < -within)
            bad(g->name, "a second's difference from its mean (percent)", off, within);
    }
}

static void judge_all(void)
{
    double sum = 0, least;

    strtok(NULL, " \t\n"); /* "busy" */
    least = (double)number();
    for (unsigned int i = 0; i < nr_guests; i++)
        sum += cpu_of(&guests[i]);
    if (sum / cpus < least)
        bad("all", "use of the CPUs (percent)", sum / cpus, least);
}

static void judge(char *line)
{
    const char *name = strtok(line, " \t\n"), *what;
    double value, within;

    name = strtok(NULL, " \t\n");
    if (name && strcmp(name, "all") == 0) {
        judge_all();
        return;
    }
    what = strtok(NULL, " \t\n");
    strcmp(what, "cpu") == 0 || strcmp(what, "pause") == 0 ? 0 : strtok(NULL, " \t\n");
    value = atof(strtok(NULL, " \t\n"));
    within = strcmp(what, "cpu") == 0 ? (strtok(NULL, " \t\n"), atof(strtok(NULL, " \t\n"))) : 0;
    for (struct guest *g = guests; g < guests + nr_guests; g++) {
        double cpu = cpu_of(g);

        if (strcmp(g->name, name) != 0)
            continue;
        if (strcmp(what, "cpu") == 0 && (cpu > value + within || cpu < value - within))
            bad(name, "CPU time (percent of one)", cpu, value);
        else if (strcmp(what, "each-second") == 0)
            judge_seconds(g, value);
        else if (strcmp(what, "wakes") == 0)
            judge_wakes(g, value);
        else if (strcmp(what, "pause") == 0 && (double)g->worst_wait / US > value)
            bad(name, "the longest time that it waited for a CPU (us)", (double)g->worst_wait / US,
                value);
    }
}

static void read_file(FILE *f, char expects[][128], unsigned int *nr)
{
    char line[256];

    while (fgets(line, sizeof(line), f)) {
        unsigned int n;
        char *word;

        line[strcspn(line, "#")] = 0;
        if (strncmp(line, "expect", 6) == 0) {
            snprintf(expects[(*nr)++], 128, "%.127s", line);
            continue;
        }
        word = strtok(line, " \t\n");
        if (!word || takes(word, "cpus", &cpus) || takes(word, "seconds", &seconds) ||
            takes(word, "threads", &threads) || takes(word, "shifts", &shifts))
            continue;
        if (takes(word, "slice", &n))
            sched_settings[0].slice_ns = n * 1000 * US;
        else if (takes(word, "ratelimit", &n))
            sched_settings[0].rate_limit_ns = n * US;
        else if (takes(word, "pool", &n))
            pool_cpus[n % MAX_CPUPOOLS] = (unsigned int)number();
        else if (strcmp(word, "guest") == 0)
            read_guest();
        else
            die("unknown statement", word);
    }
}

/* The other runs of a workload with shifts: a process for each, which goes on as number i. */
static void run_shifted(void)
{
    for (unsigned int i = 1; i < shifts && nr_guests < MAX_GUESTS; i++) {
        int status = 0;
        pid_t child;

        fflush(NULL);
        child = fork();
        if (child == 0) {
            trace = NULL;
            guests[nr_guests++] = (struct guest){
                .name = "shift",
                .weight = 256,
                .vcpus = 1,
                .pin = -1,
                .what = RUN,
                .run = i * 37 * US,
                .sleep = 3000000 * US,
            };
            return;
        }
        waitpid(child, &status, 0);
        failures += status != 0;
    }
}

static int run_file(void)
{
    static char expects[64][128];
    unsigned int nr = 0;
    FILE *f = fopen(file, "r");

    if (!f)
        die("cannot be read", "");
    read_file(f, expects, &nr);
    fclose(f);
    run_shifted();
    host_boot(4096, cpus);
    if (threads) {
        host_threads = threads;
        sched_core_init();
    }
    for (unsigned int pool = MAX_CPUPOOLS, cpu = cpus; pool-- > 1;)
        for (unsigned int n = 0; n < pool_cpus[pool] && cpu > 1; n++)
            sched_set_cpu_pool(pcpus[--cpu], pool);
    for (unsigned int i = 0; i < nr_guests; i++)
        add_tasks(&guests[i], (domid_t)i);
    run();
    for (unsigned int i = 0; verbose && i < nr_guests; i++)
        printf("    %-10s weight %5u cap %3u: %6.2f %% of a CPU, waited %.1f ms at most\n",
               guests[i].name, guests[i].weight, guests[i].cap, cpu_of(&guests[i]),
               (double)guests[i].worst_wait / 1e6);
    for (unsigned int i = 0; i < nr; i++)
        judge(expects[i]);
    return failures != 0;
}

/* The machine is of one boot: a process for each file. True if all was as expected. */
static bool run_one(char *path)
{
    const char *base = strrchr(path, '/');
    int status = 0;
    pid_t child;

    file = path;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        int rc = run_file();

        fflush(NULL);
        _exit(rc);
    }
    waitpid(child, &status, 0);
    printf("%s %s\n", status ? "FAIL" : "ok", base ? base + 1 : path);
    return status == 0;
}

int main(int argc, char **argv)
{
    glob_t all = { 0 };
    int bad_files = 0, c;

    while ((c = getopt(argc, argv, "vt:")) != -1) {
        verbose |= c == 'v';
        if (c == 't')
            trace = fopen(optarg, "w");
    }
    for (int i = optind; i < argc; i++)
        bad_files += !run_one(argv[i]);
    if (optind == argc) {
        glob("tests/model/sched/*", 0, NULL, &all);
        for (size_t i = 0; i < all.gl_pathc; i++)
            bad_files += !run_one(all.gl_pathv[i]);
        globfree(&all);
    }
    return bad_files != 0;
}

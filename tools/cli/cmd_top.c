/* SPDX-License-Identifier: MIT */
/* orlop top: a live view in the terminal, or samples as text or JSON. */
#include "tools/cli/command.h"
#include "tools/cli/top.h"
#include "tools/lib/error.h"
#include <curses.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_MS = 300 }; /* what the first picture of the live view compares */

struct top {
    struct host host;
    struct top_sample before;
    enum top_order order;
    int64_t delay_ms;
    uint64_t rounds; /* 0: no end */
    bool batch;
    bool calls; /* hypercalls rather than domains */
};

static const char *const order_name[] = { "CPU", "memory", "name", "id" };

/* "12.3M": bytes a second in at most six letters. */
static void rate_text(uint64_t rate, char text[16])
{
    static const char units[] = " KMGT";
    double r = rate;
    unsigned u = 0;

    while (r >= 1000 && u < 4) {
        r /= 1024;
        u++;
    }
    snprintf(text, 16, u ? "%.1f%c" : "%.0f%c", r, units[u]);
}

static void header_text(const struct top *t, const struct top_sample *s, char *text, size_t size)
{
    double busy = 0;

    for (int i = 0; i < s->count; i++)
        busy += s->rows[i].cpu_percent;
    snprintf(text, size,
             "orlop top: %d domains, %u CPUs %.0f%% busy, memory %llu MiB, %llu MiB free; by %s",
             s->count, s->cpus, s->cpus ? busy / s->cpus : 0,
             (unsigned long long)s->total_kib >> 10, (unsigned long long)s->free_kib >> 10,
             order_name[t->order]);
}

static const char minute[] = "  LAST MINUTE'S CPU";
static const char columns[] = "NAME                  ID STATE   CPU(s)   CPU%    MiB  MEM% VCPUS   "
                              "NETTX   NETRX   VBDRD   VBDWR";

static void row_text(const struct top_sample *s, const struct top_row *r, char *text, size_t size)
{
    const struct xen_domctl_getdomaininfo *i = &r->view.info;
    char letters[7], label[NAME_SIZE], tx[16], rx[16], rd[16], wr[16];

    view_letters(&r->view, letters);
    rate_text(r->rate.sent, tx);
    rate_text(r->rate.received, rx);
    rate_text(r->rate.read, rd);
    rate_text(r->rate.written, wr);
    snprintf(text, size, "%-18.18s %5u %s %7.0f %6.1f %6llu %5.1f %5u %7s %7s %7s %7s",
             view_label(&r->view, label), i->domain, letters, i->cpu_time / 1e9, r->cpu_percent,
             (unsigned long long)pages_to_kib(i->tot_pages) >> 10,
             s->total_kib ? 100.0 * pages_to_kib(i->tot_pages) / s->total_kib : 0,
             i->nr_online_vcpus, tx, rx, rd, wr);
}

static struct json_object *row_json(const struct top_row *r)
{
    struct json_object *j = view_json(&r->view);

    json_object_object_add(j, "cpu_percent", json_object_new_double(r->cpu_percent));
    json_object_object_add(j, "net_sent_bps", json_object_new_int64(r->rate.sent));
    json_object_object_add(j, "net_received_bps", json_object_new_int64(r->rate.received));
    json_object_object_add(j, "disk_read_bps", json_object_new_int64(r->rate.read));
    json_object_object_add(j, "disk_written_bps", json_object_new_int64(r->rate.written));
    return j;
}

static void print_json_sample(const struct top *t, const struct top_sample *s)
{
    const struct top_call *call[CALL_NUMBERS];
    struct json_object *calls;

    struct json_object *j = json_object_new_object(), *rows = json_object_new_array();

    for (int i = 0; i < s->count; i++)
        json_object_array_add(rows, row_json(&s->rows[i]));
    json_object_object_add(j, "cpus", json_object_new_int(s->cpus));
    json_object_object_add(j, "memory_kib", json_object_new_int64(s->total_kib));
    json_object_object_add(j, "free_memory_kib", json_object_new_int64(s->free_kib));
    json_object_object_add(j, "domains", rows);
    if (t->calls) {
        int n = top_calls_sorted(s, call);

        calls = json_object_new_array();
        for (int i = 0; i < n; i++)
            json_object_array_add(calls, top_call_json(call[i]));
        json_object_object_add(j, "hypercalls", calls);
    }
    print_json_line(j);
}

static void print_text_sample(const struct top *t, const struct top_sample *s)
{
    const struct top_call *call[CALL_NUMBERS];
    int rows = t->calls ? top_calls_sorted(s, call) : s->count;
    char text[256];

    header_text(t, s, text, sizeof(text));
    printf("%s\n%s\n", text, t->calls ? top_calls_columns : columns);
    for (int i = 0; i < rows; i++) {
        if (t->calls)
            top_call_text(call[i], text, sizeof(text));
        else
            row_text(s, &s->rows[i], text, sizeof(text));
        puts(text);
    }
    putchar('\n');
    fflush(stdout);
}

static void draw_calls(const struct top_sample *s)
{
    const struct top_call *call[CALL_NUMBERS];
    int n = top_calls_sorted(s, call);
    char text[256];

    for (int i = 0; i < n && i + 4 < LINES; i++) {
        top_call_text(call[i], text, sizeof(text));
        mvaddnstr(3 + i, 0, text, COLS);
    }
}

static void draw_domains(const struct top_sample *s)
{
    char text[256], spark[TOP_STEPS + 1];

    for (int i = 0; i < s->count && i + 4 < LINES; i++) {
        row_text(s, &s->rows[i], text, sizeof(text));
        mvaddnstr(3 + i, 0, text, COLS);
        top_spark(&s->rows[i].past, spark);
        if (COLS > (int)sizeof(columns) + 1)
            mvaddnstr(3 + i, sizeof(columns) + 1, spark, COLS - (int)sizeof(columns) - 1);
    }
}

static void draw(const struct top *t, const struct top_sample *s)
{
    char text[256];

    erase();
    header_text(t, s, text, sizeof(text));
    mvaddnstr(0, 0, text, COLS);
    attron(A_REVERSE);
    snprintf(text, sizeof(text), "%s%s", t->calls ? top_calls_columns : columns,
             t->calls ? "" : minute);
    mvprintw(2, 0, "%-*.*s", COLS, COLS, text);
    attroff(A_REVERSE);
    if (t->calls)
        draw_calls(s);
    else
        draw_domains(s);
    mvaddnstr(LINES - 1, 0,
              "q quit   c by CPU   m by memory   n by name   i by id   h hypercalls   + - interval",
              COLS);
    refresh();
}

static int read_sample(struct top *t, struct top_sample *s, struct error *e)
{
    if (top_read(&t->host, s, e) < 0)
        return -1;
    if (t->calls)
        top_calls_read(&t->host, s);
    return 0;
}

/* The next sample, compared with the one before, which it replaces; -1 with e. */
static int next_sample(struct top *t, struct top_sample *now, struct error *e)
{
    if (read_sample(t, now, e) < 0)
        return -1;
    top_compare(&t->before, now);
    top_calls_compare(&t->before, now);
    top_sort(now, t->order);
    top_free(&t->before);
    t->before = *now;
    return 0;
}

static int run_batch(struct top *t, struct error *e)
{
    uint64_t left = t->rounds;

    do {
        struct top_sample now;

        poll(NULL, 0, t->delay_ms);
        if (next_sample(t, &now, e) < 0)
            return -1;
        if (json_output)
            print_json_sample(t, &now);
        else
            print_text_sample(t, &now);
    } while (!ferror(stdout) && (t->rounds == 0 || --left > 0));
    return 0;
}

/* False: the user wants to end. */
static bool take_key(struct top *t, int key)
{
    switch (key) {
    case 'q':
    case 27:
        return false;
    case 'c':
        t->order = TOP_BY_CPU;
        break;
    case 'm':
        t->order = TOP_BY_MEMORY;
        break;
    case 'n':
        t->order = TOP_BY_NAME;
        break;
    case 'i':
        t->order = TOP_BY_ID;
        break;
    case 'h':
        t->calls = !t->calls;
        if (t->calls) /* what happened before is nothing to compare with */
            top_calls_read(&t->host, &t->before);
        break;
    case '+':
        t->delay_ms += t->delay_ms < 60000 ? 500 : 0;
        break;
    case '-':
        t->delay_ms -= t->delay_ms > 500 ? 500 : 0;
        break;
    default:
        break;
    }
    return true;
}

static int run_live(struct top *t, struct error *e)
{
    uint64_t left = t->rounds;
    struct top_sample now;
    int rc, key = ERR;

    poll(NULL, 0, FIRST_MS);
    initscr();
    cbreak();
    noecho();
    curs_set(0);
    do {
        rc = next_sample(t, &now, e);
        if (rc < 0)
            break;
        draw(t, &now);
        timeout(t->delay_ms);
        key = getch();
    } while (take_key(t, key) && (t->rounds == 0 || --left > 0));
    endwin();
    return rc;
}

/* EXIT_DONE, or what to return. */
static int parse_options(struct top *t, int argc, char **argv)
{
    static const struct option options[] = {
        { "batch", no_argument, NULL, 'b' },       { "iterations", required_argument, NULL, 'n' },
        { "delay", required_argument, NULL, 'd' }, { "sort", required_argument, NULL, 's' },
        { "hypercalls", no_argument, NULL, 'H' },  { 0 }
    };
    double seconds;
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, ":bn:d:s:H", options, NULL)) != -1) {
        if (c == 'b') {
            t->batch = true;
        } else if (c == 'H') {
            t->calls = true;
        } else if (c == 'n') {
            if (!parse_number(optarg, 1, 1u << 30, &t->rounds))
                return cmd_usage("-n %s: a number above 0", optarg);
        } else if (c == 'd') {
            seconds = strtod(optarg, &end);
            if (*end || end == optarg || !(seconds >= 0.1 && seconds <= 3600))
                return cmd_usage("-d %s: seconds from 0.1 to 3600", optarg);
            t->delay_ms = seconds * 1000;
        } else if (c == 's') {
            static const char *const words[] = { "cpu", "memory", "name", "id" };
            unsigned i = 0;

            while (i < 4 && strcmp(words[i], optarg) != 0)
                i++;
            if (i == 4)
                return cmd_usage("--sort %s: cpu, memory, name or id", optarg);
            t->order = i;
        } else {
            return cmd_bad_option(argv);
        }
    }
    if (optind < argc)
        return cmd_usage("%s: no argument is expected", argv[optind]);
    return EXIT_DONE;
}

static int top_run(int argc, char **argv)
{
    struct top t = { .delay_ms = 2000 };
    struct error e = { 0 };
    int rc = parse_options(&t, argc, argv);

    if (rc != EXIT_DONE)
        return rc;
    t.batch |= json_output;
    if (!t.batch && !isatty(1))
        return cmd_usage("stdout is no terminal; --batch prints plain text");
    if (!t.batch && (!getenv("TERM") || !*getenv("TERM")))
        return cmd_usage("TERM is not set: the kind of the terminal is unknown; --batch prints "
                         "plain text");
    rc = view_open(&t.host, &e);
    if (rc == 0)
        rc = read_sample(&t, &t.before, &e);
    if (rc == 0)
        rc = t.batch ? run_batch(&t, &e) : run_live(&t, &e);
    top_free(&t.before);
    if (rc < 0)
        return host_fail(&t.host, &e);
    host_close(&t.host);
    return EXIT_DONE;
}

const struct command cmd_top = {
    .name = "top",
    .synopsis = "[--batch] [-n N] [-d SECONDS] [--sort cpu|memory|name|id] [--hypercalls]",
    .summary = "watch what the guests use: CPU, memory, network, disks",
    .help =
        "  -b, --batch         plain text, for files and pipes; --json does the same as JSON\n"
        "  -n, --iterations N  end after N samples\n"
        "  -d, --delay SECONDS between two samples (2)\n"
        "  -s, --sort KEY      cpu, memory, name or id\n"
        "  -H, --hypercalls    what hypercalls cost, rather than domains (JSON: besides them)\n"
        "CPU% is of one CPU. NETTX is what the guest sends; rates are in bytes a second.\n"
        "A wide terminal shows the last minute beside it: a letter for two seconds, from _\n"
        "(nothing) over .:-=+*# to @, all that the guest's vCPUs could use.\n"
        "With --hypercalls the columns on the right are percent of the calls that took less than\n"
        "so long; the hypervisor measures them while somebody looks. A multicall's cost\n"
        "contains that of its parts.\n"
        "Keys: q quits, c m n i sort, h shows hypercalls, + and - change the delay.\n",
    .options = "--batch --iterations --delay --sort --hypercalls",
    .group = GROUP_VIEW,
    .json = true,
    .run = top_run,
};

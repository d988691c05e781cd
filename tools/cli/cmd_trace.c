/* SPDX-License-Identifier: MIT */
/* orlop trace: which vCPU ran where, and why not, as a file for Perfetto. */
#include "tools/cli/command.h"
#include "tools/cli/trace.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SECONDS 10
#define MOST_SECONDS 3600

struct wish {
    struct trace_wish take;
    const char *from; /* a file of xentrace */
    uint64_t mhz;
};

struct name_list {
    struct view *views;
    int n;
};

static const char *known_name(void *arg, unsigned int domid)
{
    const struct name_list *l = arg;

    for (int i = 0; i < l->n; i++)
        if (l->views[i].info.domain == domid)
            return l->views[i].name;
    return NULL;
}

/* A file that could not be written to its end is taken away, if it is one. 0 or -1 with e. */
static int write_file(const struct trace *t, const char *path, struct trace_stats *stats,
                      struct error *e)
{
    FILE *out = fopen(path, "we");
    struct stat st;
    bool regular;
    int rc, err = 0;

    if (!out)
        return error_sys(e, errno, NULL, "%s", path);
    regular = fstat(fileno(out), &st) == 0 && S_ISREG(st.st_mode);
    rc = trace_json(t, out, stats, e);
    if (fflush(out) != 0 || ferror(out))
        err = errno;
    if (fclose(out) != 0 && !err)
        err = errno;
    if (!err)
        return rc;
    if (regular)
        unlink(path);
    return error_sys(e, err, "Write to another file system, or record for a shorter time.", "%s",
                     path);
}

static int take(struct trace *t, const struct wish *w, struct name_list *names, struct error *e)
{
    struct host h;
    int rc = view_open(&h, e);

    if (rc == 0)
        rc = trace_take(t, &h, &w->take, e);
    if (rc == 0) {
        names->n = views_get(&h, &names->views, e);
        rc = names->n < 0 ? -1 : 0;
    }
    host_close(&h);
    return rc;
}

static int get(struct trace *t, const struct wish *w, struct name_list *names, struct error *e)
{
    if (w->from) {
        t->khz = w->mhz * 1000;
        return trace_file(t, w->from, e);
    }
    t->name = known_name;
    t->names = names;
    return take(t, w, names, e);
}

static int parse(int argc, char **argv, struct wish *w)
{
    static const struct option longs[] = { { "time", required_argument, NULL, 't' },
                                           { "hypercalls", no_argument, NULL, 'c' },
                                           { "from", required_argument, NULL, 'f' },
                                           { "mhz", required_argument, NULL, 'm' },
                                           { 0 } };
    uint64_t seconds = DEFAULT_SECONDS;
    int c;

    while ((c = getopt_long(argc, argv, ":t:", longs, NULL)) != -1) {
        if (c == 't' && !parse_number(optarg, 1, MOST_SECONDS, &seconds))
            return cmd_usage("--time takes seconds from 1 to %d, not \"%s\"", MOST_SECONDS, optarg);
        if (c == 'm' && !parse_number(optarg, 1, 100000, &w->mhz))
            return cmd_usage("--mhz takes the frequency of the cycle counter, not \"%s\"", optarg);
        if (c == 'c')
            w->take.hypercalls = true;
        if (c == 'f')
            w->from = optarg;
        if (c == '?' || c == ':')
            return cmd_bad_option(argv);
    }
    w->take.seconds = seconds;
    if (optind != argc - 1)
        return cmd_usage(optind < argc ? "one FILE" : "to which FILE?");
    if (w->from && !w->mhz)
        return cmd_usage("--from needs --mhz (xl info tells cpu_mhz)");
    return EXIT_DONE;
}

static int trace_run(int argc, char **argv)
{
    static struct trace t;
    struct name_list names = { 0 };
    struct host closed = { 0 };
    struct trace_stats s = { 0 };
    struct error e = { 0 };
    struct wish w = { 0 };
    int rc = parse(argc, argv, &w);

    if (rc != EXIT_DONE)
        return rc;
    if (get(&t, &w, &names, &e) < 0 || write_file(&t, argv[optind], &s, &e) < 0)
        rc = host_fail(&closed, &e);
    else
        fprintf(stderr,
                "%s%" PRIu64 " records, %" PRIu64 " slices, %" PRIu64 " arrows, %" PRIu64
                " records lost: open %s at ui.perfetto.dev\n",
                t.full ? "It ended early, since no more is kept. " : "", s.records, s.slices,
                s.arrows, s.lost, argv[optind]);
    trace_free(&t);
    free(names.views);
    return rc;
}

const struct command cmd_trace = {
    .name = "trace",
    .synopsis = "[-t SECONDS] [--hypercalls] [--from RECORD --mhz MHZ] FILE",
    .summary = "record what the CPUs do to a file that Perfetto opens",
    .help = "Chrome's trace format (JSON). The process \"CPUs\" has a track for each physical\n"
            "CPU with the vCPU that ran; each domain one for each vCPU with its states;\n"
            "arrows show events from one vCPU to another.\n"
            "  -t, --time SECONDS  record so long (10), or until Ctrl-C\n"
            "  --hypercalls        with a mark for each hypercall: much more data\n"
            "  --from RECORD       convert a file of Debian's xentrace instead\n"
            "  --mhz MHZ           the frequency of the CPUs that recorded it\n",
    .options = "--time --hypercalls --from --mhz",
    .group = GROUP_HOST,
    .arg = ARG_FILE,
    .run = trace_run,
};

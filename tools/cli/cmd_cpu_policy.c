/* SPDX-License-Identifier: MIT */
/*
 * orlop cpu-policy: which features of the processor guests find here, in a file that other hosts'
 * orlop compares with theirs.
 *
 * The file: lines `kind pv` or `kind hvm`, and `NUMBER HEX` for each word of features as the ABI
 * numbers them; what follows a # is for people.
 */
#include "tools/cli/command.h"
#include "tools/cli/cpu_features.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum what { PRINT, COMPARE, COMMON };

struct options {
    enum what what;
    bool hvm;
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = { { "hvm", no_argument, NULL, 'h' },
                                           { "compare", no_argument, NULL, 'c' },
                                           { "common", no_argument, NULL, 'm' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        if (c == 'h')
            o->hvm = true;
        else if ((c == 'c' || c == 'm') && o->what == PRINT)
            o->what = c == 'c' ? COMPARE : COMMON;
        else if (c == 'c' || c == 'm')
            return cmd_usage("--compare and --common exclude each other");
        else
            return cmd_bad_option(argv);
    }
    if (o->what == PRINT && optind != argc)
        return cmd_usage("no arguments are expected");
    if (o->what == COMPARE && argc - optind != 1)
        return cmd_usage("which file?");
    if (o->what == COMMON && argc - optind < 1)
        return cmd_usage("which files?");
    return 0;
}

/* --- files --- */

static int bad_line(const char *path, unsigned int line, struct error *e)
{
    return error_set(e, EINVAL, "Make it with `orlop cpu-policy >FILE` on the other host.",
                     "%s, line %u: this is no line of a CPU policy", path, line);
}

static int read_lines(FILE *f, const char *path, bool *hvm, struct cpu_features *to,
                      struct error *e)
{
    bool kind = false, seen[CPU_WORDS] = { false };
    char text[4096], word[8];
    unsigned int line = 0, n, hex, count = 0;

    while (fgets(text, sizeof(text), f)) {
        int end = 0;

        line++;
        if (strchr(text, '#'))
            *strchr(text, '#') = 0;
        if (sscanf(text, " kind %7s %n", word, &end) == 1 && !text[end] && !kind &&
            (strcmp(word, "pv") == 0 || strcmp(word, "hvm") == 0)) {
            kind = true;
            *hvm = strcmp(word, "hvm") == 0;
        } else if (sscanf(text, "%u %x %n", &n, &hex, &end) == 2 && end && !text[end] &&
                   n < CPU_WORDS && !seen[n]) {
            seen[n] = true;
            to->word[n] = hex;
            count++;
        } else if (text[strspn(text, " \t\r\n")]) {
            return bad_line(path, line, e);
        }
    }
    if (!kind || count != CPU_WORDS)
        return error_set(e, EINVAL, "Make it with `orlop cpu-policy >FILE` on the other host.",
                         "%s: this is no CPU policy, or not a whole one", path);
    return 0;
}

static int load(const char *path, bool hvm, struct cpu_features *to, struct error *e)
{
    FILE *f = fopen(path, "re");
    bool is_hvm = false;
    int rc = f ? read_lines(f, path, &is_hvm, to, e) : error_sys(e, errno, NULL, "%s", path);

    if (rc == 0 && is_hvm != hvm)
        rc = error_set(e, EINVAL, is_hvm ? "Add --hvm." : "Leave --hvm out.",
                       "%s is about %s guests", path, is_hvm ? "PVH and HVM" : "PV");
    if (f)
        fclose(f);
    return rc;
}

/* --- what is printed --- */

static void print_words(const struct cpu_features *f, bool hvm)
{
    static const struct cpu_features none;

    printf("# CPU policy of this host; `orlop cpu-policy --compare` reads it\nkind %s\n",
           hvm ? "hvm" : "pv");
    for (unsigned int i = 0; i < CPU_WORDS; i++) {
        struct cpu_features one = none;
        char *word = cpu_word_name(i), *names;

        one.word[i] = f->word[i];
        names = cpu_features_missing(&one, &none);
        printf("%u %08x # %s: %s\n", i, f->word[i], word, names);
        free(names);
        free(word);
    }
}

static void print_json_words(const struct cpu_features *f, bool hvm)
{
    struct json_object *j = json_object_new_object(), *list = json_object_new_array();

    json_object_object_add(j, "kind", json_object_new_string(hvm ? "hvm" : "pv"));
    for (unsigned int bit = 0; bit < 32 * CPU_WORDS; bit++)
        if (f->word[bit / 32] & 1u << bit % 32 && cpu_feature_name(bit))
            json_object_array_add(list, json_object_new_string(cpu_feature_name(bit)));
    json_object_object_add(j, "features", list);
    print_json(j);
}

static void print_compared(const char *path, const struct cpu_features *here,
                           const struct cpu_features *there)
{
    char *only_here = cpu_features_missing(here, there);
    char *only_there = cpu_features_missing(there, here);

    if (json_output) {
        struct json_object *j = json_object_new_object();

        json_object_object_add(j, "only_here", json_object_new_string(only_here));
        json_object_object_add(j, "only_there", json_object_new_string(only_there));
        print_json(j);
    } else if (!*only_here && !*only_there) {
        printf("%s has the same features: guests can go both ways\n", path);
    } else {
        printf("only here: %s\nonly in %s: %s\n", *only_here ? only_here : "nothing", path,
               *only_there ? only_there : "nothing");
        printf("guests made here can%s go there, guests made there can%s come here\n",
               *only_here ? "not" : "", *only_there ? "not" : "");
    }
    free(only_here);
    free(only_there);
}

/* A line for configurations: what guests made here must do without. */
static int print_common(const struct cpu_features *here, const struct cpu_features *common)
{
    char *line = str_dup("host");
    unsigned int nameless = 0;

    for (unsigned int bit = 0; bit < 32 * CPU_WORDS; bit++) {
        const char *name = cpu_feature_name(bit);
        char *was = line;

        if (!(here->word[bit / 32] & ~common->word[bit / 32] & 1u << bit % 32))
            continue;
        nameless += !name;
        if (!name)
            continue;
        line = str_fmt("%s,%s=0", was, name);
        free(was);
    }
    if (json_output) {
        struct json_object *j = json_object_new_object();

        json_object_object_add(j, "cpuid", json_object_new_string(line));
        print_json(j);
    } else {
        printf("cpuid = \"%s\"\n", line);
    }
    free(line);
    return nameless ? cmd_fail("%u features that only this host has are without a name: guests "
                               "find them nevertheless",
                               nameless)
                    : EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct cpu_features here, there, common;
    struct options o = { PRINT, false };
    struct error e = { 0 };
    struct host h;
    int rc = parse(argc, argv, &o);

    if (rc)
        return rc;
    rc = host_open(&h, &e);
    rc = rc ? rc : cpu_policy_of_host(h.xen, o.hvm, &here, &e);
    common = here;
    for (int i = optind; rc == 0 && i < argc; i++) {
        rc = load(argv[i], o.hvm, &there, &e);
        for (unsigned int w = 0; rc == 0 && w < CPU_WORDS; w++)
            common.word[w] &= there.word[w];
    }
    if (rc)
        return host_fail(&h, &e);
    if (o.what == COMPARE)
        print_compared(argv[optind], &here, &there);
    else if (o.what == COMMON)
        rc = print_common(&here, &common);
    else if (json_output)
        print_json_words(&here, o.hvm);
    else
        print_words(&here, o.hvm);
    host_close(&h);
    return rc;
}

const struct command cmd_cpu_policy = {
    .name = "cpu-policy",
    .synopsis = "[--hvm] [--compare FILE | --common FILE...]",
    .summary = "tell which features of the processor guests find here",
    .help =
        "A guest may use for ever what it found when it started, so it can only move to a host\n"
        "that has it all. Without options the features that PV guests find on this host are\n"
        "printed; keep that in a file and take it to another one.\n"
        "\n"
        "      --compare FILE     which features only this host has, and which only the one\n"
        "                         that FILE is of\n"
        "      --common FILE...   print a line cpuid = \"host,...=0\" for configurations: guests\n"
        "                         made here with it can go to all hosts that the FILEs are of\n"
        "      --hvm              the same for PVH and HVM guests",
    .options = "--hvm --compare --common",
    .group = GROUP_HOST,
    .arg = ARG_FILE,
    .json = true,
    .run = run,
};

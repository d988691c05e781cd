/* SPDX-License-Identifier: MIT */
/* orlop: finds the command, takes out the options that all have, and runs it. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/doctor.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool json_output;

static const struct command *running;

static void complain(const char *fmt, va_list ap)
{
    char text[4096];

    fflush(stdout);
    vsnprintf(text, sizeof(text), fmt, ap);
    fprintf(stderr, "orlop%s%s: %s\n", running ? " " : "", running ? running->name : "",
            text_clean_lines(text));
}

int cmd_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
    return EXIT_FAILED;
}

int cmd_usage(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
    if (running)
        fprintf(stderr, "Usage: orlop %s %s\nMore: orlop help %s\n", running->name,
                running->synopsis, running->name);
    else
        fprintf(stderr, "Usage: orlop [--json] COMMAND [ARGUMENT...]\nMore: orlop help\n");
    return EXIT_USAGE;
}

int cmd_bad_option(char **argv)
{
    if (optopt && optind > 0 && argv[optind - 1][1] != '-')
        return cmd_usage("-%c: unknown option, or one that lacks its value", optopt);
    return cmd_usage("%s: unknown option, or one that lacks its value or has one too many",
                     argv[optind - 1]);
}

void cmd_warnings(const struct config_errors *errors)
{
    for (unsigned i = 0; i < errors->warnings; i++)
        fprintf(stderr, "orlop %s: warning: %s\n", running ? running->name : "",
                errors->warning[i]);
}

bool cmd_no_options(int argc, char **argv)
{
    static const struct option none[] = { { 0 } };

    if (getopt_long(argc, argv, ":", none, NULL) == -1)
        return true;
    cmd_bad_option(argv);
    return false;
}

bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end;
    bool hex = strncmp(text, "0x", 2) == 0;
    uint64_t n;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, hex ? 16 : 10);
    if (errno || *end || n < min || n > max)
        return false;
    *value = n;
    return true;
}

static void print_json_as(struct json_object *json, int flags)
{
    /* json-c escapes control characters; what is no UTF-8 it passes on. */
    char *text = str_dup(
        json_object_to_json_string_ext(json, flags | JSON_C_TO_STRING_NOSLASHESCAPE));

    puts(text_clean_lines(text));
    free(text);
    json_object_put(json);
}

void print_json(struct json_object *json)
{
    print_json_as(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

void print_json_line(struct json_object *json)
{
    print_json_as(json, JSON_C_TO_STRING_PLAIN);
    fflush(stdout);
}

/* Is `word` among the blank-separated `names`? */
static bool is_among(const char *names, const char *word)
{
    size_t length = strlen(word);

    for (const char *p = names; p && *p; p += strcspn(p, " ")) {
        p += strspn(p, " ");
        if (strcspn(p, " ") == length && strncmp(p, word, length) == 0)
            return true;
    }
    return false;
}

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = command_table; *c; c++) {
        if (strcmp((*c)->name, name) == 0 || is_among((*c)->aliases, name))
            return *c;
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[128];
    unsigned n = 0;
    const char *near;

    for (const struct command *const *c = command_table; *c && n < 127; c++)
        names[n++] = (*c)->name;
    names[n] = NULL;
    if (xl_answer(name))
        return cmd_fail("%s: %s", name, xl_answer(name));
    near = nearest_name(name, names);
    if (near)
        return cmd_usage("%s: there is no such command; did you mean %s?", name, near);
    return cmd_usage("%s: there is no such command", name);
}

/* Takes --json and --help out of argv, up to a lone "--"; returns the new argc. */
static int take_common_options(int argc, char **argv, bool *help)
{
    int kept = 1;
    bool over = false;

    for (int i = 1; i < argc; i++) {
        if (!over && strcmp(argv[i], "--json") == 0) {
            json_output = true;
        } else if (!over && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            *help = true;
        } else {
            over |= strcmp(argv[i], "--") == 0;
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    return kept;
}

static int run(const struct command *command, int argc, char **argv)
{
    int code;

    running = command;
    if (json_output && !command->json)
        return cmd_usage("this command has no JSON form; leave out --json");
    argv[0] = (char *)command->name;
    optind = 0;
    opterr = 0;
    code = command->run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cmd_fail("cannot write the result: %s", strerror(errno));
        return code ? code : EXIT_FAILED;
    }
    return code;
}

int main(int argc, char **argv)
{
    const struct command *command;
    bool help = false;
    char *help_argv[3] = { NULL };

    argc = take_common_options(argc, argv, &help);
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return run(command_find("version"), argc - 1, argv + 1);
    if (argc < 2 && !help && !doctor_hypervisor_runs())
        return doctor_say_how_to_boot();
    if (argc < 2 && !help)
        return cmd_usage("which command?");
    if (argc > 1 && argv[1][0] == '-')
        return cmd_usage("%s: there is no such option", argv[1]);
    if (help) {
        help_argv[1] = argc > 1 ? argv[1] : NULL;
        return run(command_find("help"), argc > 1 ? 2 : 1, help_argv);
    }
    command = command_find(argv[1]);
    return command ? run(command, argc - 1, argv + 1) : unknown_command(argv[1]);
}

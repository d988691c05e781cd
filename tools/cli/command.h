/* SPDX-License-Identifier: MIT */
/*
 * The commands of `orlop`: each is one file cmd_*.c with a `const struct command`, named in the
 * table of command_table.c. Help, shell completion and the test of the man page read the same
 * table.
 *
 * Exit codes: 0 done; 1 it could not be done, and stderr says why and what helps; 2 the command
 * line is wrong. Results go to stdout, all else to stderr. With --json stdout is one JSON value, or
 * one object a line for commands that follow something.
 */
#ifndef TOOLS_CLI_COMMAND_H
#define TOOLS_CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <getopt.h>

struct json_object;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum command_group { GROUP_GUEST, GROUP_RESOURCE, GROUP_DEVICE, GROUP_VIEW, GROUP_HOST };

/* What completion offers for a command's arguments. */
enum command_arg { ARG_NONE, ARG_GUEST, ARG_FILE, ARG_COMMAND };

struct command {
    const char *name;
    const char *aliases;  /* other names, separated by blanks; NULL for none */
    const char *synopsis; /* after the name: "[--all] GUEST..." */
    const char *summary;  /* one line, no full stop */
    const char *help;     /* paragraphs and options, lines up to 78 columns */
    const char *options; /* all options as completion offers them: "--all --force"; NULL for none */
    enum command_group group;
    enum command_arg arg;
    bool json; /* --json means something to it; main refuses it for others */
    /*
     * argv[0] is the command's name; --json and --help are taken out before. Returns an exit code.
     * getopt starts afresh.
     */
    int (*run)(int argc, char **argv);
};

/* All commands in the order of `orlop help`, NULL-terminated. */
extern const struct command *const command_table[];

/* What is to be said about a sub-command of xl's that is not there; NULL: it has none of that name.
 */
const char *xl_answer(const char *name);

/* The command of that name or alias, or NULL. */
const struct command *command_find(const char *name);

/* --json was given. */
extern bool json_output;

/*
 * "orlop CMD: message" on stderr (printf's rules; give cause and remedy, no newline at the end).
 * Returns EXIT_FAILED.
 */
int cmd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for a wrong command line, followed by the command's synopsis. Returns EXIT_USAGE. */
int cmd_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What was the problem after getopt_long returned '?' or ':' (use opterr = 0 and a leading ':'). */
int cmd_bad_option(char **argv);

/* "orlop CMD: warning: ..." for each of a configuration's warnings. */
struct config_errors;
void cmd_warnings(const struct config_errors *errors);

/* For commands without options: false after usage was told; else arguments begin at optind. */
bool cmd_no_options(int argc, char **argv);

/* A decimal or 0x number in [min, max]; false leaves *value alone. */
bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Prints a JSON value and a newline, and puts it. */
void print_json(struct json_object *json);

/* The same on one line, flushed: for commands that follow something. */
void print_json_line(struct json_object *json);

#endif

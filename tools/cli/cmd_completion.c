/* SPDX-License-Identifier: MIT */
/* orlop completion: what the shell completes, made from the table of commands. */
#include "tools/cli/command.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The case of one command in the script: options, then what its arguments are. */
static void print_case(const struct command *c)
{
    static const char *const arguments[] = {
        [ARG_NONE] = "",
        [ARG_GUEST] = " $(orlop completion guests 2>/dev/null)",
        [ARG_FILE] = "",
        [ARG_COMMAND] = " $commands config",
    };

    printf("    %s", c->name);
    for (const char *p = c->aliases; p && *p; p += strcspn(p, " ")) {
        p += strspn(p, " ");
        printf("|%.*s", (int)strcspn(p, " "), p);
    }
    printf(") words=\"%s%s --help%s\"%s ;;\n", c->options ? c->options : "",
           c->json ? " --json" : "", arguments[c->arg], c->arg == ARG_FILE ? "; files=1" : "");
}

static void print_bash(void)
{
    printf("# Completion of orlop for bash; written by `orlop completion bash`.\n"
           "_orlop()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} commands words= files= i cmd=\n"
           "    commands=\"");
    for (const struct command *const *c = command_table; *c; c++)
        printf("%s%s", c == command_table ? "" : " ", (*c)->name);
    printf("\"\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        [[ ${COMP_WORDS[i]} == -* ]] || { cmd=${COMP_WORDS[i]}; break; }\n"
           "    done\n"
           "    case $cmd in\n"
           "    '') words=\"$commands --json --help --version\" ;;\n");
    for (const struct command *const *c = command_table; *c; c++)
        print_case(*c);
    printf("    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
           "    if [[ $files && ! $cur == -* ]]; then\n"
           "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "    fi\n"
           "}\n"
           "complete -o filenames -F _orlop orlop\n");
}

/* The names of all guests but Domain 0, for the script; nothing when they cannot be known. */
static int print_guests(void)
{
    struct error e = { 0 };
    struct view *views;
    struct host h;
    int n;

    if (host_open(&h, &e) < 0 || (n = views_get(&h, &views, &e)) < 0)
        return host_fail(&h, &e);
    for (int i = 0; i < n; i++) {
        if (views[i].info.domain && views[i].name[0])
            puts(views[i].name);
    }
    free(views);
    host_close(&h);
    return EXIT_DONE;
}

static int completion_run(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "guests") == 0)
        return print_guests();
    if (argc != 2 || strcmp(argv[1], "bash") != 0)
        return cmd_usage("expected is the name of a shell: bash");
    print_bash();
    return EXIT_DONE;
}

const struct command cmd_completion = {
    .name = "completion",
    .synopsis = "bash",
    .summary = "print the script that completes orlop's commands in a shell",
    .help = "Put it where the shell looks for it:\n"
            "  orlop completion bash > /etc/bash_completion.d/orlop\n"
            "or use it at once: source <(orlop completion bash)\n",
    .group = GROUP_HOST,
    .run = completion_run,
};

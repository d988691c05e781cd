/* SPDX-License-Identifier: MIT */
/* orlop completion: what the shell completes, made from the table of commands. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/device_list.h"
#include "tools/cli/host.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind a guest or instead of one: words, or what the shell asks for at that moment.
 */
static const struct {
    const char *command, *words;
} further[] = {
    { "block-detach", "$(orlop completion disks $guest 2>/dev/null)" },
    { "network-detach", "$(orlop completion cards $guest 2>/dev/null)" },
    { "vcpu-pin", "all" },
    { "guests", "start stop status" },
    { "xenstore", "ls read write rm watch" },
    { "completion", "bash zsh" },
    { "create", "$(orlop completion keys 2>/dev/null)" },
};

static const char *further_of(const struct command *c)
{
    for (size_t i = 0; i < sizeof(further) / sizeof(further[0]); i++) {
        if (strcmp(further[i].command, c->name) == 0)
            return further[i].words;
    }
    return "";
}

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
    printf(") words=\"%s%s --help%s %s\"%s ;;\n", c->options ? c->options : "",
           c->json ? " --json" : "", arguments[c->arg], further_of(c),
           c->arg == ARG_FILE ? "; files=1" : "");
}

/* Sets words and files from the words of the line, of which number COMP_CWORD is being typed. */
static void print_choice(void)
{
    printf("    commands=\"");
    for (const struct command *const *c = command_table; *c; c++)
        printf("%s%s", c == command_table ? "" : " ", (*c)->name);
    printf("\"\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        [[ ${COMP_WORDS[i]} == -* ]] && continue\n"
           "        if [[ ! $cmd ]]; then cmd=${COMP_WORDS[i]}; else guest=${COMP_WORDS[i]}; "
           "break; fi\n"
           "    done\n"
           "    case $cmd in\n"
           "    '') words=\"$commands --json --help --version\" ;;\n");
    for (const struct command *const *c = command_table; *c; c++)
        print_case(*c);
    printf("    esac\n");
}

static void print_bash(void)
{
    printf("# Completion of orlop for bash; written by `orlop completion bash`.\n"
           "_orlop()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} commands words= files= i cmd= guest=\n");
    print_choice();
    printf("    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
           "    if [[ $files && ! $cur == -* ]]; then\n"
           "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "    fi\n"
           "}\n"
           "complete -o filenames -F _orlop orlop\n");
}

/* The same choice; zsh counts its words from 1, and keeps them in other variables. */
static void print_zsh(void)
{
    printf("#compdef orlop\n"
           "# Completion of orlop for zsh; written by `orlop completion zsh`.\n"
           "_orlop()\n{\n"
           "    emulate -L zsh -o ksh_arrays\n"
           "    local commands files= i cmd= guest= COMP_CWORD=$((CURRENT - 1))\n"
           "    local -a COMP_WORDS; COMP_WORDS=(\"${words[@]}\")\n"
           "    local words=\n");
    print_choice();
    printf("    local -a found; found=($(echo $words))\n"
           "    compadd -a found\n"
           "    [[ $files ]] && _files\n"
           "    return 0\n"
           "}\n"
           "compdef _orlop orlop\n");
}

/* KEY= of a configuration, and what the keys for a guest's end take. */
static int print_keys(void)
{
    static const char *const ends[] = { "on_poweroff", "on_reboot", "on_crash", "on_watchdog" };
    unsigned count;
    const struct config_key_info *keys = config_key_list(&count);

    for (unsigned i = 0; i < count; i++) {
        if (keys[i].state == KEY_SUPPORTED)
            printf("%s=\n", keys[i].name);
    }
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        for (int a = ACTION_DESTROY; a <= ACTION_COREDUMP_RESTART; a++)
            printf("%s=%s\n", ends[i], guest_action_name(a));
    }
    return EXIT_DONE;
}

static int print_devices(const char *guest, enum device_kind kind)
{
    struct error e = { 0 };
    struct device_info *list;
    struct host h;
    int domid = -1;
    unsigned n;

    if (host_open(&h, &e) < 0 || (domid = name_find(h.xen, &h.store, guest, &e)) < 0)
        return host_fail(&h, &e);
    n = device_list(&h.store, domid, kind, &list);
    for (unsigned i = 0; i < n; i++) {
        if (kind == DEVICE_VBD)
            puts(list[i].name);
        else
            printf("%u\n", list[i].id);
    }
    device_list_free(list, n);
    host_close(&h);
    return EXIT_DONE;
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
    if (argc == 2 && strcmp(argv[1], "keys") == 0)
        return print_keys();
    if (argc == 3 && strcmp(argv[1], "disks") == 0)
        return print_devices(argv[2], DEVICE_VBD);
    if (argc == 3 && strcmp(argv[1], "cards") == 0)
        return print_devices(argv[2], DEVICE_VIF);
    if (argc == 2 && strcmp(argv[1], "bash") == 0)
        print_bash();
    else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
        print_zsh();
    else
        return cmd_usage("expected is the name of a shell: bash or zsh");
    return EXIT_DONE;
}

const struct command cmd_completion = {
    .name = "completion",
    .synopsis = "bash|zsh",
    .summary = "print the script that completes orlop's commands in a shell",
    .help = "Put it where the shell looks for it:\n"
            "  orlop completion bash > /etc/bash_completion.d/orlop\n"
            "or use it at once: source <(orlop completion bash)\n"
            "For zsh: orlop completion zsh > /usr/local/share/zsh/site-functions/_orlop\n",
    .group = GROUP_HOST,
    .run = completion_run,
};

/* SPDX-License-Identifier: MIT */
/* orlop xenstore: a look into the store, and changes by hand. */
#include "tools/cli/command.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"
#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node that was read; value is NULL if it is not readable. */
struct node {
    char *value;
    unsigned length;
};

static struct node read_node(struct store *s, const char *path)
{
    struct node n = { 0 };

    n.value = xs_read(s->h, s->t, path, &n.length);
    if (!n.value)
        n.length = 0; /* it is that of the error's name then */
    return n;
}

/* Bytes that are no text are written as \xNN; to free(). */
static char *printable(const struct node *n)
{
    char *text = mem_alloc(n->length * 4 + 1), *p = text;

    for (unsigned i = 0; i < n->length; i++) {
        unsigned char c = n->value[i];

        if (c == '\\' || c == '"')
            p += sprintf(p, "\\%c", c);
        else if (c == '\n')
            p += sprintf(p, "\\n");
        else if (c < 0x20 || c >= 0x7f)
            p += sprintf(p, "\\x%02x", c);
        else
            *p++ = c;
    }
    *p = 0;
    return text;
}

static struct json_object *json_value(const struct node *n)
{
    return n->value ? json_object_new_string_len(n->value, n->length) : NULL;
}

/* "n0,r5": the owner with what all others may do, then who may do more. */
static char *permissions(struct store *s, const char *path)
{
    static const char letters[] = { 'n', 'r', 'w', 'b' };
    unsigned count = 0;
    struct xs_permissions *p = xs_get_permissions(s->h, s->t, path, &count);
    char *text = str_dup("");

    for (unsigned i = 0; p && i < count; i++) {
        char *longer = str_fmt("%s%s%c%u", text, i ? "," : "", letters[p[i].perms & 3], p[i].id);

        free(text);
        text = longer;
    }
    free(p);
    return text;
}

/* --- ls --- */

struct listing {
    struct store *store;
    bool full, perms;
    size_t root_length;
    struct json_object *json; /* or NULL */
    char **stack;             /* paths yet to be shown, the next one last */
    unsigned depth;
};

static void push_children(struct listing *l, const char *path)
{
    unsigned n = 0;
    char **names = xs_directory(l->store->h, l->store->t, path, &n);

    l->stack = mem_grow(l->stack, (l->depth + n + 1) * sizeof(*l->stack));
    for (unsigned i = n; i > 0; i--)
        l->stack[l->depth++] = str_fmt("%s/%s", strcmp(path, "/") == 0 ? "" : path, names[i - 1]);
    free(names);
}

static void show_node(struct listing *l, const char *path)
{
    struct node n = read_node(l->store, path);
    char *perms = l->perms ? permissions(l->store, path) : NULL;

    if (l->json) {
        struct json_object *j = json_object_new_object();

        json_object_object_add(j, "path", json_object_new_string(path));
        json_object_object_add(j, "value", json_value(&n));
        if (perms)
            json_object_object_add(j, "permissions", json_object_new_string(perms));
        json_object_array_add(l->json, j);
    } else {
        char *text = printable(&n);
        unsigned indent = 0;

        for (const char *p = path + l->root_length + 1; *p; p++)
            indent += *p == '/';
        printf("%*s%s = \"%s\"%s%s%s\n", l->full ? 0 : indent, "",
               l->full ? path : strrchr(path, '/') + 1, text, perms ? "  (" : "",
               perms ? perms : "", perms ? ")" : "");
        free(text);
    }
    free(perms);
    free(n.value);
}

static int run_ls(struct store *s, int argc, char **argv)
{
    static const struct option options[] = { { "full", no_argument, NULL, 'f' },
                                             { "permissions", no_argument, NULL, 'p' },
                                             { 0 } };
    struct listing l = { .store = s };
    struct error e = { 0 };
    const char *root;
    int c;

    while ((c = getopt_long(argc, argv, ":fp", options, NULL)) != -1) {
        if (c == '?' || c == ':')
            return cmd_bad_option(argv);
        l.full |= c == 'f';
        l.perms |= c == 'p';
    }
    if (argc - optind > 1)
        return cmd_usage("%s: one path at a time", argv[optind + 1]);
    root = optind < argc ? argv[optind] : "/";
    if (!store_exists(s, "%s", root)) {
        store_error(&e, errno, "%s", root);
        return cmd_fail("%s\n    %s", e.cause, e.remedy);
    }
    l.root_length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    l.json = json_output ? json_object_new_array() : NULL;
    push_children(&l, root);
    while (l.depth) {
        char *path = l.stack[--l.depth];

        show_node(&l, path);
        push_children(&l, path);
        free(path);
    }
    free(l.stack);
    if (l.json)
        print_json(l.json);
    return EXIT_DONE;
}

/* --- read, write, rm --- */

static int failed(const char *what, const char *path)
{
    struct error e = { 0 };

    store_error(&e, errno, "%s %s", what, path);
    return e.remedy[0] ? cmd_fail("%s\n    %s", e.cause, e.remedy) : cmd_fail("%s", e.cause);
}

static int run_read(struct store *s, int argc, char **argv)
{
    struct json_object *j = json_output ? json_object_new_object() : NULL;
    int code = argc > 1 ? EXIT_DONE : cmd_usage("read which path?");

    for (int i = 1; i < argc; i++) {
        struct node n = read_node(s, argv[i]);

        if (!n.value) {
            code = failed("reading", argv[i]);
        } else if (j) {
            json_object_object_add(j, argv[i], json_value(&n));
        } else {
            fwrite(n.value, 1, n.length, stdout);
            putchar('\n');
        }
        free(n.value);
    }
    if (j)
        print_json(j);
    return code;
}

static int run_write(struct store *s, int argc, char **argv)
{
    if (argc < 3 || argc % 2 == 0)
        return cmd_usage("write takes pairs of PATH and VALUE");
    for (int i = 1; i < argc; i += 2) {
        int rc = store_write(s, argv[i], argv[i + 1]);

        if (rc < 0) {
            errno = -rc;
            return failed("writing", argv[i]);
        }
    }
    return EXIT_DONE;
}

static int run_rm(struct store *s, int argc, char **argv)
{
    int code = argc > 1 ? EXIT_DONE : cmd_usage("remove which path?");

    for (int i = 1; i < argc; i++) {
        if (!store_exists(s, "%s", argv[i]) || !xs_rm(s->h, s->t, argv[i]))
            code = failed("removing", argv[i]);
    }
    return code;
}

/* --- watch --- */

static void show_event(struct store *s, const char *path)
{
    struct node n = read_node(s, path);
    struct json_object *j;

    if (json_output) {
        j = json_object_new_object();
        json_object_object_add(j, "path", json_object_new_string(path));
        json_object_object_add(j, "value", json_value(&n));
        print_json_line(j);
    } else {
        char *text = printable(&n);

        if (n.value)
            printf("%s = \"%s\"\n", path, text);
        else
            printf("%s\n", path);
        fflush(stdout);
        free(text);
    }
    free(n.value);
}

static int run_watch(struct store *s, int argc, char **argv)
{
    uint64_t left = 0;
    int c;

    while ((c = getopt(argc, argv, ":n:")) != -1) {
        if (c != 'n')
            return cmd_bad_option(argv);
        if (!parse_number(optarg, 1, UINT32_MAX, &left))
            return cmd_usage("-n %s: a number of events", optarg);
    }
    if (optind == argc)
        return cmd_usage("watch which path?");
    for (int i = optind; i < argc; i++) {
        int rc = store_watch(s, argv[i], "orlop");

        if (rc < 0) {
            errno = -rc;
            return failed("watching", argv[i]);
        }
    }
    do {
        char *token, *path = store_next(s, -1, &token);

        if (!path)
            return failed("watching", argv[optind]);
        show_event(s, path);
        free(path);
    } while (!ferror(stdout) && (left == 0 || --left > 0));
    return EXIT_DONE;
}

static int xenstore_run(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct store *s, int argc, char **argv);
    } actions[] = {
        { "ls", run_ls }, { "read", run_read },   { "write", run_write },
        { "rm", run_rm }, { "watch", run_watch },
    };
    struct error e = { 0 };
    struct store s;
    int code;

    for (unsigned i = 0; argc > 1 && i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, argv[1]) != 0)
            continue;
        if (store_open(&s, &e) < 0)
            return e.remedy[0] ? cmd_fail("%s\n    %s", e.cause, e.remedy)
                               : cmd_fail("%s", e.cause);
        code = actions[i].run(&s, argc - 1, argv + 1);
        store_close(&s);
        return code;
    }
    return cmd_usage(argc > 1 ? "%s: ls, read, write, rm or watch is expected"
                              : "ls, read, write, rm or watch is expected",
                     argc > 1 ? argv[1] : "");
}

const struct command cmd_xenstore = {
    .name = "xenstore",
    .aliases = "xs",
    .synopsis = "ls [-f] [-p] [PATH] | read PATH... | write PATH VALUE... | rm PATH... |\n"
                "       orlop xenstore watch [-n COUNT] PATH...",
    .summary = "look into the store that guests and Domain 0 share, or change it",
    .help =
        "  ls     all that is below PATH (/); -f, --full with whole paths, -p, --permissions\n"
        "         with owner and permissions\n"
        "  read   the values of nodes\n"
        "  write  writes nodes, several as PATH VALUE PATH VALUE; not in one transaction\n"
        "  rm     removes nodes with all that is below them\n"
        "  watch  prints each path below PATH that changes, and its value; the first line comes\n"
        "         at once. -n ends after COUNT lines. @introduceDomain and @releaseDomain are\n"
        "         paths too: a domain came, or went\n",
    .options = "--full --permissions",
    .group = GROUP_HOST,
    .json = true,
    .run = xenstore_run,
};

/* SPDX-License-Identifier: MIT */
/* orlop cpupool-*: CPU pools, by xl's names. */
#include "tools/cli/command.h"
#include "tools/cli/config_value.h"
#include "tools/cli/pools.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool test_cpu(const uint8_t *cpus, unsigned int i)
{
    return cpus[i / 8] >> i % 8 & 1;
}

static unsigned int count(const uint8_t *cpus)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < CONFIG_MAX_CPUS; i++)
        n += test_cpu(cpus, i);
    return n;
}

/* --- looking --- */

static struct json_object *pool_json(const struct pool *p)
{
    struct json_object *j = json_object_new_object(), *cpus = json_object_new_array();

    for (unsigned int i = 0; i < CONFIG_MAX_CPUS; i++)
        if (test_cpu(p->cpus, i))
            json_object_array_add(cpus, json_object_new_int(i));
    json_object_object_add(j, "name", json_object_new_string(p->name));
    json_object_object_add(j, "id", json_object_new_int(p->id));
    json_object_object_add(j, "scheduler", json_object_new_string(pool_scheduler(p)));
    json_object_object_add(j, "domains", json_object_new_int(p->domains));
    json_object_object_add(j, "cpus", cpus);
    return j;
}

static void show_pool(const struct pool *p)
{
    char *cpus = pool_cpu_text(p->cpus);

    printf("%-20s %4u %4u %8u  %s\n", p->name, p->id, count(p->cpus), p->domains, cpus);
    free(cpus);
}

static void show_free(struct host *h)
{
    uint8_t free_cpus[CONFIG_MAX_CPUS / 8];
    char *text;

    if (pool_free_cpus(h->xen, free_cpus) != 0 || count(free_cpus) == 0)
        return;
    text = pool_cpu_text(free_cpus);
    printf("%-20s %4s %4u %8s  %s\n", "(free)", "-", count(free_cpus), "-", text);
    free(text);
}

static int list_run(int argc, char **argv)
{
    static const struct option longs[] = { { "cpus", no_argument, NULL, 'c' }, { 0 } };
    static struct pool all[POOLS_MAX];
    struct json_object *list = json_output ? json_object_new_array() : NULL;
    struct error e = { 0 };
    struct pool one;
    struct host h;
    int n, c;

    while ((c = getopt_long(argc, argv, ":c", longs, NULL)) != -1) /* the CPUs are shown anyway */
        if (c != 'c')
            return cmd_bad_option(argv);
    if (argc - optind > 1)
        return cmd_usage("%s: one pool at a time", argv[optind + 1]);
    if (view_open(&h, &e) < 0 || (optind < argc && pool_find(&h, argv[optind], &one, &e) != 0) ||
        (n = pools_get(&h, all, &e)) < 0)
        return host_fail(&h, &e);
    if (!list)
        printf("%-20s %4s %4s %8s  %s\n", "Name", "ID", "CPUs", "Domains", "Which");
    for (int i = 0; i < n; i++) {
        if (optind < argc && all[i].id != one.id)
            continue;
        if (list)
            json_object_array_add(list, pool_json(&all[i]));
        else
            show_pool(&all[i]);
    }
    if (list)
        print_json(list);
    else if (optind == argc)
        show_free(&h);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_cpupool_list = {
    .name = "cpupool-list",
    .synopsis = "[POOL]",
    .summary = "show the pools of CPUs",
    .help = "Each CPU is in one pool or in none; guests run on their pool's CPUs only.\n"
            "\n"
            "  -c, --cpus   the CPUs of each, which are shown anyway\n",
    .options = "--cpus",
    .group = GROUP_RESOURCE,
    .arg = ARG_NONE,
    .json = true,
    .run = list_run,
};

/* --- changing --- */

/* What the commands that change a pool have in hand. */
struct work {
    struct host h;
    struct error e;
    struct pool pool;
};

static bool begin(struct work *w, const char *pool)
{
    memset(w, 0, sizeof(*w));
    return host_open(&w->h, &w->e) == 0 && (!pool || pool_find(&w->h, pool, &w->pool, &w->e) == 0);
}

static int done(struct work *w, int rc)
{
    struct pool now;

    if (rc != 0)
        return host_fail(&w->h, &w->e);
    if (json_output && pool_find(&w->h, w->pool.name, &now, &w->e) == 0)
        print_json(pool_json(&now));
    else if (json_output)
        print_json(pool_json(&w->pool));
    host_close(&w->h);
    return EXIT_DONE;
}

static int write_name(struct work *w, const char *name)
{
    char dir[64], text[UUID_TEXT];
    uint8_t uuid[16];
    int rc;

    snprintf(dir, sizeof(dir), "/local/pool/%u", w->pool.id);
    uuid_random(uuid);
    uuid_to_text(uuid, text);
    rc = store_put(&w->h.store, dir, "name", "%s", name);
    if (rc == 0 && !store_exists(&w->h.store, "%s/uuid", dir))
        rc = store_put(&w->h.store, dir, "uuid", "%s", text);
    return rc ? store_error(&w->e, rc, "naming the pool") : 0;
}

/* A name that can be typed, and that no other pool has. */
static int check_name(struct work *w, const char *name)
{
    static struct pool all[POOLS_MAX];
    int n = pools_get(&w->h, all, &w->e);

    if (n < 0)
        return -1;
    if (!guest_name_valid(name) || strlen(name) >= POOL_NAME)
        return error_set(&w->e, EINVAL, "Take letters, digits and _-.+:, not digits only.",
                         "\"%.60s\" is no name for a pool", name);
    for (int i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return error_set(&w->e, EEXIST, "Choose another name; orlop cpupool-list shows them.",
                             "there is a pool %s already", name);
    return 0;
}

static int add_cpu(struct work *w, uint32_t cpu)
{
    uint32_t id = w->pool.id;
    char what[48];
    int rc = pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, &id, 0, cpu);

    snprintf(what, sizeof(what), cpu == POOL_ANY ? "a CPU" : "CPU %u", cpu);
    return rc ? pool_error(&w->e, rc, &w->pool, what) : 0;
}

static int remove_cpu(struct work *w, uint32_t cpu)
{
    uint32_t id = w->pool.id;
    char what[48];
    int rc = pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_RMCPU, &id, 0, cpu);

    snprintf(what, sizeof(what), "CPU %u", cpu);
    return rc ? pool_error(&w->e, rc, &w->pool, what) : 0;
}

/* The CPUs of a list; -1 with e: those that the host lacks. */
static int cpus_of(struct work *w, const char *list, uint8_t *cpus)
{
    struct xen_sysctl_physinfo p;
    int rc = xen_physinfo(w->h.xen, &p);
    const char *why;

    if (rc < 0)
        return xen_error(&w->e, rc, "asking for the host's CPUs");
    memset(cpus, 0, CONFIG_MAX_CPUS / 8);
    why = cpulist_resolve(list, p.max_cpu_id + 1, NULL, cpus);
    return why ? error_set(&w->e, EINVAL, "orlop cpupool-list shows the host's CPUs.",
                           "CPUs \"%.60s\": %s", list, why)
               : 0;
}

/* All of them or none: what was done is undone when one cannot be had. */
static int each_cpu(struct work *w, const char *list, int (*fn)(struct work *w, uint32_t cpu))
{
    uint32_t undo = fn == add_cpu ? XEN_SYSCTL_CPUPOOL_OP_RMCPU : XEN_SYSCTL_CPUPOOL_OP_ADDCPU;
    uint32_t id = w->pool.id;
    uint8_t cpus[CONFIG_MAX_CPUS / 8];
    int rc = cpus_of(w, list, cpus);
    unsigned int i;

    for (i = 0; rc == 0 && i < CONFIG_MAX_CPUS; i++)
        if (test_cpu(cpus, i))
            rc = fn(w, i);
    for (i = rc && i ? i - 1 : 0; i-- > 0;) /* the last one tried was not done */
        if (test_cpu(cpus, i))
            pool_op(w->h.xen, undo, &id, 0, i);
    return rc;
}

static int cpu_command(int argc, char **argv, int (*fn)(struct work *w, uint32_t cpu))
{
    struct work w;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 2)
        return cmd_usage("give a pool and CPUs, as 0-3,5");
    if (!begin(&w, argv[optind]))
        return host_fail(&w.h, &w.e);
    return done(&w, each_cpu(&w, argv[optind + 1], fn));
}

static int cpu_add_run(int argc, char **argv)
{
    return cpu_command(argc, argv, add_cpu);
}

static int cpu_remove_run(int argc, char **argv)
{
    return cpu_command(argc, argv, remove_cpu);
}

const struct command cmd_cpupool_cpu_add = {
    .name = "cpupool-cpu-add",
    .synopsis = "POOL CPUS",
    .summary = "give free CPUs to a pool",
    .help = "CPUS is a list as 0-3,5; a CPU of another pool is taken from it first\n"
            "(cpupool-cpu-remove).\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_NONE,
    .json = true,
    .run = cpu_add_run,
};

const struct command cmd_cpupool_cpu_remove = {
    .name = "cpupool-cpu-remove",
    .synopsis = "POOL CPUS",
    .summary = "take CPUs from a pool; they idle until another one gets them",
    .help = "The last CPU of a pool with domains stays.\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_NONE,
    .json = true,
    .run = cpu_remove_run,
};

/* What cpupool-create is told. */
struct wish {
    char *name, *cpus;
};

/* One setting of xlcpupool.cfg(5). */
static void take_setting(struct wish *w, const struct config_setting *s,
                         struct config_errors *errors)
{
    const struct config_value *v = s->value;
    char *text = str_dup(v->text ? v->text : "");

    for (v = v->kind == VALUE_LIST ? v->first : NULL; v; v = v->next) {
        char *more = str_fmt("%s%s%s", text, *text ? "," : "", v->text ? v->text : "?");

        free(text);
        text = more;
    }
    if (strcmp(s->name, "name") == 0) {
        free(w->name);
        w->name = text;
    } else if (strcmp(s->name, "cpus") == 0) {
        free(w->cpus);
        w->cpus = text;
    } else {
        if (strcmp(s->name, "sched") != 0)
            config_error(errors, "%s:%u: %.60s: expected is name, sched or cpus", s->origin,
                         s->line, s->name);
        else if (strcmp(text, "credit") != 0)
            config_error(errors, "%s:%u: sched: '%.60s' is not there; expected is \"credit\"",
                         s->origin, s->line, text);
        free(text);
    }
}

/* An argument: KEY=VALUE, a file, or a name. */
static void take_argument(struct wish *w, const char *arg, struct config_errors *errors)
{
    struct config_settings s = { .file = strchr(arg, '=') ? "command line" : arg,
                                 .errors = errors };
    size_t length = strlen(arg);
    char *text;

    if (!strchr(arg, '=') && access(arg, F_OK) != 0) {
        free(w->name);
        w->name = str_dup(arg);
        return;
    }
    if (strchr(arg, '=')) {
        const char *value = strchr(arg, '=') + 1;

        text = *value == '"' || *value == '\'' || *value == '['
                   ? str_dup(arg)
                   : str_fmt("%.*s\"%s\"", (int)(value - arg), arg, value);
        length = strlen(text);
    } else {
        text = file_read(arg, 1 << 16, &length);
    }
    if (!text)
        config_error(errors, "%s: cannot be read", arg);
    else
        config_settings_read(&s, text, length);
    for (const struct config_setting *one = s.first; one; one = one->next)
        take_setting(w, one, errors);
    config_settings_free(&s);
    free(text);
}

/* The CPUs; without cpus= one that is free. Taken back if not all can be had. */
static int fill_pool(struct work *w, const struct wish *wish)
{
    uint32_t id = w->pool.id;
    int rc = wish->cpus ? each_cpu(w, wish->cpus, add_cpu) : add_cpu(w, POOL_ANY);

    rc = rc ? rc : write_name(w, wish->name);
    if (rc == 0)
        return 0;
    while (pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_RMCPU, &id, 0, POOL_ANY) == 0)
        ;
    pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_DESTROY, &id, 0, 0);
    store_rm(&w->h.store, "/local/pool/%u", w->pool.id);
    return rc;
}

static int make_pool(struct work *w, const struct wish *wish)
{
    uint8_t cpus[CONFIG_MAX_CPUS / 8];
    uint32_t id = POOL_ANY;
    int rc;

    if (check_name(w, wish->name) != 0 || (wish->cpus && cpus_of(w, wish->cpus, cpus) != 0))
        return -1;
    snprintf(w->pool.name, sizeof(w->pool.name), "%s", wish->name);
    rc = pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_CREATE, &id, 0, 0);
    if (rc)
        return pool_error(&w->e, rc, &w->pool, "making a pool");
    w->pool.id = id;
    return fill_pool(w, wish);
}

static int create_run(int argc, char **argv)
{
    struct config_errors errors = { 0 };
    struct wish wish = { NULL, NULL };
    struct work w;
    int rc;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    for (int i = optind; i < argc; i++)
        take_argument(&wish, argv[i], &errors);
    for (unsigned int i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.text[i]);
    if (errors.count || !wish.name)
        rc = errors.count ? EXIT_FAILED : cmd_usage("what is the pool's name?");
    else
        rc = begin(&w, NULL) ? done(&w, make_pool(&w, &wish)) : host_fail(&w.h, &w.e);
    config_errors_free(&errors);
    free(wish.name);
    free(wish.cpus);
    return rc;
}

const struct command cmd_cpupool_create = {
    .name = "cpupool-create",
    .synopsis = "NAME|FILE [KEY=VALUE...]",
    .summary = "make a pool of CPUs",
    .help =
        "    orlop cpupool-create rt cpus=2-3\n"
        "The CPUs must be free (cpupool-cpu-remove Pool-0 2-3); without cpus= it gets one of\n"
        "them. FILE is one as xl reads it (xlcpupool.cfg(5)): name, sched (\"credit\") and cpus.\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_FILE,
    .json = true,
    .run = create_run,
};

static int destroy_pool(struct work *w)
{
    uint32_t id = w->pool.id;
    int rc;

    if (w->pool.domains || id == 0)
        return pool_error(&w->e, id ? -EBUSY : -EINVAL, &w->pool, "destroying it");
    while (pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_RMCPU, &id, 0, POOL_ANY) == 0)
        ;
    rc = pool_op(w->h.xen, XEN_SYSCTL_CPUPOOL_OP_DESTROY, &id, 0, 0);
    if (rc)
        return pool_error(&w->e, rc, &w->pool, "destroying it");
    memset(w->pool.cpus, 0, sizeof(w->pool.cpus));
    rc = store_rm(&w->h.store, "/local/pool/%u", id);
    return rc ? store_error(&w->e, rc, "forgetting its name") : 0;
}

static int destroy_run(int argc, char **argv)
{
    struct work w;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 1)
        return cmd_usage("which pool?");
    if (!begin(&w, argv[optind]))
        return host_fail(&w.h, &w.e);
    return done(&w, destroy_pool(&w));
}

const struct command cmd_cpupool_destroy = {
    .name = "cpupool-destroy",
    .synopsis = "POOL",
    .summary = "end a pool without domains; its CPUs are free then",
    .help = "orlop cpupool-cpu-add Pool-0 CPUS gives them back to the first pool.\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_NONE,
    .json = true,
    .run = destroy_run,
};

static int rename_run(int argc, char **argv)
{
    struct work w;
    int rc;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 2)
        return cmd_usage("give a pool and its new name");
    if (!begin(&w, argv[optind]))
        return host_fail(&w.h, &w.e);
    rc = check_name(&w, argv[optind + 1]);
    rc = rc ? rc : write_name(&w, argv[optind + 1]);
    snprintf(w.pool.name, sizeof(w.pool.name), "%s", argv[optind + 1]);
    return done(&w, rc);
}

const struct command cmd_cpupool_rename = {
    .name = "cpupool-rename",
    .synopsis = "POOL NAME",
    .summary = "give a pool another name",
    .help = "Names are kept in xenstore, where xl keeps them too.\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_NONE,
    .json = true,
    .run = rename_run,
};

static int migrate_run(int argc, char **argv)
{
    struct view guest;
    struct work w;
    uint32_t id;
    int rc;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 2)
        return cmd_usage("give a guest and a pool");
    if (!begin(&w, argv[optind + 1]) || view_find(&w.h, argv[optind], &guest, &w.e) < 0)
        return host_fail(&w.h, &w.e);
    id = w.pool.id;
    rc = pool_op(w.h.xen, XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, &id, guest.info.domain, 0);
    return done(&w, rc ? pool_error(&w.e, rc, &w.pool, "moving the guest") : 0);
}

const struct command cmd_cpupool_migrate = {
    .name = "cpupool-migrate",
    .synopsis = "GUEST POOL",
    .summary = "let a guest run on another pool's CPUs",
    .help = "vCPUs that are bound to CPUs which the pool does not have may run on all of its.\n"
            "pool= in its configuration makes it last.\n",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = migrate_run,
};

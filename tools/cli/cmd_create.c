/* SPDX-License-Identifier: MIT */
/* orlop create */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/device_model.h"
#include "tools/cli/doctor.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct options {
    struct create_options create;
    bool console, quiet, strict, show, viewer, autopass;
    const char *file;
};

/* Options of xl's that change nothing here, and why. */
static void pass_over(int c)
{
    switch (c) {
    case 'F':
    case 'e':
        fprintf(stderr,
                "orlop create: -%c has no effect: orlop monitor carries out on_poweroff= and "
                "the others for all guests\n",
                c);
        break;
    }
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = { { "paused", no_argument, NULL, 'p' },
                                           { "console", no_argument, NULL, 'c' },
                                           { "quiet", no_argument, NULL, 'q' },
                                           { "dry-run", no_argument, NULL, 'n' },
                                           { "dryrun", no_argument, NULL, 'n' },
                                           { "strict", no_argument, NULL, 'S' },
                                           { "force", no_argument, NULL, 'O' },
                                           { "defconfig", required_argument, NULL, 'f' },
                                           { "vncviewer", no_argument, NULL, 'V' },
                                           { "vncviewer-autopass", no_argument, NULL, 'A' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":pcqnf:dFVAe", longs, NULL)) != -1) {
        if (c == 'p')
            o->create.paused = true;
        else if (c == 'c')
            o->console = true;
        else if (c == 'q')
            o->quiet = true;
        else if (c == 'n')
            o->create.check = true;
        else if (c == 'd')
            o->show = true;
        else if (c == 'S')
            o->strict = true;
        else if (c == 'O')
            o->create.force = true;
        else if (c == 'V' || c == 'A') {
            o->viewer = true;
            o->autopass |= c == 'A';
        } else if (c == 'f')
            o->file = optarg;
        else if (c == '?' || c == ':')
            return cmd_bad_option(argv);
        else
            pass_over(c);
    }
    if (!o->file && optind < argc)
        o->file = argv[optind++];
    if (!o->file)
        return cmd_usage("which configuration file?");
    if (o->console && (json_output || o->create.check))
        return cmd_usage("--console goes neither with --json nor with --dry-run");
    return 0;
}

static int refuse(struct config_errors *errors)
{
    cmd_warnings(errors);
    for (unsigned int i = 0; i < errors->count; i++)
        fprintf(stderr, "%s\n", errors->text[i]);
    config_errors_free(errors);
    return cmd_fail("the configuration is not accepted; nothing was made");
}

static struct json_object *plan_json(const struct guest_config *cfg, const struct create_plan *p)
{
    struct json_object *j = json_object_new_object();

    json_object_object_add(j, "name", json_object_new_string(cfg->name));
    if (cfg->kernel)
        json_object_object_add(j, "kernel", json_object_new_string(cfg->kernel));
    if (p->kernel_kind[0]) {
        json_object_object_add(j, "kernel_kind", json_object_new_string(p->kernel_kind));
        json_object_object_add(j, "kernel_version", json_object_new_string(p->kernel_version));
        json_object_object_add(j, "kernel_cached", json_object_new_boolean(p->cached));
    }
    json_object_object_add(j, "memory_kib", json_object_new_int64(p->need_kib));
    json_object_object_add(j, "free_kib", json_object_new_int64(p->free_kib));
    json_object_object_add(j, "config", config_to_json(cfg));
    return j;
}

static void plan_text(const struct guest_config *cfg, const struct create_plan *p)
{
    printf("%s: it can be made. This would be done:\n", cfg->name);
    printf("  domain    %u MiB (at most %u)", cfg->memory_mb, cfg->maxmem_mb);
    if (p->free_kib)
        printf(" of the %llu MiB free", (unsigned long long)(p->free_kib >> 10));
    printf(", %u vCPU%s (at most %u)\n", cfg->vcpus, cfg->vcpus == 1 ? "" : "s", cfg->maxvcpus);
    if (cfg->type == GUEST_HVM)
        printf("  kernel    %s\n", cfg->kernel ? cfg->kernel : "what its disk boots");
    else
        printf("  kernel    %s (%s%s%s%s)\n", cfg->kernel, p->kernel_kind,
               p->kernel_version[0] ? " " : "", p->kernel_version,
               p->cached ? ", unpacked in the cache" : "");
    if (cfg->ramdisk)
        printf("  ramdisk   %s\n", cfg->ramdisk);
    for (unsigned int i = 0; i < cfg->nr_disks; i++)
        printf("  disk      %s: %s (%s, %s)\n", cfg->disks[i].vdev, cfg->disks[i].target,
               disk_format_name(cfg->disks[i].format),
               cfg->disks[i].readonly ? "read-only" : "read and write");
    for (unsigned int i = 0; i < cfg->nr_vifs; i++)
        printf("  card      %u: on bridge %s\n", cfg->vifs[i].devid, cfg->vifs[i].bridge);
    printf("  when it   powers off: %s; reboots: %s; crashes: %s\n",
           guest_action_name(cfg->on_poweroff), guest_action_name(cfg->on_reboot),
           guest_action_name(cfg->on_crash));
}

static void report(const struct guest_config *cfg, const struct options *o, unsigned int domid,
                   const struct create_plan *plan)
{
    struct json_object *j;
    char uuid[37];

    if (o->create.check && json_output) {
        print_json(plan_json(cfg, plan));
    } else if (o->create.check) {
        plan_text(cfg, plan);
    } else if (json_output) {
        uuid_to_text(cfg->uuid, uuid);
        j = json_object_new_object();
        json_object_object_add(j, "name", json_object_new_string(cfg->name));
        json_object_object_add(j, "domid", json_object_new_int(domid));
        json_object_object_add(j, "uuid", json_object_new_string(uuid));
        json_object_object_add(j, "paused", json_object_new_boolean(o->create.paused));
        print_json(j);
    } else if (!o->quiet) {
        printf("%s is domain %u%s\n", cfg->name, domid, o->create.paused ? ", paused" : "");
    }
}

/* consoled kept what the guest said until we get there. */
static int attach_console(unsigned int domid)
{
    char id[16];

    snprintf(id, sizeof(id), "%u", domid);
    fflush(stdout);
    execl("/proc/self/exe", "orlop", "console", id, NULL);
    return cmd_fail("the guest runs, but its console could not be opened: %s", strerror(errno));
}

/* A process of its own, which ends when its user closes it. */
static void start_viewer(unsigned int domid, bool autopass)
{
    char id[16];

    snprintf(id, sizeof(id), "%u", domid);
    fflush(NULL);
    if (fork() != 0)
        return;
    setsid();
    execl("/proc/self/exe", "orlop", "vncviewer", id, autopass ? "--autopass" : NULL, NULL);
    _exit(EXIT_FAILED);
}

/*
 * Where there is no hypervisor: what the file and the kernel say. What this host's Domain 0 would
 * be asked (memory, names, devices in use, bridges) is left out, and that is said.
 */
static int check_elsewhere(const struct guest_config *cfg, const struct options *o, struct error *e)
{
    struct create_plan plan = { .need_kib = (uint64_t)cfg->memory_mb << 10 };
    struct dm_files files;

    if (guest_check_kernel(cfg, NULL, &files, &plan, e) != 0) {
        error_in(e, "%s", cfg->name);
        return cmd_fail("%s%s%s", e->cause, e->remedy[0] ? "\n    " : "", e->remedy);
    }
    report(cfg, o, 0, &plan);
    fprintf(stderr,
            "orlop create: this machine runs no hypervisor: free memory, names, bridges and "
            "disks in use were not looked at\n");
    return EXIT_DONE;
}

static void show_config(const struct guest_config *cfg)
{
    struct json_object *j = config_to_json(cfg);

    fprintf(stderr, "%s\n",
            json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY |
                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
}

static int run(int argc, char **argv)
{
    struct options o = { 0 };
    struct config_errors errors = { 0 };
    struct create_plan plan = { 0 };
    struct guest_config cfg = { 0 };
    struct error e = { 0 };
    struct host h;
    unsigned int domid = 0;
    int rc = parse(argc, argv, &o);

    if (rc)
        return rc;
    errors.strict = o.strict;
    if (!config_load(&cfg, o.file, argv + optind, argc - optind, &errors))
        return refuse(&errors);
    cmd_warnings(&errors);
    config_errors_free(&errors);
    if (o.show)
        show_config(&cfg);
    interrupt_catch();
    if (o.create.check && !doctor_hypervisor_runs()) {
        rc = check_elsewhere(&cfg, &o, &e);
        config_free(&cfg);
        return rc;
    }
    if (host_open(&h, &e) != 0)
        return host_fail(&h, &e);
    if (!o.create.check) {
        store_rm(&h.store, RECORD_ROOT "/%s",
                 RECORD_STOPPING); /* of a `guests stop` that was killed */
        leftovers_clean(&h);
        down_forget(&h, cfg.name); /* this one takes its place */
        monitor_ensure();
    }
    if (guest_create(&h, &cfg, &o.create, &domid, &plan, &e) != 0) {
        error_in(&e, "%s", cfg.name);
        config_free(&cfg);
        return host_fail(&h, &e);
    }
    report(&cfg, &o, domid, &plan);
    config_free(&cfg);
    host_close(&h);
    if (o.viewer && !o.create.check)
        start_viewer(domid, o.autopass);
    return o.console ? attach_console(domid) : EXIT_DONE;
}

const struct command cmd_create = {
    .name = "create",
    .synopsis = "[-p] [-c] [-V] [-q] [-d] [--dry-run] [--strict] [--force] FILE [KEY=VALUE...]",
    .summary = "make a guest from its configuration file and start it",
    .help =
        "FILE is in the format of xl.cfg(5); orlop help config lists the keys. A KEY=VALUE\n"
        "replaces what the file says. Everything is checked before anything is made, and\n"
        "what fails or is interrupted leaves nothing behind.\n"
        "\n"
        "  -p, --paused    leave it paused; orlop unpause starts it\n"
        "  -c, --console   attach to its console at once\n"
        "  -V, --vncviewer show its screen (orlop vncviewer) at once; -A: with its password\n"
        "  -q, --quiet     say nothing when it worked\n"
        "  -d              print the configuration as it was understood, as JSON on stderr\n"
        "  -n, --dry-run   only say whether it could be made, and what would be done; works on\n"
        "                  machines without a hypervisor too\n"
        "      --strict    what would be a warning about the file is an error\n"
        "      --force     give it disks that another guest or Domain 0 writes: this destroys\n"
        "                  what is on them unless you know better\n"
        "  -f FILE         the same as FILE alone\n"
        "\n"
        "xl's options -F and -e are passed over.",
    .options = "--paused --console --vncviewer --quiet --dry-run --strict --force",
    .group = GROUP_GUEST,
    .arg = ARG_FILE,
    .json = true,
    .run = run,
};

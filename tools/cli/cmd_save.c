/* SPDX-License-Identifier: MIT */
/* orlop save */
#define _GNU_SOURCE
#include "tools/cli/command.h"
#include "tools/cli/config_libxl.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/monitor.h"
#include "tools/cli/save.h"
#include "tools/cli/target.h"
#include "tools/cli/undo.h"
#include "tools/lib/stream_out.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_S 60
#define STALL_MS 60000 /* for a reader of a pipe */

struct options {
    bool checkpoint;
    uint64_t timeout_s;
    const char *guest, *file;
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = { { "checkpoint", no_argument, NULL, 'c' },
                                           { "timeout", required_argument, NULL, 't' },
                                           { 0 } };
    int c;

    o->timeout_s = TIMEOUT_S;
    while ((c = getopt_long(argc, argv, ":ct:", longs, NULL)) != -1) {
        if (c == 'c')
            o->checkpoint = true;
        else if (c == 't' && !parse_number(optarg, 1, 86400, &o->timeout_s))
            return cmd_usage("--timeout %s: give seconds, 1 to 86400", optarg);
        else if (c != 't')
            return cmd_bad_option(argv);
    }
    if (argc - optind != 2)
        return cmd_usage("give a guest and a file");
    o->guest = argv[optind];
    o->file = argv[optind + 1];
    return 0;
}

/*
 * The file under another name until it is whole. What is no file (a pipe, a device) is written as
 * it is. *part is to free(); NULL: nothing to rename.
 */
static int open_file(const char *path, char **part, struct error *e)
{
    struct stat st;
    int fd;

    *part = NULL;
    if (stat(path, &st) != 0 || S_ISREG(st.st_mode)) {
        *part = str_fmt("%s.XXXXXX", path); /* nobody else's: two may save under one name */
        fd = mkostemp(*part, O_CLOEXEC);
    } else {
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) /* a reader that stops must not keep us: see stream_out.h */
            fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    if (fd < 0)
        error_sys(e, errno, NULL, "%s", path);
    return fd;
}

/* The folder has the new name on its disk. */
static int sync_folder(const char *path, struct error *e)
{
    char *copy = str_dup(path);
    int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir < 0 || fsync(dir) != 0 ? error_sys(e, errno, NULL, "the folder of %s", path) : 0;

    if (dir >= 0)
        close(dir);
    free(copy);
    return rc;
}

/* On the disk, and under its name: the guest ends only then. */
static int complete(int fd, const char *part, const char *path, struct error *e)
{
    if (fsync(fd) != 0 && errno != EINVAL) /* a pipe has no disk */
        return error_sys(e, errno, NULL, "%s", path);
    if (part && rename(part, path) != 0)
        return error_sys(e, errno, NULL, "%s", path);
    return part ? sync_folder(path, e) : 0;
}

static int write_file(struct save *s, const struct options *o, uint64_t *bytes, struct error *e)
{
    char *part, *json;
    struct stream_out out = { .fd = open_file(o->file, &part, e),
                              .stall_ms = STALL_MS,
                              .stop = interrupted };
    int rc = -1;

    if (out.fd >= 0) {
        out.holes = part != NULL;
        json = config_to_libxl(&s->cfg);
        rc = stream_out_file(&out, json) ? 0 : error_sys(e, out.err, NULL, "%s", o->file);
        free(json);
        rc = rc ? rc : save_begin(s, &out, e);
        rc = rc ? rc : save_suspend(s, (unsigned int)o->timeout_s, e);
        rc = rc ? rc : save_write(s, &out, false, e);
        rc = rc ? rc : complete(out.fd, part, o->file, e);
        close(out.fd);
        if (rc && part)
            unlink(part);
    }
    free(part);
    *bytes = out.bytes;
    return rc;
}

static int save(struct target *t, const struct options *o, uint64_t *bytes)
{
    struct save s;
    int rc = save_open(&s, &t->h, t->domid, LEFT_RESUME, &t->e);

    rc = rc ? rc : write_file(&s, o, bytes, &t->e);
    if (rc == 0)
        rc = o->checkpoint ? save_resume(&s, &t->e) : save_erase(&s, &t->e);
    save_close(&s);
    return rc;
}

static int run(int argc, char **argv)
{
    struct options o = { 0 };
    struct json_object *j;
    struct target t;
    uint64_t bytes = 0;
    int code = parse(argc, argv, &o);

    if (code)
        return code;
    signal(SIGPIPE, SIG_IGN); /* whatever fails, the guest runs on */
    signal(SIGXFSZ, SIG_IGN);
    if (!target_open(&t, o.guest))
        return target_fail(&t);
    leftovers_clean(&t.h);
    monitor_ensure();
    if (save(&t, &o, &bytes) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, "file", json_object_new_string(o.file));
    json_object_object_add(j, "bytes", json_object_new_int64((int64_t)bytes));
    json_object_object_add(j, "runs_on", json_object_new_boolean(o.checkpoint));
    return target_done(&t, j, "%s: saved in %s, %llu MiB%s", t.name, o.file,
                       (unsigned long long)(bytes >> 20), o.checkpoint ? "; it runs on" : "");
}

const struct command cmd_save = {
    .name = "save",
    .synopsis = "[-c] [-t SECONDS] GUEST FILE",
    .summary = "save a guest into a file and end it here",
    .help =
        "The guest is asked to suspend; its memory and processors go into FILE, in the format\n"
        "of xl save, and it ends. orlop restore or xl restore lets it go on. Its disks are not\n"
        "in the file: they must stay as they are until then. Whatever fails, the guest runs on.\n"
        "Pages of zeros are holes in FILE, which take no space (cp keeps them).\n"
        "\n"
        "  -c, --checkpoint   it runs on afterwards. Restore such a file only with copies of\n"
        "                     the disks of that moment\n"
        "  -t, --timeout S    how long to wait for the guest to suspend itself (60 seconds)",
    .options = "--checkpoint --timeout",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .json = true,
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* Hotplug scripts, run as processes of their own group with a time limit. */
#define _GNU_SOURCE
#include "tools/cli/hotplug.h"
#include "tools/cli/host.h"
#include "tools/cli/undo.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_MS 20000
#define CLOSE_MS 5000

struct call {
    const char *script, *action;
    enum device_kind kind;
    unsigned int domid, id;
    bool patient; /* a signal to us does not end it: something is taken back */
};

static const char *ours(enum device_kind kind)
{
    return kind == DEVICE_VIF ? "vif-bridge" : "block";
}

int hotplug_check(enum device_kind kind, const char *script, struct error *e)
{
    if (access(script, X_OK) == 0)
        return 0;
    error_sys(e, errno, NULL, "script=%s", script);
    return error_remedy(e,
                        "Debian's own are in " HOTPLUG_DIR
                        " (package xen-utils-common): %s. Or leave script= out%s.",
                        kind == DEVICE_VIF
                            ? "vif-nat, vif-route, vif-openvswitch"
                            : "block-iscsi, block-nbd, block-enbd, block-tap, block-dummy",
                        kind == DEVICE_VIF ? ", and the card is put on bridge="
                                           : ", set the device up first and name it as the target");
}

int hotplug_check_vif(const struct vif_config *vif, struct error *e)
{
    return vif->script ? hotplug_check(DEVICE_VIF, vif->script, e)
                       : vif_check_bridge(vif->bridge, e);
}

/* The variables of the call; `netdev` is gatewaydev= under its older name, which vif-route reads.
 */
static char **environment(struct store *s, const struct call *c, const char *back)
{
    const char *sock = getenv("XENSTORED_PATH"), *path = getenv("PATH");
    char *gateway = store_read(s, "%s/gatewaydev", back);
    char **env = mem_alloc(9 * sizeof(*env));
    unsigned int n = 0;

    env[n++] = str_fmt("PATH=/usr/sbin:/usr/bin:/sbin:/bin%s%s", path ? ":" : "", path ? path : "");
    env[n++] = str_fmt("script=%s", c->script);
    env[n++] = str_fmt("XENBUS_TYPE=%s", device_class(c->kind));
    env[n++] = str_fmt("XENBUS_PATH=%s", back);
    env[n++] = str_dup("XENBUS_BASE_PATH=backend");
    if (sock)
        env[n++] = str_fmt("XENSTORED_PATH=%s", sock);
    if (c->kind == DEVICE_VIF) {
        char *name = store_read(s, "%s/vifname", back);

        env[n++] = str_fmt("netdev=%s", gateway ? gateway : "");
        /* Going down it has the name that the script gave it. */
        env[n++] = name && c->action[1] == 'f' ? str_fmt("vif=%s", name)
                                               : str_fmt("vif=vif%u.%u", c->domid, c->id);
        free(name);
    }
    free(gateway);
    return env;
}

static int spawn(const struct call *c, char **env, pid_t *pid)
{
    char *args[] = { (char *)c->script, (char *)c->action,
                     c->kind == DEVICE_VIF ? "type_if=vif" : NULL, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int rc;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1); /* stdout is the command's own results */
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attr, 0);
    rc = posix_spawn(pid, c->script, &files, &attr, args, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Its exit status, or -1 with e: too late, or a signal to us. Then its whole group is ended. */
static int await_exit(pid_t pid, const struct call *c, int64_t deadline, struct error *e)
{
    static const struct timespec pause = { .tv_nsec = 2000000 };
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (left_ms(deadline) > 0 && (c->patient || interrupt_check(e) == 0)) {
            nanosleep(&pause, NULL);
            continue;
        }
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        return e->code ? -1
                       : error_set(e, ETIMEDOUT, "Run it by hand to see where it stands still.",
                                   "%s %s did not end in time", c->script, c->action);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int run(struct store *s, const struct call *c, const char *back, int64_t deadline,
               struct error *e)
{
    char **env = environment(s, c, back), *said;
    pid_t pid;
    int rc = spawn(c, env, &pid);

    if (rc)
        rc = error_sys(e, rc, "Check that the script is executable and has its interpreter.", "%s",
                       c->script);
    else
        rc = await_exit(pid, c, deadline, e);
    for (unsigned int i = 0; env[i]; i++)
        free(env[i]);
    free(env);
    if (rc <= 0)
        return rc;
    said = store_text(s, "%s/hotplug-error", back);
    error_set(e, EIO, "Xen's scripts log to /var/log/xen/xen-hotplug.log and to syslog.",
              "%s %s failed (exit code %d)%s%s", c->script, c->action, rc, *said ? ": " : "", said);
    free(said);
    return -1;
}

int hotplug_add(struct host *h, unsigned int domid, const struct device *d, int64_t deadline,
                struct error *e)
{
    bool vif = d->kind == DEVICE_VIF;
    struct call c = {
        vif ? d->vif->script : d->disk->script, vif ? "online" : "add", d->kind, domid, d->id, false
    };
    char front[DEVICE_PATH], back[DEVICE_PATH], *said;
    bool done;

    device_paths(domid, d->kind, d->id, front, back);
    if (run(&h->store, &c, back, deadline, e) != 0)
        return -1;
    said = store_text(&h->store, "%s/%s", back, vif ? "hotplug-status" : "physical-device");
    done = vif ? strcmp(said, "connected") == 0 : *said;
    free(said);
    if (done)
        return 0;
    said = store_text(&h->store, "%s/hotplug-error", back);
    error_set(e, EIO, "Xen's scripts log to /var/log/xen/xen-hotplug.log and to syslog.",
              "%s %s %s%s%s", c.script, c.action,
              vif ? "did not say that the card is connected" : "named no device", *said ? ": " : "",
              said);
    free(said);
    return -1;
}

static char *script_of(struct store *s, enum device_kind kind, const char *back)
{
    char *script = store_read(s, "%s/script", back);
    const char *base = script ? strrchr(script, '/') : NULL;

    if (base && strcmp(base + 1, ours(kind)) != 0 && strcmp(script, HOTPLUG_NONE) != 0)
        return script;
    free(script);
    return NULL;
}

bool hotplug_has(struct store *s, unsigned int domid, enum device_kind kind, unsigned int id)
{
    char front[DEVICE_PATH], back[DEVICE_PATH], *script;

    device_paths(domid, kind, id, front, back);
    script = script_of(s, kind, back);
    free(script);
    return script != NULL;
}

/* Until Domain 0's kernel has the disk no more: it has closed what the script is to take down. */
static void await_closed(unsigned int domid, unsigned int id)
{
    static const struct timespec pause = { .tv_nsec = 1000000 };
    int64_t deadline = now_ms() + CLOSE_MS;
    char path[96];

    snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/vbd-%u-%u", domid, id);
    while (access(path, F_OK) == 0 && left_ms(deadline) > 0)
        nanosleep(&pause, NULL);
}

void hotplug_remove(struct host *h, unsigned int domid, enum device_kind kind, unsigned int id)
{
    struct call c = { NULL, kind == DEVICE_VIF ? "offline" : "remove", kind, domid, id, true };
    char front[DEVICE_PATH], back[DEVICE_PATH], *script;
    struct error e = { 0 };

    device_paths(domid, kind, id, front, back);
    script = script_of(&h->store, kind, back);
    c.script = script;
    if (script && kind == DEVICE_VBD)
        await_closed(domid, id);
    if (script && run(&h->store, &c, back, now_ms() + REMOVE_MS, &e) != 0)
        error_print(&e, "orlop: warning");
    free(script);
}

void hotplug_remove_all(struct host *h, unsigned int domid)
{
    for (enum device_kind kind = DEVICE_VBD; kind <= DEVICE_VIF; kind++) {
        unsigned int n, id;
        char **ids = store_list(&h->store, &n, "/local/domain/0/backend/%s/%u", device_class(kind),
                                domid);

        for (unsigned int i = 0; i < n; i++) {
            if (!parse_uint(ids[i], &id) || !hotplug_has(&h->store, domid, kind, id))
                continue;
            if (kind == DEVICE_VBD)
                store_rm(&h->store, "/local/domain/%u/device/vbd/%u", domid, id);
            hotplug_remove(h, domid, kind, id);
        }
        free(ids);
    }
}

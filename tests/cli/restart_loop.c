/* SPDX-License-Identifier: MIT */
/*
 * A guest that stops again and again, watched by the monitor's own code over its back-off, in
 * simulated time: the records are in a real xenstored, the hypervisor is a domain or none, a second
 * passes when the test says so. At each second the monitor looks, as it does while a guest waits.
 */
#define _GNU_SOURCE
#include "tools/cli/core.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/suspend.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/monitor.h"
#include "tools/cli/monitor_act.h"
#include "tools/cli/policy.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <time.h>
#include <xen/sched.h>
#include "store_daemon.h"
#include "unit.h"

/* The simulated machine. */
static int64_t sim_now = 1000000;
static struct xen_domctl_getdomaininfo sim; /* domain 0: there is none */
static int64_t sim_made[64];                /* when it was started again */
static unsigned int sim_restarts;
static unsigned int sim_next = 1;
static bool sim_fails;
static char sim_log[8192];

time_t time(time_t *t)
{
    if (t)
        *t = sim_now;
    return sim_now;
}

int xen_find_uuid(struct xen *x, const uint8_t uuid[16])
{
    return sim.domain && memcmp(sim.handle, uuid, 16) == 0 ? sim.domain : -1;
}

int xen_dominfo(struct xen *x, unsigned int domid, struct xen_domctl_getdomaininfo *info)
{
    if (!sim.domain || sim.domain != domid)
        return -ESRCH;
    *info = sim;
    return 0;
}

int xen_domctl(struct xen *x, struct xen_domctl *op)
{
    return -ENOSYS;
}

int xen_error(struct error *e, int err, const char *fmt, ...)
{
    return error_set(e, -err, NULL, "%s", fmt);
}

const char *shutdown_name(unsigned int reason)
{
    return reason == SHUTDOWN_crash ? "crash" : "poweroff";
}

struct xen *xen_open(struct error *e)
{
    return NULL;
}

int xen_domlist(struct xen *x, struct xen_domctl_getdomaininfo **list)
{
    *list = NULL;
    return 0;
}

int xen_physinfo(struct xen *x, struct xen_sysctl_physinfo *info)
{
    return -ENOSYS;
}

static void start(const uint8_t uuid[16])
{
    memset(&sim, 0, sizeof(sim));
    sim.domain = sim_next++;
    memcpy(sim.handle, uuid, 16);
}

int guest_create(struct host *hs, struct guest_config *cfg, const struct create_options *o,
                 unsigned int *domid, struct create_plan *plan, struct error *e)
{
    char now[24];

    guest_unlock(o->held);
    if (sim_fails)
        return error_set(e, ENOENT, NULL, "kernel: /boot/gone: No such file");
    sim_made[sim_restarts++ % 64] = sim_now;
    start(cfg->uuid);
    *domid = sim.domain;
    snprintf(now, sizeof(now), "%lld", (long long)sim_now);
    record_put(&hs->store, cfg->uuid, "started", now); /* as guest_store_nodes and finish do */
    record_put(&hs->store, cfg->uuid, "pending", NULL);
    record_put(&hs->store, cfg->uuid, "restart_at", NULL);
    return 0;
}

int guest_erase(struct host *hs, int domid, const uint8_t uuid[16], bool keep_record,
                int64_t deadline, struct error *e)
{
    memset(&sim, 0, sizeof(sim));
    if (!keep_record)
        store_rm(&hs->store, RECORD_ROOT "/00112233-4455-6677-8899-aabbccddeeff");
    return 0;
}

void guest_clean_unfinished(struct host *hs, const uint8_t uuid[16])
{
}

int core_write(struct host *hs, unsigned int domid, const char *path, struct error *e)
{
    return -1;
}

int guest_lock(struct guest_lock *l, const uint8_t uuid[16], bool wait, struct error *e)
{
    l->fd = 1;
    l->left = LEFT_ALONE;
    return 0;
}

int guest_lock_note(struct guest_lock *l, enum guest_left left)
{
    return 0;
}

void suspend_recover(struct host *hs, const uint8_t uuid[16])
{
}

void guest_unlock(struct guest_lock *l)
{
    l->fd = -1;
}

void hotplug_remove_all(struct host *hs, unsigned int domid)
{
}

void monitor_log(const char *fmt, ...)
{
    size_t n = strlen(sim_log);
    va_list ap;

    va_start(ap, fmt);
    if (n < sizeof(sim_log) - 512)
        vsnprintf(sim_log + n, 512, fmt, ap);
    va_end(ap);
}

static const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };

/* A guest that runs since now, with its record. */
static void make_guest(const char *more)
{
    char *text = str_fmt("name='web1'\nkernel='/k'\nmemory=4\n"
                         "uuid='00112233-4455-6677-8899-aabbccddeeff'\n%s",
                         more);
    struct config_errors errors = { 0 };
    struct guest_config cfg;
    char now[24];

    start_daemon();
    CHECK(config_parse(&cfg, "/t.cfg", text, strlen(text), NULL, 0, &errors));
    store_rm(&h.store, RECORD_ROOT);
    CHECK_EQ(record_store_config(&h.store, &cfg), 0);
    snprintf(now, sizeof(now), "%lld", (long long)sim_now);
    CHECK_EQ(record_put(&h.store, uuid, "started", now), 0);
    config_free(&cfg);
    config_errors_free(&errors);
    free(text);
    sim_restarts = 0;
    sim_fails = false;
    sim_log[0] = 0;
    start(uuid);
}

static void stop_guest(unsigned int reason)
{
    sim.flags = XEN_DOMINF_shutdown | reason << XEN_DOMINF_shutdownshift;
}

/* What the monitor does each second while something waits. */
static void monitor_look_once(void)
{
    for (int i = 0; i < 4; i++) { /* each action is followed by another look */
        if (monitor_look(&h, uuid, sim.domain ? &sim : NULL) == NEED_ACTION)
            monitor_act(&h, uuid);
    }
}

/* Lets it run `ran` seconds, stops it, and returns after how many seconds it runs again (or 1000).
 */
static int pause_after(int64_t ran)
{
    int64_t stopped;

    sim_now += ran;
    stop_guest(SHUTDOWN_crash);
    stopped = sim_now;
    monitor_look_once();
    while ((!sim.domain || sim.flags) && sim_now < stopped + 1000) {
        sim_now++;
        monitor_look_once();
    }
    return (int)(sim_now - stopped);
}

/* 1, 2, 4 ... 60 seconds; a guest that ran a minute comes back at once, and all begins anew. */
TEST(pauses_grow_in_simulated_time)
{
    static const int expected[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };

    make_guest("on_crash='restart'\n");
    for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        CHECK_EQ(pause_after(3), expected[i]);
    CHECK_EQ(sim_restarts, 9);
    CHECK_EQ(pause_after(RESTART_QUICK_S), 0);
    CHECK_EQ(pause_after(3), 1);
    CHECK(strstr(sim_log, "it waits 60 s"));
}

static bool shows(struct down_guest *g, const char *words, const char *json)
{
    char *text = down_text(g);
    struct json_object *j = down_json(g);
    bool good = strstr(text, words) && strstr(json_object_to_json_string(j), json);

    if (!good)
        printf("    %s\n    %s\n", text, json_object_to_json_string(j));
    free(text);
    json_object_put(j);
    return good;
}

/* While it waits, and when it stays down, it is listed with its restarts counted. */
TEST(who_is_down_says_so)
{
    struct down_guest *down;
    unsigned int n;

    make_guest("on_crash='restart'\n");
    CHECK_EQ(pause_after(3), 1);
    CHECK_EQ(pause_after(3), 2);
    sim_now += 3;
    stop_guest(SHUTDOWN_crash);
    monitor_look_once();
    n = down_list(&h, &down);
    CHECK_EQ(n, 1);
    CHECK_STR(down[0].name, "web1");
    CHECK(shows(&down[0], "restarts in 4 s (3 restarts)", "\"restarts\": 3, \"restart_in_s\": 4"));
    down_free(down, n);
    sim_fails = true;
    sim_now += 4;
    monitor_look_once();
    CHECK(store_exists(&h.store, "/orlop/00112233-4455-6677-8899-aabbccddeeff/down")); /* events */
    n = down_list(&h, &down);
    CHECK_EQ(n, 1);
    CHECK(shows(&down[0], "stays down: kernel: /boot/gone",
                "\"restarts\": 3, \"restart_in_s\": null"));
    down_free(down, n);
    sim_fails = false;
    for (int i = 0; i < 200; i++, sim_now++)
        monitor_look_once();
    CHECK_EQ(sim_restarts, 2); /* it stays down until somebody creates it */
}

/* A clock that jumps back does not hold a guest down. */
TEST(clock_set_back)
{
    make_guest("on_crash='restart'\n");
    sim_now += 3;
    stop_guest(SHUTDOWN_crash);
    monitor_look_once();
    sim_now -= 100000;
    monitor_look_once();
    CHECK_EQ(sim_restarts, 1);
    sim_now += 100000;
}

/* The host goes down: who waits does not come back. */
TEST(nobody_comes_back_while_the_host_stops)
{
    make_guest("on_crash='restart'\n");
    sim_now += 3;
    stop_guest(SHUTDOWN_crash);
    monitor_look_once();
    CHECK_EQ(store_write(&h.store, "/orlop/stopping", ""), 0);
    sim_now += 5;
    monitor_look_once();
    CHECK_EQ(sim_restarts, 0);
    CHECK(!store_exists(&h.store, "/orlop/00112233-4455-6677-8899-aabbccddeeff"));
}

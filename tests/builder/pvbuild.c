/* SPDX-License-Identifier: MIT */
/*
 * Starts one PV guest with the builder and without a toolstack, for tests in Domain 0:
 *
 *   pvbuild kernel=FILE memory=MIB [ramdisk=FILE] [cmdline=TEXT] [cache=DIR] [maxmem=MIB]
 *           [vcpus=N] [store=yes] [target=MIB] [seconds=N] [until=TEXT] [count=N]
 *
 * It serves the guest's console ring itself and prints what comes. It ends well when `until` was
 * seen (or without `until` when the guest stopped by itself), and the domain is gone and Domain 0
 * and the hypervisor have their memory back. store=yes introduces the domain to xenstored; then
 * target= sets the balloon's target once `until` was seen, and it waits for the domain to have as
 * much. count=N builds, unpauses and destroys N times without looking at the console.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#include <xen/io/console.h>
#include <xen/sched.h>

#include "tools/builder/builder.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xen.h"

struct test {
    const char *kernel, *ramdisk, *cmdline, *cache, *until;
    unsigned long memory, maxmem, vcpus, seconds, target, count;
    bool store;
    struct xen *x;
    struct error e;
    struct builder_kernel *k;
    uint32_t domid;
    struct builder_request req;
    struct builder_result res;
    struct xencons_interface *ring;
    int port;
    char text[65536];
    size_t len;
    bool seen, told;
};

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void die(struct test *t)
{
    error_print(&t->e, "pvbuild");
    if (t->domid)
        xen_destroy(t->x, t->domid);
    exit(1);
}

static void must(struct test *t, int rc, const char *what)
{
    if (rc >= 0)
        return;
    xen_error(&t->e, -rc, "%s", what);
    die(t);
}

static unsigned long free_pages(struct test *t)
{
    struct xen_sysctl_physinfo info;

    must(t, xen_physinfo(t->x, &info), "physinfo");
    return info.free_pages + info.outstanding_pages;
}

static void create(struct test *t)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain };
    struct xen_domctl_createdomain *c = &op.u.createdomain;
    struct xen_domctl max = { .cmd = XEN_DOMCTL_max_mem };

    uuid_random(c->handle);
    c->max_vcpus = t->vcpus;
    c->max_evtchn_port = 1023;
    c->max_grant_frames = 64;
    c->max_maptrack_frames = 0;
    c->grant_opts = XEN_DOMCTL_GRANT_version(1);
    must(t, xen_domctl(t->x, &op), "createdomain");
    t->domid = op.domain;
    max.domain = t->domid;
    max.u.max_mem.max_memkb = (t->maxmem << 10) + 1024;
    must(t, xen_domctl(t->x, &max), "max_mem");
    struct xen_domctl vcpus = { .cmd = XEN_DOMCTL_max_vcpus, .domain = t->domid };
    vcpus.u.max_vcpus.max = t->vcpus;
    must(t, xen_domctl(t->x, &vcpus), "max_vcpus");
    int console = xen_alloc_unbound(t->x, t->domid, 0),
        store = xen_alloc_unbound(t->x, t->domid, 0);
    must(t, console, "console port");
    must(t, store, "store port");
    t->req = (struct builder_request){
        .domid = t->domid,
        .kernel = t->k,
        .ramdisk = t->ramdisk,
        .cmdline = t->cmdline,
        .memory_kib = t->memory << 10,
        .max_kib = t->maxmem << 10,
        .console_port = console,
        .store_port = store,
    };
}

static void put(struct xs_handle *xs, const struct test *t, const char *node, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", t->domid, node);
    xs_write(xs, XBT_NULL, path, value, strlen(value));
}

/* Enough for Linux's xenbus and balloon driver. */
static void introduce(struct test *t)
{
    struct xs_handle *xs = xs_open(0);
    char number[32], path[64];
    struct xs_permissions perm = { .id = t->domid, .perms = XS_PERM_NONE };

    if (!xs || !xs_introduce_domain(xs, t->domid, t->res.store_mfn, t->req.store_port)) {
        error_sys(&t->e, errno, NULL, "xenstored does not take the domain");
        die(t);
    }
    snprintf(path, sizeof(path), "/local/domain/%u", t->domid);
    xs_mkdir(xs, XBT_NULL, path); /* what is made below it inherits these permissions */
    xs_set_permissions(xs, XBT_NULL, path, &perm, 1);
    snprintf(number, sizeof(number), "%u", t->domid);
    put(xs, t, "domid", number);
    put(xs, t, "name", "pvbuild");
    snprintf(number, sizeof(number), "%lu", t->memory << 10);
    put(xs, t, "memory/target", number);
    snprintf(number, sizeof(number), "%lu", t->maxmem << 10);
    put(xs, t, "memory/static-max", number);
    xs_close(xs);
}

static void forget(struct test *t)
{
    struct xs_handle *xs = xs_open(0);
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u", t->domid);
    xs_release_domain(xs, t->domid);
    xs_rm(xs, XBT_NULL, path);
    xs_close(xs);
}

static void set_target(struct test *t)
{
    struct xs_handle *xs = xs_open(0);
    char number[32];

    snprintf(number, sizeof(number), "%lu", t->target << 10);
    put(xs, t, "memory/target", number);
    xs_close(xs);
}

static void open_console(struct test *t)
{
    xen_pfn_t mfn = t->res.console_mfn;

    t->ring = xenforeignmemory_map(xen_fmem(t->x, &t->e), t->domid, PROT_READ | PROT_WRITE, 1, &mfn,
                                   NULL);
    t->port = xenevtchn_bind_interdomain(xen_evtchn(t->x, &t->e), t->domid, t->req.console_port);
    if (!t->ring || t->port < 0) {
        error_sys(&t->e, errno, NULL, "the console cannot be bound");
        die(t);
    }
}

static void read_console(struct test *t)
{
    uint32_t prod = __atomic_load_n(&t->ring->out_prod, __ATOMIC_ACQUIRE), cons = t->ring->out_cons;

    if (prod == cons)
        return;
    while (cons != prod && t->len < sizeof(t->text) - 1) {
        char ch = t->ring->out[MASK_XENCONS_IDX(cons++, t->ring->out)];
        putchar(ch);
        t->text[t->len++] = ch;
    }
    if (t->len == sizeof(t->text) - 1)
        t->len = 0;
    t->text[t->len] = 0;
    __atomic_store_n(&t->ring->out_cons, cons, __ATOMIC_RELEASE);
    xenevtchn_notify(xen_evtchn(t->x, &t->e), t->port);
    fflush(stdout);
    t->seen |= t->until && strstr(t->text, t->until);
}

/* True when it is over. */
static bool watch(struct test *t)
{
    struct xen_domctl_getdomaininfo info;

    read_console(t);
    must(t, xen_dominfo(t->x, t->domid, &info), "getdomaininfo");
    if (t->seen && t->target && info.tot_pages >> 8 != t->target) {
        if (!t->told)
            set_target(t);
        t->told = true;
        return false;
    }
    if (info.flags & XEN_DOMINF_shutdown) {
        read_console(t);
        printf("pvbuild: it stopped: %s\n", shutdown_name(shutdown_reason(info.flags)));
        t->seen |= !t->until && shutdown_reason(info.flags) != SHUTDOWN_crash;
        return true;
    }
    return t->seen;
}

static void run(struct test *t, bool look)
{
    int64_t start;

    create(t);
    start = now_us();
    if (builder_build(&t->req, &t->res, &t->e))
        die(t);
    start = now_us() - start;
    if (look)
        printf("pvbuild: domain %u: %s %s, %lu pages; us: memory %lu, load %lu, rest %lu, with "
               "the child process %lu\n",
               t->domid, builder_kind_name(t->res.kind), builder_kernel_version(t->k),
               t->res.nr_pages, t->res.populate_ns / 1000, t->res.load_ns / 1000,
               t->res.finish_ns / 1000, start);
    if (t->store)
        introduce(t);
    if (look)
        open_console(t);
    must(t, xen_domctl_plain(t->x, t->domid, XEN_DOMCTL_unpausedomain), "unpause");
    for (int64_t end = now_ms() + t->seconds * 1000; look && !watch(t) && left_ms(end);)
        usleep(20000);
    if (look) {
        struct xen_domctl_getdomaininfo info;
        must(t, xen_dominfo(t->x, t->domid, &info), "getdomaininfo");
        printf("\npvbuild: the domain has %lu pages\n", (unsigned long)info.tot_pages);
        t->seen &= !t->target || info.tot_pages >> 8 == t->target;
        xenforeignmemory_unmap(xen_fmem(t->x, &t->e), t->ring, 1);
        xenevtchn_unbind(xen_evtchn(t->x, &t->e), t->port);
    }
    if (t->store)
        forget(t);
    must(t, xen_destroy(t->x, t->domid), "destroy");
    t->domid = 0;
}

static void parse(struct test *t, char *arg)
{
    static const struct {
        const char *key;
        size_t text, number;
    } keys[] = {
#define TEXT(name) { #name, offsetof(struct test, name), 0 }
#define NUMBER(name)                          \
    {                                         \
#name, 0, offsetof(struct test, name) \
    }
        TEXT(kernel),    TEXT(ramdisk),  TEXT(cmdline),  TEXT(cache),
        TEXT(until),     NUMBER(memory), NUMBER(maxmem), NUMBER(vcpus),
        NUMBER(seconds), NUMBER(target), NUMBER(count),
    };
    char *value = strchr(arg, '=');

    if (value)
        *value++ = 0;
    for (size_t i = 0; value && i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(arg, keys[i].key) != 0)
            continue;
        if (keys[i].number)
            *(unsigned long *)((char *)t + keys[i].number) = strtoul(value, NULL, 0);
        else
            *(const char **)((char *)t + keys[i].text) = value;
        return;
    }
    if (strcmp(arg, "store") == 0)
        t->store = true;
    else
        fprintf(stderr, "pvbuild: no key %s\n", arg), exit(2);
}

int main(int argc, char **argv)
{
    static struct test t = { .memory = 64, .vcpus = 1, .seconds = 60, .cache = BUILDER_CACHE_DIR };
    struct rusage used;
    unsigned long before, after = 0;
    int64_t start = now_us();

    for (int i = 1; i < argc; i++)
        parse(&t, argv[i]);
    t.maxmem = t.maxmem ? t.maxmem : t.memory;
    t.k = builder_kernel_open(t.kernel, t.cache, BUILDER_PV, &t.e);
    t.x = t.k ? xen_open(&t.e) : NULL;
    if (!t.x)
        die(&t);
    getrusage(RUSAGE_SELF, &used);
    printf("pvbuild: opened in %lu us (program %lu ms, kernel %lu ms), %s the cache; at least %lu "
           "KiB of memory\n",
           now_us() - start, used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000,
           used.ru_stime.tv_sec * 1000 + used.ru_stime.tv_usec / 1000,
           builder_kernel_was_cached(t.k) ? "from" : "not from", builder_least_memory(t.k, 0));
    before = free_pages(&t);
    if (!t.count)
        run(&t, true);
    for (unsigned long i = 0; i < t.count; i++)
        run(&t, false);
    t.seen |= t.count != 0;
    for (int64_t end = now_ms() + 60000; left_ms(end) && after != before; usleep(10000))
        after = free_pages(&t);
    printf("\npvbuild: free pages before %lu, after %lu\n", before, after);
    builder_kernel_close(t.k);
    xen_close(t.x);
    printf("pvbuild: %s\n", t.seen && before == after ? "ok" : "FAIL");
    return t.seen && before == after ? 0 : 1;
}

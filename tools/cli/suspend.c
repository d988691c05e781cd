/* SPDX-License-Identifier: MIT */
/* Guests are asked to stand still, and let go on. */
#include "tools/cli/suspend.h"
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/policy.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/sched.h>

#define REQUEST "suspend"
#define LOOK_AGAIN_MS 20
#define LATE_MS 10000 /* for a guest that has taken the request when we give up */
#define TOKEN "suspend"

enum state { RUNS, SUSPENDED, ENDED };

static enum state look(struct host *h, unsigned int domid)
{
    struct xen_domctl_getdomaininfo info;

    if (xen_dominfo(h->xen, domid, &info) != 0 || (info.flags & XEN_DOMINF_dying))
        return ENDED;
    if (!(info.flags & XEN_DOMINF_shutdown))
        return RUNS;
    return shut_down_for(info.flags, SHUTDOWN_suspend) ? SUSPENDED : ENDED;
}

bool suspend_is(struct host *h, unsigned int domid)
{
    return look(h, domid) == SUSPENDED;
}

/* Until it no longer runs, or the deadline. @releaseDomain tells; looked at again in case. */
static enum state await(struct host *h, unsigned int domid, int64_t deadline, struct error *e)
{
    enum state s;

    while ((s = look(h, domid)) == RUNS && left_ms(deadline) > 0) {
        int64_t soon = now_ms() + LOOK_AGAIN_MS;

        free(store_next(&h->store, soon < deadline ? soon : deadline, NULL));
        if (e && interrupt_check(e) != 0)
            break;
    }
    return s;
}

static void request_path(unsigned int domid, char path[64])
{
    snprintf(path, 64, "/local/domain/%u/control/shutdown", domid);
}

struct taking_back {
    const char *path;
    bool taken; /* the guest took it before */
};

/* In a transaction: the guest may take it at this moment. */
static int take_back(struct store *s, void *ctx)
{
    struct taking_back *t = ctx;
    char *now = store_read(s, "%s", t->path);
    int rc = 0;

    t->taken = !now || strcmp(now, REQUEST) != 0;
    if (!t->taken)
        rc = store_write(s, t->path, "");
    free(now);
    return rc;
}

/* It has the request and may suspend any moment: then it goes on at once. */
static void await_late(struct host *h, unsigned int domid)
{
    struct error e = { 0 };

    if (await(h, domid, now_ms() + LATE_MS, NULL) == SUSPENDED && suspend_cancel(h, domid, &e) != 0)
        error_print(&e, "orlop: letting the guest go on");
}

static int give_up(struct host *h, unsigned int domid, enum state s, unsigned int seconds,
                   struct error *e)
{
    char path[64];
    struct taking_back t = { .path = path };

    if (s == ENDED)
        return error_set(e, ECANCELED, "Look at its console: orlop log.",
                         "the guest ended while it was asked to suspend");
    request_path(domid, path);
    store_transact(&h->store, take_back, &t);
    if (e->code == EINTR) {
        if (t.taken)
            await_late(h, domid);
        return -1;
    }
    if (t.taken)
        await_late(h, domid);
    return error_set(e, ETIMEDOUT,
                     "Look at its console (orlop log): a kernel that hangs, still starts, or knows "
                     "nothing of this does not answer. --timeout gives it longer.",
                     "the guest was asked to suspend, %s, and did not within %u s; it runs on",
                     t.taken ? "took the request" : "did not take the request", seconds);
}

static int check(struct host *h, unsigned int domid, struct error *e)
{
    char *feature = store_read(&h->store, "/local/domain/%u/control/feature-suspend", domid);
    bool no = policy_listens(feature) == LISTENS_NOT;
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(h->xen, domid, &info);

    free(feature);
    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    if (info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown))
        return error_set(e, EINVAL, NULL, "it does not run: it %s",
                         info.flags & XEN_DOMINF_dying ? "is going" : "has stopped");
    if (info.flags & XEN_DOMINF_paused)
        return error_set(e, EINVAL, "Let it run first: orlop unpause.",
                         "it is paused, and has to suspend itself");
    if (no)
        return error_set(e, EOPNOTSUPP, "Shut it down instead: orlop shutdown.",
                         "the guest says that it cannot suspend");
    return 0;
}

int suspend_guest(struct host *h, unsigned int domid, unsigned int seconds, struct error *e)
{
    char path[64];
    enum state s;
    bool watched;
    int rc;

    if (check(h, domid, e) != 0)
        return -1;
    request_path(domid, path);
    watched = store_watch(&h->store, "@releaseDomain", TOKEN) == 0;
    rc = store_write(&h->store, path, REQUEST);
    if (rc == 0)
        s = await(h, domid, now_ms() + seconds * 1000ll, e);
    if (watched)
        store_unwatch(&h->store, "@releaseDomain", TOKEN);
    if (rc)
        return store_error(e, rc, "asking the guest to suspend");
    if (s != SUSPENDED)
        return give_up(h, domid, s, seconds, e);
    if (e->code == EINTR) { /* a signal came as it suspended */
        struct error none = { 0 };

        suspend_cancel(h, domid, &none);
        return -1;
    }
    return 0;
}

/* A 1 from its suspend call tells the guest that it was cancelled. */
static int tell_cancelled(struct host *h, unsigned int domid, struct error *e)
{
    struct vcpu_guest_context *c = xen_buf(h->xen, sizeof(*c));
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpucontext, .domain = domid };
    int rc;

    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    rc = xen_domctl(h->xen, &op);
    if (rc >= 0) {
        c->user_regs.rax = 1;
        op.cmd = XEN_DOMCTL_setvcpucontext;
        rc = xen_domctl(h->xen, &op);
    }
    xen_buf_free(h->xen, c);
    return rc < 0 ? xen_error(e, rc, "telling the guest that it goes on") : 0;
}

int suspend_cancel(struct host *h, unsigned int domid, struct error *e)
{
    int rc;

    if (tell_cancelled(h, domid, e) != 0)
        return -1;
    rc = xen_domctl_plain(h->xen, domid, XEN_DOMCTL_resumedomain);
    if (rc < 0)
        return xen_error(e, rc, "letting the guest go on");
    xs_resume_domain(h->store.h, domid);
    return 0;
}

void suspend_recover(struct host *h, const uint8_t uuid[16])
{
    int domid = xen_find_uuid(h->xen, uuid);
    struct error e = { 0 };
    char path[64];
    struct taking_back t = { .path = path };

    if (domid < 0)
        return;
    request_path((unsigned int)domid, path);
    store_rm(&h->store, "/local/domain/%d/" SUSPEND_UNRESOLVED, domid);
    store_transact(&h->store, take_back, &t);
    image_log_off(h, (unsigned int)domid);
    if (look(h, (unsigned int)domid) == SUSPENDED &&
        suspend_cancel(h, (unsigned int)domid, &e) != 0)
        error_print(&e, "orlop: letting a guest go on whose saver was killed");
}

/* SPDX-License-Identifier: MIT */
/* Domains by name. */
#include "tools/lib/names.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_PATH "/run/orlop/names.lock"

void name_of(struct store *s, uint32_t domid, char name[NAME_SIZE])
{
    char *v = store_read(s, "/local/domain/%u/name", domid);

    snprintf(name, NAME_SIZE, "%s", v ? v : domid == 0 ? "Domain-0" : "");
    text_clean(name);
    free(v);
}

static int find(struct xen *x, struct store *s, const char *name, struct error *e)
{
    struct xen_domctl_getdomaininfo *all = NULL;
    int n = xen_domlist(x, &all), found = -ESRCH;

    if (n < 0) {
        xen_error(e, n, "listing the domains");
        return n;
    }
    for (int i = 0; i < n && found < 0; i++) {
        char other[NAME_SIZE];

        name_of(s, all[i].domain, other);
        if (strcmp(other, name) == 0)
            found = all[i].domain;
    }
    free(all);
    return found;
}

int name_find(struct xen *x, struct store *s, const char *name, struct error *e)
{
    struct xen_domctl_getdomaininfo info;
    unsigned int domid;
    int rc;

    if (parse_uint(name, &domid)) {
        rc = domid < DOMID_FIRST_RESERVED ? xen_dominfo(x, domid, &info) : -ESRCH;
        if (rc == 0)
            return domid;
        if (rc != -ESRCH)
            return xen_error(e, rc, "domain %s", name);
    } else {
        rc = find(x, s, name, e);
        if (rc >= 0)
            return rc;
        if (rc != -ESRCH)
            return -1;
    }
    return error_set(e, ESRCH, "orlop list shows the domains that exist.",
                     "there is no domain \"%s\"", name);
}

int name_free(struct xen *x, struct store *s, const char *name, struct error *e)
{
    int domid = find(x, s, name, e);

    if (domid == -ESRCH)
        return 0;
    if (domid < 0)
        return -1;
    error_set(e, EEXIST, NULL, "the name \"%s\" is in use by domain %d", name, domid);
    if (domid == 0) /* the host itself */
        return error_remedy(e, "Choose another name= for this guest.");
    return error_remedy(e,
                        "Choose another name= for this guest, or end that one: "
                        "orlop shutdown %s",
                        name);
}

int name_lock(struct error *e)
{
    int rc = make_dirs(LOCK_PATH, 0755);

    if (rc == 0)
        rc = lock_file(LOCK_PATH, true);
    if (rc < 0)
        error_sys(e, -rc, "Run this as root, with /run writable.", "%s", LOCK_PATH);
    return rc;
}

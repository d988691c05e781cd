/* SPDX-License-Identifier: MIT */
/* The hypervisor and the store together. */
#include "tools/cli/host.h"
#include "tools/cli/command.h"
#include "tools/lib/error.h"

#include <string.h>

int host_open(struct host *h, struct error *e)
{
    memset(h, 0, sizeof(*h));
    h->xen = xen_open(e);
    return h->xen ? store_open(&h->store, e) : -1;
}

void host_close(struct host *h)
{
    store_close(&h->store);
    xen_close(h->xen);
    h->xen = NULL;
}

int host_fail(struct host *h, const struct error *e)
{
    host_close(h);
    if (json_output)
        error_print_json(e);
    if (e->remedy[0])
        return cmd_fail("%s\n    %s", e->cause, e->remedy);
    return cmd_fail("%s", e->cause);
}

/* SPDX-License-Identifier: MIT */
/* tools/lib/xen.h without a hypervisor: buffers, errors, a handle for maps that a test makes. */
#ifndef TESTS_CLI_XEN_BUFFERS_H
#define TESTS_CLI_XEN_BUFFERS_H

#include <stdlib.h>
#include <xenforeignmemory.h>

#include "tools/lib/error.h"

struct xen;

void *xen_buf(struct xen *x, size_t size)
{
    return malloc(size);
}

void xen_buf_free(struct xen *x, void *p)
{
    free(p);
}

int xen_error(struct error *e, int err, const char *fmt, ...)
{
    return error_sys(e, -err, NULL, "%s", fmt);
}

xenforeignmemory_handle *xen_fmem(struct xen *x, struct error *e)
{
    static char handle;

    return (void *)&handle;
}

#endif

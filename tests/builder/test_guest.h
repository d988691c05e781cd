/* SPDX-License-Identifier: MIT */
/*
 * A guest that a test program builds on the fake hypervisor: its files, the request, what came of
 * it. Functions are static, since checks count in the program that includes this.
 */
#ifndef TEST_GUEST_H
#define TEST_GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_xen.h"
#include "make_kernel.h"
#include "tools/builder/builder.h"
#include "tools/lib/error.h"
#include "unit.h"

struct guest {
    struct builder_request req;
    struct builder_result res;
    struct error e;
    char dir[64], kernel[128], ramdisk[128];
    uint8_t *initrd;
    size_t initrd_len;
    int rc;
};

/*
 * A fresh fake hypervisor, and a folder with this kernel and a ramdisk of that length (0: the
 * request names none). The request has what the types have in common; kernel NULL: g->e says why.
 */
static void guest_prepare(struct guest *g, enum builder_type type, const void *kernel, size_t len,
                          size_t initrd, uint64_t mib)
{
    memset(g, 0, sizeof(*g));
    fake_reset();
    fake->hvm = type != BUILDER_PV;
    strcpy(g->dir, "/tmp/bld-guest-XXXXXX");
    if (!mkdtemp(g->dir))
        exit(1);
    snprintf(g->kernel, sizeof(g->kernel), "%s/kernel", g->dir);
    snprintf(g->ramdisk, sizeof(g->ramdisk), "%s/initrd", g->dir);
    write_file(g->kernel, kernel, len);
    g->initrd_len = initrd;
    g->initrd = malloc(initrd + 1);
    for (size_t i = 0; i < initrd; i++)
        g->initrd[i] = (uint8_t)(i * 31 + i / 4096);
    write_file(g->ramdisk, g->initrd, initrd);
    g->req = (struct builder_request){ .domid = FAKE_DOMID,
                                       .kernel = builder_kernel_open(g->kernel, NULL, type, &g->e),
                                       .ramdisk = initrd ? g->ramdisk : NULL,
                                       .cmdline = type == BUILDER_HVM ? NULL : "console=hvc0 x=y",
                                       .memory_kib = mib << 10,
                                       .console_port = 3,
                                       .store_port = 4,
                                       .console_domid = 0,
                                       .store_domid = 9 };
}

/* Fails if the kernel was refused. Result in g->rc, g->res, g->e. */
static void guest_build(struct guest *g)
{
    g->rc = g->req.kernel ? builder_build(&g->req, &g->res, &g->e) : -1;
}

/* Removes the files; the fake hypervisor stays as it is. */
static void guest_finish(struct guest *g)
{
    builder_kernel_close(g->req.kernel);
    unlink(g->kernel);
    unlink(g->ramdisk);
    rmdir(g->dir);
    free(g->initrd);
}

/*
 * Where a hardware-assisted guest's address is, to the end of its page; an empty page, and a failed
 * check, if nothing is there.
 */
static const uint8_t *guest_at(uint64_t addr)
{
    static const uint8_t none[4096];
    uint32_t mfn = addr >> 12 < FAKE_GFNS ? fake->mfn_of[addr >> 12] : FAKE_FREE;

    CHECK(mfn != FAKE_FREE);
    return (mfn == FAKE_FREE ? none : (const uint8_t *)fake_frame(mfn)) + addr % 4096;
}

/* Copies out, across pages. */
static void guest_bytes(void *to, uint64_t addr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = *guest_at(addr + i);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A hostile kernel file: opening it, planning its guest, building the guest's page tables.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/builder/child.h"
#include "tools/builder/confine.h"
#include "tools/builder/content.h"
#include "tools/builder/kernel.h"
#include "tools/lib/error.h"

/* In this process, so that the fuzzer sees what the decompressors do (in place of child.c). */
void *child_share(size_t size)
{
    return calloc(1, size);
}

void child_unshare(void *p, size_t size)
{
    (void)size;
    free(p);
}

int child_run(void (*fn)(void *arg), void *arg, const char *what, struct error *e)
{
    (void)what;
    (void)e;
    fn(arg);
    return 0;
}

int confine(int fd, uint64_t max_bytes)
{
    (void)fd;
    (void)max_bytes;
    return 0;
}

#define PAGES 8192ul /* 32 MiB */

static struct builder_kernel *open_bytes(int fd, const uint8_t *data, size_t size)
{
    char path[64];
    struct error e;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return builder_kernel_open(path, NULL, BUILDER_PV, &e);
}

static void build_guest(const struct builder_kernel *k)
{
    struct content_info info = { .cmdline = "x" };
    struct pv_layout plan;
    struct memory m = { 0 };
    struct window w = { 0 };

    if (kernel_plan(k, PAGES, 5000, &plan))
        return;
    memory_init(&m, PAGES);
    for (uint64_t i = 0; i < PAGES; i += CHUNK_PAGES)
        m.chunk[i >> CHUNK_ORDER].base = 77 + i;
    window_add(&w, plan.part[PV_TABLES].pfn, plan.part[PV_TABLES].pages);
    window_add(&w, plan.part[PV_P2M_TABLES].pfn, plan.part[PV_P2M_TABLES].pages);
    window_add(&w, plan.part[PV_P2M].pfn, plan.part[PV_P2M].pages);
    window_add(&w, plan.part[PV_START_INFO].pfn, 1);
    window_close(&w);
    w.base = calloc(w.pages, PAGE_SIZE);
    content_p2m(&plan, &m, &w);
    content_tables(&plan, &m, &w);
    content_start_info(&plan, &m, &info, window_page(&w, plan.part[PV_START_INFO].pfn));
    free(w.base);
    window_free(&w);
    memory_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct builder_kernel *k;

    if (fd < 0)
        fd = memfd_create("fuzz", 0);
    k = open_bytes(fd, data, size);
    if (k) {
        builder_least_memory(k, 0);
        build_guest(k);
    }
    builder_kernel_close(k);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The order of a guest's construction. The kernel's unpacked ELF is a file with holes: what is data
 * there is copied into the guest's pages, and only these pages are mapped; all others stay as the
 * hypervisor gave them, zero.
 */
#define _GNU_SOURCE
#include "tools/builder/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xen/hvm/hvm_info_table.h>
#include <xen/hvm/params.h>

#include "lib/macros.h"
#include "tools/builder/acpi.h"
#include "tools/builder/child.h"
#include "tools/builder/content.h"
#include "tools/builder/domain.h"
#include "tools/builder/kernel.h"
#include "tools/builder/memory.h"
#include "tools/builder/pvh.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#define COPY_BYTES 1024ul /* glibc's threshold for other ways is 2048 or more */

/* Bytes of a mapped file that go to an address of the guest. */
struct piece {
    const uint8_t *from;
    uint64_t len;
    uint64_t addr; /* pseudo-physical */
};

struct pieces {
    struct piece *list;
    size_t nr, room;
};

/* What the child leaves to its parent. */
struct outcome {
    int rc;
    struct builder_result result;
    struct error error;
};

struct build {
    const struct builder_request *req;
    const struct builder_kernel *k;
    struct target t;
    struct memory memory;
    struct pv_layout plan;
    struct pvh_plan pvh;
    const uint8_t *initrd; /* mapped */
    uint64_t initrd_bytes;
    const char *cmdline;
    struct pieces pieces;
    struct window content, tables;
    struct outcome *outcome;
    struct builder_result *result;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int no_memory(const struct build *b)
{
    return error_set(b->t.e, ENOMEM, "Domain 0 needs more free memory.",
                     "not enough memory to build the guest");
}

/* PVH or HVM: hardware-assisted, by a pvh_plan. */
static bool is_hvm(const struct build *b)
{
    return b->k->type != BUILDER_PV;
}

/* --- what is to be read where --- */

static int add_piece(struct build *b, const uint8_t *from, uint64_t len, uint64_t addr)
{
    struct pieces *p = &b->pieces;
    uint64_t first = addr >> PAGE_SHIFT, end = (addr + len + PAGE_SIZE - 1) >> PAGE_SHIFT;

    if (!len)
        return 0;
    if (p->nr == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->list = mem_grow(p->list, p->room * sizeof(*p->list));
    }
    p->list[p->nr++] = (struct piece){ from, len, addr };
    return window_add(&b->content, first, end - first) ? no_memory(b) : 0;
}

/* The pieces of one segment that are not zero. */
static int add_segment(struct build *b, const struct elf_segment *s)
{
    uint64_t start = (uint64_t)(s->data - b->k->elf.data), end = start + s->filesz, at = start;
    uint64_t addr = s->paddr - (is_hvm(b) ? 0 : b->k->notes.paddr_offset);
    int rc = 0;

    while (rc == 0 && at < end) {
        off_t data = lseek(b->k->fd, (off_t)at, SEEK_DATA), hole;

        if (data < 0 && errno == ENXIO) /* nothing but zeros up to the file's end */
            break;
        data = data < 0 ? (off_t)at : data;
        if ((uint64_t)data >= end)
            break;
        hole = lseek(b->k->fd, data, SEEK_HOLE);
        hole = hole < 0 ? (off_t)end : MIN(hole, (off_t)end);
        rc = add_piece(b, b->k->elf.data + data, (uint64_t)(hole - data),
                       addr + ((uint64_t)data - start));
        at = (uint64_t)hole;
    }
    return rc;
}

/* The pages beside kernel and initramfs that are written here. */
static int choose_own(struct build *b)
{
    const struct pv_range *part = b->plan.part;

    if (is_hvm(b))
        return window_add(&b->content, b->pvh.info >> PAGE_SHIFT, b->pvh.info_pages) ||
               (b->pvh.hvm && window_add(&b->content, HVM_INFO_PFN, 1));
    return window_add(&b->content, part[PV_P2M].pfn, part[PV_P2M].pages) ||
           window_add(&b->content, part[PV_START_INFO].pfn, 1) ||
           window_add(&b->tables, part[PV_TABLES].pfn, part[PV_TABLES].pages) ||
           window_add(&b->tables, part[PV_P2M_TABLES].pfn, part[PV_P2M_TABLES].pages);
}

static int choose_content(struct build *b)
{
    uint64_t initrd = is_hvm(b) ? b->pvh.initrd : b->plan.part[PV_INITRD].pfn << PAGE_SHIFT;
    struct elf_segment s;

    for (unsigned int i = 0; elf_next_segment(&b->k->elf, &i, ELF_PT_LOAD, &s);)
        if (add_segment(b, &s))
            return -1;
    if (add_piece(b, b->k->symbols, b->k->symbols_len,
                  kernel_symbols_at(b->k) - b->k->notes.paddr_offset))
        return -1;
    if (add_piece(b, b->initrd, b->initrd_bytes, initrd))
        return -1;
    if (choose_own(b))
        return no_memory(b);
    window_close(&b->content);
    window_close(&b->tables);
    return 0;
}

/* --- the child's work --- */

/* In short calls of memcpy: for long ones it changes to `rep movsb`, with its slow start. */
static void copy_piece(const struct build *b, const struct piece *p)
{
    uint8_t *to = (uint8_t *)window_page(&b->content, p->addr >> PAGE_SHIFT) + p->addr % PAGE_SIZE;
    uint64_t done, n;

    for (done = 0; done < p->len; done += n) {
        n = MIN(p->len - done, COPY_BYTES);
        memcpy(to + done, p->from + done, n);
    }
}

/* New memory is zero, say Xen and Orlop; a hypervisor built for debugging may think otherwise. */
static bool arrived_clean(const struct build *b)
{
    static const uint8_t zero[PAGE_SIZE];
    uint64_t info = is_hvm(b) ? b->pvh.info >> PAGE_SHIFT : b->plan.part[PV_START_INFO].pfn;

    for (uint64_t i = 0; i < b->tables.pages; i++)
        if (memcmp(b->tables.base + (i << PAGE_SHIFT), zero, PAGE_SIZE) != 0)
            return false;
    return memcmp(window_page(&b->content, info), zero, PAGE_SIZE) == 0;
}

/* What the guest starts with, by the hypervisor or (PVH, HVM) by ourselves. */
static int clear(struct build *b)
{
    struct window all = { 0 };

    if (!is_hvm(b))
        return domain_clear(&b->t, &b->memory, b->plan.used_pages);
    if (window_add(&all, 0, b->pvh.used_pages))
        return no_memory(b);
    window_close(&all);
    if (domain_map(&b->t, &b->memory, &all))
        return -1;
    memset(all.base, 0, all.pages << PAGE_SHIFT);
    return domain_unmap(&b->t, &all);
}

/* As much as Xen's tools give: 1 MiB for each vCPU, 8 KiB for each MiB of memory. */
static uint64_t pool_kib(const struct builder_request *r)
{
    return (MAX(r->max_kib, r->memory_kib) >> 10) * 8 + r->vcpus * 1024ul;
}

static int get_memory(struct build *b)
{
    if (memory_init(&b->memory, b->req->memory_kib * 1024 >> PAGE_SHIFT))
        return no_memory(b);
    if (is_hvm(b)) {
        b->memory.hole_at = PVH_HOLE;
        b->memory.hole_pages = PVH_HOLE_END - PVH_HOLE;
        if (domain_paging_pool(&b->t, pool_kib(b->req)))
            return -1;
    }
    return domain_populate(&b->t, &b->memory);
}

static int load(struct build *b)
{
    if (choose_content(b) || domain_map(&b->t, &b->memory, &b->content) ||
        (b->tables.pages && domain_map(&b->t, &b->memory, &b->tables)))
        return -1;
    if (!arrived_clean(b) && clear(b))
        return -1;
    for (size_t i = 0; i < b->pieces.nr; i++)
        copy_piece(b, &b->pieces.list[i]);
    return 0;
}

static void tell_guest(struct build *b)
{
    struct content_info info = {
        .shared_info_mfn = b->result->shared_info_mfn,
        .console_port = b->req->console_port,
        .store_port = b->req->store_port,
        .flags = b->req->start_flags,
        .initrd_bytes = b->initrd_bytes,
        .cmdline = b->cmdline,
    };

    content_p2m(&b->plan, &b->memory, &b->content);
    content_start_info(&b->plan, &b->memory, &info,
                       window_page(&b->content, b->plan.part[PV_START_INFO].pfn));
}

static int set_params(struct build *b)
{
    const struct builder_request *r = b->req;
    const struct {
        uint32_t index;
        uint64_t value;
    } params[] = { { HVM_PARAM_STORE_PFN, PVH_STORE },
                   { HVM_PARAM_STORE_EVTCHN, r->store_port },
                   { HVM_PARAM_CONSOLE_PFN, PVH_CONSOLE },
                   { HVM_PARAM_CONSOLE_EVTCHN, r->console_port },
                   /* HVM only */
                   { HVM_PARAM_PAE_ENABLED, 1 },
                   { HVM_PARAM_TIMER_MODE, HVMPTM_no_delay_for_missed_ticks },
                   { HVM_PARAM_VIRIDIAN, r->viridian },
                   { HVM_PARAM_HPET_ENABLED, 1 },
                   { HVM_PARAM_VPT_ALIGN, 1 } };
    unsigned int nr = b->pvh.hvm ? ARRAY_SIZE(params) : 4;

    for (unsigned int i = 0; i < nr; i++)
        if (domain_set_param(&b->t, params[i].index, params[i].value))
            return -1;
    return 0;
}

static int finish_pvh(struct build *b)
{
    const struct pvh_plan *p = &b->pvh;
    void *acpi = domain_add_pages(&b->t, PVH_ACPI, p->acpi_pages);

    if (!acpi || !domain_add_pages(&b->t, PVH_RINGS, PVH_NR_RINGS))
        return -1;
    acpi_tables(acpi, PVH_ACPI << PAGE_SHIFT, b->req->vcpus);
    pvh_start_info(p, b->cmdline, window_page(&b->content, p->info >> PAGE_SHIFT));
    b->result->console_mfn = PVH_CONSOLE;
    b->result->store_mfn = PVH_STORE;
    if (domain_memory_map(&b->t, p->map, p->ranges) ||
        domain_grants(&b->t, b->req, PVH_CONSOLE, PVH_STORE) || set_params(b))
        return -1;
    return domain_start_hvm(&b->t, b->req->vcpus, p->entry, (uint32_t)p->info);
}

static int finish_hvm(struct build *b)
{
    const struct builder_request *r = b->req;
    const struct pvh_plan *p = &b->pvh;

    if (!domain_add_pages(&b->t, PVH_RINGS, PVH_NR_RINGS))
        return -1;
    pvh_start_info(p, b->cmdline, window_page(&b->content, p->info >> PAGE_SHIFT));
    hvm_info(window_page(&b->content, HVM_INFO_PFN), b->memory.nr_pages, r->vcpus, r->vcpus_online);
    b->result->console_mfn = PVH_CONSOLE;
    b->result->store_mfn = PVH_STORE;
    if (domain_drop_pages(&b->t, HVM_VGA, HVM_VGA_PAGES) ||
        domain_memory_map(&b->t, p->map, p->ranges) ||
        domain_grants(&b->t, r, PVH_CONSOLE, PVH_STORE) || set_params(b))
        return -1;
    return domain_start_hvm(&b->t, 0, p->entry, (uint32_t)p->info);
}

static int finish_pv(struct build *b)
{
    const struct pv_layout *l = &b->plan;
    struct builder_result *r = b->result;
    xen_pfn_t l4 = memory_mfn(&b->memory, l->part[PV_TABLES].pfn);
    const struct e820_entry ram = { .size = MAX(b->req->max_kib, b->req->memory_kib) << 10,
                                    .type = E820_RAM };

    r->console_mfn = memory_mfn(&b->memory, l->part[PV_CONSOLE].pfn);
    r->store_mfn = memory_mfn(&b->memory, l->part[PV_STORE].pfn);
    if (domain_shared_info(&b->t, &r->shared_info_mfn))
        return -1;
    tell_guest(b);
    content_tables(l, &b->memory, &b->tables);
    if (domain_unmap(&b->t, &b->tables) || domain_memory_map(&b->t, &ram, 1) ||
        domain_grants(&b->t, b->req, r->console_mfn, r->store_mfn))
        return -1;
    if (l->hypercall_page != PV_NO_VA &&
        domain_hypercall_page(
            &b->t, memory_mfn(&b->memory, (l->hypercall_page - l->v_start) >> PAGE_SHIFT)))
        return -1;
    return domain_pin_l4(&b->t, l4) || domain_start_vcpu(&b->t, l, l4) ? -1 : 0;
}

static int build(struct build *b)
{
    uint64_t start = now_ns(), populated, loaded;

    b->t.x = xen_open(b->t.e);
    if (!b->t.x || get_memory(b))
        return -1;
    populated = now_ns();
    if (load(b))
        return -1;
    loaded = now_ns();
    if (b->pvh.hvm ? finish_hvm(b) : is_hvm(b) ? finish_pvh(b) : finish_pv(b))
        return -1;
    b->result->nr_pages = b->memory.nr_pages;
    b->result->kind = builder_kernel_kind(b->k);
    b->result->populate_ns = populated - start;
    b->result->load_ns = loaded - populated;
    b->result->finish_ns = now_ns() - loaded;
    return 0;
}

/* --- the parent's --- */

static int map_ramdisk(struct build *b, int fd)
{
    const char *path = b->req->ramdisk;
    struct stat st;
    void *p;

    if (fd < 0 || fstat(fd, &st))
        return error_sys(b->t.e, errno, "Correct ramdisk= in the guest's configuration.",
                         "the initramfs %s cannot be opened", path);
    if (!S_ISREG(st.st_mode))
        return error_set(b->t.e, EINVAL, "ramdisk= must name an initramfs.", "%s is not a file",
                         path);
    if (!st.st_size)
        return 0;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return error_sys(b->t.e, errno, NULL, "the initramfs %s cannot be read", path);
    madvise(p, (size_t)st.st_size, MADV_WILLNEED);
    b->initrd = p;
    b->initrd_bytes = (uint64_t)st.st_size;
    return 0;
}

static int open_ramdisk(struct build *b)
{
    int fd, rc;

    if (!b->req->ramdisk)
        return 0;
    fd = open(b->req->ramdisk, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    rc = map_ramdisk(b, fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int check_request(struct build *b)
{
    const struct builder_request *r = b->req;

    b->cmdline = r->cmdline ? r->cmdline : "";
    if (strlen(b->cmdline) >= MAX_GUEST_CMDLINE)
        return error_set(b->t.e, E2BIG, "Shorten cmdline=, root= or extra=.",
                         "the kernel's command line has %zu characters, and %u fit",
                         strlen(b->cmdline), MAX_GUEST_CMDLINE - 1);
    if (!r->memory_kib || (r->max_kib && r->max_kib < r->memory_kib))
        return error_set(b->t.e, EINVAL, "Correct memory= and maxmem=.",
                         "%lu KiB of memory at start with at most %lu KiB makes no sense",
                         r->memory_kib, r->max_kib);
    if (is_hvm(b) && (r->max_kib > r->memory_kib || !r->vcpus || r->vcpus > BUILDER_PVH_VCPUS))
        return error_set(b->t.e, EINVAL, "Correct maxmem= and maxvcpus=.",
                         "a PVH or HVM guest has as much memory as it may have, and 1 to %u vCPUs",
                         BUILDER_PVH_VCPUS);
    return r->features && !is_hvm(b) ? kernel_check(b->k, r->features, b->t.e) : 0;
}

static int make_plan(struct build *b)
{
    uint64_t pages = b->req->memory_kib * 1024 >> PAGE_SHIFT;
    const char *why = is_hvm(b) ? pvh_plan(b->k, pages, b->initrd_bytes, b->req->vcpus, &b->pvh)
                                : kernel_plan(b->k, pages, b->initrd_bytes, &b->plan);
    uint64_t least = why ? builder_least_memory(b->k, b->initrd_bytes) : 0;

    if (!why)
        return 0;
    error_set(b->t.e, EINVAL, "Use another kernel: this one cannot start as such a guest.",
              "%s: %s", b->k->path, why);
    if (!least)
        return -1;
    error_set(b->t.e, ENOMEM, NULL,
              "%lu MiB of memory are too little for the kernel %s (%lu MiB unpacked) and an "
              "initramfs of %lu KiB",
              b->req->memory_kib >> 10, b->k->path, b->k->size >> 20, b->initrd_bytes >> 10);
    return error_remedy(b->t.e, "Set memory= to more than %lu.", (least + 1023) >> 10);
}

static void build_in_child(void *arg)
{
    struct build *b = arg;

    b->t.e = &b->outcome->error;
    b->result = &b->outcome->result;
    b->outcome->rc = build(b);
}

/* The parent has the child's result and error. */
static int run(struct build *b)
{
    struct error *e = b->t.e;

    if (child_run(build_in_child, b, "build the guest", e))
        return -1;
    if (b->outcome->rc)
        *e = b->outcome->error;
    return b->outcome->rc;
}

int builder_build(const struct builder_request *req, struct builder_result *result, struct error *e)
{
    struct error local;
    struct build b = { .req = req, .k = req->kernel, .outcome = child_share(sizeof(*b.outcome)) };
    int rc = -1;

    e = e ? e : &local;
    b.t = (struct target){ .domid = req->domid, .e = e };
    if (!b.outcome)
        return no_memory(&b);
    if (open_ramdisk(&b) == 0 && check_request(&b) == 0 && make_plan(&b) == 0)
        rc = run(&b);
    if (rc == 0)
        *result = b.outcome->result;
    if (b.initrd)
        munmap((void *)b.initrd, b.initrd_bytes);
    child_unshare(b.outcome, sizeof(*b.outcome));
    return rc;
}

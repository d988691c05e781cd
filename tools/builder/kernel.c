/* SPDX-License-Identifier: MIT */
/* From the file that a user names to an ELF with Xen notes. */
#define _GNU_SOURCE
#include "tools/builder/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "lib/bzimage.h"
#include "lib/macros.h"
#include "lib/strutil.h"
#include "tools/builder/cache.h"
#include "tools/builder/child.h"
#include "tools/builder/confine.h"
#include "tools/builder/memory.h"
#include "tools/builder/pvh.h"
#include "tools/builder/unpack.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#define HV_START 0xffff800000000000ul /* fixed by the ABI: L4 slots 256 to 271 */
#define HV_END 0xffff880000000000ul
#define FEATURE(name) (UINT32_C(1) << XENFEAT_##name)
#define USUAL_FEATURES                                              \
    (FEATURE(writable_page_tables) | FEATURE(pae_pgdir_above_4gb) | \
     FEATURE(mmu_pt_update_preserve_ad) | FEATURE(highmem_assist) | \
     FEATURE(gnttab_map_avail_bits) | FEATURE(memory_op_vnode_supported))

static const char remedy_file[] =
    "kernel= must name a Linux bzImage or an ELF kernel; if this is one, the file is damaged: copy "
    "it again or reinstall its package.";
static const char remedy_pvh[] =
    "Use a kernel with Xen PVH support, such as Debian's linux-image-amd64, or type = 'pv'.";
static const char remedy_loader[] = "Install the package again that it belongs to: xen-utils-*.";
static const char remedy_kind[] =
    "Use a 64-bit kernel with Xen PV support: Debian's linux-image-amd64, or to boot from the "
    "guest's own disk /usr/lib/grub-xen/grub-x86_64-xen.bin of package grub-xen-host.";

/* --- unpacking --- */

struct file_sink {
    struct unpack_sink sink;
    int fd, err;
    uint64_t at, total;
};

static bool is_zero(const void *p, size_t len)
{
    static const uint8_t zero[PAGE_SIZE];

    return memcmp(p, zero, len) == 0;
}

static bool write_at(int fd, const uint8_t *p, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, p, len, (off_t)at);

        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
        at += (size_t)n;
    }
    return true;
}

/* Writes all but the pages of zeros: these stay holes, and builder_build skips them. */
static const char *put_in_file(struct unpack_sink *sink, const void *data, size_t len)
{
    struct file_sink *f = container_of(sink, struct file_sink, sink);
    const uint8_t *p = data;
    size_t done = 0, run = 0; /* [run, done) is still to be written */

    while (done < len) {
        size_t n = MIN(PAGE_SIZE - (f->at + done) % PAGE_SIZE, len - done);
        bool zero = is_zero(p + done, n);

        done += zero ? 0 : n;
        if (zero || done == len) {
            if (!write_at(f->fd, p + run, done - run, f->at + run)) {
                f->err = errno;
                return "the unpacked kernel cannot be written";
            }
            done += zero ? n : 0;
            run = done;
        }
    }
    f->at += len;
    progress("unpacking kernel", f->at, f->total);
    return NULL;
}

struct unpacking {
    const struct bz_payload *payload;
    int fd;
    const char *why; /* not a word of the child's own memory, but of the program's text */
    int err;         /* why is for want of room */
    int confined;    /* 0, or the -errno for which nothing was done */
};

static void unpack_to(void *arg)
{
    struct unpacking *u = arg;
    uint64_t size = u->payload->unpacked_size;
    struct file_sink f = { .sink = { put_in_file }, .fd = u->fd, .total = size };

    u->confined = u->payload->format == BZ_ELF ? 0 : confine(u->fd, size);
    if (u->confined < 0)
        return;
    u->why = unpack_stream(u->payload, &f.sink);
    if (!u->why && ftruncate(u->fd, (off_t)size)) {
        f.err = errno;
        u->why = "the unpacked kernel cannot be written";
    }
    u->err = f.err;
}

/*
 * By a child, unless it only has to be copied: decompressors are large, take tens of MiB for
 * themselves, and read what anybody may have written. The child can do nothing else (confine.h).
 */
static int unpack_once(struct unpacking *u, struct error *e)
{
    struct unpacking *shared;
    int rc;

    u->err = 0;
    if (u->payload->format == BZ_ELF) {
        unpack_to(u);
        return 0;
    }
    shared = child_share(sizeof(*shared));
    if (!shared)
        return error_sys(e, errno, NULL, "the kernel cannot be unpacked");
    *shared = *u;
    rc = child_run(unpack_to, shared, "unpack the kernel", e);
    *u = *shared;
    child_unshare(shared, sizeof(*shared));
    return rc;
}

/* In the cache, even if that costs its older entries; in memory where there is no room for it. */
static int unpack(struct builder_kernel *k, const struct bz_payload *p, const struct cache *c,
                  struct error *e)
{
    struct unpacking u = { .payload = p };
    bool in_memory = false;

    for (;;) {
        k->fd = u.fd = in_memory ? memfd_create("orlop-kernel", MFD_CLOEXEC) : cache_new_file(c);
        if (u.fd >= 0 && unpack_once(&u, e))
            return -1;
        if (u.fd < 0 || !u.err || in_memory)
            break;
        close(u.fd);
        in_memory = u.err != ENOSPC || !cache_drop_oldest(c);
    }
    k->size = p->unpacked_size;
    if (u.confined)
        return error_sys(e, -u.confined, "Domain 0's kernel needs seccomp (CONFIG_SECCOMP_FILTER).",
                         "%s: the process that unpacks it cannot be confined", k->path);
    if (u.fd < 0 || u.err)
        return error_sys(e, u.fd < 0 ? errno : u.err, "Domain 0 needs more free memory.",
                         "%s: the unpacked kernel (%lu MiB) cannot be stored", k->path,
                         p->unpacked_size >> 20);
    return u.why ? error_set(e, EINVAL, remedy_file, "%s: %s", k->path, u.why) : 0;
}

static int unpack_file(struct builder_kernel *k, int fd, const struct cache *c, struct error *e)
{
    size_t len = (size_t)c->of.st_size;
    void *map = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    struct bz_payload payload;
    const char *why;
    struct stat now;
    int rc;

    if (!len)
        return error_set(e, EINVAL, remedy_file, "%s is empty", k->path);
    if (map == MAP_FAILED)
        return error_sys(e, errno, NULL, "%s cannot be read", k->path);
    why = bzimage_parse(map, len, &payload);
    rc = why ? error_set(e, EINVAL, remedy_file, "%s: %s", k->path, why)
             : unpack(k, &payload, c, e);
    munmap(map, len);
    if (rc == 0 && (fstat(fd, &now) || now.st_size != c->of.st_size ||
                    memcmp(&now.st_mtim, &c->of.st_mtim, sizeof(now.st_mtim)) != 0))
        return error_set(e, EAGAIN, "Try again when nothing writes it.", "%s changed meanwhile",
                         k->path);
    return rc;
}

/* --- what it is --- */

static void take_symbols(struct builder_kernel *k)
{
    k->symbols_len = k->notes.bsd_symtab ? elf_bsd_symtab(&k->elf, NULL) : 0;
    if (!k->symbols_len)
        return;
    k->symbols = mem_alloc(k->symbols_len);
    elf_bsd_symtab(&k->elf, k->symbols);
}

/* Of 32 or 64 bits: it starts in 32-bit code either way. */
static int check_pvh(const struct builder_kernel *k, struct error *e)
{
    if (k->elf.machine != ELF_EM_X86_64 && k->elf.machine != ELF_EM_386)
        return error_set(e, EINVAL, remedy_pvh, "%s is not for x86", k->path);
    if (!xennote_has(&k->notes, XEN_ELFNOTE_PHYS32_ENTRY))
        return error_set(e, EINVAL, remedy_pvh,
                         "%s cannot start as a PVH guest: it has no note PHYS32_ENTRY", k->path);
    return 0;
}

static int parse(struct builder_kernel *k, struct error *e)
{
    const char *why;

    k->map = mmap(NULL, k->size, PROT_READ, MAP_PRIVATE, k->fd, 0);
    if (k->map == MAP_FAILED) {
        k->map = NULL;
        return error_sys(e, errno, NULL, "%s: the unpacked kernel cannot be mapped", k->path);
    }
    if (k->type == BUILDER_PV && elf_identify(k->map, k->size) == ELF_32)
        return error_set(e, EINVAL, remedy_kind, "%s is a 32-bit kernel", k->path);
    why = elf_open_any(&k->elf, k->map, k->size);
    if (why)
        return error_set(e, EINVAL, k->type == BUILDER_HVM ? remedy_loader : remedy_file, "%s: %s",
                         k->path, why);
    if (k->type == BUILDER_HVM)
        return 0;
    why = xennote_parse(&k->elf, &k->notes);
    if (why)
        return error_set(e, EINVAL, remedy_kind, "%s: %s", k->path, why);
    if (k->type == BUILDER_PVH)
        return check_pvh(k, e);
    take_symbols(k);
    return kernel_check(k, 0, e);
}

int kernel_check(const struct builder_kernel *k, uint32_t features, struct error *e)
{
    const char *why = xennote_check_pv(&k->notes, &k->elf, HV_START,
                                       features ? features : USUAL_FEATURES, false);

    return why ? error_set(e, EINVAL, remedy_kind, "%s: %s", k->path, why) : 0;
}

static int open_file(const char *path, struct stat *st, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, st)) {
        error_sys(e, errno, "Correct kernel= in the guest's configuration.",
                  "the kernel %s cannot be opened", path);
    } else if (!S_ISREG(st->st_mode)) {
        error_set(e, EINVAL, "kernel= must name a kernel's file.", "%s is not a file", path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_kernel(struct builder_kernel *k, const char *cache, struct error *e)
{
    struct stat st;
    struct cache c;
    int rc = 0, fd = open_file(k->path, &st, e);

    if (fd < 0)
        return -1;
    cache_open(&c, cache, &st);
    k->fd = cache_find(&c, &k->size);
    k->cached = k->fd >= 0;
    if (!k->cached)
        rc = unpack_file(k, fd, &c, e);
    if (rc == 0)
        rc = parse(k, e);
    if (rc == 0 && !k->cached)
        cache_keep(&c, k->fd, k->size);
    cache_close(&c);
    close(fd);
    return rc;
}

struct builder_kernel *builder_kernel_open(const char *path, const char *cache,
                                           enum builder_type type, struct error *e)
{
    struct builder_kernel *k = mem_alloc(sizeof(*k));

    k->type = type;
    k->fd = -1;
    k->path = str_dup(path);
    if (open_kernel(k, cache, e) == 0)
        return k;
    builder_kernel_close(k);
    return NULL;
}

void builder_kernel_close(struct builder_kernel *k)
{
    if (!k)
        return;
    if (k->map)
        munmap(k->map, k->size);
    if (k->fd >= 0)
        close(k->fd);
    free(k->symbols);
    free(k->path);
    free(k);
}

int builder_cache_clear(const char *cache, struct error *e)
{
    int rc = cache_clear(cache);

    return rc ? error_sys(e, -rc, NULL, "the kernel cache %s cannot be read", cache) : 0;
}

/* --- questions --- */

static const struct {
    const char *os, *name;
} kinds[] = {
    [BUILDER_OTHER] = { "", "other" },
    [BUILDER_LINUX] = { "linux", "Linux" },
    [BUILDER_GRUB] = { "GRUB", "GRUB" },
    [BUILDER_MINIOS] = { "Mini-OS", "Mini-OS" },
};

const char *builder_kind_name(enum builder_kind kind)
{
    return kinds[kind].name;
}

enum builder_kind builder_kernel_kind(const struct builder_kernel *k)
{
    for (unsigned int i = BUILDER_OTHER + 1; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(k->notes.guest_os, kinds[i].os))
            return i;
    return BUILDER_OTHER;
}

const char *builder_kernel_version(const struct builder_kernel *k)
{
    return k->notes.guest_version;
}

bool builder_kernel_was_cached(const struct builder_kernel *k)
{
    return k->cached;
}

uint64_t kernel_symbols_at(const struct builder_kernel *k)
{
    uint64_t low, high;

    elf_extent(&k->elf, &low, &high);
    return ALIGN_UP(high, 8);
}

const char *kernel_plan(const struct builder_kernel *k, uint64_t nr_pages, uint64_t initrd_bytes,
                        struct pv_layout *out)
{
    struct pv_layout_input in = {
        .notes = &k->notes,
        .nr_pages = nr_pages,
        .initrd_bytes = initrd_bytes,
        .hv_start = HV_START,
        .hv_end = HV_END,
    };

    elf_extent(&k->elf, &in.kernel_low, &in.kernel_high);
    if (in.kernel_high > UINT64_MAX - 8 - k->symbols_len)
        return "its segments reach the end of the address space";
    if (k->symbols_len)
        in.kernel_high = kernel_symbols_at(k) + k->symbols_len;
    return pv_layout_plan(&in, out);
}

uint64_t builder_least_memory(const struct builder_kernel *k, uint64_t ramdisk_bytes)
{
    uint64_t pages = UINT64_C(1) << 24; /* 64 GiB; the p2m list shrinks with the memory */
    struct pv_layout plan;
    struct pvh_plan pvh;

    if (k->type != BUILDER_PV) {
        const char *why = pvh_plan(k, pages, ramdisk_bytes, 1, &pvh);

        return why ? 0 : pvh.used_pages << PAGE_SHIFT >> 10;
    }
    while (!kernel_plan(k, pages, ramdisk_bytes, &plan)) {
        if (plan.used_pages == pages)
            return pages << PAGE_SHIFT >> 10;
        pages = plan.used_pages;
    }
    return 0;
}

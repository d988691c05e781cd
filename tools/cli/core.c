/* SPDX-License-Identifier: MIT */
/*
 * Core files. The sizes are known only at the end, so the file is laid out with room for all frames
 * there could be, pages are appended as they are read, and the headers are written last:
 *
 *   ELF header, section headers, .shstrtab, .note.Xen, .xen_prstatus, .xen_shared_info
 *   .xen_p2m     room for as many entries as the guest has frames
 *   .xen_pages   aligned to a page; holes for zeros
 *
 * A hardware-assisted guest has no .xen_shared_info, and in place of .xen_p2m .xen_pfn, the numbers
 * of its frames. No table of its own is read: all numbers that it may have are tried. Most of them
 * lie in the hole below 4 GiB and name nothing; so what is behind the hole is counted first, and it
 * is passed over once all that is left is there.
 *
 * The guest writes the table that says which frames it has. So each frame is written once however
 * often the table names it, no more of them than the hypervisor counts for the guest, and a table
 * that goes on naming frames that are not the guest's is not read to its end.
 */
#define _GNU_SOURCE
#include "tools/cli/core.h"
#include "lib/macros.h"
#include "tools/cli/frame_set.h"
#include "tools/cli/host.h"
#include "tools/cli/p2m.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xen/elfnote.h>
#include <xen/version.h>

#define PAGE 4096ull
#define MAGIC_PV 0xF00FEBEDull
#define MAGIC_HVM 0xF00FEBEEull
#define HOLE 0xf0000ull /* of hardware-assisted guests: frames from here on up to 4 GiB ... */
#define HOLE_END 0x100000ull
#define FORMAT_VERSION 1ull
#define KEEP_FREE (64ull << 20) /* bytes that a core file leaves to others, at least ... */
#define KEEP_SHARE 20           /* ... and this part of the file system */

enum { S_NULL, S_STRTAB, S_NOTE, S_PRSTATUS, S_SHARED, S_P2M, S_PAGES, S_COUNT };

static const char *const section_name[S_COUNT] = {
    "", ".shstrtab", ".note.Xen", ".xen_prstatus", ".xen_shared_info", ".xen_p2m", ".xen_pages"
};

struct header_note {
    uint64_t magic, nr_vcpus, nr_pages, page_size;
};

struct version_note {
    uint64_t major, minor;
    xen_extraversion_t extra;
    xen_compile_info_t compile;
    xen_capabilities_info_t capabilities;
    xen_changeset_info_t changeset;
    xen_platform_parameters_t platform;
    uint64_t page_size;
};

struct p2m_entry {
    uint64_t pfn, gmfn;
};

struct core {
    struct host *h;
    unsigned int domid, max_vcpu;
    int fd;
    struct p2m p2m;
    Elf64_Shdr section[S_COUNT];
    struct version_note version;
    uint64_t nr_vcpus, nr_pages;
    uint64_t max_pages; /* that the guest has, by the hypervisor's count */
    uint64_t strange;   /* entries of its table that name no frame of its own */
    struct frame_set written;
};

static size_t entry_size(const struct core *c)
{
    return c->p2m.hvm ? sizeof(uint64_t) : sizeof(struct p2m_entry);
}

static int put_at(struct core *c, uint64_t at, const void *data, size_t n)
{
    const char *p = data;

    while (n) {
        ssize_t done = pwrite(c->fd, p, n, at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        p += done;
        at += done;
        n -= done;
    }
    return 0;
}

static void place(struct core *c, int s, uint64_t at, uint64_t size, uint32_t type, uint64_t entry)
{
    c->section[s] = (Elf64_Shdr){ .sh_type = type,
                                  .sh_offset = at,
                                  .sh_size = size,
                                  .sh_addralign = s == S_PAGES ? PAGE : 8,
                                  .sh_entsize = entry };
}

static uint64_t end_of(const struct core *c, int s)
{
    return (c->section[s].sh_offset + c->section[s].sh_size + 7) & ~7ull;
}

/* --- what the hypervisor and the vCPUs say --- */

static void version_string(struct core *c, int what, void *out, size_t size)
{
    void *buf = xen_buf(c->h->xen, PAGE);

    memset(buf, 0, PAGE);
    if (xen_call(c->h->xen, __HYPERVISOR_xen_version, what, (uintptr_t)buf, 0, 0) >= 0)
        memcpy(out, buf, size);
    xen_buf_free(c->h->xen, buf);
}

static void get_version(struct core *c)
{
    struct version_note *v = &c->version;
    long n = xen_call(c->h->xen, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);

    v->major = n < 0 ? 0 : n >> 16;
    v->minor = n < 0 ? 0 : n & 0xffff;
    version_string(c, XENVER_extraversion, v->extra, sizeof(v->extra));
    version_string(c, XENVER_compile_info, &v->compile, sizeof(v->compile));
    version_string(c, XENVER_capabilities, v->capabilities, sizeof(v->capabilities));
    version_string(c, XENVER_changeset, v->changeset, sizeof(v->changeset));
    version_string(c, XENVER_platform_parameters, &v->platform, sizeof(v->platform));
    v->page_size = PAGE;
}

/* The vCPUs that were ever started, in their order. */
static int write_vcpus(struct core *c, uint64_t at)
{
    vcpu_guest_context_t *ctx = xen_buf(c->h->xen, sizeof(*ctx));
    int rc = 0;

    for (unsigned int v = 0; rc == 0 && v <= c->max_vcpu; v++) {
        struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpucontext, .domain = c->domid };

        memset(ctx, 0, sizeof(*ctx));
        op.u.vcpucontext.vcpu = v;
        set_xen_guest_handle(op.u.vcpucontext.ctxt, ctx);
        if (xen_domctl(c->h->xen, &op) < 0)
            continue;
        rc = put_at(c, at + c->nr_vcpus * sizeof(*ctx), ctx, sizeof(*ctx));
        c->nr_vcpus++;
    }
    xen_buf_free(c->h->xen, ctx);
    place(c, S_PRSTATUS, at, c->nr_vcpus * sizeof(*ctx), SHT_PROGBITS, sizeof(*ctx));
    return rc;
}

/* --- notes and headers --- */

static size_t add_note(char *out, uint32_t type, const void *desc, uint32_t size)
{
    Elf64_Nhdr n = { .n_namesz = 4, .n_descsz = size, .n_type = type };

    memcpy(out, &n, sizeof(n));
    memcpy(out + sizeof(n), "Xen", 4);
    if (size)
        memcpy(out + sizeof(n) + 4, desc, size);
    return (sizeof(n) + 4 + size + 3) & ~3ull;
}

static size_t all_notes(struct core *c, char *out)
{
    struct header_note h = { c->p2m.hvm ? MAGIC_HVM : MAGIC_PV, c->nr_vcpus, c->nr_pages, PAGE };
    uint64_t format = FORMAT_VERSION;
    size_t n = add_note(out, XEN_ELFNOTE_DUMPCORE_NONE, NULL, 0);

    n += add_note(out + n, XEN_ELFNOTE_DUMPCORE_HEADER, &h, sizeof(h));
    n += add_note(out + n, XEN_ELFNOTE_DUMPCORE_XEN_VERSION, &c->version, sizeof(c->version));
    return n + add_note(out + n, XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, &format, sizeof(format));
}

#define NOTES_MAX (sizeof(struct version_note) + 256)

static int write_headers(struct core *c)
{
    Elf64_Ehdr e = { .e_type = ET_CORE,
                     .e_machine = EM_X86_64,
                     .e_version = EV_CURRENT,
                     .e_ehsize = sizeof(e),
                     .e_shoff = sizeof(e),
                     .e_shentsize = sizeof(Elf64_Shdr),
                     .e_shnum = S_COUNT,
                     .e_shstrndx = S_STRTAB };
    char names[128] = "", notes[NOTES_MAX] = "";
    size_t n = 0, len;
    int rc;

    memcpy(e.e_ident, ELFMAG, SELFMAG);
    e.e_ident[EI_CLASS] = ELFCLASS64;
    e.e_ident[EI_DATA] = ELFDATA2LSB;
    e.e_ident[EI_VERSION] = EV_CURRENT;
    for (int s = 0; s < S_COUNT; s++) {
        c->section[s].sh_name = n;
        strcpy(names + n, s == S_P2M && c->p2m.hvm ? ".xen_pfn" : section_name[s]);
        n += strlen(names + n) + 1;
    }
    c->section[S_STRTAB].sh_size = n;
    len = all_notes(c, notes);
    c->section[S_NOTE].sh_size = len;
    rc = put_at(c, 0, &e, sizeof(e));
    rc = rc ? rc : put_at(c, sizeof(e), c->section, sizeof(c->section));
    rc = rc ? rc : put_at(c, c->section[S_STRTAB].sh_offset, names, n);
    return rc ? rc : put_at(c, c->section[S_NOTE].sh_offset, notes, len);
}

/* --- pages --- */

static bool all_zero(const void *page)
{
    const uint64_t *p = page;

    return p[0] == 0 && memcmp(p, p + 1, PAGE - 8) == 0;
}

/* A run of pages that are not zero goes out at once. */
static int write_pages(struct core *c, const char *pages, unsigned int n)
{
    uint64_t at = c->section[S_PAGES].sh_offset + c->nr_pages * PAGE;
    unsigned int from = 0;
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i <= n; i++) {
        if (i < n && !all_zero(pages + i * PAGE))
            continue;
        if (i > from)
            rc = put_at(c, at + from * PAGE, pages + from * PAGE, (i - from) * PAGE);
        from = i + 1;
    }
    return rc;
}

/* What one page of the guest's table names and is still to be written. */
struct batch {
    struct p2m_entry list[P2M_PER_PAGE];
    unsigned int n;
};

static void choose(struct core *c, uint64_t page, struct batch *b)
{
    uint64_t entry[P2M_PER_PAGE];

    b->n = 0;
    p2m_read(&c->p2m, page, entry);
    for (unsigned int i = 0; i < P2M_PER_PAGE; i++) {
        if (entry[i] != P2M_NONE && !frame_set_has(&c->written, entry[i]))
            b->list[b->n++] = (struct p2m_entry){ page * P2M_PER_PAGE + i, entry[i] };
    }
}

/* Maps them; the frames that are not the guest's are left out, and a second one of the same. */
static char *map_batch(struct core *c, struct batch *b)
{
    xenforeignmemory_handle *fmem = xen_fmem(c->h->xen, NULL);
    xen_pfn_t frame[P2M_PER_PAGE];
    int bad[P2M_PER_PAGE];
    unsigned int good = 0;
    char *pages;

    for (unsigned int i = 0; i < b->n; i++)
        frame[i] = b->list[i].gmfn;
    pages = xenforeignmemory_map(fmem, c->domid, PROT_READ, b->n, frame, bad);
    for (unsigned int i = 0; pages && i < b->n; i++) {
        c->strange += bad[i] != 0 && !c->p2m.hvm;
        if (bad[i] || c->nr_pages + good == c->max_pages || frame_set_has(&c->written, frame[i]))
            continue;
        frame_set_add(&c->written, frame[i]);
        b->list[good++] = b->list[i];
    }
    if (!pages || good == b->n)
        return pages;
    xenforeignmemory_unmap(fmem, pages, b->n);
    b->n = good;
    for (unsigned int i = 0; i < good; i++)
        frame[i] = b->list[i].gmfn;
    return good ? xenforeignmemory_map(fmem, c->domid, PROT_READ, good, frame, bad) : NULL;
}

/* PV: both numbers of each page; hardware-assisted guests: the one they have. */
static int write_entries(struct core *c, const struct batch *b)
{
    uint64_t at = c->section[S_P2M].sh_offset + c->nr_pages * entry_size(c);
    uint64_t pfn[P2M_PER_PAGE];

    if (!c->p2m.hvm)
        return put_at(c, at, b->list, b->n * sizeof(*b->list));
    for (unsigned int i = 0; i < b->n; i++)
        pfn[i] = b->list[i].pfn;
    return put_at(c, at, pfn, b->n * sizeof(*pfn));
}

static int write_batch(struct core *c, uint64_t page)
{
    struct batch b;
    char *pages;
    int rc;

    choose(c, page, &b);
    if (!b.n)
        return 0;
    pages = map_batch(c, &b);
    if (!pages)
        return b.n ? -errno : 0;
    rc = write_pages(c, pages, b.n);
    xenforeignmemory_unmap(xen_fmem(c->h->xen, NULL), pages, b.n);
    rc = rc ? rc : write_entries(c, &b);
    c->nr_pages += b.n;
    return rc;
}

/* How many of the frames first to end - 1 there are. */
static uint64_t count_frames(struct core *c, uint64_t first, uint64_t end)
{
    xenforeignmemory_handle *fmem = xen_fmem(c->h->xen, NULL);
    xen_pfn_t frame[P2M_PER_PAGE];
    int bad[P2M_PER_PAGE];
    uint64_t found = 0;

    for (; first < end; first += P2M_PER_PAGE) {
        void *pages;

        for (unsigned int i = 0; i < P2M_PER_PAGE; i++)
            frame[i] = first + i;
        pages = xenforeignmemory_map(fmem, c->domid, PROT_READ, P2M_PER_PAGE, frame, bad);
        for (unsigned int i = 0; pages && i < P2M_PER_PAGE; i++)
            found += !bad[i] && first + i < end;
        if (pages)
            xenforeignmemory_unmap(fmem, pages, P2M_PER_PAGE);
    }
    return found;
}

/* Whether the file system keeps enough for others after one more batch. */
static bool room_left(const struct core *c)
{
    struct statvfs v;
    uint64_t keep, free_bytes;

    if (fstatvfs(c->fd, &v) != 0 || !v.f_blocks) /* one that does not count, such as ramfs */
        return true;
    free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    keep = (uint64_t)v.f_blocks * v.f_frsize / KEEP_SHARE;
    return free_bytes >= (keep > KEEP_FREE ? keep : KEEP_FREE) + P2M_PER_PAGE * (PAGE + 16);
}

static bool goes_on(const struct core *c)
{
    return c->nr_pages < c->max_pages && c->strange <= c->max_pages;
}

static int write_memory(struct core *c, struct error *e)
{
    uint64_t pages = (c->p2m.max_pfn + P2M_PER_PAGE - 1) / P2M_PER_PAGE, i;
    uint64_t high = c->p2m.hvm ? count_frames(c, HOLE, MIN(c->p2m.max_pfn, HOLE_END)) : 0;

    for (i = 0; i < pages && goes_on(c); i++) {
        int rc;

        if (c->p2m.hvm && i < HOLE / P2M_PER_PAGE && c->nr_pages + high >= c->max_pages)
            i = HOLE / P2M_PER_PAGE;
        rc = room_left(c) ? write_batch(c, i) : -ENOSPC;

        if (rc)
            return error_sys(e, -rc,
                             rc == -ENOSPC ? "Make room there (a core file leaves a twentieth of "
                                             "the file system free), or name another place."
                                           : NULL,
                             "writing the guest's memory");
        if (interrupt_check(e) != 0)
            return -1;
        progress("core file", i + 1, pages);
    }
    if (i < pages)
        progress("core file", pages, pages);
    c->section[S_P2M].sh_size = c->nr_pages * entry_size(c);
    c->section[S_PAGES].sh_size = c->nr_pages * PAGE;
    if (ftruncate(c->fd, c->section[S_PAGES].sh_offset + c->nr_pages * PAGE) != 0)
        return error_sys(e, errno, NULL, "setting the core file's length");
    return 0;
}

static int write_all_of_it(struct core *c, struct error *e)
{
    int rc;

    place(c, S_STRTAB, sizeof(Elf64_Ehdr) + sizeof(c->section), 128, SHT_STRTAB, 0);
    place(c, S_NOTE, end_of(c, S_STRTAB), NOTES_MAX, SHT_NOTE, 0);
    rc = write_vcpus(c, end_of(c, S_NOTE));
    place(c, S_SHARED, end_of(c, S_PRSTATUS), c->p2m.hvm ? 0 : PAGE, SHT_PROGBITS, PAGE);
    if (!c->p2m.hvm)
        rc = rc ? rc : put_at(c, c->section[S_SHARED].sh_offset, c->p2m.shared, PAGE);
    place(c, S_P2M, end_of(c, S_SHARED), c->max_pages * entry_size(c), SHT_PROGBITS, entry_size(c));
    place(c, S_PAGES, (end_of(c, S_P2M) + PAGE - 1) & ~(PAGE - 1), 0, SHT_PROGBITS, PAGE);
    if (rc)
        return error_sys(e, -rc, NULL, "writing the guest's registers");
    if (write_memory(c, e) != 0)
        return -1;
    get_version(c);
    rc = write_headers(c);
    return rc ? error_sys(e, -rc, NULL, "writing the core file's headers") : 0;
}

int core_write(struct host *h, unsigned int domid, const char *path, struct error *e)
{
    struct core *c = mem_alloc(sizeof(*c));
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(h->xen, domid, &info);

    c->h = h;
    c->domid = domid;
    c->max_vcpu = rc < 0 ? 0 : info.max_vcpu_id;
    c->max_pages = rc < 0 ? 0 : info.tot_pages;
    if (rc < 0)
        rc = xen_error(e, rc, "domain %u", domid);
    else if (info.flags & XEN_DOMINF_hvm_guest)
        rc = p2m_open_hvm(&c->p2m, h, domid, e);
    else
        rc = p2m_open(&c->p2m, h, domid, info.shared_info_frame, e);
    if (rc == 0) {
        c->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        rc = c->fd < 0 ? error_sys(e, errno, NULL, "%s", path) : write_all_of_it(c, e);
        if (c->fd >= 0 && close(c->fd) != 0 && rc == 0)
            rc = error_sys(e, errno, NULL, "%s", path);
        if (c->fd >= 0 && rc != 0)
            unlink(path);
        p2m_close(&c->p2m);
    }
    frame_set_free(&c->written);
    free(c);
    return rc ? -1 : 0;
}

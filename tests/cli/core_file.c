/* SPDX-License-Identifier: MIT */
/*
 * Core files of guests whose tables of frames lie, on a hypervisor of the test's own: so many
 * frames, all but a few the guest's. The guest names its table by a list of lists.
 */
#define _GNU_SOURCE
#include "tools/cli/core.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit.h"
#include "xen_buffers.h"

#define FRAMES 4096u
#define OWN 1000u /* frames below this are the guest's */
#define SHARED 1  /* the frames of shared info, list of lists, lists ... */
#define LISTS 2
#define FIRST_LIST 3
#define TABLE 4 /* ... and the table's pages */
#define DOMID 7

static int memory = -1;
static uint64_t *frames;
static unsigned long maps;
static bool hvm; /* the guest's frames: those below OWN less two, and the last two below 4 GiB */
static struct host h;

/* --- what core.c and p2m.c ask of the hypervisor --- */

int xen_dominfo(struct xen *x, uint32_t domid, struct xen_domctl_getdomaininfo *out)
{
    memset(out, 0, sizeof(*out));
    out->tot_pages = OWN;
    out->shared_info_frame = SHARED;
    out->flags = hvm ? XEN_DOMINF_hvm_guest : 0;
    return domid == DOMID ? 0 : -ESRCH;
}

int xen_domctl(struct xen *x, struct xen_domctl *op)
{
    return -EINVAL; /* no vCPU was started */
}

long xen_call(struct xen *x, unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    return -ENOSYS;
}

long xen_memory_op(struct xen *x, unsigned int cmd, void *arg, size_t size)
{
    return cmd == XENMEM_maximum_gpfn && *(domid_t *)arg == DOMID ? 0xfffff : -EINVAL;
}

void *xenforeignmemory_map(xenforeignmemory_handle *f, uint32_t dom, int prot, size_t n,
                           const xen_pfn_t *list, int *err)
{
    uint8_t *at = mmap(NULL, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < n; i++) {
        uint64_t mfn = hvm && list[i] >= 0xffffe ? list[i] - 0xffffe + OWN - 2 : list[i];

        err[i] = mfn < OWN && (!hvm || list[i] < OWN - 2 || list[i] >= 0xffffe) ? 0 : -EINVAL;
        if (!err[i])
            mmap(at + i * 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, memory, (off_t)mfn * 4096);
    }
    maps += n;
    return at;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *f, void *at, size_t n)
{
    return munmap(at, n * 4096);
}

/* --- guests --- */

static uint64_t *frame(unsigned int n)
{
    return frames + n * 512;
}

static void start(uint64_t max_pfn)
{
    shared_info_t *s;

    if (memory < 0)
        memory = memfd_create("guest", 0);
    if (frames)
        munmap(frames, FRAMES * 4096);
    if (ftruncate(memory, 0) || ftruncate(memory, FRAMES * 4096))
        abort();
    frames = mmap(NULL, FRAMES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    s = (void *)frame(SHARED);
    s->arch.max_pfn = max_pfn;
    s->arch.pfn_to_mfn_frame_list_list = LISTS;
    frame(LISTS)[0] = FIRST_LIST;
    maps = 0;
}

struct sizes {
    uint64_t entries, pages; /* of .xen_p2m, .xen_pages */
    off_t bytes;
};

static void check_frames(int fd, const struct sizes *s, const Elf64_Shdr *pfns,
                         const Elf64_Shdr *pages)
{
    uint64_t pfn, word, bad = 0;

    for (uint64_t i = 0; i < s->entries; i++) {
        if (pread(fd, &pfn, 8, pfns->sh_offset + 8 * i) != 8 ||
            pread(fd, &word, 8, pages->sh_offset + 4096 * i + 24) != 8)
            abort();
        bad += pfn != (i < OWN - 2 ? i : 0xffffe + i - (OWN - 2)) || word != 0x1000 + i;
    }
    CHECK_EQ(bad, 0);
}

/* Writes the core file and says what is in it. */
static int core(const char *path, struct sizes *s, struct error *e)
{
    int rc = core_write(&h, DOMID, path, e), fd;
    Elf64_Shdr sh[7];
    struct stat st;

    memset(s, 0, sizeof(*s));
    if (rc)
        return rc;
    fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0 ||
        pread(fd, sh, sizeof(sh), sizeof(Elf64_Ehdr)) != sizeof(sh))
        abort();
    s->entries = sh[5].sh_size / (hvm ? 8 : 16);
    s->pages = sh[6].sh_size / 4096;
    s->bytes = st.st_size;
    if (hvm)
        check_frames(fd, s, &sh[5], &sh[6]);
    close(fd);
    unlink(path);
    return 0;
}

static char path[] = "/tmp/core_file.XXXXXX";

static const char *a_path(void)
{
    int fd = path[sizeof(path) - 2] == 'X' ? mkstemp(path) : -1;

    if (fd >= 0)
        close(fd);
    return path;
}

TEST(honest_guest)
{
    struct sizes s;

    start(OWN);
    for (unsigned int pfn = 0; pfn < OWN; pfn++) {
        frame(FIRST_LIST)[pfn / 512] = TABLE + pfn / 512;
        frame(TABLE + pfn / 512)[pfn % 512] = pfn == 17 ? ~0ull : pfn;
    }
    CHECK_EQ(core(a_path(), &s, NULL), 0);
    CHECK(s.entries == OWN - 1 && s.pages == OWN - 1);
    CHECK(s.bytes >= (OWN - 1) * 4096 && s.bytes < (OWN + 20) * 4096);
}

/* One frame named by each of 2^27 entries: five pages of memory are enough to write that. */
TEST(one_frame_a_hundred_million_times)
{
    struct sizes s;

    start(1ull << 27);
    for (unsigned int i = 0; i < 512; i++) {
        frame(LISTS)[i] = FIRST_LIST;
        frame(FIRST_LIST)[i] = TABLE;
        frame(TABLE)[i] = 9;
    }
    frame(9)[0] = 1;
    CHECK_EQ(core(a_path(), &s, NULL), 0);
    CHECK(s.entries == 1 && s.pages == 1 && maps < 600);
    CHECK(s.bytes < (OWN + 20) * 4096);
}

/* All of them nonsense, on as many pages as the guest can fill: it is given up before long. */
TEST(frames_of_others)
{
    struct sizes s;

    start(1ull << 27);
    for (unsigned int i = 0; i < 512; i++) {
        frame(LISTS)[i] = FIRST_LIST;
        frame(FIRST_LIST)[i] = TABLE + i;
        for (unsigned int j = 0; j < 512; j++)
            frame(TABLE + i)[j] = OWN + j;
    }
    CHECK_EQ(core(a_path(), &s, NULL), 0);
    CHECK(s.entries == 0 && s.pages == 0 && maps < 4 * OWN);
}

/* Twice in one page of the table. */
TEST(twice_in_one_page)
{
    struct sizes s;

    start(512);
    frame(FIRST_LIST)[0] = TABLE;
    for (unsigned int i = 0; i < 512; i++)
        frame(TABLE)[i] = 100 + i / 2;
    CHECK_EQ(core(a_path(), &s, NULL), 0);
    CHECK(s.entries == 256 && s.pages == 256);
}

/* All frames of a hardware-assisted guest, in order, each with its page. */
TEST(hardware_assisted)
{
    struct sizes s;

    start(0);
    hvm = true;
    for (unsigned int i = 0; i < OWN; i++)
        frame(i)[3] = 0x1000 + i;
    CHECK_EQ(core(a_path(), &s, NULL), 0);
    CHECK(s.entries == OWN && s.pages == OWN);
    CHECK(maps < 140000); /* the hole's end twice, not the million frames of all of it */
    hvm = false;
}

/* A file system of 66 MiB, of which 64 stay free: there is no room for 4 MiB. Needs root. */
TEST(room_is_left)
{
    char dir[] = "/tmp/core_room.XXXXXX", file[64];
    struct error e = { 0 };
    struct sizes s;

    start(OWN);
    for (unsigned int pfn = 0; pfn < OWN; pfn++) {
        frame(FIRST_LIST)[pfn / 512] = TABLE + pfn / 512;
        frame(TABLE + pfn / 512)[pfn % 512] = pfn;
        if (pfn > 20)
            frame(pfn)[1] = 1;
    }
    if (!mkdtemp(dir))
        abort();
    if (mount("none", dir, "tmpfs", 0, "size=66m") == 0) {
        snprintf(file, sizeof(file), "%s/core", dir);
        CHECK(core(file, &s, &e) != 0 && e.code == ENOSPC);
        CHECK(access(file, F_OK) != 0);
        umount(dir);
        if (mount("none", dir, "tmpfs", 0, "size=80m") == 0) {
            CHECK_EQ(core(file, &s, &e), 0);
            umount(dir);
        }
    }
    rmdir(dir);
}

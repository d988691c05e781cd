/* SPDX-License-Identifier: MIT */
/* Kernel files: the formats, what is no kernel, and the cache. */
#define _GNU_SOURCE
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/macros.h"
#include "make_kernel.h"
#include "tools/builder/builder.h"
#include "tools/builder/child.h"
#include "tools/builder/confine.h"
#include "tools/builder/kernel.h"
#include "tools/lib/error.h"

#define BASE 0xffffffff80000000ul

static const struct test_kernel spec = {
    .seg = { { 0x1000000, 0x300000, 0x300000, 0x8000, 0x240000 },
             { 0x1400000, 0x1000, 0x80000, 0, 0 } },
    .nr_segs = 2,
    .virt_base = BASE,
    .entry = BASE + 0x1000000,
    .guest_os = "linux",
};

static char dir[64], file[128], cache[128];

static void enter(void)
{
    strcpy(dir, "/tmp/bld-kernel-XXXXXX");
    if (!mkdtemp(dir))
        exit(1);
    snprintf(file, sizeof(file), "%s/kernel", dir);
    snprintf(cache, sizeof(cache), "%s/run/cache", dir);
}

static void leave(void)
{
    char cmd[160];

    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    CHECK_EQ(system(cmd), 0);
}

static unsigned int entries(const char *path)
{
    DIR *d = opendir(path);
    unsigned int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* The cache takes no file that changed within its last two seconds: make it older. */
static void age(const char *path)
{
    (void)path;
    usleep(2100000);
}

/* Opens; the ELF must be the one that was packed. */
static void opens(const uint8_t *elf, size_t len, const char *cache_dir, bool cached)
{
    struct error e = { 0 };
    struct builder_kernel *k = builder_kernel_open(file, cache_dir, BUILDER_PV, &e);

    CHECK(k != NULL);
    if (!k) {
        printf("%s\n", e.cause);
        return;
    }
    CHECK_EQ(k->size, len);
    CHECK(k->size == len && memcmp(k->map, elf, len) == 0);
    CHECK_EQ(builder_kernel_was_cached(k), cached);
    CHECK_EQ(builder_kernel_kind(k), BUILDER_LINUX);
    CHECK_STR(builder_kernel_version(k), "1.2");
    builder_kernel_close(k);
}

static void refused(const char *cause, const char *remedy)
{
    unsigned int before = entries("/proc/self/fd");
    struct error e = { 0 };
    struct builder_kernel *k = builder_kernel_open(file, cache, BUILDER_PV, &e);

    CHECK(!k);
    builder_kernel_close(k);
    CHECK_WHY(e.cause, cause);
    CHECK_WHY(e.cause, file);
    CHECK_WHY(e.remedy, remedy);
    CHECK_EQ(entries("/proc/self/fd"), before);
    CHECK_EQ(entries(cache), 0);
}

TEST(formats)
{
    static const enum bz_format format[] = { BZ_ELF, BZ_XZ, BZ_GZIP, BZ_ZSTD, BZ_LZ4 };
    size_t len, packed;
    uint8_t *elf = make_elf(&spec, &len);

    enter();
    write_file(file, elf, len);
    opens(elf, len, NULL, false);
    for (size_t i = 0; i < ARRAY_SIZE(format); i++) {
        uint8_t *p = make_bzimage(elf, len, format[i], &packed);

        write_file(file, p, packed);
        opens(elf, len, NULL, false);
        free(p);
    }
    free(elf);
    leave();
}

/* An ELF packed by gzip as it is: Mini-OS and unikernels come so. */
TEST(gzipped_elf)
{
    size_t len, packed;
    uint8_t *elf = make_elf(&spec, &len), *p = make_gzip(elf, len, &packed);

    enter();
    write_file(file, p, packed);
    opens(elf, len, NULL, false);
    p[packed - 7] ^= 1;
    write_file(file, p, packed);
    refused("damaged", "kernel= must name");
    p[packed - 7] ^= 1;
    write_file(file, p, packed - 5);
    refused("payload", "kernel= must name");
    write_file(file, p, 10);
    refused("ends within its header", "kernel= must name");
    free(p);
    p = make_gzip((const uint8_t *)dir, sizeof(dir), &packed); /* something else is in it */
    write_file(file, p, packed);
    refused("not an ELF", "kernel= must name");
    free(p);
    free(elf);
    leave();
}

/* More than one block of lz4, more than one buffer of the others, and not a whole number. */
TEST(large)
{
    static const enum bz_format format[] = { BZ_XZ, BZ_GZIP, BZ_ZSTD, BZ_LZ4 };
    struct test_kernel k = spec;
    size_t len, packed;
    uint8_t *elf;

    k.seg[0].filesz = k.seg[0].memsz = 0x1200123;
    k.seg[0].hole_end = 0x1000000;
    k.nr_segs = 1;
    elf = make_elf(&k, &len);
    enter();
    for (size_t i = 0; i < ARRAY_SIZE(format); i++) {
        uint8_t *p = make_bzimage(elf, len, format[i], &packed);

        write_file(file, p, packed);
        opens(elf, len, NULL, false);
        free(p);
    }
    free(elf);
    leave();
}

/* Each cut and each flipped byte is either noticed or makes no difference. */
/* --- the process that unpacks --- */

static int *outcome; /* what the child leaves to us */
static int inherited;

static void try_open(void)
{
    open("/etc/passwd", O_RDONLY);
}

static void try_socket(void)
{
    socket(AF_UNIX, SOCK_STREAM, 0);
}

static void try_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void try_kill(void)
{
    kill(getppid(), 0);
}

static void try_exec(void)
{
    execl("/bin/true", "true", NULL);
}

static void try_hypercall(void)
{
    ioctl(inherited, 1, 0);
}

static void (*const tries[])(void) = { try_open, try_socket, try_fork,
                                       try_kill, try_exec,   try_hypercall };

static void run_try(void *arg)
{
    int fd = memfd_create("out", 0);

    *outcome = confine(fd, 4096);
    if (*outcome == 0)
        (*(void (*const *)(void))arg)();
}

TEST(confined_child_can_do_nothing_else)
{
    outcome = child_share(sizeof(*outcome));
    for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
        struct error e = { 0 };

        inherited = open("/dev/null", O_RDWR);
        CHECK(child_run(run_try, (void *)&tries[i], "try", &e) != 0);
        CHECK_EQ(*outcome, 0);
        CHECK_WHY(e.cause, "system call");
        close(inherited);
    }
    child_unshare(outcome, sizeof(*outcome));
}

struct limits_seen {
    int rc, fd;
    ssize_t within, beyond;
    bool memory, too_much, other_fd;
};

static void try_limits(void *arg)
{
    struct limits_seen *l = arg;
    char page[4096] = "";

    signal(SIGXFSZ, SIG_IGN);
    l->rc = confine(l->fd, sizeof(page));
    if (l->rc)
        return;
    l->within = pwrite(l->fd, page, sizeof(page), 0);
    l->beyond = pwrite(l->fd, page, sizeof(page), sizeof(page));
    l->memory = mmap(NULL, 300 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                MAP_FAILED;
    l->too_much = mmap(NULL, 300 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0) != MAP_FAILED;
    l->other_fd = write(inherited, "x", 1) == 1;
}

TEST(confined_child_has_limits)
{
    struct limits_seen *l = child_share(sizeof(*l));
    struct error e = { 0 };

    l->fd = memfd_create("out", 0);
    inherited = open("/dev/null", O_RDWR);
    CHECK_EQ(child_run(try_limits, l, "try", &e), 0);
    CHECK_EQ(l->rc, 0);
    CHECK_EQ(l->within, 4096);
    CHECK_EQ(l->beyond, -1);
    CHECK(l->memory && !l->too_much && !l->other_fd);
    close(inherited);
    close(l->fd);
    child_unshare(l, sizeof(*l));
}

/* A stream that wants a dictionary of 384 MiB: it ends at the decoder's own limit, before the
 * process's. */
TEST(xz_memory_limit)
{
    size_t len, packed, at;
    uint8_t *elf = make_elf(&spec, &len), *p = make_bzimage(elf, len, BZ_XZ, &packed);
    uint32_t crc;

    enter();
    for (at = 1024; memcmp(p + at, "\3757zXZ", 6) != 0; at++)
        ;
    at += 12; /* the block's header: size, flags, (LZMA2 0x21, 1, dictionary), padding, CRC32 */
    for (size_t i = at + 2;; i++) {
        if (p[i] == 0x21 && p[i + 1] == 1) {
            p[i + 2] = 33; /* 384 MiB */
            break;
        }
    }
    crc = lzma_crc32(p + at, (p[at] + 1) * 4 - 4, 0);
    memcpy(p + at + (p[at] + 1) * 4 - 4, &crc, 4);
    write_file(file, p, packed);
    refused("not enough memory", "damaged");
    free(p);
    free(elf);
    leave();
}

TEST(damaged)
{
    static const enum bz_format format[] = { BZ_XZ, BZ_GZIP, BZ_ZSTD, BZ_LZ4 };
    size_t len, packed;
    struct test_kernel k = spec;
    uint8_t *elf;

    k.seg[0].filesz = k.seg[0].memsz = 0x9000;
    k.nr_segs = 1;
    elf = make_elf(&k, &len);
    enter();
    for (size_t i = 0; i < ARRAY_SIZE(format); i++) {
        uint8_t *p = make_bzimage(elf, len, format[i], &packed);
        bool checksums = format[i] == BZ_XZ || format[i] == BZ_GZIP;

        for (size_t at = 0x1f0; at < packed; at += packed / 97 + 1) {
            struct error e = { 0 };
            struct builder_kernel *got;

            write_file(file, p, at);
            refused("", "kernel= must name");
            p[at] ^= 0x41;
            write_file(file, p, packed);
            got = builder_kernel_open(file, NULL, BUILDER_PV, &e);
            CHECK(got || (e.cause[0] && e.remedy[0]));
            CHECK(!got || !checksums || memcmp(got->map, elf, len) == 0);
            builder_kernel_close(got);
            p[at] ^= 0x41;
        }
        free(p);
    }
    free(elf);
    leave();
}

TEST(wrong_size_announced)
{
    size_t len, packed;
    uint8_t *elf = make_elf(&spec, &len), *p = make_bzimage(elf, len, BZ_XZ, &packed);

    enter();
    p[packed - 4] ^= 1; /* the size is 4 KiB-aligned: one more */
    write_file(file, p, packed);
    refused("damaged", "copy it again");
    p[packed - 3] -= 1;
    write_file(file, p, packed);
    refused("more than it announces", "copy it again");
    free(p);
    free(elf);
    leave();
}

static void refused_spec(const struct test_kernel *k, const char *cause)
{
    size_t len;
    uint8_t *elf = make_elf(k, &len);

    write_file(file, elf, len);
    refused(cause, "Use a 64-bit kernel with Xen PV support");
    free(elf);
}

TEST(no_kernels)
{
    struct test_kernel k = spec;

    enter();
    refused("cannot be opened", "Correct kernel=");
    write_file(file, "", 0);
    refused("is empty", "copy it again");
    write_file(file, "#!/bin/sh\n", 10);
    refused("neither a bzImage nor an ELF file", "must name a Linux bzImage");
    unlink(file);
    mkdir(file, 0700);
    refused("is not a file", "kernel=");
    rmdir(file);
    mkfifo(file, 0600);
    refused("is not a file", "kernel=");
    unlink(file);
    k.no_notes = true;
    refused_spec(&k, "no Xen notes");
    k = spec;
    k.elf32 = true;
    refused_spec(&k, "is a 32-bit kernel");
    k = spec;
    k.features = "!auto_translated_physmap";
    refused_spec(&k, "requires a Xen feature that is not offered");
    leave();
}

TEST(kinds)
{
    static const struct {
        const char *os;
        enum builder_kind kind;
    } known[] = { { "linux", BUILDER_LINUX },
                  { "GRUB", BUILDER_GRUB },
                  { "Mini-OS", BUILDER_MINIOS },
                  { "xyz", BUILDER_OTHER },
                  { NULL, BUILDER_OTHER } };

    enter();
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        struct test_kernel s = spec;
        struct error e;
        size_t len;

        s.guest_os = known[i].os;
        uint8_t *elf = make_elf(&s, &len);
        write_file(file, elf, len);
        struct builder_kernel *k = builder_kernel_open(file, NULL, BUILDER_PV, &e);
        CHECK(k && builder_kernel_kind(k) == known[i].kind);
        builder_kernel_close(k);
        free(elf);
    }
    leave();
}

/* --- the cache --- */

/* The path of the only entry. */
static void only_entry(char out[512])
{
    DIR *d = opendir(cache);

    out[0] = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            snprintf(out, 512, "%s/%s", cache, e->d_name);
    closedir(d);
}

TEST(cache_hit_and_holes)
{
    size_t len, packed;
    uint8_t *elf = make_elf(&spec, &len), *p = make_bzimage(elf, len, BZ_ZSTD, &packed);
    char entry[512];
    struct stat st;

    enter();
    write_file(file, p, packed);
    opens(elf, len, cache, false); /* too fresh to be kept */
    opens(elf, len, cache, false);
    CHECK_EQ(entries(cache), 0);
    age(file);
    opens(elf, len, cache, false);
    CHECK_EQ(entries(cache), 1);
    opens(elf, len, cache, true);
    stat(cache, &st);
    CHECK_EQ(st.st_mode & 0777, 0700);
    only_entry(entry);
    stat(entry, &st);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK(st.st_blocks * 512 < (off_t)len - 0x200000); /* zeros are holes */
    struct error e;
    CHECK_EQ(builder_cache_clear(cache, &e), 0);
    CHECK_EQ(entries(cache), 0);
    opens(elf, len, cache, false);
    free(p);
    free(elf);
    leave();
}

/* A new kernel under the same name is noticed, and the old one's entry goes. */
TEST(cache_follows_the_file)
{
    struct test_kernel other = spec;
    size_t len, len2;
    uint8_t *elf = make_elf(&spec, &len), *elf2;

    other.seg[0].hole_end = 0x9000; /* as large as the first */
    elf2 = make_elf(&other, &len2);
    CHECK_EQ(len, len2);
    enter();
    write_file(file, elf, len);
    age(file);
    opens(elf, len, cache, false);
    write_file(file, elf2, len2);
    opens(elf2, len2, cache, false);
    age(file);
    opens(elf2, len2, cache, false);
    CHECK_EQ(entries(cache), 1);
    opens(elf2, len2, cache, true);
    free(elf);
    free(elf2);
    leave();
}

/* Entries that are not as this program leaves them, and directories that others can write. */
TEST(cache_distrusts)
{
    size_t len;
    uint8_t *elf = make_elf(&spec, &len);
    char entry[512];

    enter();
    write_file(file, elf, len);
    age(file);
    opens(elf, len, cache, false);
    only_entry(entry);
    CHECK_EQ(truncate(entry, 9000), 0);
    opens(elf, len, cache, false);
    CHECK_EQ(truncate(entry, len + 200), 0);
    opens(elf, len, cache, false);
    CHECK_EQ(chmod(entry, 0622), 0);
    opens(elf, len, cache, false);
    opens(elf, len, cache, true);
    unlink(entry);
    CHECK_EQ(symlink(file, entry), 0);
    opens(elf, len, cache, false);
    unlink(entry);
    CHECK_EQ(chmod(cache, 0777), 0);
    opens(elf, len, cache, false);
    opens(elf, len, cache, false);
    CHECK_EQ(entries(cache), 0);
    write_file(entry, "", 0);
    opens(elf, len, entry, false); /* not a directory */
    opens(elf, len, "/proc/nothing/here", false);
    free(elf);
    leave();
}

/* SPDX-License-Identifier: MIT */
/* Kernel files: the formats, what is no kernel, and the cache. */
#define _GNU_SOURCE
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/macros.h"
#include "make_kernel.h"
#include "tools/builder/builder.h"
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
    struct builder_kernel *k = builder_kernel_open(file, cache_dir, &e);

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
    struct builder_kernel *k = builder_kernel_open(file, cache, &e);

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
            got = builder_kernel_open(file, NULL, &e);
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
        struct builder_kernel *k = builder_kernel_open(file, NULL, &e);
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

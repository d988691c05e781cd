/* SPDX-License-Identifier: MIT */
/*
 * The decompression shim, as the very object that the hypervisor links: what the command-line tools
 * pack comes out again, anything damaged gives a reason, and the stack that unpack.h promises
 * suffices. A file named in the environment variable UNPACK_KERNEL is unpacked as well (by hand, on
 * real kernels).
 */
#include "unit.h"

#include <pthread.h>
#include <stdint.h>

#include "x86/boot/unpack.h"

#define PLAIN_SIZE (9 * 1024 * 1024 + 123) /* more than one block of lz4's legacy format */
#define OUT_CAP (PLAIN_SIZE + 64)
#define WORK_SIZE (40u << 20)

static uint8_t *plain, *out, *packed, *work;
static size_t packed_len;

static struct {
    enum bz_format format;
    const char *command;
    uint8_t *packed; /* kept from the first use on */
    size_t packed_len;
} packers[] = {
    { .format = BZ_GZIP, .command = "gzip -n -1" },
    { .format = BZ_XZ, .command = "xz --check=crc32 --x86 --lzma2=preset=0,dict=1MiB" },
    { .format = BZ_XZ, .command = "xz -0 --check=crc64" },
    { .format = BZ_ZSTD, .command = "zstd -q -1" },
    { .format = BZ_LZ4, .command = "lz4 -q -l" },
};
#define PACKERS (sizeof(packers) / sizeof(packers[0]))

/* Text-like, with repetitions and what the x86 filter looks for. */
static void make_plain(void)
{
    uint32_t seed = 1;

    if (plain)
        return;
    plain = malloc(PLAIN_SIZE);
    out = malloc(OUT_CAP);
    packed = malloc(PLAIN_SIZE);
    work = malloc(WORK_SIZE);
    for (size_t i = 0; i < PLAIN_SIZE; i++) {
        seed = seed * 1103515245 + 12345;
        plain[i] = seed >> 28 == 0 ? 0xe8 : seed >> 30 ? (uint8_t)(i >> 7) : (uint8_t)(seed >> 16);
    }
}

static void run_packer(size_t i)
{
    char path[] = "/tmp/unpack-XXXXXX", line[256];
    FILE *f;
    int fd = mkstemp(path);

    f = fdopen(fd, "w");
    CHECK_EQ(fwrite(plain, 1, PLAIN_SIZE, f), PLAIN_SIZE);
    fclose(f);
    snprintf(line, sizeof(line), "%s -c %s", packers[i].command, path);
    f = popen(line, "r");
    packers[i].packed = malloc(PLAIN_SIZE);
    packers[i].packed_len = fread(packers[i].packed, 1, PLAIN_SIZE, f);
    CHECK_EQ(pclose(f), 0);
    remove(path);
}

/* Fills `packed` anew. */
static void pack(size_t i)
{
    make_plain();
    if (!packers[i].packed)
        run_packer(i);
    packed_len = packers[i].packed_len;
    memcpy(packed, packers[i].packed, packed_len);
}

TEST(unpack_restores)
{
    for (size_t i = 0; i < PACKERS; i++) {
        size_t len = 0;

        pack(i);
        CHECK_EQ(bz_identify(packed, packed_len), packers[i].format);
        CHECK_NULL(unpack_payload(packers[i].format, packed, packed_len, out, OUT_CAP, &len,
                                  work + 1, unpack_work_size(packers[i].format)));
        CHECK_EQ(len, PLAIN_SIZE);
        CHECK(memcmp(out, plain, PLAIN_SIZE) == 0);
        memset(out, 0xee, OUT_CAP);
        CHECK_NULL(unpack_payload(packers[i].format, packed, packed_len, out, PLAIN_SIZE, &len,
                                  work, WORK_SIZE));
        CHECK(len == PLAIN_SIZE && memcmp(out, plain, PLAIN_SIZE) == 0);
        CHECK_EQ(out[PLAIN_SIZE], 0xee);
    }
}

TEST(unpack_refuses)
{
    for (size_t i = 0; i < PACKERS; i++) {
        enum bz_format f = packers[i].format;
        const char *name = bz_format_name(f);
        size_t cuts[] = { 0, 1, 5, 100, 0, 0 };
        size_t len;

        pack(i);
        cuts[4] = packed_len / 2;
        cuts[5] = packed_len - 1;
        for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++)
            CHECK_WHY(unpack_payload(f, packed, cuts[c], out, OUT_CAP, &len, work, WORK_SIZE),
                      name);
        CHECK_WHY(unpack_payload(f, packed, packed_len, out, PLAIN_SIZE - 1, &len, work, WORK_SIZE),
                  "larger than announced");
        packed[packed_len / 2] ^= 0x55;
        packed[packed_len / 2 + 1] ^= 0x55;
        if (f != BZ_LZ4) /* this format has no checksum: it may come out wrong */
            CHECK_WHY(unpack_payload(f, packed, packed_len, out, OUT_CAP, &len, work, WORK_SIZE),
                      "damaged");
        pack(i);
        if (f != BZ_LZ4)
            CHECK_WHY(unpack_payload(f, packed, packed_len, out, OUT_CAP, &len, work, 4096),
                      "working memory");
        packed[0] ^= 1;
        CHECK_WHY(unpack_payload(f, packed, packed_len, out, OUT_CAP, &len, work, WORK_SIZE), name);
    }
}

TEST(unpack_elf_is_copied)
{
    size_t len;

    make_plain();
    CHECK_NULL(unpack_payload(BZ_ELF, plain, 1000, out, 1000, &len, NULL, 0));
    CHECK(len == 1000 && memcmp(out, plain, len) == 0);
    CHECK_WHY(unpack_payload(BZ_ELF, plain, 1001, out, 1000, &len, NULL, 0), "larger");
    CHECK_WHY(unpack_payload(BZ_BZIP2, plain, 1001, out, 1000, &len, NULL, 0), "not supported");
}

static enum bz_format stack_format;

static void *on_own_stack(void *arg)
{
    size_t len;

    (void)arg;
    return (void *)(uintptr_t)unpack_payload(stack_format, packed, packed_len, out, OUT_CAP, &len,
                                             work, WORK_SIZE);
}

/* The thread's own needs (its TLS and start-up) are on the same stack and count as well. */
TEST(unpack_stack_suffices)
{
    static uint8_t stack[65536] __attribute__((aligned(4096)));

    for (size_t i = 0; i < PACKERS; i++) {
        pthread_attr_t attr;
        pthread_t thread;
        size_t unused = 0;
        void *why;

        pack(i);
        stack_format = packers[i].format;
        memset(stack, 0xa5, sizeof(stack));
        pthread_attr_init(&attr);
        pthread_attr_setstack(&attr, stack, sizeof(stack));
        CHECK_EQ(pthread_create(&thread, &attr, on_own_stack, NULL), 0);
        pthread_join(thread, &why);
        CHECK(why == NULL);
        while (unused < sizeof(stack) && stack[unused] == 0xa5)
            unused++;
        CHECK(sizeof(stack) - unused < UNPACK_STACK);
        if (getenv("UNPACK_KERNEL"))
            printf("%s: %zu bytes of stack\n", bz_format_name(stack_format),
                   sizeof(stack) - unused);
    }
}

TEST(unpack_kernel_by_hand)
{
    const char *path = getenv("UNPACK_KERNEL");
    struct bz_payload p;
    uint8_t *file, *kernel;
    size_t size, len;
    FILE *f;

    if (!path)
        return;
    make_plain();
    file = malloc(100u << 20);
    f = fopen(path, "r");
    size = fread(file, 1, 100u << 20, f);
    fclose(f);
    CHECK_NULL(bzimage_parse(file, size, &p));
    kernel = malloc(p.unpacked_size);
    CHECK_NULL(unpack_payload(p.format, p.data, p.len, kernel, p.unpacked_size, &len, work,
                              unpack_work_size(p.format)));
    CHECK_EQ(len, p.unpacked_size);
    CHECK_EQ(bz_identify(kernel, len), BZ_ELF);
    free(kernel);
    free(file);
}

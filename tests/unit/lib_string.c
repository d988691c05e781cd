/* SPDX-License-Identifier: MIT */
/*
 * lib/string.c's own functions, under other names so that they do not replace libc's in this
 * program.
 */
#include "unit.h"

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define strlen own_strlen
#define strnlen own_strnlen
#define strcmp own_strcmp
#define strncmp own_strncmp
#define strchr own_strchr
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#include "lib/bitmap.h"
#include "lib/macros.h"
#include "lib/strutil.h"

#define SIZE 700

static unsigned char a[SIZE], b[SIZE];

static void fill(void)
{
    for (int i = 0; i < SIZE; i++)
        a[i] = b[i] = (unsigned char)(i * 7 + 1);
}

TEST(memcpy_all_sizes_and_alignments)
{
    for (size_t n = 0; n < 300; n++) {
        for (size_t off = 0; off < 9; off++) {
            fill();
            CHECK(own_memcpy(a + off, b + 350 + off / 2, n) == a + off);
            memcpy(b + off, b + 350 + off / 2, n);
            CHECK(memcmp(a, b, SIZE) == 0);
        }
    }
}

TEST(memmove_overlapping_both_ways)
{
    for (size_t n = 0; n < 200; n += 3) {
        for (size_t from = 0; from < 24; from++) {
            for (size_t to = 0; to < 24; to++) {
                fill();
                own_memmove(a + to, a + from, n);
                memmove(b + to, b + from, n);
                CHECK(memcmp(a, b, SIZE) == 0);
            }
        }
    }
}

TEST(memset_all_sizes)
{
    for (size_t n = 0; n < 300; n++) {
        fill();
        own_memset(a + n % 9, 0xa5, n);
        memset(b + n % 9, 0xa5, n);
        CHECK(memcmp(a, b, SIZE) == 0);
    }
}

TEST(memcmp_finds_each_difference)
{
    for (size_t i = 0; i < 70; i++) {
        fill();
        CHECK_EQ(own_memcmp(a, b, 70), 0);
        a[i] = (unsigned char)(b[i] + 1);
        CHECK((own_memcmp(a, b, 70) > 0) == (memcmp(a, b, 70) > 0));
        CHECK((own_memcmp(b, a, 70) > 0) == (memcmp(b, a, 70) > 0));
        CHECK_EQ(own_memcmp(a, b, i), 0);
    }
}

TEST(strings)
{
    CHECK_EQ(own_strlen(""), 0);
    CHECK_EQ(own_strlen("orlop"), 5);
    CHECK_EQ(own_strnlen("orlop", 3), 3);
    CHECK_EQ(own_strnlen("orlop", 9), 5);
    CHECK(own_strcmp("a", "a") == 0 && own_strcmp("a", "b") < 0 && own_strcmp("ab", "a") > 0);
    CHECK(own_strcmp("\x80", "a") > 0);
    CHECK(own_strncmp("abc", "abd", 2) == 0 && own_strncmp("abc", "abd", 3) < 0);
    CHECK(own_strncmp("ab", "ab", 9) == 0);
    CHECK_STR(own_strchr("orlop", 'l'), "lop");
    CHECK(own_strchr("orlop", 'x') == NULL);
    CHECK_STR(own_strchr("orlop", 0), "");
}

TEST(str_copy_cuts_and_terminates)
{
    char buf[4] = "xyz";

    CHECK_EQ(str_copy(buf, "orlop", sizeof(buf)), 5);
    CHECK_STR(buf, "orl");
    CHECK_EQ(str_copy(buf, "ab", sizeof(buf)), 2);
    CHECK_STR(buf, "ab");
    CHECK_EQ(str_copy(buf, "q", 0), 1);
    CHECK_STR(buf, "ab");
}

TEST(numbers)
{
    uint64_t v = 77;
    const char *end;

    CHECK(str_to_u64("0", NULL, 0, &v) && v == 0);
    CHECK(str_to_u64("0x1F", NULL, 0, &v) && v == 31);
    CHECK(str_to_u64("017", NULL, 0, &v) && v == 15);
    CHECK(str_to_u64("ff", NULL, 16, &v) && v == 255);
    CHECK(str_to_u64("18446744073709551615", NULL, 0, &v) && v == UINT64_MAX);
    v = 77;
    CHECK(!str_to_u64("18446744073709551616", NULL, 0, &v));
    CHECK(!str_to_u64("0x10000000000000000", NULL, 0, &v));
    CHECK(!str_to_u64("", NULL, 0, &v));
    CHECK(!str_to_u64("-1", NULL, 0, &v));
    CHECK(!str_to_u64("12a", NULL, 10, &v));
    CHECK_EQ(v, 77);
    CHECK(str_to_u64("12a", &end, 10, &v) && v == 12 && *end == 'a');
    CHECK(str_to_u64("0x", &end, 0, &v) && v == 0 && *end == 'x');
}

TEST(sizes)
{
    uint64_t v;

    CHECK(str_to_size("512M", NULL, 1024, &v) && v == MIB(512));
    CHECK(str_to_size("4g", NULL, 1024, &v) && v == GIB(4));
    CHECK(str_to_size("100", NULL, 1024, &v) && v == 102400);
    CHECK(str_to_size("100B", NULL, 1024, &v) && v == 100);
    CHECK(!str_to_size("99999999999999T", NULL, 1, &v));
    CHECK(!str_to_size("1MM", NULL, 1, &v));
}

TEST(bitmaps)
{
    DECLARE_BITMAP(map, 130) = { 0 };

    CHECK(bitmap_empty(map, 130));
    CHECK_EQ(bitmap_first(map, 130), 130);
    bitmap_set(map, 129);
    bitmap_set(map, 64);
    CHECK_EQ(bitmap_first(map, 130), 64);
    CHECK_EQ(bitmap_next(map, 130, 65), 129);
    CHECK_EQ(bitmap_next(map, 129, 65), 129);
    CHECK_EQ(bitmap_weight(map, 130), 2);
    CHECK(!bit_test_and_set(map, 3) && bit_test_and_set(map, 3) && bit_test(map, 3));
    CHECK(bit_test_and_clear(map, 3) && !bit_test_and_clear(map, 3));
    bitmap_fill(map, 130);
    CHECK_EQ(bitmap_weight(map, 192), 130);
    CHECK_EQ(bitmap_first_zero(map, 130), 130);
    bitmap_clear(map, 127);
    CHECK_EQ(bitmap_first_zero(map, 130), 127);
    CHECK_EQ(bitmap_next_zero(map, 192, 128), 130);
}

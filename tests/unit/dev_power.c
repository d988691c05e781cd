/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "x86/power.h"

static bool find(const void *aml, size_t len, uint8_t *a, uint8_t *b)
{
    uint8_t *exact = malloc(len ? len : 1); /* so that a read past the end is seen */
    bool found;

    memcpy(exact, aml, len);
    found = power_find_s5(exact, len, a, b);
    free(exact);
    return found;
}

TEST(constants)
{
    static const uint8_t zeros[] = { 0, 0, 8, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0, 9 };
    static const uint8_t bytes[] = { 8,    '_', 'S',  '5', '_',  0x12, 10, 4,
                                     0x0a, 5,   0x0a, 7,   0x0a, 0,    0,  0 };
    static const uint8_t root[] = {
        8, '\\', '_', 'S', '5', '_', 0x12, 0x40, 1, 2, 1, 0x0b, 3, 0, 0
    };
    uint8_t a = 9, b = 9;

    CHECK(find(zeros, sizeof(zeros), &a, &b) && a == 0 && b == 0);
    CHECK(find(bytes, sizeof(bytes), &a, &b) && a == 5 && b == 7);
    CHECK(find(root, sizeof(root), &a, &b) && a == 1 && b == 3);
}

TEST(not_there)
{
    static const uint8_t reference[] = { 8, '_', 'S', '5', '_', 'A', 'B', 'C', 'D', 0, 0, 0 };
    static const uint8_t call[] = { 0, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0 };
    static const uint8_t high[] = { 8, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 9, 0, 0, 0 };
    uint8_t a, b;

    CHECK(!find(reference, sizeof(reference), &a, &b));
    CHECK(!find(call, sizeof(call), &a, &b));
    CHECK(!find(high, sizeof(high), &a, &b));
    CHECK(!find("", 0, &a, &b));
}

/* Each way to cut the block short ends without a read behind it. */
TEST(cut_short)
{
    static const uint8_t whole[] = { 8, '_', 'S', '5',  '_', 0x12, 0xc0, 1,
                                     2, 3,   4,   0x0a, 5,   0x0a, 7,    0 };
    uint8_t a, b;

    for (size_t n = 0; n < sizeof(whole); n++)
        (void)find(whole, n, &a, &b);
    CHECK(find(whole, sizeof(whole), &a, &b) && a == 5 && b == 7);
}

/* SPDX-License-Identifier: MIT */
/*
 * The unit tests' frame. A test program is one C file that includes this header and has TEST(name)
 * { ... } blocks; each block runs and prints `ok name`, or `FAIL name` after a line for each CHECK
 * that did not hold. The program exits with 1 if any failed. With arguments only the named tests
 * run. What a test needs and this machine does not have, it names by SKIP(why) and returns.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};

static struct unit_test *unit_tests, **unit_tail = &unit_tests;
static int unit_failures;
static char unit_skip[200]; /* why this test could not run; "" if it did */

#define TEST(test_name)                                                                \
    static void test_##test_name(void);                                                \
    static struct unit_test unit_##test_name = { #test_name, test_##test_name, NULL }; \
    __attribute__((constructor)) static void unit_register_##test_name(void)           \
    {                                                                                  \
        *unit_tail = &unit_##test_name;                                                \
        unit_tail = &unit_##test_name.next;                                            \
    }                                                                                  \
    static void test_##test_name(void)

#define SKIP(why) snprintf(unit_skip, sizeof(unit_skip), "%s", (why))

#define CHECK(cond)                                                          \
    do {                                                                     \
        if (!(cond)) {                                                       \
            printf("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            unit_failures++;                                                 \
        }                                                                    \
    } while (0)

#define CHECK_EQ(a, b)                                                                         \
    do {                                                                                       \
        unsigned long long unit_a = (unsigned long long)(a), unit_b = (unsigned long long)(b); \
        if (unit_a != unit_b) {                                                                \
            printf("%s:%d: %s is %#llx, not %#llx\n", __FILE__, __LINE__, #a, unit_a, unit_b); \
            unit_failures++;                                                                   \
        }                                                                                      \
    } while (0)

#define CHECK_STR(a, b)                                                         \
    do {                                                                        \
        const char *unit_s = (a), *unit_t = (b);                                \
        if (!unit_s || strcmp(unit_s, unit_t) != 0) {                           \
            printf("%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a, \
                   unit_s ? unit_s : "NULL", unit_t);                           \
            unit_failures++;                                                    \
        }                                                                       \
    } while (0)

/* The reason that a function returned: NULL, or text that contains `part`. */
#define CHECK_NULL(expr)                                                          \
    do {                                                                          \
        const char *unit_s = (expr);                                              \
        if (unit_s) {                                                             \
            printf("%s:%d: %s says \"%s\"\n", __FILE__, __LINE__, #expr, unit_s); \
            unit_failures++;                                                      \
        }                                                                         \
    } while (0)

#define CHECK_WHY(expr, part)                                                            \
    do {                                                                                 \
        const char *unit_s = (expr);                                                     \
        if (!unit_s || !strstr(unit_s, (part))) {                                        \
            printf("%s:%d: %s says \"%s\", without \"%s\"\n", __FILE__, __LINE__, #expr, \
                   unit_s ? unit_s : "NULL", (part));                                    \
            unit_failures++;                                                             \
        }                                                                                \
    } while (0)

static bool unit_selected(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct unit_test *t = unit_tests; t; t = t->next) {
        if (!unit_selected(t->name, argc, argv))
            continue;
        unit_failures = 0;
        unit_skip[0] = 0;
        t->run();
        if (unit_skip[0] && !unit_failures)
            printf("SKIP %s: %s\n", t->name, unit_skip);
        else
            printf("%s %s\n", unit_failures ? "FAIL" : "ok", t->name);
        failed += unit_failures != 0;
    }
    return failed != 0;
}

#endif

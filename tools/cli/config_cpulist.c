/* SPDX-License-Identifier: MIT */
/* CPU lists: "0-3,5,^1", "all,^7", "nodes:0-1,^node:1". What is excluded counts, wherever it
 * stands. */
#include "tools/cli/config.h"
#include <stdlib.h>
#include <string.h>

struct term {
    bool exclude, node;
    unsigned first, last;
};

/* "N" or "N-M" at *p. */
static bool parse_range(const char **p, struct term *t)
{
    char *end;
    unsigned long n;

    if (**p < '0' || **p > '9')
        return false;
    n = strtoul(*p, &end, 10);
    t->first = t->last = n < CONFIG_MAX_CPUS ? n : CONFIG_MAX_CPUS;
    if (*end == '-') {
        *p = end + 1;
        if (**p < '0' || **p > '9')
            return false;
        n = strtoul(*p, &end, 10);
        t->last = n < CONFIG_MAX_CPUS ? n : CONFIG_MAX_CPUS;
    }
    *p = end;
    return true;
}

/* The term at *p, up to its comma; NULL or what is wrong. */
static const char *parse_term(const char **p, struct term *t)
{
    *p += strspn(*p, " \t");
    t->exclude = **p == '^';
    t->node = false;
    *p += t->exclude;
    if (strncmp(*p, "all", 3) == 0 && !t->exclude) {
        t->first = 0;
        t->last = CONFIG_MAX_CPUS - 1;
        *p += 3;
    } else {
        size_t prefix = strncmp(*p, "nodes:", 6) == 0 ? 6 : strncmp(*p, "node:", 5) == 0 ? 5 : 0;

        t->node = prefix;
        *p += prefix;
        if (!parse_range(p, t))
            return "a CPU list is made of N, N-M, node:N and all, with commas between and ^ before "
                   "what is left out";
        if (t->first > t->last)
            return "a range of a CPU list ends before it begins";
        if (t->last >= CONFIG_MAX_CPUS)
            return "a CPU list names a CPU or node that no host has";
    }
    *p += strspn(*p, " \t");
    if (**p && **p != ',')
        return "after each term of a CPU list stands a comma or nothing";
    return NULL;
}

static const char *apply_term(const struct term *t, unsigned nr_cpus, const unsigned *node_of,
                              uint8_t *bitmap)
{
    bool all = !t->node && t->first == 0 && t->last == CONFIG_MAX_CPUS - 1;
    bool found = false;

    if (!t->node && !all && t->last >= nr_cpus)
        return "a CPU list names a CPU that this host does not have";
    for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
        unsigned at = t->node ? (node_of ? node_of[cpu] : 0) : cpu;

        if (at < t->first || at > t->last)
            continue;
        found = true;
        if (t->exclude)
            bitmap[cpu / 8] &= ~(1u << cpu % 8);
        else
            bitmap[cpu / 8] |= 1u << cpu % 8;
    }
    return found ? NULL : "a CPU list names a node that this host does not have";
}

/* One way over the list: the terms that include, or those that exclude. */
static const char *pass(const char *list, bool exclude, unsigned nr_cpus, const unsigned *node_of,
                        uint8_t *bitmap)
{
    const char *p = list;

    for (;;) {
        struct term t;
        const char *why = parse_term(&p, &t);

        if (!why && nr_cpus && t.exclude == exclude)
            why = apply_term(&t, nr_cpus, node_of, bitmap);
        if (why || !*p)
            return why;
        p++;
    }
}

const char *cpulist_resolve(const char *list, unsigned nr_cpus, const unsigned *node_of,
                            uint8_t *bitmap)
{
    const char *why;

    if (nr_cpus)
        memset(bitmap, 0, (nr_cpus + 7) / 8);
    why = pass(list, false, nr_cpus, node_of, bitmap);
    if (!why)
        why = pass(list, true, nr_cpus, node_of, bitmap);
    for (unsigned i = 0; !why && i < (nr_cpus + 7) / 8; i++) {
        if (bitmap[i])
            return NULL;
    }
    return why || !nr_cpus ? why : "a CPU list leaves no CPU to run on";
}

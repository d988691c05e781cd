/* SPDX-License-Identifier: MIT */
/* "Did you mean ...?" */
#include "tools/cli/config.h"
#include <string.h>
#include <strings.h>

enum { MAX_WORD = 40 };

/*
 * How many letters must be changed, put in, left out or swapped with their neighbour to make b of a
 * (the optimal string alignment distance; upper and lower case are the same).
 */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][MAX_WORD + 1];
    unsigned la = strlen(a), lb = strlen(b);

    if (la > MAX_WORD || lb > MAX_WORD)
        return MAX_WORD;
    for (unsigned j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned *now = rows[i % 3], *above = rows[(i + 2) % 3], *two_up = rows[(i + 1) % 3];

        now[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned best = above[j - 1] + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_up[j - 2] + 1 < best)
                best = two_up[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *nearest_name(const char *word, const char *const *names)
{
    unsigned length = strlen(word);
    unsigned limit = length < 4 ? 1 : 2; /* beyond it the words are just different */
    const char *best = NULL;

    for (; *names; names++) {
        unsigned d = distance(word, *names);

        if (d <= limit && d < strlen(*names)) {
            best = *names;
            limit = d - (d > 0);
        }
    }
    return best;
}

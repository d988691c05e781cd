/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void all_values(const struct cmdline_opt *o)
{
    struct cmdline_serial s = { 0 };
    struct cmdline_dom0_mem m;
    unsigned lo, hi;
    uint64_t v, max;
    bool b;

    cmdline_bool(o, &b);
    cmdline_u64(o, &v);
    cmdline_serial(o->value, &s);
    if (!cmdline_range(o->value, &lo, &hi) && lo > hi)
        abort();
    if (!cmdline_dom0_mem(o->value, &m)) {
        for (unsigned shift = 20; shift < 64; shift++) {
            if (cmdline_dom0_bytes(&m, UINT64_C(1) << shift, &max) > UINT64_C(1) << shift)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *pos = text;
    struct cmdline_opt o;

    memcpy(text, data, size);
    text[size] = '\0';
    while (cmdline_next(&pos, &o))
        all_values(&o);
    cmdline_find(text, "dom0_mem", &o);
    cmdline_skip_word(text);
    free(text);
    return 0;
}

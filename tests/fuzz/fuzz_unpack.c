/* SPDX-License-Identifier: MIT */
/*
 * The decompression shim as it is linked. The libraries themselves are not instrumented (their own
 * projects fuzz them); guards around the output and the working memory show a write outside of
 * these.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "x86/boot/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT (256u << 10)
#define WORK (4u << 20)
#define GUARD 4096u

static uint8_t out[GUARD + OUT + GUARD], work[GUARD + WORK + GUARD];

static void check_guard(const uint8_t *p)
{
    for (unsigned i = 0; i < GUARD; i++) {
        if (p[i] != 0xa5)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int armed;
    size_t len = 0;

    if (!armed) {
        memset(out, 0xa5, sizeof(out));
        memset(work, 0xa5, sizeof(work));
        armed = 1;
    }
    if (!unpack_payload(bz_identify(data, size), data, size, out + GUARD, OUT, &len, work + GUARD,
                        WORK) &&
        len > OUT)
        abort();
    check_guard(out);
    check_guard(out + GUARD + OUT);
    check_guard(work);
    check_guard(work + GUARD + WORK);
    return 0;
}

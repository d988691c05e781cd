/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lib/bzimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bz_payload p;

    if (bzimage_parse(data, size, &p) == NULL) {
        const uint8_t *start = p.data;

        if (start < data || p.len > size || (size_t)(start - data) > size - p.len)
            abort();
    }
    return 0;
}

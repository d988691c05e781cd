/* SPDX-License-Identifier: MIT */
/* The sleep type of S5, out of the DSDT without an interpreter: \_S5 is a package of constants. */
#include "x86/power.h"

#include "lib/string.h"

/* One small constant; the number of bytes it takes, 0: something else. */
static size_t aml_byte(const uint8_t *p, size_t len, uint8_t *v)
{
    if (len >= 1 && p[0] <= 1) { /* ZeroOp, OneOp */
        *v = p[0];
        return 1;
    }
    if (len >= 2 && p[0] == 0x0a) { /* BytePrefix */
        *v = p[1];
        return 2;
    }
    if (len >= 3 && p[0] == 0x0b && p[2] == 0) { /* WordPrefix */
        *v = p[1];
        return 3;
    }
    return 0;
}

bool power_find_s5(const uint8_t *aml, size_t len, uint8_t *type_a, uint8_t *type_b)
{
    for (size_t i = 1; i + 8 < len; i++) {
        const uint8_t *p = aml + i;
        size_t left = len - i, at, n;

        if (memcmp(p, "_S5_", 4) || p[4] != 0x12 || (p[-1] != 0x08 && p[-1] != '\\'))
            continue;
        at = 5 + 1 + (p[5] >> 6) + 1; /* package operator, its length's bytes, element count */
        if (at >= left || !(n = aml_byte(p + at, left - at, type_a)))
            continue;
        at += n;
        if (at < left && aml_byte(p + at, left - at, type_b) && *type_a < 8 && *type_b < 8)
            return true;
    }
    return false;
}

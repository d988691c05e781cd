/* SPDX-License-Identifier: MIT */
/* Names of virtual disks and their numbers in the xenstore (xen-vbd-interface(7)). */
#include "tools/cli/config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DISK = 1 << 20, MAX_PARTITION = 256 };

/* Decimal digits at *p; false when there are none or too many. */
static bool digits(const char **p, unsigned limit, unsigned *n)
{
    const char *begin = *p;

    for (*n = 0; **p >= '0' && **p <= '9'; (*p)++) {
        *n = *n * 10 + (**p - '0');
        if (*n >= limit)
            return false;
    }
    return *p > begin;
}

/* Letters count as a, b ... z, aa, ab ... */
static bool letters(const char **p, unsigned *n)
{
    const char *begin = *p;

    for (*n = 0; **p >= 'a' && **p <= 'z'; (*p)++) {
        *n = *n * 26 + (**p - 'a' + 1);
        if (*n > MAX_DISK)
            return false;
    }
    (*n)--;
    return *p > begin;
}

static bool xvd_number(unsigned disk, unsigned part, unsigned *number)
{
    *number = disk < 16 && part < 16 ? 202u << 8 | disk << 4 | part : 1u << 28 | disk << 8 | part;
    return true;
}

static bool sd_number(unsigned disk, unsigned part, unsigned *number)
{
    *number = 8u << 8 | disk << 4 | part;
    return disk < 16 && part < 16;
}

static bool hd_number(unsigned disk, unsigned part, unsigned *number)
{
    *number = (disk < 2 ? 3u << 8 : 22u << 8) | (disk & 1) << 6 | part;
    return disk < 4 && part < 64;
}

/* A bare number goes to the xenstore as it is. */
static bool plain_number(const char *text, unsigned *number)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 0);
    if (errno || *end || n == 0 || n >= 2ul << 28)
        return false;
    *number = n;
    return true;
}

bool vdev_number(const char *vdev, unsigned *number)
{
    static const struct {
        char prefix[4];
        bool (*encode)(unsigned disk, unsigned part, unsigned *number);
    } kinds[] = { { "xvd", xvd_number }, { "sd", sd_number }, { "hd", hd_number } };
    const char *p = vdev;
    unsigned disk, part = 0;

    if (*p >= '0' && *p <= '9')
        return plain_number(vdev, number);
    if (*p == 'd') {
        p++;
        if (!digits(&p, MAX_DISK, &disk))
            return false;
        if (*p == 'p' && (p++, !digits(&p, MAX_PARTITION, &part)))
            return false;
        return !*p && xvd_number(disk, part, number);
    }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);

        if (strncmp(vdev, kinds[i].prefix, n) != 0)
            continue;
        p = vdev + n;
        if (!letters(&p, &disk) || (*p && (*p == '0' || !digits(&p, MAX_PARTITION, &part))))
            return false;
        return !*p && kinds[i].encode(disk, part, number);
    }
    return false;
}

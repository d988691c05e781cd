/* SPDX-License-Identifier: MIT */
/* Sizes of disks, on both hosts of a migration. */
#include "tools/cli/disk_sizes.h"
#include "tools/cli/config.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBER "orlop-disk-bytes" /* beside libxl's own, which pass over it */

/* -1: not known. Other formats' files grow, and a script's disk is not there yet. */
static int64_t size_of(const struct disk_config *d)
{
    int fd = d->script || d->format != DISK_RAW ? -1 : open(d->target, O_RDONLY | O_CLOEXEC);
    int64_t size = -1;
    uint64_t bytes;
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        size = st.st_size;
    else if (ioctl(fd, BLKGETSIZE64, &bytes) == 0 && bytes <= INT64_MAX)
        size = (int64_t)bytes;
    close(fd);
    return size;
}

char *disk_sizes_add(const char *json, const struct guest_config *cfg)
{
    struct json_object *all = json_tokener_parse(json), *sizes = json_object_new_object();
    char *text;

    for (unsigned int i = 0; i < cfg->nr_disks; i++) {
        int64_t bytes = size_of(&cfg->disks[i]);

        if (bytes >= 0)
            json_object_object_add(sizes, cfg->disks[i].vdev, json_object_new_int64(bytes));
    }
    json_object_object_add(all, MEMBER, sizes);
    text = str_dup(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
                                                           JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
    return text;
}

int disk_sizes_check(const char *json, const struct guest_config *cfg, struct error *e)
{
    struct json_object *all = json_tokener_parse(json), *sizes, *one;
    int rc = 0;

    if (!json_object_object_get_ex(all, MEMBER, &sizes) ||
        !json_object_is_type(sizes, json_type_object))
        sizes = NULL;
    for (unsigned int i = 0; sizes && rc == 0 && i < cfg->nr_disks; i++) {
        const struct disk_config *d = &cfg->disks[i];
        int64_t here = size_of(d);

        if (!json_object_object_get_ex(sizes, d->vdev, &one))
            continue;
        if (here < 0)
            rc = error_set(e, ENOENT, "Both hosts have to see the guest's disks by the same names.",
                           "disk %s: %s cannot be opened", d->vdev, d->target);
        else if (here != json_object_get_int64(one))
            rc = error_set(e, EINVAL, "Both hosts have to see the guest's disks by the same names.",
                           "disk %s: %s has %lld bytes here, %lld where the guest runs", d->vdev,
                           d->target, (long long)here, (long long)json_object_get_int64(one));
    }
    json_object_put(all);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* Notes of the network block devices that are being set up. */
#include "tools/cli/nbd.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define START_S 60 /* qemu-nbd has connected by then, or never will */

int nbd_note(const char *dir, unsigned int n)
{
    char *path = str_fmt("%s/%u", dir, n);
    struct stat named, held;
    int fd = make_dirs(path, 0700);

    if (fd == 0)
        fd = lock_file(path, false);
    /* Its last holder may have removed it meanwhile: then another number does. */
    if (fd >= 0 &&
        (stat(path, &named) != 0 || fstat(fd, &held) != 0 || named.st_ino != held.st_ino)) {
        close(fd);
        fd = -EWOULDBLOCK;
    }
    free(path);
    return fd;
}

void nbd_note_done(const char *dir, unsigned int n, int fd)
{
    char *path = str_fmt("%s/%u", dir, n);

    unlink(path);
    close(fd);
    free(path);
}

/* Whether a backend of any guest names it. */
static bool recorded(struct store *s, const char *node)
{
    unsigned int guests, disks;
    char **guest = store_list(s, &guests, "/local/domain/0/backend/vbd");
    bool found = false;

    for (unsigned int i = 0; i < guests && !found; i++) {
        char **disk = store_list(s, &disks, "/local/domain/0/backend/vbd/%s", guest[i]);

        for (unsigned int j = 0; j < disks && !found; j++) {
            char *there = store_read(s, "/local/domain/0/backend/vbd/%s/%s/node", guest[i],
                                     disk[j]);

            found = there && strcmp(there, node) == 0;
            free(there);
        }
        free(disk);
    }
    free(guest);
    return found;
}

/* True if there was something to end. The note stays while qemu-nbd may still be starting. */
static bool sweep_one(struct store *s, const char *dir, unsigned int n,
                      void (*release)(const char *node))
{
    char node[32], path[64];
    int fd = nbd_note(dir, n);
    bool serves, ended;
    struct stat st;

    if (fd < 0)
        return false;
    snprintf(node, sizeof(node), "/dev/nbd%u", n);
    snprintf(path, sizeof(path), "/sys/block/nbd%u/pid", n);
    serves = access(path, F_OK) == 0;
    ended = !recorded(s, node);
    if (ended)
        release(node);
    if (!serves && ended && fstat(fd, &st) == 0 && time(NULL) - st.st_mtime < START_S)
        close(fd);
    else
        nbd_note_done(dir, n, fd);
    return ended;
}

unsigned int nbd_sweep(struct store *s, const char *dir, void (*release)(const char *node))
{
    DIR *d = opendir(dir);
    unsigned int n, ended = 0;
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        if (parse_uint(entry->d_name, &n))
            ended += sweep_one(s, dir, n, release);
    }
    if (d)
        closedir(d);
    return ended;
}

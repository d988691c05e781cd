/* SPDX-License-Identifier: MIT */
/* One program at a time for a guest. */
#include "tools/cli/guest_lock.h"
#include "tools/cli/disk.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/nbd.h"
#include "tools/cli/suspend.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_PATH "/run/orlop/guests/"

/* The file that was locked is removed by its holder: then it is no longer the one of that name. */
static bool same_file(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int guest_lock(struct guest_lock *l, const uint8_t uuid[16], bool wait, struct error *e)
{
    char text[UUID_TEXT];
    int rc;

    uuid_to_text(uuid, text);
    snprintf(l->path, sizeof(l->path), DIR_PATH "%s", text);
    for (;;) {
        rc = lock_file(l->path, wait);
        if (rc == -ENOENT && make_dirs(l->path, 0755) == 0)
            continue;
        if (rc < 0 || same_file(rc, l->path))
            break;
        close(rc);
    }
    l->fd = rc < 0 ? -1 : rc;
    l->left = LEFT_ALONE;
    if (rc >= 0 && pread(l->fd, text, 1, 0) == 1)
        l->left = text[0] == 'e' ? LEFT_ERASE : text[0] == 'r' ? LEFT_RESUME : LEFT_UNRESOLVED;
    if (rc == -EWOULDBLOCK)
        return error_set(e, EWOULDBLOCK, "Wait for it; orlop list shows when it is done.",
                         "another orlop works on this guest just now");
    return rc < 0 ? error_sys(e, -rc, "Run this as root, with /run writable.", "%s", l->path) : 0;
}

/* Of the lock's file: 1, somebody holds it; 0, nobody; -1, there is none. */
static int held(const uint8_t uuid[16])
{
    char text[UUID_TEXT], path[96];
    int fd, rc;

    uuid_to_text(uuid, text);
    snprintf(path, sizeof(path), DIR_PATH "%s", text);
    fd = open(path, O_RDONLY | O_CLOEXEC); /* not for writing: leftovers_watch() tells of that */
    if (fd < 0)
        return -1;
    rc = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return rc;
}

bool guest_lock_busy(const uint8_t uuid[16])
{
    return held(uuid) == 1;
}

/* One byte, so that it is there or not. */
int guest_lock_note(struct guest_lock *l, enum guest_left left)
{
    static const char said[] = { [LEFT_ERASE] = 'e', [LEFT_RESUME] = 'r', [LEFT_UNRESOLVED] = 'u' };

    return pwrite(l->fd, &said[left], 1, 0) == 1 ? 0 : -EIO;
}

void guest_unlock(struct guest_lock *l)
{
    if (l->fd < 0)
        return;
    unlink(l->path);
    close(l->fd);
    l->fd = -1;
}

int leftovers_watch(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    make_dirs(DIR_PATH, 0755);
    /* A holder that ends as it should has removed its file first. */
    if (fd >= 0)
        inotify_add_watch(fd, DIR_PATH, IN_CLOSE_WRITE | IN_EXCL_UNLINK);
    return fd;
}

bool leftovers_news(int fd)
{
    char events[1024];
    bool news = false;

    while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
        news = true;
    return news;
}

bool leftovers_any(void)
{
    DIR *dir = opendir(DIR_PATH);
    struct dirent *entry;
    bool any = false;

    while (dir && !any && (entry = readdir(dir))) {
        uint8_t uuid[16];

        any = uuid_from_text(entry->d_name, uuid) && held(uuid) == 0;
    }
    if (dir)
        closedir(dir);
    return any;
}

int leftovers_clean(struct host *h)
{
    DIR *dir = opendir(DIR_PATH);
    struct dirent *entry;
    int found = 0;

    while (dir && (entry = readdir(dir))) {
        struct guest_lock l;
        uint8_t uuid[16];

        if (!uuid_from_text(entry->d_name, uuid) || guest_lock(&l, uuid, false, NULL) != 0)
            continue;
        found++;
        if (l.left == LEFT_RESUME)
            suspend_recover(h, uuid);
        else if (l.left == LEFT_ERASE)
            guest_clean_unfinished(h, uuid);
        guest_unlock(&l);
    }
    if (dir)
        closedir(dir);
    return found + nbd_sweep(&h->store, NBD_NOTES, disk_node_release);
}

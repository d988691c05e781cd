/* SPDX-License-Identifier: MIT */
/* Block devices behind guests' disks. */
#define _GNU_SOURCE
#include "tools/cli/disk.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/nbd.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/nbd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int open_target(const struct disk_config *d, struct stat *st, struct error *e)
{
    int flags = (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    int fd = open(d->target, flags);

    if (fd < 0 && (errno == EROFS || errno == EACCES))
        return error_sys(e, errno, "Attach it read-only (mode r), or make the file writable.",
                         "disk %s: %s", d->vdev, d->target);
    if (fd < 0)
        return error_sys(e, errno, "Check the path in disk= (man 5 xl-disk-configuration).",
                         "disk %s: %s", d->vdev, d->target);
    if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)))
        return fd;
    close(fd);
    return error_set(e, EINVAL, "Give a block device or an image file.",
                     "disk %s: %s is neither a block device nor a file", d->vdev, d->target);
}

static const char *find_program(const char *const *paths)
{
    for (; *paths; paths++) {
        if (access(*paths, X_OK) == 0)
            return *paths;
    }
    return NULL;
}

static const char *const qemu_nbd_paths[] = { "/usr/bin/qemu-nbd", "/usr/local/bin/qemu-nbd",
                                              "/bin/qemu-nbd", NULL };

static int check_format(const struct disk_config *d, struct error *e)
{
    if (d->format == DISK_RAW)
        return 0;
    if (!find_program(qemu_nbd_paths))
        return error_set(e, ENOENT, "Install it: apt install qemu-utils",
                         "disk %s: a %s image needs qemu-nbd, which is not installed", d->vdev,
                         disk_format_name(d->format));
    if (access("/sys/block/nbd0", F_OK) != 0)
        return error_set(e, ENODEV, "Load it: modprobe nbd",
                         "disk %s: a %s image needs the kernel module nbd", d->vdev,
                         disk_format_name(d->format));
    return 0;
}

/* Its script opens it, and only then shows what it is; until then its words are what it is. */
static int check_script(const struct disk_config *d, struct disk_backing *b, struct error *e)
{
    uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

    for (const char *p = d->script; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
    for (const char *p = d->target; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
    snprintf(b->key, sizeof(b->key), "s%llx", (unsigned long long)h);
    return hotplug_check(DEVICE_VBD, d->script, e) ? error_in(e, "disk %s", d->vdev) : 0;
}

int disk_check(const struct disk_config *d, struct disk_backing *b, struct error *e)
{
    struct stat st;
    int fd;

    memset(b, 0, sizeof(*b));
    b->fd = -1;
    if (d->script)
        return check_script(d, b, e);
    fd = open_target(d, &st, e);
    if (fd < 0)
        return -1;
    close(fd);
    if (S_ISBLK(st.st_mode)) {
        snprintf(b->key, sizeof(b->key), "b%u-%u", major(st.st_rdev), minor(st.st_rdev));
        return 0;
    }
    snprintf(b->key, sizeof(b->key), "f%llx-%llx", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    if (st.st_size < 512)
        return error_set(e, EINVAL,
                         "Make the image as large as the disk shall be: truncate -s 8G FILE",
                         "disk %s: %s holds not even one sector", d->vdev, d->target);
    return check_format(d, e);
}

static int fill(struct disk_backing *b, const char *node, const struct disk_config *d,
                struct error *e)
{
    char *path;
    struct stat st;

    if (b->fd < 0)
        b->fd = open(node, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (b->fd < 0 || fstat(b->fd, &st) != 0)
        return error_sys(e, errno, NULL, "disk %s: %s", d->vdev, node);
    b->major = major(st.st_rdev);
    b->minor = minor(st.st_rdev);
    path = realpath(node, NULL); /* the device itself: names of links are long, and may change */
    if (!path || strlen(path) >= sizeof(b->node) || strchr(path, ',')) {
        free(path);
        return error_set(e, ENAMETOOLONG, "Give the device's own name, as in /dev.",
                         "disk %s: the name of %s cannot be handed on", d->vdev, node);
    }
    strcpy(b->node, path);
    free(path);
    return 0;
}

static int loop_configure(int loop, int file, const struct disk_config *d)
{
    struct loop_config c = { .fd = file };

    c.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO |
                      (d->readonly ? LO_FLAGS_READ_ONLY : 0);
    snprintf((char *)c.info.lo_file_name, LO_NAME_SIZE, "%s", d->target);
    return ioctl(loop, LOOP_CONFIGURE, &c) == 0 ? 0 : -errno;
}

/* Somebody else may take the free device between the two calls: then ask for another one. */
static int loop_open(const struct disk_config *d, int file, struct disk_backing *b, struct error *e)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), rc = -EBUSY;
    char node[64];

    if (control < 0)
        return error_sys(e, errno, "Load the kernel module: modprobe loop",
                         "disk %s: /dev/loop-control", d->vdev);
    for (int tries = 0; rc == -EBUSY && tries < 64; tries++) {
        int n = ioctl(control, LOOP_CTL_GET_FREE);

        rc = n < 0 ? -errno : 0;
        if (rc < 0)
            break;
        snprintf(node, sizeof(node), "/dev/loop%d", n);
        b->fd = open(node, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        rc = b->fd < 0 ? -errno : loop_configure(b->fd, file, d);
        if (rc != 0)
            disk_close(b);
    }
    close(control);
    if (rc == 0)
        return fill(b, node, d, e);
    return error_sys(e, -rc, "losetup -a shows the loop devices in use.",
                     "disk %s: a loop device for %s", d->vdev, d->target);
}

/* Not through Domain 0's page cache, where the file system can do that (tmpfs cannot). */
static const char *nbd_cache(const struct disk_config *d)
{
    int fd = open(d->target, O_RDONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0)
        return "--cache=writeback";
    close(fd);
    return "--cache=none";
}

static int nbd_spawn(const char *node, const struct disk_config *d, struct error *e)
{
    static char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    const char *program = find_program(qemu_nbd_paths);
    char *connect = str_fmt("--connect=%s", node);
    char *format = str_fmt("--format=%s", disk_format_name(d->format));
    char *args[] = { "qemu-nbd", "--fork", "--discard=unmap", (char *)nbd_cache(d),
                     connect,    format,   (char *)d->target, d->readonly ? "--read-only" : NULL,
                     NULL };
    int status = -1, rc;
    pid_t pid;

    rc = program ? posix_spawn(&pid, program, NULL, NULL, args, env) : ENOENT;
    if (rc == 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    free(connect);
    free(format);
    if (rc != 0)
        return error_sys(e, rc, "Install it: apt install qemu-utils", "disk %s: qemu-nbd", d->vdev);
    if (status != 0)
        return error_set(e, EIO, "Its own message is above; qemu-img info shows what the file is.",
                         "disk %s: qemu-nbd does not serve %s", d->vdev, d->target);
    return 0;
}

static int nbd_open(const struct disk_config *d, struct disk_backing *b, struct error *e)
{
    char key[DISK_KEY];

    memcpy(key, b->key, sizeof(key));
    for (int n = 0; n < 1024; n++) {
        char path[64], node[32];
        int note;

        snprintf(path, sizeof(path), "/sys/block/nbd%d", n);
        if (access(path, F_OK) != 0)
            break;
        snprintf(path, sizeof(path), "/sys/block/nbd%d/pid", n);
        if (access(path, F_OK) == 0)
            continue;
        note = nbd_note(NBD_NOTES, n);
        if (note == -EWOULDBLOCK)
            continue; /* another command is about to take it */
        if (note < 0)
            return error_sys(e, -note, "Run this as root, with /run writable.", NBD_NOTES);
        if (access(path, F_OK) == 0) {
            nbd_note_done(NBD_NOTES, n, note);
            continue;
        }
        snprintf(node, sizeof(node), "/dev/nbd%d", n);
        *b = (struct disk_backing){ .fd = -1, .nbd = true, .nbd_number = n, .nbd_note = note };
        snprintf(b->node, sizeof(b->node), "%s", node);
        memcpy(b->key, key, sizeof(key));
        if (nbd_spawn(node, d, e) == 0 && fill(b, node, d, e) == 0)
            return 0;
        disk_drop(b);
        return -1;
    }
    return error_set(e, EBUSY, "Load it with more: modprobe -r nbd; modprobe nbd nbds_max=64",
                     "disk %s: no network block device is free", d->vdev);
}

int disk_open(const struct disk_config *d, struct disk_backing *b, struct error *e)
{
    struct stat st;
    int fd, rc;

    b->fd = -1;
    if (d->script) /* at device_await */
        return 0;
    if (d->format != DISK_RAW)
        return nbd_open(d, b, e);
    fd = open_target(d, &st, e);
    if (fd < 0)
        return -1;
    if (S_ISBLK(st.st_mode)) {
        b->fd = fd;
        return fill(b, d->target, d, e);
    }
    rc = loop_open(d, fd, b, e);
    close(fd);
    return rc;
}

void disk_close(struct disk_backing *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    if (b->nbd)
        nbd_note_done(NBD_NOTES, b->nbd_number, b->nbd_note);
    b->nbd = false;
}

void disk_drop(struct disk_backing *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    if (b->nbd)
        disk_node_release(b->node);
    disk_close(b);
}

void disk_loop_release(const char *node, const char *file)
{
    char path[96], *now, *end;
    int fd;

    if (strncmp(node, "/dev/loop", 9) != 0 || strchr(node + 9, '/'))
        return;
    snprintf(path, sizeof(path), "/sys/block/%.40s/loop/backing_file", node + 5);
    now = file_read(path, 4096, NULL);
    end = now ? strchr(now, '\n') : NULL;
    if (end)
        *end = 0;
    if (now && strcmp(now, file) == 0 && (fd = open(node, O_RDWR | O_CLOEXEC)) >= 0) {
        ioctl(fd, LOOP_CLR_FD, 0);
        close(fd);
    }
    free(now);
}

void disk_node_release(const char *node)
{
    int fd;

    if (strncmp(node, "/dev/nbd", 8) != 0)
        return;
    fd = open(node, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    ioctl(fd, NBD_DISCONNECT);
    ioctl(fd, NBD_CLEAR_SOCK);
    close(fd);
}

/* SPDX-License-Identifier: MIT */
/* What the life-cycle commands write into xenstore, in a real xenstored without a hypervisor: a
 * guest's nodes and record, changes of the record, and that nothing is left when they are removed.
 * Needs build/tools/xenstored. */
#define _GNU_SOURCE
#include "tools/cli/device_list.h"
#include "tools/cli/device_model.h"
#include "tools/cli/disk.h"
#include "tools/cli/disk_use.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/nbd.h"
#include "tools/cli/userdata.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "store_daemon.h"
#include "unit.h"

#define FRONT "/local/domain/7/device/vbd/51728"
#define BACK "/local/domain/0/backend/vbd/7/51728"

#define DISKS 60

/* A guest with so many disks that its record takes several pieces. */
static void configure(struct guest_config *cfg, unsigned int disks)
{
    struct config_errors errors = { 0 };
    char *text = str_dup(
        "name='web1'\nkernel='/boot/vmlinuz'\nmemory=512\nmaxmem=1024\nvcpus=2\n"
        "maxvcpus=4\nuuid='00112233-4455-6677-8899-aabbccddeeff'\n"
        "vif=['bridge=xenbr0','bridge=xenbr1,mac=00:16:3e:01:02:03,rate=1Mb/s']\ndisk=[");

    for (unsigned int i = 0; i < disks; i++) {
        char *more = str_fmt(
            "%s'/srv/a folder with a long name to fill it/disk%u.img,raw,d%u,w',\n", text, i, i);

        free(text);
        text = more;
    }
    text = mem_grow(text, strlen(text) + 2);
    strcat(text, "]");
    if (!config_parse(cfg, "/t.cfg", text, strlen(text), NULL, 0, &errors)) {
        puts(errors.text[0]);
        exit(1);
    }
    free(text);
}

static void fill_nodes(struct guest_nodes *n, struct guest_config *cfg)
{
    n->cfg = cfg;
    n->domid = 7;
    n->console_port = 1;
    n->store_port = 2;
    n->backing = mem_alloc(DISKS * sizeof(*n->backing));
    for (unsigned int i = 0; i < cfg->nr_disks; i++) {
        n->backing[i].fd = -1;
        n->backing[i].major = 7;
        n->backing[i].minor = i;
        snprintf(n->backing[i].key, sizeof(n->backing[i].key), "b7-%u", i);
        snprintf(n->backing[i].node, sizeof(n->backing[i].node), "/dev/loop%u", i);
    }
}

static bool is(const char *path, const char *value)
{
    char *v = store_read(&h.store, "%s", path);
    bool same = v && strcmp(v, value) == 0;

    if (!same)
        printf("%s is \"%s\", not \"%s\"\n", path, v ? v : "(missing)", value);
    free(v);
    return same;
}

/* "n7,r0": the owner and what others may, of a node. */
static bool owned(const char *path, unsigned int owner, unsigned int reader)
{
    unsigned int n;
    struct xs_permissions *p = xs_get_permissions(h.store.h, XBT_NULL, path, &n);
    bool ok = p && n >= 1 && p[0].id == owner && p[0].perms == XS_PERM_NONE &&
              (owner == reader || (n == 2 && p[1].id == reader && p[1].perms == XS_PERM_READ));

    free(p);
    return ok;
}

static unsigned int nodes_below(const char *path)
{
    unsigned int n, sum = 0;
    char **names = store_list(&h.store, &n, "%s", path);

    for (unsigned int i = 0; i < n; i++)
        sum += strcmp(names[i], "tool") != 0;
    free(names);
    return sum;
}

TEST(nodes_of_a_guest)
{
    struct guest_config cfg = { 0 };
    struct guest_nodes n;
    struct device_info *list;
    unsigned int before;

    start_daemon();
    before = nodes_below("/");
    configure(&cfg, 3);
    fill_nodes(&n, &cfg);
    CHECK_EQ(store_transact(&h.store, guest_store_nodes, &n), 0);
    CHECK(is("/local/domain/7/name", "web1"));
    CHECK(is("/local/domain/7/vm", "/vm/00112233-4455-6677-8899-aabbccddeeff"));
    CHECK(is("/local/domain/7/memory/target", "524288"));
    CHECK(is("/local/domain/7/memory/static-max", "1048576"));
    CHECK(is("/local/domain/7/cpu/1/availability", "online"));
    CHECK(is("/local/domain/7/cpu/3/availability", "offline"));
    CHECK(is("/local/domain/7/store/port", "2"));
    CHECK(is("/local/domain/0/backend/vif/7/1/rate", "6250,50000"));
    CHECK(is("/local/domain/0/backend/vif/7/1/mac", "00:16:3e:01:02:03"));
    CHECK(is("/libxl/7/type", "pv"));
    CHECK(is("/libxl/7/device/vbd/51712/backend", "/local/domain/0/backend/vbd/7/51712"));
    CHECK(is("/libxl/7/device/vbd/51712/dev", "d0"));
    CHECK(is("/libxl/7/device/vif/1/mac", "00:16:3e:01:02:03"));
    CHECK(owned("/libxl/7/device/vif/1/mac", 0, 0)); /* nobody but Domain 0 says what it is */
    CHECK(owned("/local/domain/7", 0, 7));
    CHECK(owned("/local/domain/7/name", 0, 7));
    CHECK(owned("/local/domain/7/control/sysrq", 7, 7));
    CHECK(owned("/local/domain/7/device/vif/0/state", 7, 0));
    CHECK(owned("/local/domain/0/backend/vif/7/0/bridge", 0, 7));
    CHECK(owned("/orlop/00112233-4455-6677-8899-aabbccddeeff/config/0", 0, 0));
    CHECK_EQ(device_list(&h.store, 7, DEVICE_VBD, &list), 3);
    CHECK_STR(list[2].target, "/srv/a folder with a long name to fill it/disk2.img");
    CHECK_STR(list[2].mode, "w");
    CHECK_STR(device_state_name(list[0].state), "starting");
    device_list_free(list, 3);

    CHECK_EQ(store_rm(&h.store, "/local/domain/7"), 0);
    CHECK_EQ(store_rm(&h.store, "/local/domain/0/backend/vbd/7"), 0);
    CHECK_EQ(store_rm(&h.store, "/local/domain/0/backend/vif/7"), 0);
    CHECK_EQ(store_rm(&h.store, "/local/domain/0/backend/console/7"), 0);
    CHECK_EQ(store_rm(&h.store, "/libxl/7"), 0);
    CHECK_EQ(guest_erase(&h, -1, cfg.uuid, false, now_ms(), NULL), 0);
    CHECK(!store_exists(&h.store, "/orlop") && !store_exists(&h.store, "/vm"));
    CHECK(!store_exists(&h.store, "/local/domain/0/backend"));
    CHECK(nodes_below("/") <= before + 1); /* /local */
    free(n.backing);
    config_free(&cfg);
}

/* --- the tree as a whole, beside xl's --- */

struct lines {
    char **line;
    size_t n;
};

static void add_line(struct lines *l, char *text)
{
    l->line = mem_grow(l->line, (l->n + 1) * sizeof(*l->line));
    l->line[l->n++] = text;
}

static void free_lines(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->line[i]);
    free(l->line);
}

/* As xenstore-ls -fp writes it: PATH = "VALUE" (n0,r1). */
static void dump_tree(struct lines *l, const char *path)
{
    unsigned int n, perms;
    struct xs_permissions *p = xs_get_permissions(h.store.h, XBT_NULL, path, &perms);
    char *value = store_read(&h.store, "%s", path), text[64] = "", **names;
    size_t used = 0;

    for (unsigned int i = 0; p && i < perms; i++)
        used += snprintf(text + used, sizeof(text) - used, "%s%c%u", i ? "," : "",
                         p[i].perms == XS_PERM_NONE ? 'n' : 'r', p[i].id);
    add_line(l, str_fmt("%s = \"%s\" (%s)", path, value ? value : "?", text));
    free(p);
    free(value);
    names = store_list(&h.store, &n, "%s", path);
    for (unsigned int i = 0; i < n; i++) {
        char *child = str_fmt("%s/%s", path, names[i]);

        dump_tree(l, child);
        free(child);
    }
    free(names);
}

static void read_lines(struct lines *l, const char *path)
{
    size_t len;
    char *text = file_read(path, 1 << 20, &len), *save, *line;

    for (line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        if (*line == '/')
            add_line(l, str_dup(line));
    free(text);
}

/* What differs on purpose, or is written later than here, or by others: paths, or their ends. */
static bool may_differ(const char *path, size_t len)
{
    static const char *const ends[] = {
        "/script",                 /* no script is run */
        "/vif/1/0/hotplug-status", /* once the card is in its bridge */
        "/vif/0/mtu",              /* told only if the configuration does */
        "/ring-ref",               /* once the memory is built */
        "/tty",                    /* the console daemon's */
        "/state",                  /* the kernel's backends had begun */
        "/start_time",
        "/key", /* ours: under which name the disk's bytes are known */
    };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t n = strlen(ends[i]);

        if (len >= n && strncmp(path + len - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

static bool has_line(const struct lines *l, const char *line)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->line[i], line) == 0)
            return true;
    return false;
}

static unsigned int missing(const struct lines *in, const struct lines *from, const char *what)
{
    unsigned int n = 0;

    for (size_t i = 0; i < from->n; i++) {
        const char *line = from->line[i];

        if (may_differ(line, strcspn(line, " ")) || has_line(in, line))
            continue;
        printf("%s: %s\n", what, line);
        n++;
    }
    return n;
}

TEST(tree_is_as_xl_makes_it)
{
    struct guest_config cfg = { 0 };
    struct config_errors errors = { 0 };
    struct guest_nodes n = { .cfg = &cfg, .domid = 1, .console_port = 2, .store_port = 1 };
    struct disk_backing backing = { .fd = -1, .major = 7, .node = "/dev/loop0", .key = "f1-2" };
    struct lines xl = { 0 }, ours = { 0 };
    static const char text[] =
        "name='web1'\nkernel='/guest/vmlinuz.lz4'\nramdisk='/guest/initrd'\nmemory=128\nvcpus=2\n"
        "maxvcpus=4\nuuid='00112233-4455-6677-8899-aabbccddeeff'\n"
        "extra='console=hvc0 panic=-1 net.ifnames=0 name=web1 addr=10.9.0.2/24'\n"
        "disk=['format=raw, vdev=xvda, access=rw, target=/run/guests/a.img']\n"
        "vif=['mac=00:16:3e:00:00:02, bridge=xenbr0']\n";

    start_daemon();
    CHECK(config_parse(&cfg, "/t.cfg", text, strlen(text), NULL, 0, &errors));
    n.backing = &backing;
    CHECK_EQ(store_transact(&h.store, guest_store_nodes, &n), 0);
    dump_tree(&ours, "/local/domain/1");
    dump_tree(&ours, "/local/domain/0/backend");
    dump_tree(&ours, "/vm/00112233-4455-6677-8899-aabbccddeeff");
    read_lines(&xl, "tests/cli/xl-tree.txt");
    CHECK(xl.n > 100);
    CHECK_EQ(missing(&ours, &xl, "xl has, and we do not"), 0);
    CHECK_EQ(missing(&xl, &ours, "we have, and xl does not"), 0);
    /* What only the guest's own kernel may change is its own, and nothing else. */
    CHECK(owned("/local/domain/1/control/shutdown", 1, 1));
    CHECK(owned("/local/domain/1/control", 0, 1));
    free_lines(&xl);
    free_lines(&ours);
    CHECK_EQ(store_rm(&h.store, "/local/domain/1"), 0);
    CHECK_EQ(store_rm(&h.store, "/local/domain/0/backend"), 0);
    CHECK_EQ(guest_erase(&h, -1, cfg.uuid, false, now_ms(), NULL), 0);
    config_free(&cfg);
}

/* The guest owns its frontend's nodes: whatever it writes there, the list says what is. */
TEST(lists_follow_no_guest)
{
    struct device_info *list;

    start_daemon();
    store_write(&h.store, "/local/domain/0/backend/vif/7/0/bridge", "xenbr0");
    store_write(&h.store, "/local/domain/0/backend/vif/7/0/mac", "00:16:3e:00:00:01");
    store_write(&h.store, "/local/domain/0/backend/vif/7/0/state", "4");
    store_write(&h.store, "/local/domain/7/device/vif/0/mac", "\033[2J");
    store_write(&h.store, "/local/domain/7/device/vif/0/backend", "/evil");
    store_write(&h.store, "/local/domain/7/device/vif/0/backend-id", "9");
    store_write(&h.store, "/local/domain/7/device/vif/1/backend", "/evil");
    store_write(&h.store, "/evil/bridge", "evil");
    store_write(&h.store, "/evil/state", "6");
    CHECK_EQ(device_list(&h.store, 7, DEVICE_VIF, &list), 1);
    CHECK_STR(list[0].target, "xenbr0");
    CHECK_STR(list[0].mode, "00:16:3e:00:00:01");
    CHECK(list[0].backend == 0 && list[0].backend_state == 4);
    device_list_free(list, 1);
    store_write(&h.store, "/local/domain/0/backend/vif/7/0/bridge", "x\033[2J");
    device_list(&h.store, 7, DEVICE_VIF, &list);
    CHECK_STR(list[0].target, "x?[2J");
    device_list_free(list, 1);
    store_write(&h.store, "/local/domain/7/name", "web\033[2J\n");
    {
        char name[NAME_SIZE];

        name_of(&h.store, 7, name);
        CHECK_STR(name, "web?[2J?");
    }
    store_rm(&h.store, "/local/domain/0/backend");
    store_rm(&h.store, "/local/domain/7");
    store_rm(&h.store, "/evil");
}

static char released[64];

static void release(const char *node)
{
    snprintf(released + strlen(released), sizeof(released) - strlen(released), "%s ", node);
}

/* Commands that were killed before they had recorded their qemu-nbd; others that are at it. */
TEST(forgotten_qemu_nbd)
{
    char notes[] = "/tmp/nbd_notes.XXXXXX", *path, *old;
    int held, killed, done;

    start_daemon();
    if (!mkdtemp(notes))
        abort();
    held = nbd_note(notes, 901);
    killed = nbd_note(notes, 902);
    done = nbd_note(notes, 903);
    CHECK(held >= 0 && killed >= 0 && done >= 0);
    CHECK_EQ(nbd_note(notes, 901), -EWOULDBLOCK);
    close(killed);
    close(done);
    store_write(&h.store, "/local/domain/0/backend/vbd/7/51712/node", "/dev/nbd903");
    CHECK_EQ(nbd_sweep(&h.store, notes, release), 1);
    CHECK_STR(released, "/dev/nbd902 ");
    path = str_fmt("%s/902", notes); /* it may still be starting: the note stays for a while */
    CHECK(access(path, F_OK) == 0);
    old = str_fmt("touch -d '2 minutes ago' %s", path);
    CHECK_EQ(system(old), 0);
    CHECK_EQ(nbd_sweep(&h.store, notes, release), 1);
    CHECK(access(path, F_OK) != 0);
    free(path);
    free(old);
    CHECK_EQ(nbd_sweep(&h.store, notes, release), 0);
    nbd_note_done(notes, 901, held);
    CHECK_EQ(rmdir(notes), 0);
    store_rm(&h.store, "/local/domain/0/backend");
}

/* --- who uses these bytes --- */

static void sysfs_file(const char *root, const char *path, const char *text)
{
    char *full = str_fmt("%s/%s", root, path);

    if (make_dirs(full, 0755) != 0 || file_write(full, text) != 0)
        abort();
    free(full);
}

/*
 * sda (8:0) with partitions sda1 (8:1) and sda2 (8:2); vg-a (253:0) and vg-b (253:1) on sda2; loop0
 * (7:0) over a file, loop1 (7:1) over its second MiB, loop2 (7:2) over its first.
 */
static void make_sysfs(const char *root, const char *file)
{
    char *cmd = str_fmt(
        "mkdir -p %s/dev/block %s/block && cd %s/dev/block && "
        "mkdir -p ../../sda/sda1 ../../sda/sda2 && ln -s ../../sda 8:0 && "
        "ln -s ../../sda/sda1 8:1 && ln -s ../../sda/sda2 8:2 && "
        "mkdir -p ../../dm-0/slaves ../../dm-1/slaves && ln -s ../../dm-0 253:0 && "
        "ln -s ../../dm-1 253:1 && ln -s ../../sda/sda2 ../../dm-0/slaves/sda2 && "
        "ln -s ../../sda/sda2 ../../dm-1/slaves/sda2 && "
        "for i in 0 1 2; do mkdir -p ../../loop$i/loop; ln -s ../../loop$i 7:$i; done",
        root, root, root);

    CHECK_EQ(system(cmd), 0);
    free(cmd);
    sysfs_file(root, "sda/dev", "8:0\n");
    sysfs_file(root, "sda/sda1/partition", "1\n");
    sysfs_file(root, "sda/sda1/dev", "8:1\n");
    sysfs_file(root, "sda/sda1/start", "2048\n");
    sysfs_file(root, "sda/sda1/size", "2048\n");
    sysfs_file(root, "sda/sda2/partition", "2\n");
    sysfs_file(root, "sda/sda2/dev", "8:2\n");
    sysfs_file(root, "sda/sda2/start", "4096\n");
    sysfs_file(root, "sda/sda2/size", "4096\n");
    for (int i = 0; i < 3; i++) {
        char *path = str_fmt("loop%d/loop/backing_file", i);

        sysfs_file(root, path, file);
        free(path);
    }
    sysfs_file(root, "loop1/loop/offset", "1048576\n");
    sysfs_file(root, "loop1/loop/sizelimit", "1048576\n");
    sysfs_file(root, "loop2/loop/sizelimit", "1048576\n");
}

static void use_block(struct disk_use *u, unsigned int major, unsigned int minor)
{
    struct stat st = { .st_mode = S_IFBLK, .st_rdev = makedev(major, minor) };

    disk_use_of(u, &st);
}

/* Whether two have the same bytes; whichever is asked first, the answer is the same. */
static bool same(unsigned int major1, unsigned int minor1, unsigned int major2, unsigned int minor2)
{
    static struct disk_use a, b;

    use_block(&a, major1, minor1);
    use_block(&b, major2, minor2);
    CHECK_EQ(disk_use_same(&a, &b), disk_use_same(&b, &a));
    return disk_use_same(&a, &b);
}

static int may_have(const char *target, bool readonly)
{
    struct disk_config d = { .target = (char *)target, .vdev = "xvda", .readonly = readonly };
    struct error e = { 0 };
    int rc = disk_use_check(&h, &d, &e);

    if (rc)
        CHECK(e.code == EBUSY && strstr(e.remedy, "--force"));
    return rc;
}

/* A QEMU that was broken into may say anything on its command line; its user is the kernel's. Needs
 * root, as QEMU's start does. */
TEST(a_device_model_that_hides_is_ended)
{
    const char *path = "/local/domain/7/image/device-model-pid";
    int status = 0;
    pid_t pid;

    if (geteuid() != 0)
        return;
    for (unsigned int own = 0; own < 2; own++) {
        pid = fork();
        if (pid == 0) {
            if (setresuid(0x70010007 + own, 0x70010007 + own, 0x70010007 + own))
                _exit(1);
            kill(getpid(), SIGSTOP);
            pause();
            _exit(2);
        }
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        CHECK_EQ(store_put(&h.store, "/local/domain/7/image", "device-model-pid", "%d", (int)pid),
                 0);
        CHECK_EQ(dm_pid(&h.store, 7), own ? -1 : pid); /* the second is another guest's */
        dm_stop(&h.store, 7);
        CHECK_EQ(waitpid(pid, &status, WNOHANG), own ? 0 : pid);
        if (own) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        } else {
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
    }
    xs_rm(h.store.h, XBT_NULL, path);
}

static char sysfs_dir[] = "/tmp/life_sys.XXXXXX";

TEST(names_of_the_same_bytes)
{
    static struct disk_use file, loop;
    char *image, *link;
    struct stat st;

    if (!mkdtemp(sysfs_dir))
        abort();
    image = str_fmt("%s/image", sysfs_dir);
    link = str_fmt("%s/other-name", sysfs_dir);
    CHECK_EQ(file_write(image, "x"), 0);
    make_sysfs(sysfs_dir, image);
    disk_use_sysfs = sysfs_dir;
    CHECK(same(8, 0, 8, 0) && same(8, 0, 8, 1) && same(8, 0, 8, 2)); /* whole disk, partitions */
    CHECK(!same(8, 1, 8, 2));
    CHECK(same(253, 0, 253, 0) && same(253, 0, 8, 2) && same(253, 0, 8, 0)); /* a volume */
    CHECK(!same(253, 0, 253, 1) && !same(253, 0, 8, 1));                     /* its neighbours */
    CHECK(same(7, 0, 7, 1) && same(7, 0, 7, 2) && !same(7, 1, 7, 2));
    CHECK_EQ(stat(image, &st), 0);
    disk_use_of(&file, &st);
    use_block(&loop, 7, 0);
    CHECK(disk_use_same(&file, &loop) && disk_use_same(&loop, &file));
    CHECK_EQ(symlink(image, link), 0);
    CHECK_EQ(stat(link, &st), 0);
    disk_use_of(&loop, &st);
    CHECK(disk_use_same(&file, &loop));
    unlink(link);
    if (linkat(AT_FDCWD, image, AT_FDCWD, link, 0) != 0 || stat(link, &st) != 0)
        abort();
    disk_use_of(&loop, &st);
    CHECK(disk_use_same(&file, &loop));
    free(image);
    free(link);
}

/* Guest 7 has one name of the bytes, and is not asked who made it; another wants the other. */
TEST(disks_of_others)
{
    char *image = str_fmt("%s/image", sysfs_dir), *link = str_fmt("%s/other-name", sysfs_dir);
    char *cmd;

    start_daemon();
    store_write(&h.store, "/local/domain/7/name", "web");
    store_write(&h.store, BACK "/physical-device", "7:0"); /* loop0, over the image */
    store_write(&h.store, BACK "/mode", "w");
    CHECK(may_have(image, false) != 0 && may_have(image, true) != 0);
    CHECK(may_have(link, false) != 0); /* a hard link */
    store_write(&h.store, BACK "/mode", "r");
    CHECK(may_have(image, false) != 0 && may_have(image, true) == 0);
    /* A qcow2 file behind qemu-nbd: its device says nothing, its path does. */
    store_write(&h.store, BACK "/physical-device", "2b:0");
    store_write(&h.store, BACK "/params", link);
    store_write(&h.store, BACK "/mode", "w");
    CHECK(may_have(image, false) != 0);
    store_rm(&h.store, "/local/domain/0/backend");
    store_rm(&h.store, "/local/domain/7");
    CHECK_EQ(may_have(image, false), 0);
    disk_use_sysfs = "/sys";
    cmd = str_fmt("rm -rf %s", sysfs_dir);
    CHECK_EQ(system(cmd), 0);
    free(cmd);
    free(image);
    free(link);
}

/* A file that Domain 0 has mounted through a loop device. Needs root, loop devices and mkfs. */
TEST(disks_of_domain0)
{
    static const char script[] =
        "d=%s; truncate -s 1M $d/image && mkfs.ext4 -q $d/image >/dev/null 2>&1 && mkdir $d/mnt && "
        "mount -o loop $d/image $d/mnt 2>/dev/null";
    char dir2[] = "/tmp/life_mnt.XXXXXX", *cmd, *image;

    start_daemon();
    if (!mkdtemp(dir2))
        abort();
    cmd = str_fmt(script, dir2);
    image = str_fmt("%s/image", dir2);
    if (system(cmd) == 0) {
        CHECK(may_have(image, false) != 0);
        CHECK_EQ(may_have(image, true), 0);
        free(cmd);
        cmd = str_fmt("umount %s/mnt", dir2);
        CHECK_EQ(system(cmd), 0);
        CHECK_EQ(may_have(image, false), 0);
    } else {
        puts("nothing can be mounted here: left out");
    }
    free(cmd);
    cmd = str_fmt("rm -rf %s", dir2);
    CHECK_EQ(system(cmd), 0);
    free(cmd);
    free(image);
}

/* What vif_warn_address says; *n bytes. */
static const char *address_warning(const struct vif_config *vif, const uint8_t uuid[16])
{
    static char text[512];
    int file = memfd_create("stderr", 0), old = dup(2);
    ssize_t n;

    fflush(stderr);
    dup2(file, 2);
    vif_warn_address(&h.store, vif, uuid);
    fflush(stderr);
    dup2(old, 2);
    n = pread(file, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    close(file);
    close(old);
    return text;
}

TEST(same_address_twice)
{
    struct vif_config vif = { .has_mac = true, .mac = { 0, 0x16, 0x3e, 1, 2, 3 } };
    uint8_t uuid[16] = { 1 }, own[16];

    start_daemon();
    store_write(&h.store, "/local/domain/7/name", "web1");
    store_write(&h.store, "/local/domain/7/vm", "/vm/00112233-4455-6677-8899-aabbccddeeff");
    store_write(&h.store, "/local/domain/0/backend/vif/7/0/mac", "00:16:3E:01:02:03");
    CHECK(strstr(address_warning(&vif, uuid), "00:16:3e:01:02:03, and so has card 0 of web1"));
    CHECK(uuid_from_text("00112233-4455-6677-8899-aabbccddeeff", own));
    CHECK_STR(address_warning(&vif, own), ""); /* itself, coming back */
    vif.mac[5] = 4;
    CHECK_STR(address_warning(&vif, uuid), "");
    store_rm(&h.store, "/local/domain/0/backend");
    store_rm(&h.store, "/local/domain/7");
}

static int one_disk_less(struct store *s, struct guest_config *cfg, void *ctx)
{
    ++*(int *)ctx;
    if (!cfg)
        return 0;
    disk_config_free(&cfg->disks[--cfg->nr_disks]);
    cfg->memory_mb = 256;
    return record_drop_disk(s, cfg->uuid, "b7-59");
}

TEST(long_records_come_back)
{
    struct guest_config cfg = { 0 }, got = { 0 };
    struct guest_nodes n;
    struct error e = { 0 };
    int calls = 0;

    start_daemon();
    configure(&cfg, DISKS);
    fill_nodes(&n, &cfg);
    CHECK_EQ(store_transact(&h.store, guest_store_nodes, &n), 0);
    CHECK(store_exists(&h.store, "/orlop/00112233-4455-6677-8899-aabbccddeeff/config/2"));
    CHECK_EQ(record_load(&h.store, cfg.uuid, &got, &e), 0);
    CHECK(got.nr_disks == DISKS && got.nr_vifs == 2 && got.memory_mb == 512);
    CHECK_STR(got.disks[DISKS - 1].target, cfg.disks[DISKS - 1].target);
    config_free(&got);

    CHECK(is("/orlop/disks/b7-59/00112233-4455-6677-8899-aabbccddeeff", "w"));
    CHECK_EQ(record_change(&h.store, cfg.uuid, one_disk_less, &calls, &e), 0);
    CHECK_EQ(calls, 1);
    CHECK_EQ(record_load(&h.store, cfg.uuid, &got, &e), 0);
    CHECK(got.nr_disks == DISKS - 1 && got.memory_mb == 256);
    CHECK(!store_exists(&h.store, "/orlop/disks/b7-59"));
    config_free(&got);

    CHECK_EQ(guest_erase(&h, -1, cfg.uuid, true, now_ms(), &e), 0);
    CHECK_EQ(record_load(&h.store, cfg.uuid, &got, &e), 0);
    CHECK(!store_exists(&h.store, "/orlop/disks"));
    config_free(&got);
    CHECK_EQ(guest_erase(&h, -1, cfg.uuid, false, now_ms(), &e), 0);
    CHECK(record_load(&h.store, cfg.uuid, &got, &e) != 0);
    CHECK_EQ(e.code, ENOENT);
    calls = 0;
    e.code = 0;
    CHECK_EQ(record_change(&h.store, cfg.uuid, one_disk_less, &calls, &e), 0);
    CHECK_EQ(calls, 1);
    free(n.backing);
    config_free(&cfg);
}

#define USERDATA USERDATA_DIR "/userdata-d.7.00112233-4455-6677-8899-aabbccddeeff.libxl-json"

static int less_memory(struct store *s, struct guest_config *cfg, void *ctx)
{
    cfg->memory_mb = 256;
    return 0;
}

/* What xl needs to save a guest: it follows the record, says the same, and goes with the domain. */
TEST(file_for_libxl)
{
    struct guest_config cfg = { 0 }, got = { 0 };
    struct guest_nodes n;
    struct error e = { 0 };
    bool ours = false;
    char *text;

    start_daemon();
    configure(&cfg, 3);
    fill_nodes(&n, &cfg);
    userdata_remove(7);
    CHECK(access(USERDATA, F_OK) != 0);
    CHECK_EQ(store_transact(&h.store, guest_store_nodes, &n), 0);
    userdata_update(&h.store, cfg.uuid);
    text = file_read(USERDATA, 1 << 16, NULL);
    CHECK(text && strstr(text, "\"type.pv\"") && strstr(text, "524288"));
    free(text);
    CHECK_EQ(userdata_load(7, cfg.uuid, &got, &ours, &e), 0);
    CHECK(ours && got.nr_disks == 3 && got.vifs[0].has_mac); /* as the card has it in xenstore */
    CHECK(is("/local/domain/0/backend/vif/7/1/mac", "00:16:3e:01:02:03"));
    config_free(&got);
    CHECK_EQ(record_change(&h.store, cfg.uuid, less_memory, NULL, &e), 0);
    CHECK_EQ(userdata_load(7, cfg.uuid, &got, &ours, &e), 0);
    CHECK_EQ(got.memory_mb, 256);
    config_free(&got);
    CHECK_EQ(file_write(USERDATA, "{\"c_info\": {\"name\": \"web1\"}, \"b_info\": {\"kernel\": "
                                  "\"/k\", \"target_memkb\": 65536}}"),
             0);
    CHECK_EQ(userdata_load(7, cfg.uuid, &got, &ours, &e), 0);
    CHECK(!ours && got.memory_mb == 64); /* xl wrote it */
    config_free(&got);
    userdata_remove(77);
    CHECK(access(USERDATA, F_OK) == 0);
    userdata_remove(7);
    CHECK(userdata_load(7, cfg.uuid, &got, &ours, &e) != 0);
    CHECK_EQ(e.code, ENOENT);
    store_rm(&h.store, "/libxl/7");
    store_rm(&h.store, "/local/domain");
    guest_erase(&h, -1, cfg.uuid, false, now_ms(), &e);
    free(n.backing);
    config_free(&cfg);
}

/* Another program writes what the transaction has read, each time but the third. */
static int disturbed(struct store *s, void *ctx)
{
    struct store other = { 0 };
    char *v = store_read(s, "/t/a");

    free(v);
    if (++*(int *)ctx < 3 && store_open(&other, NULL) == 0) {
        store_write(&other, "/t/a", "other");
        store_close(&other);
    }
    return store_write(s, "/t/b", "mine");
}

static int fails(struct store *s, void *ctx)
{
    store_write(s, "/t/c", "never");
    return -ENOSPC;
}

TEST(transactions_repeat)
{
    int calls = 0;

    start_daemon();
    CHECK_EQ(store_write(&h.store, "/t/a", "1"), 0);
    CHECK_EQ(store_transact(&h.store, disturbed, &calls), 0);
    CHECK_EQ(calls, 3);
    CHECK(is("/t/b", "mine"));
    CHECK_EQ(store_transact(&h.store, fails, NULL), -ENOSPC);
    CHECK(!store_exists(&h.store, "/t/c"));
    CHECK_EQ(store_rm(&h.store, "/t"), 0);
}

TEST(waits_end)
{
    char *token, *event;

    start_daemon();
    CHECK_EQ(store_watch(&h.store, "/w", "tok"), 0);
    event = store_next(&h.store, now_ms() + 5000, &token);
    CHECK_STR(event, "/w");
    CHECK_STR(token, "tok");
    free(event);
    CHECK(!store_next(&h.store, now_ms() + 20, NULL) && errno == ETIMEDOUT);
    store_write(&h.store, "/w/x", "1");
    event = store_next(&h.store, now_ms() + 5000, NULL);
    CHECK_STR(event, "/w/x");
    free(event);
    CHECK_EQ(store_unwatch(&h.store, "/w", "tok"), 0);
    CHECK_EQ(store_rm(&h.store, "/w"), 0);
}

/* --- devices that go --- */

static void have_device(const char *back, const char *front)
{
    CHECK_EQ(store_write(&h.store, BACK "/online", "1"), 0);
    CHECK_EQ(store_write(&h.store, BACK "/state", back), 0);
    CHECK_EQ(store_write(&h.store, FRONT "/state", front), 0);
}

static int unplug(int64_t ms)
{
    struct error e = { 0 };

    return device_unplug(&h, 7, DEVICE_VBD, 51728, false, now_ms() + ms, &e);
}

/* Whoever asked before was killed; the backend has closed, and will not do so again. */
TEST(unplug_finishes_what_was_begun)
{
    start_daemon();
    have_device("6", "6");
    CHECK_EQ(unplug(60000), 0);
    CHECK(!store_exists(&h.store, FRONT) && !store_exists(&h.store, BACK));
}

/* The backend connects after a while, and obeys then. 1: it was asked before that. */
static int slow_backend(void)
{
    struct store s = { 0 };
    int code = 0;

    if (store_open(&s, NULL) != 0)
        return 2;
    usleep(200000);
    if (store_read_num(&s, 0, BACK "/state") != 2)
        code = 1;
    store_write(&s, FRONT "/state", "4");
    store_write(&s, BACK "/state", "4");
    for (int i = 0; i < 6000 && store_read_num(&s, 0, BACK "/state") != 5; i++)
        usleep(10000);
    store_write(&s, BACK "/state", "6");
    store_close(&s);
    return code;
}

TEST(unplug_waits_for_the_handshake)
{
    int status = -1;
    pid_t pid;

    start_daemon();
    have_device("2", "1");
    pid = fork();
    if (pid == 0)
        _exit(slow_backend());
    CHECK_EQ(unplug(60000), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(unplug_gives_back_what_stays)
{
    start_daemon();
    have_device("4", "4"); /* the guest does not answer */
    CHECK_EQ(unplug(100), -1);
    CHECK(is(BACK "/state", "4") && is(BACK "/online", "1"));
    have_device("4", "5"); /* it has begun to close: no backend must connect to it now */
    CHECK_EQ(unplug(100), -1);
    CHECK(is(BACK "/state", "5"));
    CHECK_EQ(store_rm(&h.store, FRONT), 0);
    CHECK_EQ(store_rm(&h.store, BACK), 0);
}

TEST(reopened)
{
    struct error e = { 0 };
    void *first;

    start_daemon();
    first = h.store.h;
    CHECK_EQ(store_reopen(&h.store, now_ms(), &e), 0);
    CHECK(h.store.h == first);
    kill(daemon_pid, SIGKILL);
    CHECK_EQ(waitpid(daemon_pid, NULL, 0), daemon_pid);
    CHECK_EQ(store_reopen(&h.store, now_ms() + 100, &e), -1);
    spawn_daemon();
    CHECK_EQ(store_reopen(&h.store, now_ms() + 5000, &e), 0);
    CHECK(store_exists(&h.store, "/"));
}

/* SPDX-License-Identifier: MIT */
/* QEMU for an HVM guest: found, started, looked for, ended. No locks: whoever calls has the guest's
 * (guest_lock.h), but dm_pid, which only reads. */
#define _GNU_SOURCE
#include "tools/cli/device_model.h"
#include "tools/cli/disk.h"
#include "tools/cli/dm_confine.h"
#include "tools/cli/dm_handles.h"
#include "tools/cli/dm_store.h"
#include "tools/cli/host.h"
#include "tools/cli/qmp.h"
#include "tools/cli/undo.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define RUN_DIR                                                                        \
    "/run/orlop/qemu" /* N.qmp: where guest N's QEMU listens, for root only; N.xs: its \
                         view of xenstore (dm_store.h) */
#define EMPTY_DIR RUN_DIR "/empty" /* all that it sees of the file systems once it serves */
#define UID_BASE 0x70010000u       /* and the domain's number: users that nobody else is */
#define END_MS 10000
#define MAX_ARGS 128
#define QMP_FD 3 /* in QEMU; its cards' interfaces come behind it */
#define IDE_DRIVES 4

/* --- files --- */

/* The last match of the patterns' first that has any. */
static bool find_file(const char *const *patterns, char path[128])
{
    for (; *patterns; patterns++) {
        glob_t g = { 0 };
        bool found = glob(*patterns, 0, NULL, &g) == 0 && g.gl_pathc &&
                     strlen(g.gl_pathv[g.gl_pathc - 1]) < 128;

        if (found)
            strcpy(path, g.gl_pathv[g.gl_pathc - 1]);
        globfree(&g);
        if (found)
            return true;
    }
    return false;
}

bool dm_needed(const struct guest_config *cfg)
{
    return cfg->type == GUEST_HVM || cfg->screen.vnc;
}

int dm_find(const struct guest_config *cfg, struct dm_files *f, struct error *e)
{
    static const char *const qemu[] = { "/usr/libexec/xen-qemu-system-i386",
                                        "/usr/lib/xen*/bin/qemu-system-i386", NULL },
                             *const loader[] = { "/usr/lib/xen*/boot/hvmloader",
                                                 "/usr/libexec/xen/boot/hvmloader", NULL },
                             *const bios[] = { "/usr/share/seabios/bios-256k.bin", NULL },
                             *const uefi[] = { "/usr/share/ovmf/OVMF.fd", NULL };
    bool hvm = cfg->type == GUEST_HVM;

    if (!dm_needed(cfg))
        return 0;
    if (hvm && !find_file(loader, f->loader))
        return error_set(e, ENOENT, "Install it: apt install xen-utils-4.17 (or your Debian's)",
                         "an HVM guest begins with hvmloader, which is not installed");
    if (hvm && cfg->uefi && !find_file(uefi, f->bios))
        return error_set(e, ENOENT, "Install it: apt install ovmf",
                         "firmware = 'uefi' is OVMF, which is not installed");
    if (hvm && !cfg->uefi && !find_file(bios, f->bios))
        return error_set(e, ENOENT, "Install it: apt install seabios",
                         "an HVM guest needs a BIOS, and SeaBIOS is not installed");
    if (cfg->device_model) {
        snprintf(f->qemu, sizeof(f->qemu), "%s", cfg->device_model);
        if (access(cfg->device_model, X_OK) == 0 && strlen(cfg->device_model) < sizeof(f->qemu))
            return 0;
        return error_sys(e, errno, "Correct device_model_override= in the configuration.",
                         "the device model %s", cfg->device_model);
    }
    if (find_file(qemu, f->qemu) && access(f->qemu, X_OK) == 0)
        return 0;
    return error_set(e, ENOENT, "Install it: apt install qemu-system-xen",
                     "%s needs QEMU, which is not installed",
                     hvm ? "an HVM guest's PC" : "a guest's screen");
}

int dm_store_nodes(struct store *s, const struct guest_config *cfg, const char *base)
{
    int rc = store_put(s, base, "hvmloader/bios", cfg->uefi ? "ovmf" : "seabios");

    rc = rc ? rc : store_put(s, base, "hvmloader/allow-memory-relocate", "0");
    rc = rc ? rc : store_put(s, base, "platform/acpi", "1");
    rc = rc ? rc : store_put(s, base, "platform/acpi_s3", "1");
    rc = rc ? rc : store_put(s, base, "platform/acpi_s4", "1");
    rc = rc ? rc : store_put(s, base, "platform/acpi_laptop_slate", "0");
    return rc ? rc : store_put(s, base, "platform/device-model", "qemu_xen");
}

/* --- its command line --- */

struct args {
    char *list[MAX_ARGS];
    unsigned int n;
};

static void __attribute__((format(printf, 2, 3))) add(struct args *a, const char *fmt, ...)
{
    va_list ap;

    if (a->n + 1 >= MAX_ARGS)
        abort(); /* four drives, eight cards, three USB devices at most, all else is a fixed number
                  */
    va_start(ap, fmt);
    if (vasprintf(&a->list[a->n++], fmt, ap) < 0)
        abort();
    va_end(ap);
}

/* Which of the four IDE drives a disk is to be; -1: none, it has the PV device only. */
static int ide_index(const struct disk_config *d)
{
    unsigned int major = d->number >> 8, minor = d->number & 0xff, index;

    if (d->number >> 28)
        return -1;
    switch (major) {
    case 3: /* hda, hdb */
        index = minor >> 6;
        break;
    case 22: /* hdc, hdd */
        index = 2 + (minor >> 6);
        break;
    case 8:   /* sda ... */
    case 202: /* xvda ... */
        index = minor >> 4;
        break;
    default:
        return -1;
    }
    return index < IDE_DRIVES ? (int)index : -1;
}

/* A disk at port `at` of the SATA controller, as libxl has it. */
static void add_sata(struct args *a, const char *node, int at)
{
    add(a, "-drive");
    add(a, "file=%s,if=none,id=ahcidisk-%d,format=raw,cache=writethrough", node, at);
    add(a, "-device");
    add(a, "ide-hd,bus=ahci0.%d,unit=0,drive=ahcidisk-%d", at, at);
}

/*
 * By the block device that the PV backend has too. The guest may write by one and read by the
 * other, so what it writes is on the device when it is told so. (Not O_DIRECT: the kernel of a PV
 * Domain 0 reads into no foreign page so, and each DMA would fail.) What a disk's script sets up is
 * not emulated.
 */
static void add_drives(struct args *a, const struct dm_start *s)
{
    bool taken[IDE_DRIVES] = { false };

    if (s->cfg->ahci) {
        add(a, "-device");
        add(a, "ahci,id=ahci0");
    }
    for (unsigned int i = 0; i < s->cfg->nr_disks; i++) {
        const struct disk_config *d = &s->cfg->disks[i];
        int at = ide_index(d);

        if (at < 0 || taken[at] || d->script || (d->readonly && !d->cdrom))
            continue; /* an IDE disk cannot be read-only */
        taken[at] = true;
        if (s->cfg->ahci && !d->cdrom) {
            add_sata(a, s->backing[i].node, at);
            continue;
        }
        add(a, "-drive");
        add(a, "file=%s,if=ide,index=%d,media=%s,format=raw,cache=writethrough%s",
            s->backing[i].node, at, d->cdrom ? "cdrom" : "disk", d->cdrom ? ",readonly=on" : "");
    }
}

/*
 * A card and the interface that its packets go through. What boots from the network is the card's
 * own program, which firmware runs at each start if it is there.
 */
static void add_cards(struct args *a, const struct dm_start *s)
{
    bool boots = s->cfg->boot && strchr(s->cfg->boot, 'n');
    unsigned int n = 0;
    uint8_t mac[6];
    char text[18];

    for (unsigned int i = 0; i < s->cfg->nr_vifs; i++) {
        const struct vif_config *vif = &s->cfg->vifs[i];

        if (vif->kind != VIF_EMULATED)
            continue;
        vif_address(vif, s->cfg->uuid, mac);
        mac_format(text, mac);
        add(a, "-netdev");
        add(a, "tap,id=net%u,fd=%u", vif->devid, QMP_FD + 1 + n++);
        add(a, "-device");
        add(a, "%s,id=nic%u,netdev=net%u,mac=%s%s", vif->model, vif->devid, vif->devid, text,
            boots ? "" : ",romfile=");
    }
}

static void add_kernel(struct args *a, const struct guest_config *cfg)
{
    if (!cfg->kernel)
        return;
    add(a, "-kernel");
    add(a, "%s", cfg->kernel);
    if (cfg->ramdisk) {
        add(a, "-initrd");
        add(a, "%s", cfg->ramdisk);
    }
    if (*cfg->cmdline) {
        add(a, "-append");
        add(a, "%s", cfg->cmdline);
    }
}

/* Where viewers come to, it is told by its control socket (qmp.c). */
static void add_screen(struct args *a, const struct screen_config *screen)
{
    static const char *const device[] = {
        [USB_TABLET] = "usb-tablet", [USB_MOUSE] = "usb-mouse", [USB_KEYBOARD] = "usb-kbd"
    };

    add(a, "-vnc");
    add(a, "none%s", screen->vnc && screen->password ? ",password=on" : "");
    if (screen->vga != VGA_NONE) {
        add(a, "-device");
        add(a, "%s,vgamem_mb=%u", screen->vga == VGA_STDVGA ? "VGA" : "cirrus-vga",
            screen->videoram_mb);
    }
    if (screen->keymap) {
        add(a, "-k");
        add(a, "%s", screen->keymap);
    }
    if (screen->usb)
        add(a, "-usb");
    for (unsigned int bit = 1; bit <= USB_KEYBOARD; bit <<= 1) {
        if (screen->usb_devices & bit) {
            add(a, "-device");
            add(a, "%s", device[bit]);
        }
    }
}

/* A PC, as libxl has it. */
static void add_pc(struct args *a, const struct dm_start *s)
{
    const struct guest_config *cfg = s->cfg;

    add(a, "-net");
    add(a, "none");
    add(a, "-machine");
    add(a, "xenfv,suppress-vmdesc=on");
    add(a, "-m"); /* the picture's is beyond it */
    add(a, "%u", cfg->memory_mb - cfg->screen.videoram_mb);
    add(a, "-smp"); /* it answers only those vCPUs that it knows of */
    add(a, "%u,maxcpus=%u", cfg->vcpus, cfg->maxvcpus);
    add(a, "-boot");
    add(a, "order=%s", cfg->boot ? cfg->boot : "c");
    if (cfg->serial) {
        add(a, "-serial");
        add(a, "%s", cfg->serial);
    }
    add_drives(a, s);
    add_cards(a, s);
    add_kernel(a, cfg);
    add(a, "-xen-domid-restrict");
}

/* Nothing but backends; their handles are restricted from outside (dm_handles.h). */
static void add_backends(struct args *a)
{
    add(a, "-xen-attach");
    add(a, "-machine");
    add(a, "xenpv,suppress-vmdesc=on");
}

/* What it is, then what it gives up. */
static void make_args(struct args *a, const struct dm_start *s)
{
    static const char *const fixed[] = { "-no-shutdown", "-nodefaults", "-no-user-config",
                                         "-display",     "none",        "-vga",
                                         "none" };
    unsigned int id = UID_BASE + s->domid;

    add(a, "%s", s->files->qemu);
    add(a, "-xen-domid");
    add(a, "%u", s->domid);
    add(a, "-name");
    add(a, "%s", s->cfg->name);
    for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        add(a, "%s", fixed[i]);
    if (s->cfg->type == GUEST_HVM)
        add_pc(a, s);
    else
        add_backends(a);
    add_screen(a, &s->cfg->screen);
    add(a, "-chardev");
    add(a, "socket,id=qmp,fd=%d,server=on,wait=off", QMP_FD);
    add(a, "-mon");
    add(a, "chardev=qmp,mode=control");
    add(a, "-chroot");
    add(a, EMPTY_DIR);
    add(a, "-runas");
    add(a, "%u:%u", id, id);
}

/* --- its start --- */

static void qmp_path(unsigned int domid, char path[64])
{
    snprintf(path, 64, RUN_DIR "/%u.qmp", domid);
}

static void view_path(unsigned int domid, char path[64])
{
    snprintf(path, 64, RUN_DIR "/%u.xs", domid);
}

static int listen_qmp(unsigned int domid, struct error *e)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0); /* it goes through exec */

    qmp_path(domid, to.sun_path);
    unlink(to.sun_path); /* of a domain of this number whose tools died */
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || listen(fd, 4) != 0) {
        error_sys(e, errno, NULL, "%s", to.sun_path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int open_log(const char *name, struct error *e)
{
    char *path = str_fmt(DM_LOGS "/%s.log", name), *old = str_fmt("%s.old", path);
    int fd = -1;

    if (make_dirs(path, 0750) == 0) {
        rename(path, old);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    }
    if (fd < 0)
        error_sys(e, errno, NULL, "%s", path);
    free(path);
    free(old);
    return fd;
}

/* What it gets to use: the socket that it listens at, and its cards' interfaces. */
struct handles {
    int fd[1 + CONFIG_MAX_EMULATED_VIFS];
    unsigned int n;
};

static void close_handles(struct handles *h)
{
    while (h->n)
        close(h->fd[--h->n]);
}

/* They become QMP_FD and the next ones; first out of the way of each other. */
static void place_handles(const struct handles *h)
{
    int high[sizeof(h->fd) / sizeof(h->fd[0])];

    for (unsigned int i = 0; i < h->n; i++)
        high[i] = fcntl(h->fd[i], F_DUPFD, QMP_FD + (int)h->n);
    for (unsigned int i = 0; i < h->n; i++)
        if (high[i] < 0 || dup2(high[i], QMP_FD + (int)i) < 0)
            _exit(127);
    syscall(SYS_close_range, QMP_FD + h->n, ~0u, 0u);
}

/*
 * In the child, of which nothing is left to other programs: no terminal, no descriptors but these,
 * no network. It waits until its parent has written down that it is there.
 */
static void become_qemu(const struct args *a, const char *view, const struct handles *h, int log,
                        int go)
{
    int rc, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t empty;
    char byte;

    setsid();
    if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || read(go, &byte, 1) != 1)
        _exit(127);
    place_handles(h);
    signal(SIGXFSZ, SIG_IGN); /* a file that is full is not the guest's end */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    umask(077);
    if (view)
        setenv("XENSTORED_PATH", view, 1);
    rc = dm_confine();
    if (rc == 0 && chdir("/") == 0)
        execv(a->list[0], a->list);
    fprintf(stderr, "%s: %s\n", rc ? "it cannot be confined" : a->list[0],
            strerror(rc ? -rc : errno));
    _exit(127);
}

/* For the monitor, and for whoever ends the guest. */
static int note_pid(struct host *h, unsigned int domid, pid_t pid)
{
    char base[64];

    snprintf(base, sizeof(base), "/local/domain/%u", domid);
    return store_put(&h->store, base, "image/device-model-pid", "%d", (int)pid);
}

/* The monitor shall look for it. */
static void tell_monitor(struct host *h)
{
    store_write(&h->store, DM_NEWS, "");
    store_rm(&h->store, DM_NEWS);
}

static int spawn(struct host *h, const struct dm_start *s, const struct handles *handles, int log,
                 struct error *e)
{
    bool pv = s->cfg->type != GUEST_HVM;
    struct args a = { .n = 0 };
    int go[2], rc = 0;
    char view[64];
    pid_t pid;

    if (pipe2(go, O_CLOEXEC) != 0)
        return error_sys(e, errno, NULL, "starting the device model");
    make_args(&a, s);
    view_path(s->domid, view);
    pid = fork();
    if (pid == 0) {
        close(go[1]);
        become_qemu(&a, pv ? view : NULL, handles, log, go[0]);
    }
    close(go[0]);
    if (pid < 0)
        rc = error_sys(e, errno, NULL, "starting the device model");
    else if ((rc = note_pid(h, s->domid, pid)) != 0)
        rc = store_error(e, rc, "noting the device model");
    else if (pv && dm_store_start(s->domid, view, pid, e) != 0)
        rc = -1;
    else if (write(go[1], "", 1) != 1)
        rc = error_sys(e, errno, NULL, "starting the device model");
    close(go[1]);
    for (unsigned int i = 0; i < a.n; i++)
        free(a.list[i]);
    return rc;
}

/* The emulated cards' interfaces, in their bridges. */
static int open_cards(const struct dm_start *s, struct handles *h, struct error *e)
{
    char ifname[32];

    for (unsigned int i = 0; i < s->cfg->nr_vifs; i++) {
        const struct vif_config *vif = &s->cfg->vifs[i];

        if (vif->kind != VIF_EMULATED)
            continue;
        snprintf(ifname, sizeof(ifname), "vif%u.%u-emu", s->domid, vif->devid);
        h->fd[h->n] = vif_open_tap(ifname, e);
        if (h->fd[h->n] < 0)
            return -1;
        h->n++;
        if (vif_plug(ifname, NULL, vif->bridge, vif->mtu, e) != 0)
            return -1;
    }
    return 0;
}

int dm_start(struct host *h, const struct dm_start *s, struct error *e)
{
    struct handles handles = { .n = 0 };
    int log, rc;

    if (make_dirs(EMPTY_DIR "/", 0711) != 0 || chmod(RUN_DIR, 0711) != 0)
        return error_sys(e, errno, NULL, "%s", EMPTY_DIR);
    handles.fd[0] = listen_qmp(s->domid, e);
    if (handles.fd[0] < 0)
        return -1;
    handles.n = 1;
    log = open_log(s->cfg->name, e);
    rc = log < 0 ? -1 : open_cards(s, &handles, e);
    rc = rc ? rc : spawn(h, s, &handles, log, e);
    close_handles(&handles);
    if (log >= 0)
        close(log);
    return rc;
}

/* The last line of its log, as the cause. */
static int died(const struct dm_start *s, struct error *e)
{
    char *path = str_fmt(DM_LOGS "/%s.log", s->cfg->name), *last;
    size_t len = 0;
    char *text = file_read(path, 1 << 16, &len);

    while (text && len && text[len - 1] == '\n')
        text[--len] = '\0';
    last = text ? strrchr(text, '\n') : NULL;
    last = last ? last + 1 : text;
    error_set(e, EIO, NULL, "its device model (QEMU) ended at once%s%s", last && *last ? ": " : "",
              last ? last : "");
    if (last && s->cfg->screen.password && strstr(last, "DES"))
        error_remedy(
            e, "This QEMU (Debian's is one) was built without what VNC's passwords need: leave out "
               "vncpasswd=, and let vnclisten= be the loopback address.");
    else
        error_remedy(e, "Its log is %s.", path);
    free(text);
    free(path);
    return -1;
}

static int refused(const struct dm_start *s, struct error *e)
{
    error_set(e, EPROTO, NULL, "its device model (QEMU) refused what it was told");
    return error_remedy(e, "QEMU 7.1 is the oldest that can be given a screen's socket%s.",
                        s->screen >= 0 ? "; vnc = 0 goes without" : "");
}

/* Where its serial line is, for people. */
static void note_serial(struct host *h, unsigned int domid, const char *pty)
{
    char base[64];

    snprintf(base, sizeof(base), "/local/domain/%u", domid);
    store_put(&h->store, base, "serial/0/tty", "%s", pty);
}

/*
 * It answers once the machine is made and it has given up what it does not need. Its end is seen
 * by the socket's, which it alone has open.
 */
int dm_await(struct host *h, const struct dm_start *s, int64_t deadline, struct error *e)
{
    struct qmp_screen screen = { .fd = s->screen, .password = s->cfg->screen.password };
    char path[64], pty[64];
    int rc;

    qmp_path(s->domid, path);
    rc = qmp_ready(path, deadline, &screen, pty);
    if (rc == 0) {
        if (pty[0])
            note_serial(h, s->domid, pty);
        if (s->cfg->type != GUEST_HVM)
            return dm_restrict_handles(dm_pid(&h->store, s->domid), s->domid, e);
        tell_monitor(h);
        return 0;
    }
    if (rc == -EINTR)
        return interrupt_check(e) ? -1 : died(s, e);
    if (rc == -EPROTO)
        return refused(s, e);
    if (rc != -ETIMEDOUT)
        return died(s, e);
    error_set(e, ETIMEDOUT, NULL, "its device model (QEMU) did not become ready in time");
    return error_remedy(e, "Its log is " DM_LOGS "/%s.log.", s->cfg->name);
}

/* --- its end --- */

/* Whether the process runs as this domain's QEMU does: its user the kernel keeps, whatever it says.
 */
static bool is_user_of(pid_t pid, unsigned int domid)
{
    char path[64];
    size_t len;
    char *text, *uid;
    bool yes;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    text = file_read(path, 1 << 16, &len);
    uid = text ? strstr(text, "\nUid:\t") : NULL;
    yes = uid && strtoul(uid + strlen("\nUid:\t"), NULL, 10) == UID_BASE + domid;
    free(text);
    return yes;
}

/* Whether it serves this domain; before QEMU has given up being root by its command line. */
static bool serves(pid_t pid, unsigned int domid)
{
    static const char option[] = "-xen-domid";
    char path[64], id[16];
    size_t len;
    char *text, *p;
    bool yes = false;

    if (is_user_of(pid, domid))
        return true;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    snprintf(id, sizeof(id), "%u", domid);
    text = file_read(path, 1 << 16, &len);
    for (p = text; p && p < text + len && !yes; p += strlen(p) + 1)
        yes = strcmp(p, option) == 0 && p + sizeof(option) < text + len &&
              strcmp(p + sizeof(option), id) == 0;
    free(text);
    return yes;
}

int dm_pid(struct store *s, unsigned int domid)
{
    long long pid = store_read_num(s, 0, "/local/domain/%u/image/device-model-pid", domid);

    if (pid <= 1)
        return 0;
    return serves((pid_t)pid, domid) ? (int)pid : -1;
}

/*
 * The process may be a child of somebody who does not wait for it; its descriptor tells its end all
 * the same, and is got before the look at who it is: a number may become another process's.
 */
void dm_stop(struct store *s, unsigned int domid)
{
    long long pid = store_read_num(s, 0, "/local/domain/%u/image/device-model-pid", domid);
    struct pollfd p = { .fd = pid > 1 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1,
                        .events = POLLIN };
    char path[64];

    if (p.fd >= 0 && dm_pid(s, domid) == pid) {
        syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
        while (poll(&p, 1, END_MS) < 0 && errno == EINTR)
            ;
    }
    if (p.fd >= 0)
        close(p.fd);
    qmp_path(domid, path);
    unlink(path);
    view_path(domid, path);
    unlink(path);
}

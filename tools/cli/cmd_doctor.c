/* SPDX-License-Identifier: MIT */
/*
 * orlop doctor: looks at the host as it is and changes nothing. Each check is a function that fills
 * one finding; a check that cannot be made here says so and is no fault.
 */
#include "tools/cli/command.h"
#include "tools/cli/doctor.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/lib/console_proto.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <dirent.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <xen/version.h>

#define LEAST_DOM0_MIB 512
#define LEAST_LOG_MIB 256
#define BUILT_YEAR 2024 /* no host's clock is right that says less */

enum verdict { GOOD, NOTE, BAD, UNKNOWN };
static const char *const verdict_name[] = { "ok", "note", "bad", "unknown" };

struct finding {
    enum verdict verdict;
    char what[256], remedy[384];
};

static void found(struct finding *f, enum verdict v, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void found(struct finding *f, enum verdict v, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    f->verdict = v;
    va_start(ap, fmt);
    vsnprintf(f->what, sizeof(f->what), fmt, ap);
    va_end(ap);
    text_clean(f->what);
    snprintf(f->remedy, sizeof(f->remedy), "%s", v == GOOD || !remedy ? "" : remedy);
}

struct patient {
    struct xen *xen;      /* NULL: none */
    struct error why_not; /* then */
    bool orlop;
};

/* The first line of a small file, to free(); NULL. */
static char *line_of(const char *path)
{
    char *text = file_read(path, 4096, NULL);

    if (text)
        text[strcspn(text, "\n")] = 0;
    return text;
}

bool doctor_hypervisor_runs(void)
{
    char *type = line_of("/sys/hypervisor/type");
    bool runs = type && strcmp(type, "xen") == 0;

    free(type);
    return runs || access("/dev/xen/privcmd", F_OK) == 0;
}

#define BOOT_REMEDY                                                                   \
    "Boot it: an entry in /etc/grub.d/40_custom with multiboot2 /boot/orlop.gz (see " \
    "docs/install.md, "                                                               \
    "section 2), update-grub, grub-reboot and a reboot."

int doctor_say_how_to_boot(void)
{
    bool image = access("/boot/orlop.gz", F_OK) == 0;

    fprintf(stderr,
            "orlop: this machine runs neither Orlop nor Xen just now\n"
            "    %s\n"
            "    orlop doctor looks at the rest of the host, orlop create --dry-run FILE at a\n"
            "    guest's configuration; orlop help lists the commands.\n",
            image ? BOOT_REMEDY
                  : "/boot/orlop.gz is not there either: make install puts it there. Then an entry "
                    "in\n    /etc/grub.d/40_custom boots it (docs/install.md, section 2).");
    return EXIT_FAILED;
}

/* --- the checks --- */

/* UEFI's variable: four bytes of attributes, then 0 or 1. */
static bool secure_boot(void)
{
    FILE *f = fopen("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
                    "re");
    unsigned char value[5] = { 0 };
    bool on = f && fread(value, 1, sizeof(value), f) == sizeof(value) && value[4] == 1;

    if (f)
        fclose(f);
    return on;
}

static void check_hypervisor(struct patient *p, struct finding *f)
{
    char *extra = line_of("/sys/hypervisor/version/extra");

    p->orlop = extra && strstr(extra, "orlop");
    free(extra);
    if (!doctor_hypervisor_runs())
        found(f, BAD,
              secure_boot()
                  ? "Turn Secure Boot off in the firmware's menu: with it GRUB loads none."
                  : BOOT_REMEDY,
              "no hypervisor runs");
    else
        found(f, GOOD, NULL, "%s runs", p->orlop ? "Orlop" : "Xen");
}

static void check_domain0(struct patient *p, struct finding *f)
{
    if (p->xen)
        found(f, GOOD, NULL, "this is Domain 0, and the hypervisor answers");
    else if (!doctor_hypervisor_runs())
        found(f, UNKNOWN, NULL, "without a hypervisor this is an ordinary machine");
    else if (geteuid() != 0)
        found(f, UNKNOWN, "Run this as root.", "the hypervisor answers root only");
    else
        found(f, BAD, p->why_not.remedy[0] ? p->why_not.remedy : BOOT_REMEDY, "%s",
              p->why_not.cause);
}

static void check_xenstored(struct patient *p, struct finding *f)
{
    struct store s = { 0 };
    struct error e = { 0 };

    if (store_open(&s, &e) == 0)
        found(f, GOOD, NULL, "xenstored answers");
    else
        found(f, BAD, e.remedy, "%s", e.cause);
    store_close(&s);
}

static void check_consoled(struct patient *p, struct finding *f)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", CONSOLE_SOCKET);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        found(f, GOOD, NULL, "the console daemon answers");
    else
        found(f, BAD, "Start it: systemctl start orlop-consoled, or /etc/init.d/orlop start.",
              "the console daemon does not answer at %s: guests have no consoles", CONSOLE_SOCKET);
    if (fd >= 0)
        close(fd);
}

static void check_monitor(struct patient *p, struct finding *f)
{
    if (monitor_runs())
        found(f, GOOD, NULL, "the monitor runs");
    else
        found(f, NOTE, "orlop create starts it; systemctl enable --now orlop-monitor at boot.",
              "the monitor does not run: guests that stop stay as they are");
}

static void check_modules(struct patient *p, struct finding *f)
{
    bool block = access("/sys/bus/xen-backend/drivers/vbd", F_OK) == 0;
    bool net = access("/sys/bus/xen-backend/drivers/vif", F_OK) == 0;
    bool loop = access("/dev/loop-control", F_OK) == 0;

    if (block && net && loop)
        found(f, GOOD, NULL, "xen-blkback, xen-netback and loop are there");
    else
        found(f, BAD, "modprobe them, and name them in /etc/modules for the next boot.",
              "Domain 0's kernel lacks%s%s%s", block ? "" : " xen-blkback",
              net ? "" : " xen-netback", loop ? "" : " loop");
}

static void check_bridge(struct patient *p, struct finding *f)
{
    DIR *d = opendir("/sys/class/net");
    struct dirent *entry;
    char names[128] = "";
    size_t used = 0;

    while (d && (entry = readdir(d))) {
        char path[300];

        snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", entry->d_name);
        if (access(path, F_OK) == 0 && used < sizeof(names) - 20)
            used += snprintf(names + used, sizeof(names) - used, " %s", entry->d_name);
    }
    if (d)
        closedir(d);
    if (access("/sys/class/net/xenbr0/bridge", F_OK) == 0)
        found(f, GOOD, NULL, "bridges:%s", names);
    else
        found(f, NOTE, "Make one (docs/install.md, section 3), or name another in vif=.",
              *names ? "there is no xenbr0, the bridge of cards that name none; there are%s"
                     : "there is no bridge for guests' network cards%s",
              names);
}

static void check_iommu(struct patient *p, struct finding *f)
{
    struct xen_sysctl_physinfo info;

    if (!p->xen || xen_physinfo(p->xen, &info) < 0)
        found(f, UNKNOWN, NULL, "only the hypervisor knows about the IOMMU");
    else if (info.capabilities & XEN_SYSCTL_PHYSCAP_directio)
        found(f, GOOD, NULL, "the IOMMU is in use");
    else
        found(f, NOTE, "Devices are not passed to guests without it; Domain 0 serves them.",
              "no IOMMU is in use");
}

static void check_memory(struct patient *p, struct finding *f)
{
    char *text = file_read("/proc/meminfo", 8192, NULL), *at = text ? strstr(text, "MemTotal:") : 0;
    unsigned long long mib = at ? strtoull(at + 9, NULL, 10) / 1024 : 0;
    struct xen_sysctl_physinfo info;
    unsigned long long free_mib = 0;

    free(text);
    if (p->xen && xen_physinfo(p->xen, &info) == 0)
        free_mib = info.free_pages >> 8;
    if (mib < LEAST_DOM0_MIB)
        found(f, BAD, "Give it more: dom0_mem=1G,max:1G on the boot line.",
              "Domain 0 has %llu MiB of memory", mib);
    else if (p->xen && free_mib < 64)
        found(f, NOTE,
              "Give Domain 0 less: dom0_mem=2G,max:2G on the boot line, or orlop mem-set "
              "Domain-0 MIB now.",
              "Domain 0 has %llu MiB, and %llu MiB are free for guests", mib, free_mib);
    else if (p->xen)
        found(f, GOOD, NULL, "Domain 0 has %llu MiB, and %llu MiB are free for guests", mib,
              free_mib);
    else
        found(f, GOOD, NULL, "there are %llu MiB of memory", mib);
}

static void check_time(struct patient *p, struct finding *f)
{
    time_t now = time(NULL);
    struct tm tm;
    char *source = line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource");

    gmtime_r(&now, &tm);
    if (tm.tm_year + 1900 < BUILT_YEAR)
        found(f, BAD, "Set it (date -s, or a time daemon): guests get their time from here.",
              "the clock says %d", tm.tm_year + 1900);
    else if (access("/run/systemd/timesync/synchronized", F_OK) != 0 &&
             access("/run/chrony", F_OK) != 0 && access("/run/ntpd.pid", F_OK) != 0)
        found(f, NOTE, "apt install chrony: guests get their time from Domain 0.",
              "no time daemon is seen (clock source %s)", source ? source : "unknown");
    else
        found(f, GOOD, NULL, "a time daemon runs, clock source %s", source ? source : "unknown");
    free(source);
}

static void check_space(struct patient *p, struct finding *f)
{
    struct statvfs v;
    unsigned long long mib;

    if (statvfs("/var/log", &v) != 0 || !v.f_blocks) {
        found(f, UNKNOWN, NULL, "/var/log does not say how much room it has");
        return;
    }
    mib = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
    if (mib < LEAST_LOG_MIB)
        found(f, BAD, "Make room: consoles' logs, the monitor's and core files are written there.",
              "/var has %llu MiB free", mib);
    else
        found(f, GOOD, NULL, "/var has %llu MiB free", mib);
}

static void check_firmware(struct patient *p, struct finding *f)
{
    if (secure_boot())
        found(f, BAD,
              "Turn it off in the firmware's menu: with it GRUB refuses to load a hypervisor by "
              "multiboot.",
              "the machine was started by UEFI with Secure Boot on");
    else if (access("/sys/firmware/efi", F_OK) == 0)
        found(f, GOOD, NULL, "the machine was started by UEFI");
    else if (access("/sys/firmware/acpi", F_OK) == 0)
        found(f, GOOD, NULL, "the machine was started by a BIOS, with ACPI");
    else
        found(f, NOTE,
              "Look at the firmware's settings: without ACPI CPUs and interrupts are missing.",
              "the kernel sees no ACPI");
}

static void check_microcode(struct patient *p, struct finding *f)
{
    char *text = file_read("/proc/cpuinfo", 65536, NULL);
    char *at = text ? strstr(text, "microcode") : NULL;
    char *colon = at ? strchr(at, ':') : NULL;
    bool package = access("/lib/firmware/intel-ucode", F_OK) == 0 ||
                   access("/lib/firmware/amd-ucode", F_OK) == 0;

    if (colon)
        colon[1 + strcspn(colon + 1, "\n")] = 0;
    if (!colon)
        found(f, UNKNOWN, NULL, "the kernel does not tell the microcode's version");
    else if (!package)
        found(f, NOTE, "Let the firmware load it (update the BIOS): Orlop does not load microcode.",
              "microcode%s, as the firmware loaded it", colon + 1);
    else
        found(f, GOOD, NULL, "microcode%s", colon + 1);
    free(text);
}

static const struct {
    const char *name;
    void (*check)(struct patient *p, struct finding *f);
} checks[] = {
    { "hypervisor", check_hypervisor }, { "domain0", check_domain0 },
    { "xenstored", check_xenstored },   { "consoled", check_consoled },
    { "monitor", check_monitor },       { "modules", check_modules },
    { "bridge", check_bridge },         { "iommu", check_iommu },
    { "memory", check_memory },         { "time", check_time },
    { "space", check_space },           { "firmware", check_firmware },
    { "microcode", check_microcode },
};

static void show(const char *name, const struct finding *f, struct json_object *list)
{
    struct json_object *j;

    if (!list) {
        printf("%-11s %-8s %s\n", name, verdict_name[f->verdict], f->what);
        if (f->remedy[0])
            printf("%-20s %s\n", "", f->remedy);
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "check", json_object_new_string(name));
    json_object_object_add(j, "verdict", json_object_new_string(verdict_name[f->verdict]));
    json_object_object_add(j, "found", json_object_new_string(f->what));
    json_object_object_add(j, "remedy", f->remedy[0] ? json_object_new_string(f->remedy) : NULL);
    json_object_array_add(list, j);
}

static int doctor_run(int argc, char **argv)
{
    struct json_object *list = json_output ? json_object_new_array() : NULL;
    struct patient p = { NULL };
    bool bad = false;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (optind < argc)
        return cmd_usage("%s: no argument is expected", argv[optind]);
    p.xen = doctor_hypervisor_runs() ? xen_open(&p.why_not) : NULL;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct finding f = { UNKNOWN, "", "" };

        checks[i].check(&p, &f);
        bad |= f.verdict == BAD;
        show(checks[i].name, &f, list);
    }
    xen_close(p.xen);
    if (list)
        print_json(list);
    return bad ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .synopsis = "",
    .summary = "look at the host: what guests need, what is missing, what to do",
    .help =
        "Nothing is changed. Each line is a check: ok, note (it works without), bad, or unknown.\n"
        "The exit code is 1 when something is bad. Works without a hypervisor too.\n",
    .group = GROUP_HOST,
    .json = true,
    .run = doctor_run,
};

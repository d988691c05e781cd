/* SPDX-License-Identifier: MIT */
/*
 * A guest's configuration: what an `xl.cfg` file says, decoded and checked.
 *
 *  text --(config_grammar, flex and bison)--> settings (config_value.h): name = value, with lines
 *       --(config_keys.c, one table of all keys)--> struct guest_config
 *
 * Whatever cannot be done as written is an error: a key nobody knows, one of a later step, two that
 * contradict each other, a value out of range. What changes nothing (keys that only other kinds of
 * guest read, keys of Xen's older tools) is a warning. All errors of a file are collected, each
 * with its line. A configuration that was accepted needs no further check of its form; whether
 * files, bridges and memory are there is asked when the guest is created (config_load asks for
 * files).
 *
 * Strings are owned by the structure that holds them; NULL means "not given" unless said otherwise.
 * MiB are 2^20 bytes.
 */
#ifndef TOOLS_CLI_CONFIG_H
#define TOOLS_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

#define HOTPLUG_DIR "/etc/xen/scripts"
#define HOTPLUG_NONE "/bin/true" /* a disk's script, where there is nothing to do */

enum {
    CONFIG_MAX_VCPUS = 128,
    CONFIG_MAX_PVH_VCPUS = 127, /* BUILDER_PVH_VCPUS */
    CONFIG_MAX_CPUS = 1024,     /* highest host CPU that a CPU list may name, plus one */
    CONFIG_MAX_DISKS = 256,
    CONFIG_MAX_VIFS = 64,
    CONFIG_MAX_EMULATED_VIFS = 8, /* a PC's bus has 32 places */
    CONFIG_MAX_NAME = 63,         /* bytes of a guest's name */
    CONFIG_MAX_CMDLINE = 1023,    /* MAX_GUEST_CMDLINE less the final 0 */
    CONFIG_MAX_DISPLAY = 9999,    /* of VNC */
    CONFIG_VNC_PASSWORD = 8,
};

/* What happens to a guest that stopped. */
enum guest_action {
    ACTION_DESTROY,
    ACTION_RESTART,
    ACTION_RENAME_RESTART,
    ACTION_PRESERVE,
    ACTION_COREDUMP_DESTROY,
    ACTION_COREDUMP_RESTART,
};

enum disk_format { DISK_RAW, DISK_QCOW2, DISK_QCOW, DISK_VHD, DISK_QED };

enum tsc_mode { TSC_DEFAULT, TSC_ALWAYS_EMULATE, TSC_NATIVE };

/* One element of disk=. */
struct disk_config {
    char *target; /* absolute path of a block device or an image file; "": an empty drive */
    enum disk_format format;
    char *vdev;      /* as written: xvda, sdb1, d0p1, 51712 */
    unsigned number; /* vdev as the xenstore knows it (xen-vbd-interface(7)): 51712 for xvda */
    bool readonly;
    bool cdrom;
    bool discard;   /* offer discard to the guest: yes unless `no-discard` */
    bool untrusted; /* tells the frontend not to trust the backend */
    char *script;   /* a block script (hotplug.h), for which target is no path; NULL: none */
    unsigned line;  /* of the element in the file, 0 for none */
};

/* One element of vif=. */
/* A card of an HVM guest is an emulated and a PV one (of which the guest unplugs the former),
 * unless its file says otherwise. */
enum vif_kind {
    VIF_UNSAID, /* until the guest's configuration has been checked */
    VIF_PV,
    VIF_EMULATED,
};

struct vif_config {
    unsigned devid;
    bool has_mac; /* else whoever creates the guest picks one and stores it */
    uint8_t mac[6];
    char *bridge;  /* never NULL: xenbr0 by default */
    char *ip;      /* address(es) for the guest, separated by blanks */
    char *vifname; /* name of the backend's interface, else vifDOMID.DEVID */
    uint64_t
        rate_bytes; /* the guest may send so many bytes each `rate_us` microseconds; 0: unlimited */
    unsigned rate_us;
    unsigned mtu; /* 0: the bridge's */
    bool untrusted;
    char *script;     /* a hotplug script that sets the card up, or NULL */
    char *gatewaydev; /* the interface that such a script routes to, or NULL */
    enum vif_kind kind;
    const char *model; /* of VIF_EMULATED: QEMU's name of the card, a constant; else what was asked
                          for, or NULL */
    unsigned line;
};

/*
 * cpus= or cpus_soft=. Empty (count 0): all CPUs. One element: for all vCPUs, unless per_vcpu; then
 * vCPU n has element n, and those beyond the list run anywhere. The elements are CPU lists
 * (cpulist_resolve).
 */
struct affinity_config {
    char **list;
    unsigned count;
    bool per_vcpu;
};

enum guest_type { GUEST_PV, GUEST_PVH, GUEST_HVM };

/* Microsoft's interface, beside Xen's: its groups as xl names them. */
enum { VIRIDIAN_BASE = 1, VIRIDIAN_FREQ = 2, VIRIDIAN_TIME = 4 };

enum vga_card { VGA_NONE, VGA_CIRRUS, VGA_STDVGA };
enum { USB_TABLET = 1, USB_MOUSE = 2, USB_KEYBOARD = 4 };

/* What a guest's picture is made by, and where it is seen. */
struct screen_config {
    enum vga_card vga;
    unsigned videoram_mb; /* of the guest's memory */
    bool vnc;
    char *listen;     /* an address as text; with vnc never NULL */
    unsigned display; /* its port is 5900 and this; unless `only`, the first free one from here */
    bool only;
    char *password; /* NULL: none is asked */
    char *keymap;   /* of QEMU's, or NULL: US */
    bool usb;
    unsigned usb_devices; /* USB_TABLET ... */
};

struct guest_config {
    char *file; /* where it was read, for messages; NULL after JSON without it */
    char *name;
    enum guest_type type;
    bool has_uuid; /* else whoever creates the guest makes one and sets both */
    uint8_t uuid[16];
    char *kernel;                  /* absolute path; NULL: an HVM guest boots from its disk */
    char *ramdisk;                 /* absolute path, or NULL */
    char *cmdline;                 /* cmdline=, or root= and extra= put together; never NULL */
    unsigned memory_mb, maxmem_mb; /* maxmem_mb >= memory_mb; PVH, HVM: equal */
    unsigned vcpus, maxvcpus;      /* 1 <= vcpus <= maxvcpus <= CONFIG_MAX_VCPUS; else 127 */
    struct affinity_config cpus, cpus_soft;
    unsigned cpu_weight; /* 1..65535, 256 by default */
    unsigned cap;        /* in percent of one CPU, 0: none */
    char *pool;          /* the name or number of a CPU pool, or NULL: the first one */
    enum guest_action on_poweroff, on_reboot, on_crash, on_watchdog;
    struct disk_config *disks;
    unsigned nr_disks;
    struct vif_config *vifs;
    unsigned nr_vifs;
    char *boot;   /* HVM: letters, c disk, d CD, n network, in the order of trying; NULL: "c" */
    char *serial; /* HVM: "pty", "file:/PATH", or NULL: no serial line */
    bool uefi;    /* HVM: its firmware is OVMF, not SeaBIOS */
    bool ahci;    /* HVM: its disks are behind a SATA controller, not IDE */
    char *device_model;          /* HVM: QEMU's absolute path, or NULL: Debian's */
    unsigned viridian;           /* HVM: VIRIDIAN_*; 0: none */
    struct screen_config screen; /* HVM; PV: where vnc is set */
    bool localtime;              /* the guest's clock begins at Dom0's local time, plus: */
    int64_t rtc_offset_s;        /* seconds */
    enum tsc_mode tsc_mode;
    char *cpuid; /* what of the host's features it has (cpu_features.h), or NULL: the usual */
    unsigned max_event_channels;  /* 0: as many as there are */
    unsigned max_grant_frames;    /* 0: the host's default */
    unsigned max_maptrack_frames; /* 0: the host's default */
    struct json_object *rest;     /* of a record: what only a newer orlop knows; or NULL */
};

/*
 * Messages, those of the syntax first, then by lines, then what is missing or contradicts:
 * "web.cfg:3: memroy: there is no such key; did you mean memory?". Zero-initialise before use, free
 * with config_errors_free. A warning is about what is written and changes nothing of the guest;
 * with `strict` it is an error.
 */
struct config_errors {
    char **text;
    unsigned count;
    bool strict;
    char **warning;
    unsigned warnings;
};

/* Adds a message (printf's rules; no newline at its end). */
void config_error(struct config_errors *errors, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void config_warning(struct config_errors *errors, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void config_errors_free(struct config_errors *errors);

/*
 * Reads the file at `path` ("-": standard input), then the `count` overrides of the form key=value,
 * which replace what the file says for that key (a value may be written without quotes). Relative
 * paths of kernel and ramdisk are taken from the folder of the file. Also checks that kernel,
 * ramdisk and disk targets exist. True: *cfg is filled, the caller frees it with config_free.
 * False: *errors says why, *cfg is empty.
 */
bool config_load(struct guest_config *cfg, const char *path, char *const *overrides, unsigned count,
                 struct config_errors *errors);

/* The same from memory; `file` is the name for messages. Looks at no file. */
bool config_parse(struct guest_config *cfg, const char *file, const char *text, size_t length,
                  char *const *overrides, unsigned count, struct config_errors *errors);

/* Frees what *cfg holds and zeroes it. */
void config_free(struct guest_config *cfg);

/*
 * One element of disk= or vif= alone, for block-attach and network-attach. `where` begins the
 * messages ("orlop block-attach"). A drive without a medium has the target "", and a warning says
 * that PV guests cannot use it.
 * On success the caller frees with disk_config_free or
 * vif_config_free. vif's devid is VIF_DEVID_ANY unless the text names it.
 */
enum { VIF_DEVID_ANY = ~0u };
bool disk_config_parse(struct disk_config *disk, const char *spec, const char *where,
                       struct config_errors *errors);
bool vif_config_parse(struct vif_config *vif, const char *spec, const char *where,
                      struct config_errors *errors);
void disk_config_free(struct disk_config *disk);
void vif_config_free(struct vif_config *vif);

/* The number of a virtual disk's name; false when it is none. */
bool vdev_number(const char *vdev, unsigned *number);

/*
 * JSON of all fields, under the names of the keys ("memory", "disk": [{"target": ...}] ...). The
 * caller puts it. From JSON: the values pass the same checks as a file's, false with *errors when
 * one does not; members that are not known are passed over, and written again by config_to_json.
 */
struct json_object *config_to_json(const struct guest_config *cfg);
bool config_from_json(struct guest_config *cfg, struct json_object *json,
                      struct config_errors *errors);
struct json_object *disk_config_to_json(const struct disk_config *disk);
struct json_object *vif_config_to_json(const struct vif_config *vif);
bool disk_config_from_json(struct disk_config *disk, struct json_object *json,
                           struct config_errors *errors);
bool vif_config_from_json(struct vif_config *vif, struct json_object *json,
                          struct config_errors *errors);

/* Letters, digits and _-.+: in a guest's name, not digits only, at most CONFIG_MAX_NAME bytes. */
bool guest_name_valid(const char *name);

/* Names as the configuration spells them. */
const char *guest_type_name(enum guest_type type); /* "pv" */
const char *guest_action_name(enum guest_action action);
const char *disk_format_name(enum disk_format format);
const char *vga_name(enum vga_card card);
const char *viridian_name(unsigned bit);   /* NULL: no such bit */
const char *usb_device_name(unsigned bit); /* of usb_devices; NULL: no such bit */
/* Whether the first bytes of the target say no other format: it would be read as rubbish. */
bool disk_format_fits(const struct disk_config *disk);
const char *tsc_mode_name(enum tsc_mode mode);

/*
 * A CPU list ("0-3,5,^1", "all,^7", "node:1") into a bitmap of `nr_cpus` bits (bit n of byte n/8;
 * the caller's array has (nr_cpus+7)/8 bytes). `node_of[cpu]` is a CPU's NUMA node; NULL: all CPUs
 * are in node 0. Returns NULL, or the reason (a static string): a CPU or node that the host lacks,
 * an empty set, bad syntax. With nr_cpus = 0 only the syntax is checked, and bitmap may be NULL.
 */
const char *cpulist_resolve(const char *list, unsigned nr_cpus, const unsigned *node_of,
                            uint8_t *bitmap);

/* The keys, for the man page's test and for `orlop help config`. NULL-terminated names. */
enum config_key_state {
    KEY_SUPPORTED,
    KEY_IGNORED, /* known, without effect on a guest here: a warning */
    KEY_LATER,
    KEY_NEVER
};
struct config_key_info {
    const char *name;
    enum config_key_state state;
    const char *expects; /* what value it takes, or why it is refused */
};
const struct config_key_info *config_key_list(unsigned *count);

/* MAC addresses as text; `text` takes 18 bytes. UUIDs: lib/util.h. */
void mac_format(char text[18], const uint8_t mac[6]);
bool mac_parse(uint8_t mac[6], const char *text);

/* The entry of `names` (NULL-terminated) that is spelled most like `word`, or NULL. */
const char *nearest_name(const char *word, const char *const *names);

#endif

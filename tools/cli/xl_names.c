/* SPDX-License-Identifier: MIT */
/* What people who come from xl type and what is not there: why, and what to do instead. */
#include "tools/cli/command.h"

#include <stddef.h>
#include <string.h>

#define LATER "not supported yet; "
#define NEVER "is not there; "
#define ENDS "shut the guest down (orlop shutdown) and create it again (orlop create)"
#define POOLS "the nodes are not told apart; orlop cpupool-create NAME cpus=LIST makes a pool"
#define PCI "devices are not passed through; Domain 0 serves disks and network cards"
#define SCREEN "use the screen (orlop vncviewer) or the text console (orlop console)"
#define LABELS "there are no security labels (XSM)"
#define KIND "guests have disks (block-*) and network cards (network-*) only"

static const struct {
    const char *name, *answer;
} names[] = {
    { "remus", LATER "guests are not migrated" },
    { "suspend", LATER "orlop pause stops its vCPUs and keeps its memory" },
    { "suspend-to-ram", LATER "orlop pause stops its vCPUs and keeps its memory" },
    { "resume", LATER "orlop unpause lets a paused guest go on" },
    { "snapshot", LATER "shut the guest down and copy its disk (cp, lvcreate -s)" },
    { "snapshot-create", LATER "shut the guest down and copy its disk (cp, lvcreate -s)" },
    { "vkb-attach", LATER SCREEN },
    { "vkb-detach", LATER SCREEN },
    { "vkb-list", LATER SCREEN },
    { "cpupool-numa-split", LATER POOLS },
    { "pci-attach", LATER PCI },
    { "pci-detach", LATER PCI },
    { "pci-list", LATER PCI },
    { "pci-assignable-add", LATER PCI },
    { "pci-assignable-list", LATER PCI },
    { "pci-assignable-remove", LATER PCI },
    { "usbctrl-attach", LATER KIND },
    { "usbctrl-detach", LATER KIND },
    { "usbdev-attach", LATER KIND },
    { "usbdev-detach", LATER KIND },
    { "usb-list", LATER KIND },
    { "vtpm-attach", LATER KIND },
    { "vtpm-detach", LATER KIND },
    { "vtpm-list", LATER KIND },
    { "channel-list", LATER KIND },
    { "vdispl-attach", LATER KIND },
    { "vdispl-detach", LATER KIND },
    { "vdispl-list", LATER KIND },
    { "vsnd-attach", LATER KIND },
    { "vsnd-detach", LATER KIND },
    { "vsnd-list", LATER KIND },
    { "cd-eject", LATER "PV guests cannot change media: orlop block-detach" },
    { "cd-insert", LATER "PV guests cannot change media: orlop block-attach" },
    { "trigger", LATER "orlop shutdown and orlop reboot ask a PV guest" },
    { "sysrq", LATER "orlop xenstore write /local/domain/N/control/sysrq LETTER does it" },
    { "send-key", LATER SCREEN },
    { "config-update", LATER "destroy the guest and create it from its changed file" },
    { "sched-rtds", NEVER "orlop sched sets weights and caps" },
    { "sched-arinc653", NEVER "orlop sched sets weights and caps" },
    { "tmem-list", NEVER "transcendent memory is gone from Xen too" },
    { "sharing", LATER "guests share no memory" },
    { "claims", NEVER "memory is claimed before a guest is built; orlop info shows what is" },
    { "getenforce", NEVER LABELS },
    { "setenforce", NEVER LABELS },
    { "loadpolicy", NEVER LABELS },
    { "dump-core-live", NEVER "orlop dump-core --live" },
    { "psr-cmt-attach", LATER "cache and bandwidth are not monitored" },
    { "psr-cmt-detach", LATER "cache and bandwidth are not monitored" },
    { "psr-cmt-show", LATER "cache and bandwidth are not monitored" },
    { "psr-cat-set", LATER "the cache is not divided" },
    { "psr-cat-show", LATER "the cache is not divided" },
    { "psr-hwinfo", LATER "the cache is not divided" },
    { "psr-mba-set", LATER "the bandwidth is not divided" },
    { "psr-mba-show", LATER "the bandwidth is not divided" },
    { "qemu-monitor-command", LATER "there is no device model" },
    { "fork-vm", LATER ENDS },
    { "fork-launch-dm", LATER ENDS },
    { "fork-reset", LATER ENDS },
    { "dt-overlay", NEVER "it is for ARM hosts" },
    { "vm-list", NEVER "orlop list shows the guests" },
    { "set-parameters", LATER "options are given on the boot line" },
    { "block-resize", LATER "detach the disk, resize it, attach it again" },
};

const char *xl_answer(const char *name)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, name) == 0)
            return names[i].answer;
    }
    return NULL;
}

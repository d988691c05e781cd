/* SPDX-License-Identifier: MIT */
/*
 * What an HVM domain has beyond a PVH domain: the emulated devices of a PC together, and its device
 * models. One lock, RANK_DEVICE, is held around each access to any of it; the vCPUs' local APICs
 * are outside.
 */
#ifndef X86_HVM_DEVICES_H
#define X86_HVM_DEVICES_H

#include "core/timer.h"
#include "x86/hvm/hvm.h"
#include "x86/hvm/ioreq.h"
#include "x86/hvm/vhpet.h"
#include "x86/hvm/virq.h"
#include "x86/hvm/vpit.h"
#include "x86/hvm/vpm.h"
#include "x86/hvm/vrtc.h"

enum device_timer {
    DEVT_PIT,
    DEVT_RTC,
    DEVT_PM,
    DEVT_HPET, /* and two more */
    DEVT_NR = DEVT_HPET + HPET_TIMER_NUM
};

#define CONSOLE_LINE 160u /* of port 0xe9; longer lines are cut in two */

struct hvm_devices {
    spinlock_t lock; /* RANK_DEVICE: all below but what says else */
    struct hvm_domain *hd;
    struct virq irq;
    struct vpit pit;
    struct vrtc rtc;
    struct vhpet hpet;
    struct vpm pm;
    bool has_hpet;    /* HVM_PARAM_HPET_ENABLED */
    uint16_t pm_base; /* of the ACPI registers, HVM_PARAM_ACPI_IOPORTS_LOCATION */
    bool extint;      /* atomic: the PICs ask the first vCPU for an interrupt */
    struct device_timer_slot {
        struct timer t;
        struct hvm_devices *dev;
    } timer[DEVT_NR];
    uint32_t cf8; /* what was last written to port 0xcf8 */
    char line[CONSOLE_LINE];
    unsigned int line_len;
    struct ioreq_server servers[IOREQ_SERVERS];
    uint32_t serial; /* of the server made last */
};

/* NULL: no memory. */
struct hvm_devices *hvm_devices_create(struct hvm_domain *hd);
/* No vCPU of the domain runs any more: timers stop, device models go. */
void hvm_devices_stop(struct hvm_devices *dev);
void hvm_devices_free(struct hvm_devices *dev);

/*
 * An access of v's, current, to ports or to memory that is a device's of the hypervisor; takes the
 * lock. False: it is none. *val: what is written, or read.
 */
bool hvm_device_port(struct hvm_vcpu *v, uint16_t port, unsigned int size, bool in, uint32_t *val);
bool hvm_device_memory(struct hvm_vcpu *v, uint64_t gpa, unsigned int size, bool write,
                       uint64_t *val);

/* Is some of these ports the hypervisor's, so that strings go there one by one? */
bool hvm_device_has_port(uint16_t port, unsigned int size);

/* A local APIC has ended an interrupt. Takes the lock. */
void hvm_device_eoi(struct hvm_devices *dev, uint8_t vector);

/* Do the PICs have an interrupt for v, and does its local APIC let it through? */
bool hvm_extint_waits(const struct hvm_vcpu *v);
/* Its vector: the CPU acknowledges. Takes the lock. */
uint8_t hvm_extint_take(struct hvm_vcpu *v);

/* A parameter that devices mind was set. Takes the lock. */
void hvm_devices_param(struct hvm_devices *dev, uint32_t index, uint64_t value);

/*
 * Event channels of vCPU 0 come by this wire from now on (CALLBACK_NONE: not by one). Takes the
 * lock.
 */
void hvm_callback_set(struct hvm_devices *dev, struct virq_callback to);
/*
 * The wire as vCPU 0's pending byte has it, which only the guest clears. Called by vCPU 0 on its
 * way into the guest, after HVMX_CALLBACK. Takes the lock.
 */
void hvm_callback_look(struct hvm_devices *dev);
/* Would that change something? Takes no lock. */
bool hvm_callback_differs(const struct hvm_devices *dev);

/* --- server.c: device models --- */

/* A new server for device model `owner`: its number, or -errno. Takes RANK_DEVICE, RANK_EVTCHN. */
int hvm_server_create(struct hvm_domain *hd, domid_t owner, uint8_t buffering);
/* It goes; vCPUs that wait for it go on as if nobody had claimed what they accessed. 0 or -ENOENT.
 */
int hvm_server_destroy(struct hvm_domain *hd, unsigned int id);
/* Pages of servers that were made while the domain died; nobody refers to it any more. */
void hvm_servers_end(struct hvm_devices *dev);
/* Page i of server id: 0 the ring, 1 the slots. MFN_NONE: there is none. */
mfn_t hvm_server_page(struct domain *d, unsigned int type, unsigned int id, unsigned int i);

#endif

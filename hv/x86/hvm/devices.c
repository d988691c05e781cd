/* SPDX-License-Identifier: MIT */
/*
 * The PC of an HVM domain: which device answers at which port or address, where timers and wires
 * lead. Devices are state machines that know nothing of domains; here are their callbacks.
 *
 * Held around each access: the domain's device lock. Nothing that waits for a vCPU may be done
 * under it, since that vCPU may wait for the lock: messages of the I/O APIC that would stop one
 * (INIT, SIPI), which no chipset sends, go nowhere.
 */
#include "x86/hvm/devices.h"

#include "core/clock.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/hvm/exits.h"

#define PM_BASE_V0 0x1f40u
#define PM_BASE_V1 0xb000u
#define PM_BLOCK 12u /* event, control and timer registers */

/* --- time --- */

static uint64_t now(void *ctx)
{
    (void)ctx;
    return arch_now();
}

static void set_timer(void *ctx, unsigned int which, uint64_t deadline)
{
    struct hvm_devices *dev = ctx;

    if (deadline == VTIMER_NONE)
        timer_stop(&dev->timer[which].t);
    else
        timer_set(&dev->timer[which].t, arch_this_cpu(), deadline);
}

static uint64_t wall_ns(void *ctx)
{
    const struct hvm_devices *dev = ctx;
    int64_t offset = __atomic_load_n(&dev->hd->x.d.time_offset_seconds, __ATOMIC_RELAXED);

    return clock_wall_ns() + (uint64_t)offset * NS_PER_SECOND;
}

static void timer_fired(void *arg)
{
    struct device_timer_slot *slot = arg;
    struct hvm_devices *dev = slot->dev;
    unsigned int which = (unsigned int)(slot - dev->timer);

    spin_lock(&dev->lock);
    if (which == DEVT_PIT)
        vpit_timer(&dev->pit);
    else if (which == DEVT_RTC)
        vrtc_timer(&dev->rtc);
    else if (which == DEVT_PM)
        vpm_timer(&dev->pm);
    else
        vhpet_timer(&dev->hpet, which - DEVT_HPET);
    spin_unlock(&dev->lock);
}

/* --- wires --- */

static void isa_line(void *ctx, unsigned int irq, bool up)
{
    virq_isa(&((struct hvm_devices *)ctx)->irq, irq, up);
}

static void gsi_line(void *ctx, unsigned int gsi, bool up)
{
    virq_gsi(&((struct hvm_devices *)ctx)->irq, gsi, up);
}

static bool send(void *ctx, const struct apic_message *m)
{
    struct hvm_devices *dev = ctx;

    return m->mode != APIC_INIT && m->mode != APIC_SIPI && vlapic_send(&dev->hd->apics, m);
}

static void extint(void *ctx, bool up)
{
    struct hvm_devices *dev = ctx;
    struct vcpu *c = dev->hd->x.d.vcpu[0];

    __atomic_store_n(&dev->extint, up, __ATOMIC_SEQ_CST);
    if (!up || !c)
        return;
    hvm_ask(hvm_vcpu(c), HVMX_INTERRUPT);
    vcpu_notify(c);
}

static const struct vtimer_ops timer_ops = {
    .now = now,
    .set_timer = set_timer,
    .isa = isa_line,
    .gsi = gsi_line,
    .wall_ns = wall_ns,
};
static const struct virq_hooks irq_hooks = { .send = send, .extint = extint };

bool hvm_extint_waits(const struct hvm_vcpu *v)
{
    const struct hvm_devices *dev = ((const struct hvm_domain *)v->x.v.domain)->dev;

    return dev && v->x.v.id == 0 && __atomic_load_n(&dev->extint, __ATOMIC_SEQ_CST) &&
           (vlapic_takes_extint(&v->lapic) ||
            (vlapic_enabled(&v->lapic) && vioapic_takes_extint(&dev->irq.ioapic)));
}

uint8_t hvm_extint_take(struct hvm_vcpu *v)
{
    struct hvm_devices *dev = hvm_domain_of(v)->dev;
    uint8_t vector;

    spin_lock(&dev->lock);
    vector = vpic_acknowledge(&dev->irq.pic);
    spin_unlock(&dev->lock);
    return vector;
}

/* --- life --- */

struct hvm_devices *hvm_devices_create(struct hvm_domain *hd)
{
    struct hvm_devices *dev = frame_alloc_hv_order(frame_order(sizeof(*dev)));

    if (!dev)
        return NULL;
    spin_init(&dev->lock, RANK_DEVICE);
    dev->hd = hd;
    dev->pm_base = PM_BASE_V0;
    for (unsigned int i = 0; i < DEVT_NR; i++) {
        dev->timer[i].dev = dev;
        timer_init(&dev->timer[i].t, timer_fired, &dev->timer[i]);
    }
    virq_init(&dev->irq, &irq_hooks, dev);
    vpit_init(&dev->pit, &timer_ops, dev, DEVT_PIT);
    vrtc_init(&dev->rtc, &timer_ops, dev, DEVT_RTC);
    vpm_init(&dev->pm, &timer_ops, dev, DEVT_PM);
    vhpet_init(&dev->hpet, &timer_ops, dev, DEVT_HPET);
    return dev;
}

void hvm_devices_stop(struct hvm_devices *dev)
{
    for (unsigned int i = 0; i < IOREQ_SERVERS; i++)
        (void)hvm_server_destroy(dev->hd, i);
    for (unsigned int i = 0; i < DEVT_NR; i++)
        timer_stop_sync(&dev->timer[i].t);
}

void hvm_devices_free(struct hvm_devices *dev)
{
    hvm_servers_end(dev);
    frame_free_hv_order(dev, frame_order(sizeof(*dev)));
}

void hvm_devices_param(struct hvm_devices *dev, uint32_t index, uint64_t value)
{
    spin_lock(&dev->lock);
    if (index == HVM_PARAM_HPET_ENABLED)
        dev->has_hpet = value;
    else if (index == HVM_PARAM_ACPI_IOPORTS_LOCATION)
        dev->pm_base = value ? PM_BASE_V1 : PM_BASE_V0;
    spin_unlock(&dev->lock);
}

/* --- event channels by a wire --- */

static bool callback_wanted(const struct hvm_devices *dev)
{
    const struct hvm_vcpu *v = hvm_vcpu(dev->hd->x.d.vcpu[0]);

    return __atomic_load_n(&v->x.v.info->evtchn_upcall_pending, __ATOMIC_SEQ_CST) &&
           !__atomic_load_n(&v->upcall_vector, __ATOMIC_RELAXED);
}

/*
 * Level-triggered: up as long as vCPU 0 has an upcall pending that it gets in no other way. While
 * it is up HVMX_CALLBACK stays, so that each exit of vCPU 0 looks whether the guest has cleared
 * the byte, and whatever ends an interrupt looks first. The lock is held.
 */
static void callback_level(struct hvm_devices *dev)
{
    virq_callback(&dev->irq, callback_wanted(dev));
    if (dev->irq.callback.up)
        hvm_ask(hvm_vcpu(dev->hd->x.d.vcpu[0]), HVMX_CALLBACK);
}

bool hvm_callback_differs(const struct hvm_devices *dev)
{
    const struct virq_callback *c = &dev->irq.callback;

    return c->via != CALLBACK_NONE && c->up != callback_wanted(dev);
}

void hvm_callback_look(struct hvm_devices *dev)
{
    spin_lock(&dev->lock);
    callback_level(dev);
    spin_unlock(&dev->lock);
}

void hvm_callback_set(struct hvm_devices *dev, struct virq_callback to)
{
    struct vcpu *c = dev->hd->x.d.vcpu[0];

    spin_lock(&dev->lock);
    virq_callback(&dev->irq, false);
    dev->irq.callback = to;
    spin_unlock(&dev->lock);
    if (!c)
        return;
    hvm_ask(hvm_vcpu(c), HVMX_CALLBACK);
    vcpu_notify(c);
}

void hvm_device_eoi(struct hvm_devices *dev, uint8_t vector)
{
    spin_lock(&dev->lock);
    if (dev->irq.callback.up)
        callback_level(dev);
    vioapic_eoi(&dev->irq.ioapic, vector);
    spin_unlock(&dev->lock);
}

/* --- ports --- */

/* What a guest's firmware writes to port 0xe9 is text for the log; a line at a time. */
static void console_byte(struct hvm_devices *dev, char c)
{
    if (c != '\n' && (uint8_t)c >= ' ' && (uint8_t)c < 0x7f)
        dev->line[dev->line_len++] = c;
    if (dev->line_len == 0 || (c != '\n' && dev->line_len < CONSOLE_LINE - 1))
        return;
    dev->line[dev->line_len++] = '\n';
    log_guest_text(&dev->hd->x.d, dev->line, dev->line_len);
    dev->line_len = 0;
}

enum port_owner { PORT_NONE, PORT_PIC, PORT_PIT, PORT_RTC, PORT_CONSOLE };

static enum port_owner owner_of(uint16_t port)
{
    switch (port) {
    case 0x20:
    case 0x21:
    case 0xa0:
    case 0xa1:
    case 0x4d0:
    case 0x4d1:
        return PORT_PIC;
    case 0x40:
    case 0x41:
    case 0x42:
    case 0x43:
    case 0x61:
        return PORT_PIT;
    case 0x70:
    case 0x71:
        return PORT_RTC;
    case 0xe9:
        return PORT_CONSOLE;
    default:
        return PORT_NONE;
    }
}

bool hvm_device_has_port(uint16_t port, unsigned int size)
{
    for (unsigned int i = 0; i < size; i++)
        if (owner_of((uint16_t)(port + i)) != PORT_NONE)
            return true;
    return false;
}

/* One byte. False: not the hypervisor's. */
static bool byte_access(struct hvm_devices *dev, uint16_t port, bool in, uint8_t *val)
{
    switch (owner_of(port)) {
    case PORT_PIC:
        if (in)
            *val = vpic_read(&dev->irq.pic, port);
        else
            vpic_write(&dev->irq.pic, port, *val);
        return true;
    case PORT_PIT:
        if (in)
            *val = vpit_read(&dev->pit, port);
        else
            vpit_write(&dev->pit, port, *val);
        return true;
    case PORT_RTC:
        return in ? vrtc_read(&dev->rtc, port, val) : vrtc_write(&dev->rtc, port, *val);
    case PORT_CONSOLE:
        if (in)
            *val = 0xe9;
        else
            console_byte(dev, (char)*val);
        return true;
    default:
        return false;
    }
}

/* The ACPI timer and the event registers before it; the control register is a device model's. */
static bool pm_access(struct hvm_devices *dev, uint16_t port, unsigned int size, bool in,
                      uint32_t *val)
{
    unsigned int offset = (uint16_t)(port - dev->pm_base);

    if (offset + size <= 4) {
        if (in)
            *val = vpm_read_event(&dev->pm, offset, size);
        else
            vpm_write_event(&dev->pm, offset, size, *val);
        return true;
    }
    if (offset < 8 || offset + size > PM_BLOCK)
        return false;
    if (in)
        *val = vpm_counter(&dev->pm) >> 8 * (offset - 8);
    return true;
}

bool hvm_device_port(struct hvm_vcpu *v, uint16_t port, unsigned int size, bool in, uint32_t *val)
{
    struct hvm_devices *dev = hvm_domain_of(v)->dev;
    uint32_t all = 0;
    bool hit = true;

    spin_lock(&dev->lock);
    if (dev->irq.callback.up)
        callback_level(dev);
    if (port == 0xcf8 && size == 4 && !in)
        dev->cf8 = *val; /* and on to the device model */
    if (pm_access(dev, port, size, in, val)) {
        spin_unlock(&dev->lock);
        return true;
    }
    for (unsigned int i = 0; i < size && hit; i++) {
        uint8_t byte = (uint8_t)(*val >> 8 * i);

        hit = byte_access(dev, (uint16_t)(port + i), in, &byte);
        all |= (uint32_t)byte << 8 * i;
    }
    spin_unlock(&dev->lock);
    if (hit && in)
        *val = all;
    return hit;
}

/* --- memory --- */

bool hvm_device_memory(struct hvm_vcpu *v, uint64_t gpa, unsigned int size, bool write,
                       uint64_t *val)
{
    struct hvm_devices *dev = hvm_domain_of(v)->dev;
    bool ioapic = gpa >> PAGE_SHIFT == VIOAPIC_BASE >> PAGE_SHIFT;

    if (!ioapic && (gpa < VHPET_BASE || gpa >= VHPET_BASE + VHPET_SIZE || !dev->has_hpet))
        return false;
    spin_lock(&dev->lock);
    if (ioapic && write)
        vioapic_write(&dev->irq.ioapic, (unsigned int)(gpa - VIOAPIC_BASE), (uint32_t)*val);
    else if (ioapic)
        *val = vioapic_read(&dev->irq.ioapic, (unsigned int)(gpa - VIOAPIC_BASE));
    else if (write)
        vhpet_write(&dev->hpet, (unsigned int)(gpa - VHPET_BASE), size, *val);
    else
        *val = vhpet_read(&dev->hpet, (unsigned int)(gpa - VHPET_BASE), size);
    if (ioapic && write && dev->extint)
        extint(dev, true); /* pin 0 may be open for it by now */
    spin_unlock(&dev->lock);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* The boot order, as lists of calls: for the first CPU here, for later ones in x86/cpu/smp.c. */
#include "core/bug.h"
#include "core/clock.h"
#include "core/grant.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/sched_core.h"
#include "core/version.h"
#include "lib/string.h"
#include "x86/acpi/acpi.h"
#include "x86/boot/boot.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/mc.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/spec.h"
#include "x86/cpu/watchdog.h"
#include "x86/dev/uart.h"
#include "x86/efi/efi.h"
#include "x86/glue/crash_test.h"
#include "x86/glue/devices.h"
#include "x86/glue/options.h"
#include "x86/hvm/dom0.h"
#include "x86/hvm/domain.h"
#include "x86/hvm/svm/svm.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/irq/lapic.h"
#include "x86/machine.h"
#include "x86/mm/paging.h"
#include "x86/mm/vmap.h"
#include "x86/picture.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/dom0_build.h"
#include "x86/pv/mm.h"
#include "x86/pv/ptable.h"
#include "x86/time/tsc.h"
#include "x86/trap.h"
#include "x86/vga.h"

extern char __image_start[], __image_end[];

static struct acpi_info acpi;

static const char *serial_error; /* why com1= or com2= could not be followed */
static bool serial;

/* The screen as boot tables map it, below 4 GiB, until paging_init(). False: there is none. */
static bool screen_early(void)
{
    const struct boot_screen *s = &boot_info.screen;

    if (boot_info.text_screen) {
        vga_init(direct(VGA_TEXT_BASE));
        return true;
    }
    if (!picture_usable(s))
        return false;
    bool reached = s->base < (1ull << 32) - vga_picture_bytes(s);
    vga_init_picture(s, reached ? direct(s->base) : NULL);
    return true;
}

/*
 * With a port that is not there or an option that is wrong: COM1 as it usually is, and the screen,
 * better than silence.
 */
static void console_init(void)
{
    unsigned int com = options.console_com;

    serial = com && uart_init_early(com, options.com[com - 1]);
    if (com && !serial) {
        serial_error = uart_error();
        serial = (com != 1 || options.com[0]) && uart_init_early(1, NULL);
        options.console_vga = true;
    }
    if (serial)
        log_add_sink(uart_write);
    if (options.console_vga && screen_early())
        log_add_sink(vga_write);
}

static void announce(const char *boot_error)
{
    log_info("Orlop, a hypervisor with Xen's ABI " XEN_ABI_TEXT);
    if (serial_error)
        log_warn("Serial line: com%u: %s%s", options.console_com, serial_error,
                 serial ? "; going on with COM1 at 115200 baud" : "");
    if (options.console_wrong)
        log_warn("Option \"console\": %s: com1, com2, vga and none are known; the log goes to%s%s",
                 options.console_wrong, serial ? " a serial line" : "",
                 options.console_vga ? serial ? " and the screen" : " the screen" : "");
    if (boot_error)
        panic("Cannot start: %s", boot_error);
    log_info("Loaded by %s at %#lx; command line: %s",
             boot_info.loader ? boot_info.loader : "multiboot", image_pa(__image_start),
             boot_info.cmdline);
}

static bool overlaps(uint64_t start, uint64_t len, uint64_t other, uint64_t other_len)
{
    return start < other + other_len && other < start + len;
}

/* Inside of what the loader calls RAM, perhaps in pieces that touch. */
static bool in_ram(uint64_t start, uint64_t end)
{
    uint64_t was;

    do {
        was = start;
        for (unsigned int i = 0; i < boot_info.nr_mem; i++) {
            const struct boot_memory *m = &boot_info.mem[i];
            if (m->type == 1 && m->base <= start && m->base + m->len > start)
                start = m->base + m->len;
        }
    } while (start != was && start < end);
    return start >= end;
}

/* Is the fixed place RAM, and free of what the loader left for us? */
static bool ring_place_free(uint32_t info)
{
    const struct boot_info *b = &boot_info;
    bool ram = in_ram(CONRING_PHYS, CONRING_PHYS + CONRING_SIZE);

    ram &= !overlaps(CONRING_PHYS, CONRING_SIZE, info, boot_info.info_len);
    for (unsigned int i = 0; i < b->nr_modules; i++) {
        const struct boot_module *m = &b->module[i];
        ram &= !overlaps(CONRING_PHYS, CONRING_SIZE, m->start, m->end - m->start) &&
               !overlaps(CONRING_PHYS, CONRING_SIZE, direct_pa(m->cmdline), 4096);
    }
    return ram;
}

/* What must survive until it has been used: our image, the modules, the loader's strings. */
static void reserve_boot_memory(uint32_t info)
{
    uint64_t start = image_pa(__image_start), end = image_pa(__image_end) + symtab_size();

    if (!in_ram(start, end))
        panic("Cannot start: the boot loader put the image at %#lx, where by its own memory map "
              "is no RAM",
              start);
    bootmem_reserve(0, 0x100000);
    bootmem_reserve(start, end);
    bootmem_reserve(info, info + boot_info.info_len);
    for (unsigned int i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.module[i];
        bootmem_reserve(m->start, m->end);
        uint64_t text = direct_pa(m->cmdline);
        if (text < 1ull << 32 && text > 0x100000)
            bootmem_reserve(text, text + 4096);
    }
}

static void screen_remap(void)
{
    const struct boot_screen *s = &boot_info.screen;

    if (!options.console_vga)
        return;
    if (boot_info.text_screen)
        vga_init(vmap(MADDR(VGA_TEXT_BASE), VGA_TEXT_SIZE, VMAP_UC));
    else if (picture_usable(s))
        vga_init_picture(s, vmap(MADDR(s->base), vga_picture_bytes(s), VMAP_WC));
}

/* One table at a time, as acpi_parse() promises. */
static const void *acpi_map(uint64_t pa, size_t len)
{
    static void *last;
    static size_t last_len;

    if (last)
        vunmap(last, last_len);
    last = vmap(MADDR(pa), len, VMAP_RO);
    last_len = len;
    return last;
}

static void read_acpi(void)
{
    static uint8_t copy[64];

    if (boot_info.rsdp)
        memcpy(copy, direct(boot_info.rsdp), 36);
    const char *why = acpi_parse(acpi_map, boot_info.rsdp ? copy : NULL, 36, &acpi);
    if (why)
        log_warn("ACPI: %s", why);
    for (unsigned int i = 0; i < acpi.nr_warnings; i++)
        log_warn("ACPI %s: %s", acpi.warnings[i].table, acpi.warnings[i].text);
}

static void memory_init(uint32_t info)
{
    bool ring = ring_place_free(info);

    if (ring)
        log_init_ring(direct(CONRING_PHYS), CONRING_SIZE);
    reserve_boot_memory(info);
    if (ring)
        bootmem_reserve(CONRING_PHYS, CONRING_PHYS + CONRING_SIZE);
    paging_init();
    screen_remap();
    if (!ring)
        log_init_ring(bootmem_pages(CONRING_SIZE / PAGE_SIZE), CONRING_SIZE);
    bootmem_finish();
    frame_low_bits = 24; /* ISA devices' reach */
    paging_heap_ready();
    log_info("Memory: %lu MiB free of %lu MiB of RAM", frame_free_count() >> 8,
             frame_total_count() >> 8);
}

/* The processors' ids in AML: Dom0's drivers name them by these. */
static void name_cpus(void)
{
    for (unsigned int cpu = 0; cpu < nr_pcpus; cpu++) {
        struct x86_pcpu *xp = (struct x86_pcpu *)pcpus[cpu];
        for (unsigned int i = 0; i < acpi.nr_cpus; i++)
            if (acpi.cpus[i].enabled && acpi.cpus[i].apic_id == xp->apic_id)
                xp->acpi_id = acpi.cpus[i].acpi_id;
    }
}

static void cpus_init(void)
{
    static uint32_t others[ACPI_MAX_CPUS];
    unsigned int n = 0;
    uint32_t self = lapic_id();

    for (unsigned int i = 0; i < acpi.nr_cpus; i++)
        if (acpi.cpus[i].enabled && acpi.cpus[i].apic_id != self && n + 1 < options.maxcpus)
            others[n++] = acpi.cpus[i].apic_id;
    smp_boot(others, n);
    name_cpus();
    tsc_settle(options.tsc);
    log_info("CPUs: %u online", nr_pcpus);
}

static uint16_t port_of(const struct acpi_reg *r)
{
    return r->space == ACPI_SPACE_IO ? (uint16_t)r->address : 0;
}

/* The serial line, and what switches the machine off (that goes by hypercall). */
static struct ioport_machine kept_ports(void)
{
    return (struct ioport_machine){ .com1 = uart_port(),
                                    .pm1a_control = port_of(&acpi.fadt.pm1a_control),
                                    .pm1b_control = port_of(&acpi.fadt.pm1b_control) };
}

/* What the choice against speculation means for PV guests. */
static void apply_spec(void)
{
    pt_l1tf = spec_choice.l1tf;
    if (spec_choice.meltdown && !spec_choice.isolate_domu)
        log_warn("This processor has Meltdown, and xpti=no: programs of PV guests can read all "
                 "memory");
}

/* What CPUID tells guests of the time-stamp counter. */
static void publish_tsc(void)
{
    struct clock_scale s = tsc_scale();

    policy_time = (struct policy_time){ .tsc_khz = (uint32_t)(tsc_hz() / 1000),
                                        .mul = s.mul,
                                        .shift = s.shift,
                                        .stable = tsc_is_stable() };
}

/* Option dom0_vcpus_pin. */
static void pin_dom0(void)
{
    for (unsigned int i = 0; i < dom0->max_vcpus; i++) {
        struct cpumask one = cpumask_of(i % nr_pcpus);

        if (dom0->vcpu[i])
            sched_set_affinity(dom0->vcpu[i], &one);
    }
}

static bool has_vmx(void)
{
    uint32_t a, b, c, d;

    cpuid(1, 0, &a, &b, &c, &d);
    return c >> 5 & 1;
}

static void enable_hvm(void *why)
{
    const char *here = hvm_vendor->enable_cpu(this_x86());

    if (here)
        *(const char **)why = here;
}

/* Hardware-assisted guests, where every CPU can run them. */
static void hvm_start(void)
{
    const char *why = NULL;

    hvm_vendor = has_vmx() ? &vmx_vendor : &svm_vendor;
    enable_hvm(&why);
    if (!why)
        arch_call_others(&cpumask_all, enable_hvm, &why);
    if (why) {
        log_info("HVM: no hardware-assisted guests here: %s", why);
        hvm_vendor = NULL;
        return;
    }
    hvm_keys_init();
    log_info("HVM: %s with nested paging (%s)", hvm_vendor->name, hvm_vendor->format->name);
}

static const char *build_dom0(void)
{
    static struct dom0_image image;
    const struct dom0_options o = { .mem = &options.dom0_mem,
                                    .vcpus = dom0_vcpus(options.dom0_min_vcpus,
                                                        options.dom0_max_vcpus),
                                    .ports = kept_ports() };
    const char *why = dom0_image_open(&image);

    if (why)
        return why;
    return options.dom0_pvh ? pvh_dom0_build(&image, o.mem, o.vcpus) : dom0_build(&image, &o);
}

void boot_main(uint32_t magic, uint32_t info)
{
    cpu_early_traps();
    const char *error = boot_parse(magic, info);

    options_early(boot_info.cmdline);
    console_init();
    symbols_init();
    announce(error);
    options_parse(boot_info.cmdline);
    hv_command_line = boot_info.cmdline;
    crash_test_early(options.crash_test);
    cpu_detect(options.smap, options.smep);
    spec_init(&options.spec);
    memory_init(info);

    struct x86_pcpu *bsp = cpu_create(0, 0);
    BUG_ON(!bsp);
    cpu_init_this(bsp);
    pcpu_online(&bsp->p);
    paging_seal(); /* cpu_init_this() has put STAC and CLAC into the text */
    efi_init(!options.efi_alone);
    read_acpi();
    machine_init(&acpi, options.x2apic);
    bsp->apic_id = lapic_id();
    spec_init_cpu();
    apply_spec();
    mc_init_cpu();
    watchdog_start_cpu();
    cpus_init();
    if (options.sched_core)
        sched_core_init();
    hvm_start();
    publish_tsc();
    policy_init();
    clock_init_wallclock();
    keys_init();
    devices_init(&acpi);
    crash_test_late(options.crash_test);

    const char *why = build_dom0();
    if (why)
        panic("Domain 0 cannot be built: %s", why);
    if (options.dom0_vcpus_pin)
        pin_dom0();
    log_info("Domain 0 starts; Ctrl-A three times switches the keyboard to debug keys");
    if (options.console_vga && !options.vga_keep) {
        log_remove_sink(vga_write);
        vga_release();
    }
    start_guests();
}

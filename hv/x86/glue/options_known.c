/* SPDX-License-Identifier: MIT */
/*
 * Options that people bring from Xen's command line and that change nothing here: an entry of GRUB
 * written for Xen is taken as it is, and the log says what of it has no effect, and why.
 */
#include "core/log.h"
#include "lib/macros.h"
#include "lib/strutil.h"
#include "x86/glue/options.h"

/* The reasons; several options share one. */
#define HVM "hardware-assisted guests take what the CPU has"
#define AUTO "decided at boot from what the machine says"
#define SPEC "the defences against speculation are chosen by the processor (spec-ctrl=all: all)"
#define POWER "idle CPUs halt, and the firmware's power states are left alone"
#define IOMMU "no IOMMU is used"
#define SIZED "tables grow as they are needed"
#define DEBUG "a help for finding faults of Xen itself"
#define SCHED "an option of another scheduler of Xen's"
#define GRANTS "given for each guest (max_grant_frames=, max_maptrack_frames= in its configuration)"
#define LOADER "left to the boot loader"

static const struct {
    const char *name, *why;
} known[] = {
    { "acpi", AUTO },
    { "acpi_apic_instance", AUTO },
    { "acpi_sleep", POWER },
    { "allowsuperpage", "PV guests have no superpages" },
    { "altp2m", HVM },
    { "apic_verbosity", DEBUG },
    { "argo", "guests talk by grants and event channels" },
    { "asid", HVM },
    { "async-show-all", DEBUG },
    { "ats", IOMMU },
    { "badpage", "no pages are left out" },
    { "bootscrub", "pages are cleared when they are given away" },
    { "bootscrub_chunk", "pages are cleared when they are given away" },
    { "bti", SPEC },
    { "cet", "shadow stacks are not used" },
    { "clocksource", AUTO },
    { "cmci-threshold", "corrected errors are Domain 0's to read" },
    { "conring_size", "the ring has a fixed size" },
    { "console_timestamps", "lines have no times" },
    { "console_to_ring", "Domain 0's output goes to its own console" },
    { "core_parking", POWER },
    { "cpufreq", POWER },
    { "cpuid", AUTO },
    { "cpuidle", POWER },
    { "crashinfo_maxaddr", "no crash kernel is loaded" },
    { "crashkernel", "no crash kernel is loaded" },
    { "credit2_balance_over", SCHED },
    { "credit2_balance_under", SCHED },
    { "credit2_cap_period_ms", SCHED },
    { "credit2_load_precision_shift", SCHED },
    { "credit2_load_window_shift", SCHED },
    { "credit2_runqueue", SCHED },
    { "dbgp", "USB debug ports are not used" },
    { "debug", DEBUG },
    { "debug_stack_lines", DEBUG },
    { "debugtrace", DEBUG },
    { "dma_bits", SIZED },
    { "dom0-iommu", IOMMU },
    { "dom0_ioports_disable", "Domain 0 has the ports that the hypervisor does not need" },
    { "dom0_nodes", "Domain 0's memory comes from all nodes" },
    { "dom0_shadow", "there are no shadow tables" },
    { "e820-mtrr-clip", AUTO },
    { "e820-verbose", DEBUG },
    { "edd", LOADER },
    { "edid", LOADER },
    { "ept", HVM },
    { "extra_guest_irqs", SIZED },
    { "flask", "there are no security labels" },
    { "flask_enforcing", "there are no security labels" },
    { "font", "the screen is text" },
    { "gdb", DEBUG },
    { "gnttab", GRANTS },
    { "gnttab_max_frames", GRANTS },
    { "gnttab_max_maptrack_frames", GRANTS },
    { "hap", HVM },
    { "hap_1gb", HVM },
    { "hap_2mb", HVM },
    { "hest_disable", AUTO },
    { "hpet", AUTO },
    { "hpetbroadcast", POWER },
    { "hvm_debug", HVM },
    { "hvm_fep", HVM },
    { "ibpb", SPEC },
    { "ibrs", SPEC },
    { "iommu", IOMMU },
    { "iommu_dev_iotlb_timeout", IOMMU },
    { "iommu_inclusive_mapping", IOMMU },
    { "ioapic_ack", AUTO },
    { "irq_ratelimit", AUTO },
    { "irq_vector_map", AUTO },
    { "ivrs_hpet", IOMMU },
    { "ivrs_ioapic", IOMMU },
    { "l1tf-barrier", SPEC },
    { "lapic", AUTO },
    { "lapic_timer_c2_ok", POWER },
    { "ler", DEBUG },
    { "low_crashinfo", "no crash kernel is loaded" },
    { "low_mem_virq_limit", "nobody is told when memory gets short" },
    { "max_cstate", POWER },
    { "max_gsi_irqs", SIZED },
    { "mce", AUTO },
    { "mce_fb", DEBUG },
    { "mce_verbosity", DEBUG },
    { "mmcfg", AUTO },
    { "mmio-relax", AUTO },
    { "msi", AUTO },
    { "mtrr.show", DEBUG },
    { "mwait-idle", POWER },
    { "nmi", "NMIs that nobody caused are told to Domain 0" },
    { "noapic", AUTO },
    { "nofxsr", AUTO },
    { "noirqbalance", "interrupts stay where Domain 0 binds them" },
    { "nolapic", AUTO },
    { "nomce", AUTO },
    { "nr_irqs", SIZED },
    { "numa", "the nodes are not told apart" },
    { "pci", AUTO },
    { "pci-phantom", IOMMU },
    { "pcid", AUTO },
    { "pku", HVM },
    { "ple_gap", HVM },
    { "ple_window", HVM },
    { "psr", "cache and bandwidth are not divided" },
    { "pv", "PV guests are 64-bit" },
    { "pv-l1tf", SPEC },
    { "real-mode", LOADER },
    { "reboot", AUTO },
    { "ro-hpet", AUTO },
    { "sched_credit2_max_cpus_runqueue", SCHED },
    { "sched_smt_power_savings", POWER },
    { "scrub-domheap", "pages are cleared when they are given away" },
    { "serial_tx_buffer", "output waits for the line" },
    { "sync_console", "output is written at once anyway" },
    { "tboot", "trusted boot is not used" },
    { "tbuf_size", "trace buffers are made when a tool asks for them" },
    { "tdp", HVM },
    { "timer_slop", AUTO },
    { "tickle_one_idle_cpu", SCHED },
    { "tmem", "it is gone from Xen too" },
    { "tsx", SPEC },
    { "ucode", "microcode is the firmware's and Domain 0's to load before" },
    { "unrestricted_guest", HVM },
    { "viridian-spinlock-retry-count", HVM },
    { "viridian-version", HVM },
    { "vpid", HVM },
    { "vpmu", "performance counters are not given to guests" },
    { "vti_vhpt_size", "it is for another architecture" },
    { "vtd", IOMMU },
    { "watchdog", "CPUs that hang are noticed without it" },
    { "watchdog_timeout", "CPUs that hang are noticed without it" },
    { "x2apic-mode", AUTO },
    { "x2apic_phys", AUTO },
    { "xenheap_megabytes", SIZED },
    { "xsave", AUTO },
    { "xsm", "there are no security labels" },
};

/* What would change the machine if it were followed, and is not. */
static const struct {
    const char *name, *why;
} refused[] = {
    { "availmem", "all memory is used" },
    { "com3", "there are com1 and com2; com2= takes another I/O port as its third field" },
    { "com4", "there are com1 and com2; com2= takes another I/O port as its third field" },
    { "mem", "all memory is used; dom0_mem= says what Domain 0 gets" },
    { "hardware_dom", "Domain 0 has the devices" },
    { "pci-passthrough", "devices are not passed through" },
    { "shim_mem", "this is no shim" },
};

static const char *follow_smt(const struct cmdline_opt *o)
{
    bool on;

    if (!cmdline_bool(o, &on))
        return "yes or no expected";
    if (!on)
        log_warn("Option \"smt\": sibling threads are not taken out of use; switch them off in the "
                 "firmware");
    return NULL;
}

static const char *follow_dom0(const struct cmdline_opt *o)
{
    return str_eq(o->value, "pv") ? NULL : "Domain 0 is a PV guest, and dom0=pv is all it can say";
}

bool options_known(const struct cmdline_opt *o, const char **why)
{
    if (cmdline_is(o, "smt"))
        return *why = follow_smt(o), true;
    if (cmdline_is(o, "dom0"))
        return *why = follow_dom0(o), true;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (cmdline_is(o, known[i].name)) {
            log_info("Option \"%s%s\": no effect here: %s", o->negated ? "no-" : "", o->name,
                     known[i].why);
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (cmdline_is(o, refused[i].name))
            return *why = refused[i].why, true;
    }
    return false;
}

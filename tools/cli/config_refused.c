/* SPDX-License-Identifier: MIT */
/*
 * Keys of xl.cfg(5), and old ones of xm, that are known but not supported: why, and what to do.
 * Those that change nothing of a PV guest, under xl neither, are passed over with a warning; the
 * few of them that ask a PVH guest for something are refused there by config_keys.c, and what an
 * HVM guest reads of them is config_hvm.c's.
 */
#include "tools/cli/config_keys.h"

#define HVM "only HVM guests read it; it has no effect here"
#define PVH "only PVH guests read it; it has no effect here"
#define PASSTHROUGH "passthrough of devices is not supported yet; leave it out"
#define SCREEN \
    "there is no virtual screen of this kind here; the guest has its text console: orlop console"
#define VKB "a screen (vfb=) brings its keyboard and mouse; it has no effect"
#define OLD "is of xm's time, and xl passes over it too; it has no effect"
#define OLD_IP                                                                                 \
    "xm wrote it into the kernel's command line, xl passes over it, and so does this; if the " \
    "guest "                                                                                   \
    "needs it write extra = 'ip=...'"
#define NO_PCI "is about devices that are passed through, and none is; it has no effect"
#define BACKEND "devices of this kind have no backend here yet; leave it out"
#define USB "USB devices are not supported yet; leave it out"
#define NUMA "virtual NUMA is not supported yet (nor does Xen give it to PV guests); leave it out"
#define XSM "there are no security labels (XSM) here; it has no effect"
#define ARM "only guests of ARM hosts read it; it has no effect"
#define GRUB "the guest boots from its own disk through GRUB's image for PV guests"
#define NO_SHARING "sharing and paging of memory are not supported; leave it out"

const char config_only_hvm[] = HVM;

const struct config_key_info config_refused[] = {
    { "bootloader_args", KEY_IGNORED, GRUB },
    { "bootargs", KEY_IGNORED, GRUB },

    { "acpi", KEY_IGNORED, HVM },
    { "acpi_firmware", KEY_IGNORED, HVM },
    { "acpi_laptop_slate", KEY_IGNORED, HVM },
    { "acpi_s3", KEY_IGNORED, HVM },
    { "acpi_s4", KEY_IGNORED, HVM },
    { "altp2m", KEY_IGNORED, HVM },
    { "altp2mhvm", KEY_IGNORED, HVM },
    { "apic", KEY_IGNORED, HVM },
    { "bios", KEY_IGNORED, HVM },
    { "bios_path_override", KEY_IGNORED, HVM },
    { "device_model", KEY_IGNORED, HVM },
    { "device_model_args", KEY_IGNORED, HVM },
    { "device_model_args_hvm", KEY_IGNORED, HVM },
    { "device_model_args_pv", KEY_IGNORED, HVM },
    { "device_model_stubdomain_override", KEY_IGNORED, HVM },
    { "device_model_stubdomain_seclabel", KEY_IGNORED, HVM },
    { "device_model_user", KEY_IGNORED, HVM },
    { "device_model_version", KEY_IGNORED, HVM },
    { "dm_restrict", KEY_IGNORED, HVM },
    { "hap", KEY_IGNORED, HVM },
    { "hpet", KEY_IGNORED, HVM },
    { "mca_caps", KEY_IGNORED, HVM },
    { "mmio_hole", KEY_IGNORED, HVM },
    { "ms_vm_genid", KEY_IGNORED, HVM },
    { "nestedhvm", KEY_IGNORED, HVM },
    { "nx", KEY_IGNORED, HVM },
    { "oos", KEY_IGNORED, HVM },
    { "pae", KEY_IGNORED, HVM },
    { "shadow_memory", KEY_IGNORED, HVM },
    { "smbios_firmware", KEY_IGNORED, HVM },
    { "stubdomain_cmdline", KEY_IGNORED, HVM },
    { "stubdomain_kernel", KEY_IGNORED, HVM },
    { "stubdomain_memory", KEY_IGNORED, HVM },
    { "stubdomain_ramdisk", KEY_IGNORED, HVM },
    { "timer_mode", KEY_IGNORED, HVM },
    { "vendor_device", KEY_IGNORED, HVM },
    { "vpt_align", KEY_IGNORED, HVM },
    { "xen_platform_pci", KEY_IGNORED, HVM },

    { "pvshim", KEY_IGNORED, PVH },
    { "pvshim_cmdline", KEY_IGNORED, PVH },
    { "pvshim_extra", KEY_IGNORED, PVH },
    { "pvshim_path", KEY_IGNORED, PVH },

    { "dtdev", KEY_IGNORED, ARM },
    { "device_tree", KEY_IGNORED, ARM },
    { "gic_version", KEY_IGNORED, ARM },
    { "tee", KEY_IGNORED, ARM },
    { "vpmu", KEY_IGNORED, ARM },
    { "vuart", KEY_IGNORED, ARM },

    { "e820_host", KEY_IGNORED, NO_PCI },
    { "gfx_passthru", KEY_IGNORED, NO_PCI },
    { "iomem", KEY_LATER, PASSTHROUGH },
    { "ioports", KEY_LATER, PASSTHROUGH },
    { "irqs", KEY_LATER, PASSTHROUGH },
    { "passthrough", KEY_LATER, PASSTHROUGH },
    { "pci", KEY_LATER, PASSTHROUGH },
    { "pci_msitranslate", KEY_IGNORED, NO_PCI },
    { "pci_permissive", KEY_IGNORED, NO_PCI },
    { "pci_power_mgmt", KEY_IGNORED, NO_PCI },
    { "pci_seize", KEY_IGNORED, NO_PCI },
    { "rdm", KEY_IGNORED, NO_PCI },
    { "rdm_mem_boundary", KEY_IGNORED, NO_PCI },

    { "opengl", KEY_IGNORED, SCREEN },
    { "sdl", KEY_IGNORED, SCREEN },
    { "soundhw", KEY_IGNORED, SCREEN },
    { "spice", KEY_IGNORED, SCREEN },
    { "spice_clipboard_sharing", KEY_IGNORED, SCREEN },
    { "spice_image_compression", KEY_IGNORED, SCREEN },
    { "spice_streaming_video", KEY_IGNORED, SCREEN },
    { "spiceagent_mouse", KEY_IGNORED, SCREEN },
    { "spicedisable_ticketing", KEY_IGNORED, SCREEN },
    { "spicehost", KEY_IGNORED, SCREEN },
    { "spicepasswd", KEY_IGNORED, SCREEN },
    { "spiceport", KEY_IGNORED, SCREEN },
    { "spicetls_port", KEY_IGNORED, SCREEN },
    { "spiceusbredirection", KEY_IGNORED, SCREEN },
    { "spicevdagent", KEY_IGNORED, SCREEN },
    { "vdispl", KEY_IGNORED, SCREEN },
    { "vkb", KEY_IGNORED, VKB },
    { "vkb_device", KEY_IGNORED, VKB },
    { "vsnd", KEY_IGNORED, SCREEN },

    { "channel", KEY_LATER, BACKEND },
    { "p9", KEY_LATER, BACKEND },
    { "pvcalls", KEY_LATER, BACKEND },
    { "vtpm", KEY_LATER, BACKEND },
    { "usbctrl", KEY_LATER, USB },
    { "usbdev", KEY_LATER, USB },
    { "usbversion", KEY_IGNORED, HVM },

    { "vnuma", KEY_LATER, NUMA },
    { "init_seclabel", KEY_IGNORED, XSM },
    { "seclabel", KEY_IGNORED, XSM },
    { "claim_mode", KEY_IGNORED, "memory is always claimed before a guest is built" },
    { "driver_domain", KEY_LATER, "driver domains are not supported yet; leave it out" },
    { "max_grant_version", KEY_IGNORED, "grant tables are version 1" },
    { "msr_relaxed", KEY_IGNORED, "MSRs that are not there fault" },
    { "nomigrate", KEY_IGNORED, "guests are not migrated yet, whatever it says" },
    { "on_soft_reset", KEY_IGNORED, HVM },
    { "on_xend_start", KEY_IGNORED, "guests that start at boot are links in /etc/orlop/auto" },
    { "on_xend_stop", KEY_IGNORED, "guests that run at poweroff are shut down" },
    { "cpu_cap", KEY_NEVER, "is written cap= here" },
    { "page_size", KEY_NEVER, NO_SHARING },
    { "shared_memory", KEY_NEVER, NO_SHARING },
    { "suppress_spurious_page_faults", KEY_IGNORED, "is for kernels of 2007" },
    { "vcpu_avail", KEY_IGNORED, "is replaced by vcpus= (online at start) and maxvcpus=" },
    { "vmtrace_buf_kb", KEY_IGNORED, "guests are not traced yet" },
    { "xend_suspend_evtchn_compat", KEY_IGNORED, OLD },

    { "dhcp", KEY_IGNORED, OLD_IP },
    { "gateway", KEY_IGNORED, OLD_IP },
    { "hostname", KEY_IGNORED, OLD_IP },
    { "ip", KEY_IGNORED, OLD_IP },
    { "netmask", KEY_IGNORED, OLD_IP },
    { "nfs_root", KEY_IGNORED, OLD_IP },
    { "nfs_server", KEY_IGNORED, OLD_IP },
    { "address", KEY_IGNORED, OLD },
    { "bootentry", KEY_IGNORED, OLD },
    { "console", KEY_IGNORED, OLD },
    { "cpu", KEY_IGNORED, OLD },
    { "display", KEY_IGNORED, OLD },
    { "features", KEY_IGNORED, OLD },
    { "guest_os_type", KEY_IGNORED, OLD },
    { "image", KEY_IGNORED, OLD },
    { "interface", KEY_IGNORED, OLD },
    { "isa", KEY_IGNORED, OLD },
    { "machine_address_size", KEY_IGNORED, OLD },
    { "monitor", KEY_IGNORED, OLD },
    { "monitor_path", KEY_IGNORED, OLD },
    { "ne2000", KEY_IGNORED, OLD },
    { "nics", KEY_IGNORED, OLD },
    { "path", KEY_IGNORED, OLD },
    { "restart", KEY_IGNORED, OLD },
    { "shadow", KEY_IGNORED, OLD },
    { "superpages", KEY_IGNORED, OLD },
    { "tsc_native", KEY_IGNORED, OLD },
    { "usbmode", KEY_IGNORED, OLD },
    { "vhpt", KEY_IGNORED, OLD },
    { "vif2", KEY_IGNORED, OLD },
    { "vncconsole", KEY_IGNORED, OLD },
    { "vncviewer", KEY_IGNORED, OLD },
    { "vscsi", KEY_IGNORED, OLD },
    { "xauthority", KEY_IGNORED, OLD },
    { "xen_extended_power_mgmt", KEY_IGNORED, OLD },
    { "xen_shell", KEY_IGNORED, OLD },
    { "disk_other_config", KEY_IGNORED, OLD },
    { "vif_other_config", KEY_IGNORED, OLD },
    { "vnc_auto_port", KEY_IGNORED, OLD },
    { "expose_host_uuid", KEY_IGNORED, OLD },
    { 0 },
};

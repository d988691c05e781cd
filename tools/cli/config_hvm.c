/* SPDX-License-Identifier: MIT */
/*
 * Keys that only HVM guests read. What a file may say of them is what such a guest has here anyway;
 * all else is an error with the reason. (boot=, hdtype=, serial= and device_model_override= are in
 * the table of config_keys.c, those about the screen in config_screen.c's.) Pure functions.
 */
#include "tools/cli/config_keys.h"

#include <string.h>
#include <strings.h>

#define NO_SCREEN "a screen is shown by VNC (vnc = 1) only; leave it out"
#define LEAVE_OUT "is not supported for HVM guests yet; leave it out"

static const struct {
    const char *name;
    const char *may_be[4]; /* NULL: anything; else these, and nothing asked for */
    const char *why;
} keys[] = {
    { "acpi", { "1" }, "HVM guests always have ACPI; leave it out" },
    { "acpi_s3", { "1" }, LEAVE_OUT },
    { "acpi_s4", { "1" }, LEAVE_OUT },
    { "apic", { "1" }, "HVM guests always have an APIC; leave it out" },
    { "bios", { "seabios" }, "OVMF is asked for by firmware = 'uefi'" },
    { "device_model_version", { "qemu-xen" }, "only 'qemu-xen' is there" },
    { "dm_restrict", { NULL }, NULL }, /* it always is */
    { "hap", { "1" }, "there are no shadow page tables; leave it out" },
    { "hpet", { "1" }, "HVM guests always have an HPET; leave it out" },
    { "ms_vm_genid", { "none" }, LEAVE_OUT },
    { "nx", { "1" }, "HVM guests always have NX; leave it out" },
    { "oos", { NULL }, NULL },
    { "pae", { "1" }, "HVM guests always have PAE; leave it out" },
    { "shadow_memory", { NULL }, NULL },
    { "sdl", { "" }, NO_SCREEN },
    { "spice", { "" }, NO_SCREEN },
    { "timer_mode",
      { "no_delay_for_missed_ticks", "1" },
      "only 'no_delay_for_missed_ticks' is there" },
    { "vendor_device", { "none" }, LEAVE_OUT },
    { "vpt_align", { "1" }, LEAVE_OUT },
    { "xen_platform_pci", { "1" }, "HVM guests always have the platform device; leave it out" },
};

/* A list without elements, a 0, "disabled" and the like ask for nothing: what most keys' absence
 * means. For those whose absence means 1 it is something else. */
static bool asks_for_none(const struct config_value *v)
{
    if (v->kind == VALUE_LIST)
        return !v->count;
    return !*v->text || strcmp(v->text, "0") == 0 || strcasecmp(v->text, "disabled") == 0;
}

bool config_hvm_key(const char *name, const struct config_value *v, bool only_hvm, const char **why)
{
    *why = NULL;
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        if (!keys[i].may_be[0] || (!*keys[i].may_be[0] && asks_for_none(v)))
            return true;
        for (unsigned j = 0; j < 4 && keys[i].may_be[j]; j++) {
            if (v->kind != VALUE_LIST && strcmp(v->text, keys[i].may_be[j]) == 0)
                return true;
        }
        *why = keys[i].why;
        return true;
    }
    if (only_hvm && !asks_for_none(v))
        *why = LEAVE_OUT;
    return only_hvm;
}

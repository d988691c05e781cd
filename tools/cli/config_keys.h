/* SPDX-License-Identifier: MIT */
/* From settings to a guest's configuration: the table of keys. Private to config*.c. */
#ifndef TOOLS_CLI_CONFIG_KEYS_H
#define TOOLS_CLI_CONFIG_KEYS_H

#include "tools/cli/config.h"
#include "tools/cli/config_value.h"

/* Boots a PV guest from its own disk (Debian's package grub-xen-host). */
#define GRUB_IMAGE "/usr/lib/grub-xen/grub-x86_64-xen.bin"
#define GRUB_PVH_IMAGE "/usr/lib/grub-xen/grub-i386-xen_pvh.bin" /* the same for a PVH guest */

/* Keys that are known and refused, or passed over, with the reason; NULL-terminated by name. */
extern const struct config_key_info config_refused[];
extern const char config_only_hvm[]; /* what it says of keys that only HVM guests read */

/*
 * Decodes all settings into *cfg, which is zeroed before, and looks for what is missing or
 * contradicts. `folder` is where relative paths of a file's settings begin; those of the command
 * line begin in the current one. False when an error was added; then *cfg may be half filled.
 */
bool config_decode(struct guest_config *cfg, const struct config_settings *settings,
                   const char *folder);

/*
 * Whether an HVM guest reads this key (only_hvm: config_refused says that no other does); *why is
 * then what is wrong with the value, or NULL.
 */
bool config_hvm_key(const char *name, const struct config_value *v, bool only_hvm,
                    const char **why);

/* Whether a guest's record has this key (config_to_json writes it, or a file may set it). */
bool config_key_stored(const char *name);

/* "file:line: " or "command line: " for a setting, to free(). */
char *config_where(const struct config_setting *setting, unsigned line);

#endif

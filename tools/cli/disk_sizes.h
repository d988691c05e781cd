/* SPDX-License-Identifier: MIT */
/* Whether two hosts see the same disks under the same names, as far as sizes tell. */
#ifndef TOOLS_CLI_DISK_SIZES_H
#define TOOLS_CLI_DISK_SIZES_H

struct error;
struct guest_config;

/* The JSON of config_to_libxl() and the sizes of the guest's raw disks here, to free(). */
char *disk_sizes_add(const char *json, const struct guest_config *cfg);
/* -1 with e: a disk has another size here than the JSON's writer says, or is not there. */
int disk_sizes_check(const char *json, const struct guest_config *cfg, struct error *e);

#endif

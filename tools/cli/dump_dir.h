/* SPDX-License-Identifier: MIT */
/* The folder in which the monitor leaves core files: NAME-YYYYMMDD-HHMMSS.core. */
#ifndef TOOLS_CLI_DUMP_DIR_H
#define TOOLS_CLI_DUMP_DIR_H

#include <time.h>

#define DUMP_DIR "/var/lib/orlop/dump"
#define DUMP_KEEP 3 /* core files of one guest */

/* The path of a guest's core file of that time, to free(). */
char *dump_path(const char *dir, const char *name, time_t when);

/*
 * Removes the guest's oldest core files until fewer than `keep` are left, so that a guest that
 * crashes again and again fills no disk. How many were removed.
 */
unsigned int dump_prune(const char *dir, const char *name, unsigned int keep);

#endif

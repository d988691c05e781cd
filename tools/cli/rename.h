/* SPDX-License-Identifier: MIT */
/* A guest gets another name: in xenstore and in its record. */
#ifndef TOOLS_CLI_RENAME_H
#define TOOLS_CLI_RENAME_H

#include <stdint.h>

struct error;
struct host;

/* The caller holds the name lock and has looked whether the name is free. */
int guest_rename(struct host *h, unsigned int domid, const uint8_t uuid[16], const char *name,
                 struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/* What restore and migrate-receive have in common. */
#ifndef TOOLS_CLI_RESTORE_H
#define TOOLS_CLI_RESTORE_H

#include "tools/cli/config.h"
#include "tools/lib/stream.h"

struct error;

/* For a struct stream whose arg points to a file descriptor. */
bool restore_read(void *arg, void *buf, size_t n);
/* Opens the stream and reads its configuration, of a PV guest. -1 with e. */
int restore_open(struct stream *s, struct guest_config *cfg, struct error *e);

#endif

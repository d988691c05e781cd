/* SPDX-License-Identifier: MIT */
/*
 * Configurations as libxl's JSON, which stands in front of saved guests (docs/stream.md). Beside
 * what libxl reads, ours has a member "orlop" with the configuration as records have it
 * (config_to_json), which libxl passes over: so nothing is lost on the way to another orlop.
 */
#ifndef TOOLS_CLI_CONFIG_LIBXL_H
#define TOOLS_CLI_CONFIG_LIBXL_H

#include "tools/cli/config.h"

/* The text, to free(). Cards must have their addresses. */
char *config_to_libxl(const struct guest_config *cfg);
/*
 * False with *errors: it is none, or has what is not supported here. What passes has passed the
 * checks of a file.
 */
bool config_from_libxl(struct guest_config *cfg, const char *text, struct config_errors *errors);
/* Whether orlop wrote it last. */
bool config_libxl_is_ours(const char *text);

#endif

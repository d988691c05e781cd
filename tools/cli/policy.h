/* SPDX-License-Identifier: MIT */
/* What is to be done when a guest stopped: pure functions of its configuration and history. */
#ifndef TOOLS_CLI_POLICY_H
#define TOOLS_CLI_POLICY_H

#include "tools/cli/config.h"

#include <stdbool.h>
#include <stdint.h>

/* A guest that comes back more often than this would only burn the host. */
#define RESTART_MAX 10
#define RESTART_WINDOW_S 60

/* What the configuration says for a SHUTDOWN_* reason. */
enum guest_action policy_action(const struct guest_config *cfg, unsigned int reason);

struct policy_plan {
    bool core;    /* write a core file first */
    bool rename;  /* keep the old domain under another name */
    bool destroy; /* take the old domain away */
    bool restart; /* make it anew */
};

struct policy_plan policy_plan(enum guest_action action);

/*
 * The history is a string of seconds, oldest first: "1700000000 1700000012". Whether one more
 * restart at `now` is within the limit; then *next (free() it) is the history with it, cut to what
 * still counts.
 */
bool policy_restart_allowed(const char *history, int64_t now, char **next);

/*
 * What a guest says in control/feature-poweroff or -reboot (NULL: there is no such node) about
 * requests by control/shutdown: xenstore-paths has it that only "0" is a no. Kernels that know
 * nothing of these nodes listen as well.
 */
enum policy_listens { LISTENS_NOT, LISTENS_PERHAPS, LISTENS };
enum policy_listens policy_listens(const char *feature);

#endif

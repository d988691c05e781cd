/* SPDX-License-Identifier: MIT */
/* What is to be done when a guest stopped: pure functions of its configuration and history. */
#ifndef TOOLS_CLI_POLICY_H
#define TOOLS_CLI_POLICY_H

#include "tools/cli/config.h"

#include <stdbool.h>
#include <stdint.h>

/* A guest that stops again within so many seconds of its start would only burn the host ... */
#define RESTART_QUICK_S 60
/* ... so the pause before its restart doubles, from a second up to this. */
#define RESTART_PAUSE_MAX_S 60

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
 * The pause in seconds before a guest is started again that ran for ran_s seconds. *quick counts
 * the restarts before this one that came too soon after each other; it is updated.
 */
unsigned int policy_restart_pause(unsigned int *quick, int64_t ran_s);

/*
 * What a guest says in control/feature-poweroff or -reboot (NULL: there is no such node) about
 * requests by control/shutdown: xenstore-paths has it that only "0" is a no. Kernels that know
 * nothing of these nodes listen as well.
 */
enum policy_listens { LISTENS_NOT, LISTENS_PERHAPS, LISTENS };
enum policy_listens policy_listens(const char *feature);

#endif

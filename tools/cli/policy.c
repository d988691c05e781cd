/* SPDX-License-Identifier: MIT */
/* What is to be done when a guest stopped. */
#include "tools/cli/policy.h"

#include <string.h>
#include <xen/sched.h>

enum guest_action policy_action(const struct guest_config *cfg, unsigned int reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff:
        return cfg->on_poweroff;
    case SHUTDOWN_reboot:
        return cfg->on_reboot;
    case SHUTDOWN_watchdog:
        return cfg->on_watchdog;
    case SHUTDOWN_suspend: /* nobody asked it to: whoever saves guests does not run here */
        return ACTION_PRESERVE;
    }
    return cfg->on_crash;
}

struct policy_plan policy_plan(enum guest_action action)
{
    switch (action) {
    case ACTION_DESTROY:
        return (struct policy_plan){ .destroy = true };
    case ACTION_RESTART:
        return (struct policy_plan){ .destroy = true, .restart = true };
    case ACTION_RENAME_RESTART:
        return (struct policy_plan){ .rename = true, .restart = true };
    case ACTION_COREDUMP_DESTROY:
        return (struct policy_plan){ .core = true, .destroy = true };
    case ACTION_COREDUMP_RESTART:
        return (struct policy_plan){ .core = true, .destroy = true, .restart = true };
    case ACTION_PRESERVE:
        break;
    }
    return (struct policy_plan){ 0 };
}

unsigned int policy_restart_pause(unsigned int *quick, int64_t ran_s)
{
    unsigned int pause = 1;

    if (ran_s < 0 || ran_s >= RESTART_QUICK_S) { /* below 0: the clock was set back */
        *quick = 0;
        return 0;
    }
    for (unsigned int i = 0; i < *quick && pause < RESTART_PAUSE_MAX_S; i++)
        pause *= 2;
    ++*quick;
    return pause < RESTART_PAUSE_MAX_S ? pause : RESTART_PAUSE_MAX_S;
}

enum policy_listens policy_listens(const char *feature)
{
    if (!feature || !*feature)
        return LISTENS_PERHAPS;
    return strcmp(feature, "0") == 0 ? LISTENS_NOT : LISTENS;
}

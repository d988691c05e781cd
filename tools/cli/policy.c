/* SPDX-License-Identifier: MIT */
/* What is to be done when a guest stopped. */
#include "tools/cli/policy.h"
#include "tools/lib/util.h"

#include <stdlib.h>
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

bool policy_restart_allowed(const char *history, int64_t now, char **next)
{
    char *kept = str_dup("");
    unsigned int recent = 0;

    while (history && *history) {
        char *end, *more;
        int64_t t = strtoll(history, &end, 10);

        if (end == history)
            break;
        history = end + strspn(end, " ");
        if (t <= now - RESTART_WINDOW_S || t > now)
            continue;
        recent++;
        more = str_fmt("%s%lld ", kept, (long long)t);
        free(kept);
        kept = more;
    }
    if (recent >= RESTART_MAX) {
        free(kept);
        return false;
    }
    *next = str_fmt("%s%lld", kept, (long long)now);
    free(kept);
    return true;
}

enum policy_listens policy_listens(const char *feature)
{
    if (!feature || !*feature)
        return LISTENS_PERHAPS;
    return strcmp(feature, "0") == 0 ? LISTENS_NOT : LISTENS;
}

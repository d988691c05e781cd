/* SPDX-License-Identifier: MIT */
/* The table of all commands, in the order of `orlop help`. */
#include "tools/cli/command.h"
#include <stddef.h>

extern const struct command cmd_create, cmd_destroy, cmd_dump_core, cmd_monitor, cmd_pause,
    cmd_reboot, cmd_shutdown, cmd_unpause;
extern const struct command cmd_completion, cmd_console, cmd_debug_keys, cmd_dmesg, cmd_events,
    cmd_help, cmd_info, cmd_list, cmd_log, cmd_rename, cmd_sched, cmd_top, cmd_uptime,
    cmd_vcpu_list, cmd_version, cmd_xenstore;

const struct command *const command_table[] = {
    /* guests' life */
    &cmd_create,
    &cmd_shutdown,
    &cmd_reboot,
    &cmd_destroy,
    &cmd_pause,
    &cmd_unpause,
    &cmd_dump_core,
    &cmd_rename,

    /* their memory, vCPUs and shares */
    &cmd_sched,

    /* their devices */

    /* looking at them */
    &cmd_list,
    &cmd_vcpu_list,
    &cmd_info,
    &cmd_uptime,
    &cmd_top,
    &cmd_events,
    &cmd_console,
    &cmd_log,

    /* the host */
    &cmd_monitor,
    &cmd_dmesg,
    &cmd_debug_keys,
    &cmd_xenstore,

    /* orlop itself */
    &cmd_completion,
    &cmd_help,
    &cmd_version,
    NULL,
};

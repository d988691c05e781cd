/* SPDX-License-Identifier: MIT */
/* The table of all commands, in the order of `orlop help`. */
#include "tools/cli/command.h"
#include <stddef.h>

extern const struct command cmd_create, cmd_destroy, cmd_pause, cmd_reboot, cmd_shutdown,
    cmd_unpause;
extern const struct command cmd_debug_keys, cmd_dmesg, cmd_help, cmd_list, cmd_sched, cmd_vcpu_list,
    cmd_version;

const struct command *const command_table[] = {
    /* guests' life */
    &cmd_create,
    &cmd_shutdown,
    &cmd_reboot,
    &cmd_destroy,
    &cmd_pause,
    &cmd_unpause,

    /* their memory, vCPUs and shares */
    &cmd_sched,

    /* their devices */

    /* looking at them */
    &cmd_list,
    &cmd_vcpu_list,

    /* the host */
    &cmd_dmesg,
    &cmd_debug_keys,

    /* orlop itself */
    &cmd_help,
    &cmd_version,
    NULL,
};

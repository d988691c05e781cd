/* SPDX-License-Identifier: MIT */
/* The table of all commands, in the order of `orlop help`. */
#include "tools/cli/command.h"
#include <stddef.h>

extern const struct command cmd_help, cmd_version;

const struct command *const command_table[] = {
    /* guests' life */

    /* their memory, vCPUs and shares */

    /* their devices */

    /* looking at them */

    /* the host */

    /* orlop itself */
    &cmd_help,
    &cmd_version,
    NULL,
};

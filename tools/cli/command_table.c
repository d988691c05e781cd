/* SPDX-License-Identifier: MIT */
/* The table of all commands, in the order of `orlop help`. */
#include "tools/cli/command.h"
#include <stddef.h>

extern const struct command cmd_cpupool_cpu_add, cmd_cpupool_cpu_remove, cmd_cpupool_create,
    cmd_cpupool_destroy, cmd_metrics, cmd_cpupool_list, cmd_cpupool_migrate, cmd_cpupool_rename;
extern const struct command cmd_block_attach, cmd_block_detach, cmd_block_list, cmd_create,
    cmd_destroy, cmd_dump_core, cmd_guests, cmd_mem_max, cmd_mem_set, cmd_migrate,
    cmd_migrate_receive, cmd_monitor, cmd_network_attach, cmd_network_detach, cmd_network_list,
    cmd_pause, cmd_reboot, cmd_restore, cmd_save, cmd_shutdown, cmd_unpause, cmd_vcpu_pin,
    cmd_vcpu_set;
extern const struct command cmd_completion, cmd_console, cmd_cpu_policy, cmd_debug_keys, cmd_dmesg,
    cmd_doctor, cmd_domid, cmd_domname, cmd_events, cmd_help, cmd_info, cmd_list, cmd_log,
    cmd_rename, cmd_sched, cmd_top, cmd_trace, cmd_uptime, cmd_vcpu_list, cmd_version,
    cmd_vncviewer, cmd_xenstore;

const struct command *const command_table[] = {
    /* guests' life */
    &cmd_create,
    &cmd_shutdown,
    &cmd_reboot,
    &cmd_destroy,
    &cmd_pause,
    &cmd_unpause,
    &cmd_save,
    &cmd_restore,
    &cmd_migrate,
    &cmd_migrate_receive,
    &cmd_rename,

    /* their memory, vCPUs and shares */
    &cmd_mem_set,
    &cmd_mem_max,
    &cmd_vcpu_set,
    &cmd_vcpu_pin,
    &cmd_sched,
    &cmd_cpupool_list,
    &cmd_cpupool_create,
    &cmd_cpupool_destroy,
    &cmd_cpupool_rename,
    &cmd_cpupool_cpu_add,
    &cmd_cpupool_cpu_remove,
    &cmd_cpupool_migrate,

    /* their devices */
    &cmd_block_attach,
    &cmd_block_detach,
    &cmd_block_list,
    &cmd_network_attach,
    &cmd_network_detach,
    &cmd_network_list,

    /* looking at them */
    &cmd_dump_core,
    &cmd_list,
    &cmd_vcpu_list,
    &cmd_info,
    &cmd_domid,
    &cmd_domname,
    &cmd_uptime,
    &cmd_top,
    &cmd_events,
    &cmd_console,
    &cmd_vncviewer,
    &cmd_log,

    /* the host */
    &cmd_doctor,
    &cmd_cpu_policy,
    &cmd_guests,
    &cmd_monitor,
    &cmd_metrics,
    &cmd_trace,
    &cmd_dmesg,
    &cmd_debug_keys,
    &cmd_xenstore,

    /* orlop itself */
    &cmd_completion,
    &cmd_help,
    &cmd_version,
    NULL,
};

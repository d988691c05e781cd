/* SPDX-License-Identifier: MIT */
/* The last word of a domain: power off, reboot, crash, watchdog; the machine obeys or halts. */
#include "guest.h"

void guest_main(void)
{
    struct sched_shutdown down = { .reason = SHUTDOWN_MAX + 1 };
    struct sched_watchdog dog = { .timeout = 1 };
    const char *how = option_value("case");

    CHECK(how, "which case");
    if (how[0] == 'w') {
        CHECK(hc_sched_op(SCHEDOP_watchdog, &dog) > 0, "watchdog");
        printk("RESULT ok %s\n", guest_name);
        hc_set_timer_op(system_time() + 10000000000ul);
        for (;;)
            hc_sched_op(SCHEDOP_block, NULL);
    }
    down.reason = how[0] == 'c'   ? SHUTDOWN_crash
                  : how[0] == 'p' ? SHUTDOWN_poweroff
                                  : SHUTDOWN_reboot;
    printk("RESULT ok %s\n", guest_name);
    hc_sched_op(SCHEDOP_shutdown, &down);
    printk("RESULT FAIL %s: shutdown came back\n", guest_name);
}

/* SPDX-License-Identifier: MIT */
#include "consoled/hypervisor.h"
#include "consoled/console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PIECE 16384
#define TURN 8 /* pieces at once */

void hypervisor_start(struct consoled *d)
{
    struct console *con = d->hypervisor = console_new(d, HYPERVISOR_ID);
    const struct platform *plat = d->plat;

    snprintf(con->identity, sizeof(con->identity), "hypervisor");
    con->port = 1; /* the state is of use from its first moment */
    console_begin(con, "hypervisor", d->set.history);
    con->local = plat->bind_hypervisor(plat->ctx);
    if (con->local >= 0 && con->local < (int)PORTS)
        d->by_port[con->local] = con;
    else
        con_log(
            "no VIRQ_CON_RING (%s; is xenconsoled running?): the hypervisor's console is looked "
            "at each second",
            strerror(errno));
    hypervisor_read(d);
}

void hypervisor_read(struct consoled *d)
{
    struct console *con = d->hypervisor;
    uint8_t buf[PIECE];

    for (int turn = 0; turn < TURN; turn++) {
        uint32_t index = con->ring.out_cons;
        int n = d->plat->read_console(d->plat->ctx, buf, sizeof(buf), &index);
        size_t done = 0;

        if (n <= 0)
            return;
        if (con->resumes) { /* state.h: the log may be ahead by a part of one piece */
            done = console_logged(con, buf, n);
            history_add(&con->hist, buf, done);
            con->resumes = 0;
        }
        con->ring.out_cons = index;
        console_output(con, buf + done, n - done, index);
    }
}

void hypervisor_tick(struct consoled *d)
{
    if (d->hypervisor && d->hypervisor->local < 0)
        hypervisor_read(d);
}

void hypervisor_stop(struct consoled *d)
{
    struct console *con = d->hypervisor;

    if (!con)
        return;
    if (con->local >= 0) {
        d->by_port[con->local] = NULL;
        d->plat->unbind(d->plat->ctx, con->local);
    }
    console_free(con);
    d->hypervisor = NULL;
}

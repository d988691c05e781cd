/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a guest writes into its page, as what two clients send, and as what happens to
 * the guest; in any order.
 */
#include "sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct sim_client clients[2];

/* Takes what came, and a new connection if it was closed. */
static void drain(struct sim_client *c)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(c->fd, buf, sizeof(buf))) > 0)
        ;
    if (n == 0) {
        close(c->fd);
        sim_connect(c, 0);
    }
}

/* One step: its bytes are p[0 .. n-1]. */
static void step(int op, const uint8_t *p, size_t n)
{
    struct xencons_interface *page = &sim.page[1];
    size_t at = n > 1 ? (p[0] << 8 | p[1]) % sizeof(*page) : 0;

    switch (op) {
    case 0: /* anywhere in the page, the indices too */
        if (n > 2)
            memcpy((char *)page + at, p + 2,
                   n - 2 < sizeof(*page) - at ? n - 2 : sizeof(*page) - at);
        sim.pending[1] = true;
        break;
    case 1:
        sim_put(1, p, n);
        break;
    case 2:
    case 3:
        sim_send(&clients[op & 1], p, n);
        break;
    case 4:
        sim_destroy(1);
        sim_run();
        sim_guest(1, "g");
        break;
    case 5:
        sim_set("/local/domain/1/console/port", n && (*p & 1) ? "5" : "6");
        break;
    case 6:
        sim_send(&clients[0], "attach g\ni\0\0\2hi", 15);
        break;
    default:
        domain_tick(&sim_d);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    sim_loops = 2;
    sim_fresh();
    sim_start();
    sim_d.set.log.size = 0;
    sim_d.set.history = 4096;
    sim_d.set.max_dead = 2;
    domain_start(&sim_d);
    sim_guest(1, "g");
    sim_guest(2, "good");
    sim_run();
    sim_connect(&clients[0], 0);
    sim_connect(&clients[1], 1000);
    while (n > 2) {
        size_t len = p[1] < n - 2 ? p[1] : n - 2;

        step(p[0] & 7, p + 2, len);
        p += 2 + len;
        n -= 2 + len;
        sim_run();
        drain(&clients[0]);
        drain(&clients[1]);
    }
    /* The neighbour never noticed. */
    sim_puts(2, "x");
    if (sim.page[2].out_cons != sim.page[2].out_prod || sim_d.live[2]->hist.end != 1)
        abort();
    sim_close(&clients[0]);
    sim_close(&clients[1]);
    consoled_free(&sim_d);
    sim_done();
    return 0;
}

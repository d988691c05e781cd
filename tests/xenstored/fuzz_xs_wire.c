/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what two domains put into their rings: a domain without privilege and Domain 0,
 * which may let the other go (XS_RELEASE) and connect it again.
 */
#include "sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct xs xs;
    struct xsd_sockmsg msg;
    struct buf b = { 0 };

    if (!sim)
        sim_init();
    else
        memset(sim->page, 0, 3 * sizeof(sim->page[0]));
    xs_init(&xs, &sim_plat);
    for (int d = 0; d < 2; d++)
        domain_introduce(&xs, d, 0, 0);
    /* Each request: who, then how many bytes of it, then these. */
    while (n > 2) {
        int dom = p[0] & 1;
        size_t len = p[1] < n - 2 ? p[1] : n - 2;

        buf_add(&sim_out[dom], p + 2, len);
        p += 2 + len;
        n -= 2 + len;
        sim_run(&xs, 0, 1);
        for (int d = 0; d < 2; d++) {
            while (sim_take(d, &msg, &b))
                ;
            if (!xs.domains[d] || xs.domains[d]->dead)
                sim_out[d].len = 0;
        }
    }
    xs_free(&xs);
    for (int d = 0; d < 2; d++)
        sim_in[d].len = sim_out[d].len = 0;
    buf_free(&b);
    return 0;
}

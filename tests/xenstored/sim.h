/* SPDX-License-Identifier: MIT */
/*
 * Domains without Xen: ring pages in memory that a daemon in this process or in a forked one
 * shares, and the guest's side of the ring. Every call names the domain.
 */
#ifndef TESTS_XENSTORED_SIM_H
#define TESTS_XENSTORED_SIM_H

#include "xenstored/domain.h"
#include "xenstored/ring.h"
#include "xenstored/server.h"
#include "xenstored/store.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIM_DOMAINS 1100

struct sim_shared {
    union {
        struct xenstore_domain_interface ring;
        char bytes[4096];
    } page[SIM_DOMAINS];
    _Atomic uint8_t kicked[SIM_DOMAINS], gone[SIM_DOMAINS];
    uint8_t masked[SIM_DOMAINS];
    _Atomic uint32_t served;
};

static struct sim_shared *sim;
static struct buf sim_in[SIM_DOMAINS];  /* taken from the ring, not yet a message */
static struct buf sim_out[SIM_DOMAINS]; /* still to be put into the ring */

static bool sim_map(void *ctx, struct client *c)
{
    if (c->id.domid >= SIM_DOMAINS || sim->gone[c->id.domid])
        return false;
    c->page = &sim->page[c->id.domid].ring;
    sim->masked[c->id.domid] = 0; /* as a port that is bound anew */
    return true;
}

static void sim_unmap(void *ctx, struct client *c)
{
    c->page = NULL;
}

static void sim_notify(void *ctx, struct client *c)
{
}

static int sim_next(void *ctx)
{
    struct platform *plat = ctx;
    uint64_t n;

    if (plat->fd >= 0 && read(plat->fd, &n, sizeof(n)) < 0)
        n = 0;
    for (int i = 0; i < SIM_DOMAINS; i++) {
        if (sim->kicked[i] && !sim->masked[i] && atomic_exchange(&sim->kicked[i], 0)) {
            sim->masked[i] = 1;
            return i;
        }
    }
    return NO_DOMAIN;
}

/* What came meanwhile signals now. */
static void sim_unmask(void *ctx, struct client *c)
{
    struct platform *plat = ctx;
    uint64_t one = 1;

    sim->masked[c->id.domid] = 0;
    if (sim->kicked[c->id.domid] && plat->fd >= 0 && write(plat->fd, &one, sizeof(one)) < 0)
        abort();
}

static bool sim_alive(void *ctx, uint16_t domid, bool *shutdown)
{
    return !sim->gone[domid];
}

static struct platform sim_plat = { .ctx = &sim_plat,
                                    .fd = -1,
                                    .map = sim_map,
                                    .unmap = sim_unmap,
                                    .notify = sim_notify,
                                    .next = sim_next,
                                    .unmask = sim_unmask,
                                    .alive = sim_alive };

static void sim_init(void)
{
    sim = mmap(NULL, sizeof(*sim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sim == MAP_FAILED)
        abort();
}

static void sim_free(void)
{
    for (int i = 0; i < SIM_DOMAINS; i++) {
        buf_free(&sim_in[i]);
        buf_free(&sim_out[i]);
    }
    munmap(sim, sizeof(*sim));
}

static void sim_kick(int dom)
{
    uint64_t one = 1;

    sim->kicked[dom] = 1;
    if (sim_plat.fd >= 0 && write(sim_plat.fd, &one, sizeof(one)) < 0)
        abort();
}

/* Puts into the ring what fits of the guest's own buffer. True: something. */
static bool sim_push(int dom)
{
    struct xenstore_domain_interface *r = &sim->page[dom].ring;
    volatile uint32_t *prod = &r->req_prod;
    uint32_t room = XENSTORE_RING_SIZE - (*prod - *(volatile uint32_t *)&r->req_cons);
    uint32_t n = sim_out[dom].len < room ? sim_out[dom].len : room;

    for (uint32_t i = 0; i < n; i++)
        r->req[MASK_XENSTORE_IDX(*prod + i)] = sim_out[dom].p[i];
    atomic_thread_fence(memory_order_seq_cst);
    *prod += n;
    if (n)
        buf_cut(&sim_out[dom], n);
    return n;
}

/* Moves bytes between the ring and the guest's own buffers. True: something moved. */
static bool sim_move(int dom)
{
    struct xenstore_domain_interface *r = &sim->page[dom].ring;
    volatile uint32_t *rprod = &r->rsp_prod;
    bool put = sim_push(dom);
    uint32_t got;

    got = *rprod - r->rsp_cons;
    atomic_thread_fence(memory_order_seq_cst);
    if (got > XENSTORE_RING_SIZE)
        got = 0;
    for (uint32_t i = 0; i < got; i++)
        buf_add(&sim_in[dom], &r->rsp[MASK_XENSTORE_IDX(r->rsp_cons + i)], 1);
    atomic_thread_fence(memory_order_seq_cst);
    *(volatile uint32_t *)&r->rsp_cons += got;
    if (put || got)
        sim_kick(dom);
    return put || got;
}

static void sim_put(int dom, uint32_t type, uint32_t tx, const void *p, size_t len)
{
    static uint32_t id;

    wire_put(&sim_out[dom], type, ++id, tx, p, len);
}

/* The next whole message that came, payload with a NUL behind it (freed by the next call). */
static bool sim_take(int dom, struct xsd_sockmsg *msg, struct buf *payload)
{
    size_t need;

    if (wire_next(sim_in[dom].p, sim_in[dom].len, msg, &need) != WIRE_MESSAGE)
        return false;
    payload->len = 0;
    buf_add(payload, sim_in[dom].p + sizeof(*msg), msg->len);
    buf_add(payload, "", 1);
    payload->len--;
    buf_cut(&sim_in[dom], sizeof(*msg) + msg->len);
    return true;
}

/* Lets a daemon in this process work until nothing moves any more. */
static void __attribute__((unused)) sim_run(struct xs *xs, int first, int last)
{
    bool more;

    do {
        int dom;

        more = false;
        for (dom = first; dom <= last; dom++)
            more |= sim_move(dom);
        while ((dom = sim_next(&sim_plat)) >= 0) {
            if (!xs->domains[dom])
                continue;
            xs->domains[dom]->masked = true;
            client_ready(xs, xs->domains[dom]);
        }
        more |= server_turn(xs);
    } while (more || xs->ready);
}

/* A temporary directory on tmpfs if there is one. */
static char *sim_dir(void)
{
    static char name[64];

    strcpy(name, access("/dev/shm", W_OK) == 0 ? "/dev/shm/xs-test-XXXXXX" : "xs-test-XXXXXX");
    if (!mkdtemp(name))
        abort();
    return name;
}

static void sim_remove(const char *dir)
{
    char cmd[128];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    if (system(cmd) != 0)
        printf("%s stays\n", dir);
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the files of event channels share: records of ports, and the two forms that the ABI has. */
#ifndef CORE_EVTCHN_PRIVATE_H
#define CORE_EVTCHN_PRIVATE_H

#include "core/evtchn.h"

#include <xen/errno.h>

#include "core/domain.h"
#include "core/hypercall.h"

struct evtchn {
    uint8_t kind;          /* [evtchn lock; read without it] EVTCHNSTAT_* */
    uint8_t vcpu;          /* [evtchn lock; read without it] vCPU that is told, PORT_HV */
    uint16_t fifo;         /* [locks of the queue it names; read without] FIFO_*, evtchn_fifo.c */
    uint32_t num;          /* [evtchn lock] peer's port, PIRQ, VIRQ, or domain id allowed to bind */
    struct domain *remote; /* [both evtchn locks] the peer's domain while interdomain */
};
_Static_assert(sizeof(struct evtchn) == 16 && MAX_VCPUS <= 256, "256 ports a page");

/*
 * In evtchn.vcpu: the hypervisor itself listens, for that vCPU, which an event makes look again.
 * The domain can neither close, bind nor wait for such a port.
 */
#define PORT_HV 0x80u
_Static_assert(MAX_VCPUS <= PORT_HV, "the bit is free");

#define PORTS_PER_CHUNK ((uint32_t)(PAGE_SIZE / sizeof(struct evtchn)))
#define CHUNKS (EVTCHN_FIFO_NR_CHANNELS / PORTS_PER_CHUNK)
#define FEW_CHUNKS 256
#define WORDS_PER_PAGE ((uint32_t)(PAGE_SIZE / sizeof(event_word_t)))
#define RECORDS_PER_UNIT 20 /* looked at for about 1,000 instructions: hc_preempt()'s unit */
#define MAX_WORD_PAGES (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

struct evtchn_state {
    spinlock_t lock;                     /* RANK_EVTCHN */
    bool closed;                         /* [lock] d is dying: no port is opened any more */
    bool fifo;                           /* [lock to change] the FIFO form, else two levels */
    uint32_t limit;                      /* constant once d runs: ports below may exist */
    uint32_t used;                       /* [lock to change] ports that are not closed */
    uint32_t close_next;                 /* atomic: progress of closing all */
    unsigned long avail[CHUNKS / 64];    /* [lock] chunks that may have a closed port */
    uint32_t nr_pages;                   /* [lock to change] of words */
    event_word_t *words[MAX_WORD_PAGES]; /* [lock to change] the guest's; used under queue locks */
    struct evtchn **chunks;              /* constant once d runs; entries set under the lock */
    struct evtchn *few[FEW_CHUNKS];      /* chunks, for domains that may have no more ports */
};

/* The record of a port, NULL for one that cannot be or never was open. */
static inline struct evtchn *port_of(const struct domain *d, evtchn_port port)
{
    const struct evtchn_state *s = d->evtchn;
    struct evtchn *chunk;

    if (port >= s->limit)
        return NULL;
    port = (evtchn_port)index_nospec(port, s->limit);
    chunk = __atomic_load_n(&s->chunks[port / PORTS_PER_CHUNK], __ATOMIC_ACQUIRE);
    return chunk ? &chunk[port % PORTS_PER_CHUNK] : NULL;
}

/* The first port from *port on that has a record, NULL when there is none. */
struct evtchn *evtchn_next(const struct domain *d, evtchn_port *port);

static inline uint8_t kind_of(const struct evtchn *ch)
{
    return __atomic_load_n(&ch->kind, __ATOMIC_ACQUIRE);
}

static inline bool is_hv(const struct evtchn *ch)
{
    return __atomic_load_n(&ch->vcpu, __ATOMIC_RELAXED) & PORT_HV;
}

static inline struct vcpu *vcpu_of(const struct domain *d, const struct evtchn *ch)
{
    return d->vcpu[__atomic_load_n(&ch->vcpu, __ATOMIC_RELAXED) & ~PORT_HV];
}

static inline bool evtchn_is_fifo(const struct domain *d)
{
    return __atomic_load_n(&d->evtchn->fifo, __ATOMIC_RELAXED);
}

bool virq_is_global(unsigned int virq);
/* An event came for d's port: who polls for it runs again. */
void evtchn_wake_pollers(struct domain *d, evtchn_port port);

/* --- the FIFO form; ch is the record of d's port --- */
/* An event on the port. */
void evtchn_fifo_raise(struct domain *d, struct evtchn *ch, evtchn_port port);
void evtchn_fifo_unmask(struct domain *d, struct evtchn *ch, evtchn_port port);
/* One bit of the port's word, EVTCHN_FIFO_PENDING or _MASKED. */
bool evtchn_fifo_test(struct domain *d, const struct evtchn *ch, evtchn_port port,
                      unsigned int bit);
/* The port is being closed: not pending, of usual priority. [evtchn lock] */
void evtchn_fifo_close(struct domain *d, struct evtchn *ch, evtchn_port port);
/* Back to two levels; gives the guest's pages back. [evtchn lock] */
void evtchn_fifo_end(struct domain *d);

#endif

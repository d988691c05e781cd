/* SPDX-License-Identifier: MIT */
/* Event channels: the debug key, and what audit() recounts. */
#include "core/evtchn_private.h"

#include "core/keys.h"
#include "core/log.h"

static const char *const kind_names[] = {
    "closed", "unbound", "interdomain", "pirq", "virq", "ipi"
};

static void dump_domain(struct domain *d)
{
    const struct evtchn *ch;

    log_info("Event channels of domain %u: %u used, %s; port: pending/masked kind number vcpu",
             d->id, d->evtchn->used, evtchn_is_fifo(d) ? "FIFO" : "2-level");
    for (evtchn_port port = 1; (ch = evtchn_next(d, &port)) != NULL; port++) {
        if (ch->kind == EVTCHNSTAT_closed)
            continue;
        keys_alive();
        log_info("  %4u: [%d/%d] %-11s n=%u d=%d v=%u", port, evtchn_is_pending(d, port),
                 evtchn_is_masked(d, port), kind_names[ch->kind], ch->num,
                 ch->kind == EVTCHNSTAT_interdomain ? ch->remote->id : -1, ch->vcpu & ~PORT_HV);
    }
}

void evtchn_dump(void)
{
    for_each_domain (d)
        dump_domain(d);
}

/* Contradictions of one open port. */
static unsigned int audit_port(struct domain *d, evtchn_port port, const struct evtchn *ch)
{
    const struct evtchn *peer;
    const struct vcpu *v;
    bool bad = false;

    if ((ch->vcpu & ~PORT_HV) >= d->max_vcpus)
        bad = true;
    if (ch->kind == EVTCHNSTAT_interdomain) {
        peer = ch->remote ? port_of(ch->remote, ch->num) : NULL;
        bad |= !peer || peer->kind != EVTCHNSTAT_interdomain || peer->remote != d ||
               peer->num != port;
    } else if (ch->kind == EVTCHNSTAT_virq) {
        v = d->vcpu[virq_is_global(ch->num) ? 0 : ch->vcpu];
        bad |= ch->num >= NR_VIRQS || !v || v->virq_port[ch->num] != port;
    }
    if (bad)
        log_err("audit: d%u port %u (%s) contradicts its other end", d->id, port,
                kind_names[ch->kind]);
    return bad;
}

unsigned int evtchn_audit(struct domain *d)
{
    const struct evtchn_state *s = d->evtchn;
    unsigned int bad = 0, open = 0;
    const struct evtchn *ch;

    for (evtchn_port port = 0; (ch = evtchn_next(d, &port)) != NULL; port++) {
        if (ch->kind != EVTCHNSTAT_closed) {
            open++;
            bad += audit_port(d, port, ch);
        } else if (port != 0 && port < evtchn_ports(d)) {
            bad += !bitmap_test(s->avail, port / PORTS_PER_CHUNK); /* nobody would find it */
        }
    }
    for_each_vcpu (d, v) {
        for (unsigned int virq = 0; virq < NR_VIRQS; virq++) {
            evtchn_port port = v->virq_port[virq];

            ch = port ? port_of(d, port) : NULL;
            bad += port && (!ch || ch->kind != EVTCHNSTAT_virq || ch->num != virq);
        }
    }
    if (open != s->used || (s->nr_pages && !s->fifo)) {
        log_err("audit: d%u has %u open ports, %u counted, and %u pages of words", d->id, open,
                s->used, s->nr_pages);
        bad++;
    }
    return bad;
}

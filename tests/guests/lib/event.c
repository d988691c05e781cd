/* SPDX-License-Identifier: MIT */
/* Event channels in the two-level form, and the time page. */
#include "guest.h"

volatile unsigned int port_hits[4096];

static struct vcpu_info *my_info(void)
{
    return &shared->vcpu_info[this_cpu()->id];
}

void event_port_unmask(unsigned int port)
{
    struct evtchn_unmask op = { .port = port };

    hc_event_channel_op(EVTCHNOP_unmask, &op);
}

void event_port_mask(unsigned int port)
{
    __atomic_fetch_or(&shared->evtchn_mask[port / 64], 1ul << (port % 64), __ATOMIC_SEQ_CST);
}

bool event_pending(unsigned int port)
{
    return __atomic_load_n(&shared->evtchn_pending[port / 64], __ATOMIC_SEQ_CST) >> (port % 64) & 1;
}

void event_clear(unsigned int port)
{
    __atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1ul << (port % 64)), __ATOMIC_SEQ_CST);
}

/* Counts every pending, unmasked port of this vCPU and clears it. */
static void take_events(struct regs *r)
{
    struct vcpu_info *v = my_info();
    unsigned long sel;

    (void)r;
    __atomic_store_n(&v->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    sel = __atomic_exchange_n(&v->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (unsigned int word = 0; word < 64; word++) {
        unsigned long bits;

        if (!(sel >> word & 1))
            continue;
        bits = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
        for (unsigned int bit = 0; bit < 64; bit++) {
            if (!(bits >> bit & 1))
                continue;
            event_clear(word * 64 + bit);
            __atomic_fetch_add(&port_hits[word * 64 + bit], 1, __ATOMIC_SEQ_CST);
        }
    }
}

void events_on(void)
{
    event_hook = take_events;
    my_info()->evtchn_upcall_mask = 0;
    BARRIER();
    if (my_info()->evtchn_upcall_pending)
        hc_xen_version(XENVER_version, NULL); /* any hypercall delivers what is pending */
}

void events_off(void)
{
    my_info()->evtchn_upcall_mask = 1;
    BARRIER();
}

long event_bind_virq(unsigned int virq, unsigned int vcpu)
{
    struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
    long rc = hc_event_channel_op(EVTCHNOP_bind_virq, &op);

    return rc ? rc : (long)op.port;
}

long event_close(unsigned int port)
{
    struct evtchn_close op = { .port = port };

    return hc_event_channel_op(EVTCHNOP_close, &op);
}

static uint64_t scale(uint64_t delta, const struct vcpu_time_info *t)
{
    if (t->tsc_shift >= 0)
        delta <<= t->tsc_shift;
    else
        delta >>= -t->tsc_shift;
    return (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
}

uint64_t system_time(void)
{
    volatile struct vcpu_time_info *t = &my_info()->time;
    struct vcpu_time_info copy;
    uint32_t version;
    uint64_t ns;

    do {
        version = t->version;
        BARRIER();
        copy = *(struct vcpu_time_info *)t;
        ns = copy.system_time + scale(rdtsc() - copy.tsc_timestamp, &copy);
        BARRIER();
    } while ((version & 1) || version != t->version);
    return ns;
}

void delay_ns(uint64_t ns)
{
    uint64_t until = system_time() + ns;

    while (system_time() < until)
        cpu_relax();
}

/* SPDX-License-Identifier: MIT */
/*
 * The model test of the core: random hypercalls of several hostile domains, audit() after each.
 *
 *   core [-s seed] [-n steps] [-r streams]     run
 *   core -w word,word,...                      repeat these steps, with the log
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/audit.h"
#include "core/parked.h"
#include "core/frame.h"
#include "model/ops.h"

#define CPUS 2

/* A vCPU that runs now, chosen by the word; the thread becomes its CPU. */
static struct vcpu *pick(uint64_t word)
{
    for (unsigned int tries = 0; tries < 8; tries++) {
        for (unsigned int i = 0; i < CPUS; i++) {
            unsigned int cpu = (unsigned int)(word + i) % CPUS;
            struct vcpu *v = host_cpus[cpu].p.current;

            if (v->domain) {
                host_be(cpu);
                return v;
            }
        }
        /* All blocked: an event for somebody. */
        for (unsigned int d = 0; d < MODEL_DOMAINS; d++)
            for (unsigned int i = 0; i < MODEL_VCPUS; i++) {
                struct vcpu *v = model_dom[d]->vcpu[i];

                __atomic_store_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
                vcpu_mark_events_pending(v);
            }
        host_settle();
    }
    printf("nobody can run\n");
    abort();
}

static uint64_t pages_of_hypervisor(void)
{
    uint64_t owned = 0;

    for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
        owned += model_dom[i]->tot_pages;
    return frame_total_count() - frame_free_count() - owned;
}

/* Pages of the windows that somebody holds beside their domain and the toy. */
static unsigned int pages_held(void)
{
    unsigned int n = 0;

    for (unsigned int d = 0; d < MODEL_DOMAINS; d++) {
        for (unsigned int i = 0; i < MODEL_PAGES; i++) {
            uint64_t s = frame_of(host_guest_mfn(model_dom[d], i))->state;

            n += frame_typed(s) != 1 || frame_refs(s) != (s & FRAME_ALLOCATED ? 2 : 1);
        }
    }
    return n;
}

static bool run_stream(const uint64_t *words, unsigned int n, bool verbose)
{
    uint64_t owned, hv;

    host_boot(2048, CPUS);
    host_verbose = verbose;
    step_order = n && words[0] % 2 ? 1 : 9; /* extents of 4 frames are parked, or none */
    model_setup();
    owned = model_dom[0]->tot_pages + model_dom[1]->tot_pages + model_dom[2]->tot_pages;
    for (unsigned int i = 0; i < n; i++) {
        struct vcpu *v = pick(words[i]);
        long rc;

        host_fail_every = words[i] % 11 == 0 ? 1 + (words[i] >> 8) % 3 : 0;
        rc = model_step(v, words[i]);
        host_fail_every = 0;
        if (verbose)
            fprintf(stderr, "%u: %s = %ld\n", i, model_last, rc);
        host_advance(words[i] % 50000);
        host_settle();
        if (audit()) {
            printf("audit after step %u: %s = %ld\n", i, model_last, rc);
            return false;
        }
    }
    hv = pages_of_hypervisor();
    model_teardown();
    if (audit() || pages_of_hypervisor() > hv) {
        printf("audit after teardown, or the hypervisor's pages grew\n");
        return false;
    }
    if (pages_held()) {
        printf("%u pages are still held after teardown\n", pages_held());
        return false;
    }
    if (owned != model_dom[0]->tot_pages + model_dom[1]->tot_pages + model_dom[2]->tot_pages) {
        printf("a page was lost or won: %lu before\n", owned);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    return stream_main(argc, argv, run_stream, 20);
}

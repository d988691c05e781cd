/* SPDX-License-Identifier: MIT */
/*
 * The model test: random hypercalls of several hostile domains, audit() after each. A stream that
 * fails is shrunk to the few steps that are needed and printed with the command that repeats it.
 *
 *   core [-s seed] [-n steps] [-r streams]     run
 *   core -w word,word,...                      repeat these steps, with the log
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/frame.h"
#include "model/ops.h"

#define MAX_STEPS 100000
#define CPUS 2

static uint64_t words[MAX_STEPS];

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

/* In a child: runs the stream. Exit status 0: all was well. */
static void run_stream(unsigned int n, bool verbose)
{
    uint64_t owned, hv;

    host_boot(2048, CPUS);
    host_verbose = verbose;
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
            fflush(stdout);
            fflush(stdout);
            _exit(1);
        }
    }
    hv = pages_of_hypervisor();
    model_teardown();
    if (audit() || pages_of_hypervisor() > hv) {
        printf("audit after teardown, or the hypervisor's pages grew\n");
        fflush(stdout);
        _exit(1);
    }
    if (pages_held()) {
        printf("%u pages are still held after teardown\n", pages_held());
        fflush(stdout);
        _exit(1);
    }
    if (owned != model_dom[0]->tot_pages + model_dom[1]->tot_pages + model_dom[2]->tot_pages) {
        printf("a page was lost or won: %lu before\n", owned);
        fflush(stdout);
        _exit(1);
    }
    _exit(0);
}

/* Did the stream fail? quiet: the child says nothing. */
static bool fails(unsigned int n, bool quiet, bool verbose)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(20);
        if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
            _exit(2);
        run_stream(n, verbose);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* Take away ever smaller parts of the stream as long as it still fails. */
static unsigned int shrink(unsigned int n)
{
    static uint64_t keep[MAX_STEPS];

    for (unsigned int part = (n + 1) / 2; part >= 1; part /= 2) {
        for (unsigned int at = 0; at < n;) {
            unsigned int len = MIN(part, n - at);

            memcpy(keep, words, n * sizeof(words[0]));
            memmove(words + at, words + at + len, (n - at - len) * sizeof(words[0]));
            if (fails(n - len, true, false)) {
                n -= len;
            } else {
                memcpy(words, keep, n * sizeof(words[0]));
                at += len;
            }
        }
        if (part == 1)
            break;
    }
    return n;
}

static unsigned int parse_words(char *text)
{
    unsigned int n = 0;

    for (char *w = strtok(text, ","); w && n < MAX_STEPS; w = strtok(NULL, ","))
        words[n++] = strtoull(w, NULL, 16);
    return n;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    unsigned int steps = 400, streams = 20;
    int opt;

    while ((opt = getopt(argc, argv, "s:n:r:w:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = MIN((unsigned int)atoi(optarg), MAX_STEPS);
        else if (opt == 'r')
            streams = (unsigned int)atoi(optarg);
        else if (opt == 'w')
            return fails(parse_words(optarg), false, true);
        else
            return 2;
    }
    for (unsigned int s = 0; s < streams; s++) {
        struct rng r = { seed + s };

        for (unsigned int i = 0; i < steps; i++)
            words[i] = rng_next(&r);
        if (!fails(steps, false, false))
            continue;
        printf("FAIL seed %lu; shrinking\n", (unsigned long)(seed + s));
        unsigned int n = shrink(steps);

        printf("%u steps are left. Repeat with: %s -w ", n, argv[0]);
        for (unsigned int i = 0; i < n; i++)
            printf("%lx%s", (unsigned long)words[i], i + 1 < n ? "," : "\n");
        return 1;
    }
    printf("ok model: %u streams of %u steps from seed %lu\n", streams, steps, (unsigned long)seed);
    return 0;
}

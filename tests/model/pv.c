/* SPDX-License-Identifier: MIT */
/*
 * The model test of PV memory: three hostile domains on three CPUs change page tables, types,
 * grants and descriptors at random, pending work interrupts them, the other CPUs' TLBs fill
 * meanwhile. The recount must agree after each batch, no cached translation may break isolation,
 * and at the end every frame comes back. A stream that fails is shrunk and printed with the command
 * that repeats it.
 *
 *   pv [-s seed] [-n steps] [-t seconds] [-v]   run streams of so many steps for so long
 *   pv -w word,word,...                         repeat these steps, with the log
 *
 * PV_MODEL_SECONDS in the environment is -t's default.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/parked.h"
#include "model/pv_ops.h"
#include "x86/cpu/spec.h"

#define MAX_STEPS 100000
#define AUDIT_EVERY 8

static uint64_t words[MAX_STEPS];

/* In a child: the stream. Status 0: all was well; failures abort. */
static void run_stream(unsigned int n, unsigned int audit_every, bool verbose)
{
    pv_machine_boot(verbose);
    pt_l1tf = n && words[0] % 4 == 0;
    spec_choice.tags = n && words[0] / 16 % 4 != 0;
    step_order = n && words[0] % 16 < 8 ? 1 : 9; /* extents of 4 frames are parked, or none */
    pv_model_setup();
    if (audit())
        pv_fail("audit after the domains were built");
    for (unsigned int i = 0; i < n; i++) {
        pv_model_step(words[i]);
        if (verbose)
            fprintf(stderr, "%u: %lx: %s\n", i, words[i], pv_last);
        if ((i % audit_every == audit_every - 1 || i == n - 1) && audit())
            pv_fail("audit after step %u (%lx): %s", i, words[i], pv_last);
    }
    pv_model_teardown();
    if (audit())
        pv_fail("audit after the domains' end");
    if (verbose || getenv("PV_MODEL_STATS"))
        printf("%u walks, %u flushes, %u restarts, %u faults of logs\n", pv_walks, pv_flushes,
               pv_restarts, pv_log_faults);
    fflush(stdout);
    _exit(0);
}

static bool fails(unsigned int n, unsigned int audit_every, bool quiet, bool verbose)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(600);
        if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
            _exit(2);
        run_stream(n, audit_every, verbose);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* Take away ever smaller parts of the stream as long as it still fails. */
static unsigned int shrink(unsigned int n)
{
    static uint64_t keep[MAX_STEPS];

    for (unsigned int part = (n + 1) / 2; part >= 1; part = part == 1 ? 0 : (part + 1) / 2) {
        for (unsigned int at = 0; at < n;) {
            unsigned int len = MIN(part, n - at);

            memcpy(keep, words, n * sizeof(words[0]));
            memmove(words + at, words + at + len, (n - at - len) * sizeof(words[0]));
            if (fails(n - len, 1, true, false)) {
                n -= len;
            } else {
                memcpy(words, keep, n * sizeof(words[0]));
                at += len;
            }
        }
    }
    return n;
}

static int report(const char *name, uint64_t seed, unsigned int steps)
{
    printf("FAIL seed %lu; shrinking\n", (unsigned long)seed);
    unsigned int n = shrink(steps);

    printf("%u steps are left. Repeat with: %s -w ", n, name);
    for (unsigned int i = 0; i < n; i++)
        printf("%lx%s", (unsigned long)words[i], i + 1 < n ? "," : "\n");
    fails(n, 1, false, true);
    return 1;
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
    const char *env = getenv("PV_MODEL_SECONDS");
    unsigned int steps = 400, seconds = env ? (unsigned int)atoi(env) : 30, streams = 0;
    uint64_t seed = 1;
    int opt;

    while ((opt = getopt(argc, argv, "s:n:t:w:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = MIN((unsigned int)atoi(optarg), MAX_STEPS);
        else if (opt == 't')
            seconds = (unsigned int)atoi(optarg);
        else if (opt == 'w')
            return fails(parse_words(optarg), 1, false, true);
        else
            return 2;
    }
    for (time_t end = time(NULL) + seconds; streams == 0 || time(NULL) < end; streams++, seed++) {
        struct rng r = { seed };

        for (unsigned int i = 0; i < steps; i++)
            words[i] = rng_next(&r);
        if (fails(steps, AUDIT_EVERY, false, false))
            return report(argv[0], seed, steps);
    }
    printf("ok PV model: %u streams of %u steps\n", streams, steps);
    return 0;
}

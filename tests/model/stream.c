/* SPDX-License-Identifier: MIT */
#include "model/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t words[MAX_STEPS];
static stream_fn *run_stream;

uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Did the stream fail? quiet: the child says nothing. */
static bool fails(unsigned int n, bool quiet, bool verbose)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        bool ok;

        alarm(300);
        if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
            _exit(2);
        ok = run_stream(words, n, verbose);
        fflush(stdout);
        _exit(!ok);
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
            unsigned int len = part < n - at ? part : n - at;

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

static void report(const char *program, uint64_t seed, unsigned int steps)
{
    unsigned int n;

    printf("FAIL seed %lu; shrinking\n", (unsigned long)seed);
    n = shrink(steps);
    printf("%u steps are left. Repeat with: %s -w ", n, program);
    for (unsigned int i = 0; i < n; i++)
        printf("%lx%s", (unsigned long)words[i], i + 1 < n ? "," : "\n");
}

int stream_main(int argc, char **argv, stream_fn *run, unsigned int streams)
{
    uint64_t seed = 1;
    unsigned int steps = 400;
    int opt;

    run_stream = run;
    while ((opt = getopt(argc, argv, "s:n:r:w:")) != -1) {
        if (opt == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (opt == 'n')
            steps = atoi(optarg) < MAX_STEPS ? (unsigned int)atoi(optarg) : MAX_STEPS;
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
        if (fails(steps, false, false)) {
            report(argv[0], seed + s, steps);
            return 1;
        }
    }
    printf("ok model: %u streams of %u steps from seed %lu\n", streams, steps, (unsigned long)seed);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Streams of random words, each one a step of a model test in a process of its own. A stream that
 * fails is shrunk to the few steps that are needed and printed with the command that repeats it.
 */
#ifndef TESTS_MODEL_STREAM_H
#define TESTS_MODEL_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_STEPS 100000

struct rng {
    uint64_t s;
};

uint64_t rng_next(struct rng *r);
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_next(r) % n;
}

/*
 * In a child: boots a machine and does n steps; true: all was well, else it has said what is wrong.
 * It may as well end the process with another status than 0.
 */
typedef bool stream_fn(const uint64_t *words, unsigned int n, bool verbose);

/*
 * The whole program: [-s seed] [-n steps] [-r number] runs so many streams, -w word,word,...
 * repeats these steps with the log. Its exit status.
 */
int stream_main(int argc, char **argv, stream_fn *run, unsigned int streams);

#endif

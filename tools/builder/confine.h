/* SPDX-License-Identifier: MIT */
/*
 * Gives up what a process has that only unpacks a file. What stays: memory up to a limit, the
 * descriptors that it is told, and the system calls by which memory is had, the result is written
 * and the process ends. Anything else kills it.
 */
#ifndef BUILDER_CONFINE_H
#define BUILDER_CONFINE_H

#include <stdint.h>

/*
 * For this process, for ever. `fd` is where the result goes (not above `max_bytes` long); 2 stays
 * open beside it for progress(). 0 or -errno; after a failure the process must not go on.
 */
int confine(int fd, uint64_t max_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * crash-test=WORD on the command line: breaks the hypervisor on purpose, so that the tests see what
 * a real fault would show (tests/emu/badboot). Who writes the command line owns the machine anyway.
 */
#ifndef X86_GLUE_CRASH_TEST_H
#define X86_GLUE_CRASH_TEST_H

#include <stdbool.h>

#define CRASH_TEST_WORDS "early, fault, panic, stack, ud, lock or hang"

/* Is it one of them? */
bool crash_test_known(const char *word);
/* "early": a fault before memory and descriptor tables are set up. NULL word: nothing happens. */
void crash_test_early(const char *word);
/*
 * All others, just before Domain 0 is built. "stack" overflows the stack, "hang" stops the last CPU
 * for ever, three seconds later, "lock" waits for a lock that nobody will give back (debug builds
 * notice).
 */
void crash_test_late(const char *word);

#endif

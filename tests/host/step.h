/* SPDX-License-Identifier: MIT */
/*
 * What another CPU can do between any two instructions of this one: an order of stores that is
 * wrong for a nanosecond fails here each time.
 */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

/*
 * Runs fn(arg) one machine instruction at a time, and intrude(arg) as CPU `cpu` after each.
 * intrude() must not wait for what this CPU holds.
 */
void host_step(void (*fn)(void *arg), void (*intrude)(void *arg), void *arg, unsigned int cpu);
/* From intrude(): that was all, the rest of fn() runs at full speed. */
void host_step_over(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Four ways to fail, by whose fault it is:
 *   return an error      the caller asked for something it cannot have
 *   domain_crash()       a domain broke a rule that has no error code; only it suffers
 *   BUG_ON()             the hypervisor's own state is broken: stop before it spreads
 *   ASSERT()             an early warning in debug builds for what BUG_ON or nothing would catch
 *                        later; never the handling of an error
 */
#ifndef CORE_BUG_H
#define CORE_BUG_H

/* Stops the machine: message, registers, backtrace, "Panic on CPU N:". Never returns. */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define BUG_ON(cond)                                              \
    do {                                                          \
        if (__builtin_expect(!!(cond), 0))                        \
            panic("BUG: %s at %s:%d", #cond, __FILE__, __LINE__); \
    } while (0)

#ifdef ORLOP_DEBUG
#define ASSERT(cond)                                                        \
    do {                                                                    \
        if (__builtin_expect(!(cond), 0))                                   \
            panic("ASSERT failed: %s at %s:%d", #cond, __FILE__, __LINE__); \
    } while (0)
#else
#define ASSERT(cond) ((void)sizeof(cond))
#endif

#endif

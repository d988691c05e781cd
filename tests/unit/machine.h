/* SPDX-License-Identifier: MIT */
/* What the machine's parts call, for tests that include them: a log, no locks, no panics. */
#ifndef TESTS_UNIT_MACHINE_H
#define TESTS_UNIT_MACHINE_H

#include <stdarg.h>
#include <stdint.h>

#include "core/bug.h"
#include "core/lock.h"
#include "core/log.h"
#include "unit.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"

__attribute__((unused)) static unsigned int machine_cpu; /* the CPU that asks */
#define this_cpu_id() machine_cpu

static char machine_log[4096];

void log_msg(enum log_level level, const char *fmt, ...)
{
    size_t n = strlen(machine_log);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(machine_log + n, sizeof(machine_log) - n, fmt, ap);
    va_end(ap);
}

void log_refusal(struct domain *d, const char *fmt, ...)
{
    (void)d;
    (void)fmt;
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    abort();
}

void spin_wait(spinlock_t *l, uint16_t ticket)
{
    (void)l, (void)ticket;
    panic("a lock is taken twice\n");
}

#endif

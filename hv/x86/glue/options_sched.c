/* SPDX-License-Identifier: MIT */
/* The scheduler's options on the command line, by Xen's names. Read once, before Domain 0 is built.
 */
#include <stddef.h>

#include "core/log.h"
#include "core/sched.h"
#include "lib/cmdline.h"
#include "lib/strutil.h"
#include "x86/glue/options.h"

#define SLICE_MIN_MS 1
#define SLICE_MAX_MS 1000
#define RATE_LIMIT_MIN_US 100
#define RATE_LIMIT_MAX_US 500000

/* Other schedulers of Xen are answered by the one there is: its shares and caps serve their users.
 */
static const char *parse_sched(const struct cmdline_opt *o)
{
    static const char *const others[] = { "credit2", "null", "rtds", "arinc653" };

    if (str_eq(o->value, "credit"))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (str_eq(o->value, others[i])) {
            log_warn("Option \"sched=%s\": there is one scheduler here, credit, and it is used",
                     o->value);
            return NULL;
        }
    }
    return "credit expected";
}

static const char *parse_slice(const struct cmdline_opt *o)
{
    uint64_t ms;

    if (!cmdline_u64(o, &ms) || ms < SLICE_MIN_MS || ms > SLICE_MAX_MS)
        return "milliseconds from 1 to 1000 expected";
    sched_settings[0].slice_ns = ms * 1000000;
    return NULL;
}

static const char *parse_rate_limit(const struct cmdline_opt *o)
{
    uint64_t us;

    if (!cmdline_u64(o, &us) || (us && us < RATE_LIMIT_MIN_US) || us > RATE_LIMIT_MAX_US)
        return "0 for none, or microseconds from 100 to 500000 expected";
    sched_settings[0].rate_limit_ns = us * 1000;
    return NULL;
}

static const char *parse_gran(const struct cmdline_opt *o)
{
    options.sched_core = !str_eq(o->value, "cpu");
    if (str_eq(o->value, "socket"))
        log_warn("Option \"sched-gran=socket\": cores are what one domain has at a time");
    else if (options.sched_core && !str_eq(o->value, "core"))
        return "cpu, core or socket expected";
    return NULL;
}

/* A vCPU moves when another CPU is behind by a margin; there is no delay to be set. */
static const char *parse_migration_delay(const struct cmdline_opt *o)
{
    uint64_t us;

    if (!cmdline_u64(o, &us))
        return "microseconds expected";
    if (us)
        log_warn("Option \"vcpu_migration_delay=%s\": has no effect, vCPUs move by virtual time",
                 o->value);
    return NULL;
}

bool options_sched(const struct cmdline_opt *o, const char **why)
{
    static const struct {
        const char *name;
        const char *(*parse)(const struct cmdline_opt *o);
    } known[] = { { "sched", parse_sched },
                  { "sched-gran", parse_gran },
                  { "sched_credit_tslice_ms", parse_slice },
                  { "sched_ratelimit_us", parse_rate_limit },
                  { "vcpu_migration_delay", parse_migration_delay } };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (cmdline_is(o, known[i].name)) {
            *why = known[i].parse(o);
            return true;
        }
    }
    return false;
}

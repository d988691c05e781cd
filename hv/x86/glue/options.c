/* SPDX-License-Identifier: MIT */
#include "x86/glue/options.h"

#include <limits.h>

#include "core/domain.h"
#include "core/log.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "x86/glue/crash_test.h"
#include "x86/panic.h"

struct options options = { .console_serial = true,
                           .console_vga = true,
                           .smap = true,
                           .smep = true,
                           .x2apic = -1,
                           .maxcpus = UINT_MAX,
                           .dom0_min_vcpus = 1,
                           .dom0_max_vcpus = UINT_MAX };

static char com1_value[CMDLINE_VALUE_MAX], tsc_value[CMDLINE_VALUE_MAX];

/* Is `word` one of the comma-separated words of `list`? */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (!strncmp(p, word, n) && (p[n] == 0 || p[n] == ','))
            return true;
    }
    return false;
}

static void parse_console(const struct cmdline_opt *o)
{
    options.console_serial = list_has(o->value, "com1");
    options.console_vga = list_has(o->value, "vga") || list_has(o->value, "tty");
}

void options_early(const char *cmdline)
{
    struct cmdline_opt o;

    if (cmdline_find(cmdline, "com1", &o)) {
        str_copy(com1_value, o.value, sizeof(com1_value));
        options.com1 = com1_value;
    }
    if (cmdline_find(cmdline, "console", &o))
        parse_console(&o);
    if (cmdline_find(cmdline, "smap", &o))
        cmdline_bool(&o, &options.smap);
    if (cmdline_find(cmdline, "smep", &o))
        cmdline_bool(&o, &options.smep);
    if (cmdline_find(cmdline, "noreboot", &o))
        cmdline_bool(&o, &opt_noreboot);
}

static const char *parse_level(const char *s, enum log_level *level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = { { "none", LOG_ERR },  { "error", LOG_ERR },   { "warning", LOG_WARN },
                  { "info", LOG_INFO }, { "debug", LOG_DEBUG }, { "all", LOG_DEBUG } };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i].name);
        if (!strncmp(s, names[i].name, n) && (s[n] == 0 || s[n] == '/')) {
            *level = names[i].level;
            return NULL;
        }
    }
    return "none, error, warning, info, debug or all expected";
}

static enum log_level hv_level = LOG_INFO, guest_level = LOG_WARN;

static const char *parse_bool(const struct cmdline_opt *o, bool *out)
{
    return cmdline_bool(o, out) ? NULL : "yes or no expected";
}

static const char *parse_number(const struct cmdline_opt *o, unsigned int *out)
{
    uint64_t n;

    if (!cmdline_u64(o, &n) || n == 0 || n > UINT_MAX)
        return "a number of at least 1 expected";
    *out = (unsigned int)n;
    return NULL;
}

static const char *parse_tsc(const struct cmdline_opt *o)
{
    if (!str_eq(o->value, "stable") && !str_eq(o->value, "unstable"))
        return "stable or unstable expected";
    str_copy(tsc_value, o->value, sizeof(tsc_value));
    options.tsc = tsc_value;
    return NULL;
}

static const char *parse_crash_test(const struct cmdline_opt *o)
{
    static char word[16];

    if (!crash_test_known(o->value))
        return CRASH_TEST_WORDS " expected";
    str_copy(word, o->value, sizeof(word));
    options.crash_test = word;
    return NULL;
}

static const char *parse_spec(const struct cmdline_opt *o)
{
    if (!str_eq(o->value, "all"))
        return "only \"all\" is known; the processor decides otherwise";
    options.spec_all = true;
    return NULL;
}

/* Xen's option for page tables without the hypervisor, which we do not have: "no" is all it can
 * say. */
static const char *parse_xpti(const struct cmdline_opt *o)
{
    bool on;

    if (!cmdline_bool(o, &on))
        return "yes or no expected";
    options.xpti_off = !on;
    return NULL;
}

static const char *parse_x2apic(const struct cmdline_opt *o)
{
    bool on;

    if (!cmdline_bool(o, &on))
        return "yes or no expected";
    options.x2apic = on;
    return NULL;
}

static bool unknown; /* set by parse_one for a name that is none of ours */

static const char *parse_one(const struct cmdline_opt *o)
{
    const char *why = NULL;

    if (cmdline_is(o, "com1") || cmdline_is(o, "console") || cmdline_is(o, "smap") ||
        cmdline_is(o, "smep"))
        return NULL; /* options_early */
    if (cmdline_is(o, "noreboot"))
        return parse_bool(o, &opt_noreboot);
    if (cmdline_is(o, "dom0_mem"))
        return cmdline_dom0_mem(o->value, &options.dom0_mem);
    if (cmdline_is(o, "dom0_max_vcpus"))
        return cmdline_range(o->value, &options.dom0_min_vcpus, &options.dom0_max_vcpus);
    if (cmdline_is(o, "loglvl"))
        return parse_level(o->value, &hv_level);
    if (cmdline_is(o, "guest_loglvl"))
        return parse_level(o->value, &guest_level);
    if (cmdline_is(o, "maxcpus"))
        return parse_number(o, &options.maxcpus);
    if (cmdline_is(o, "tsc"))
        return parse_tsc(o);
    if (cmdline_is(o, "spec-ctrl"))
        return parse_spec(o);
    if (cmdline_is(o, "xpti"))
        return parse_xpti(o);
    if (cmdline_is(o, "x2apic"))
        return parse_x2apic(o);
    if (cmdline_is(o, "crash-test"))
        return parse_crash_test(o);
    if (cmdline_is(o, "vga")) {
        options.vga_keep = list_has(o->value, "keep");
        return NULL;
    }
    if (cmdline_is(o, "dom0_vcpus_pin"))
        return parse_bool(o, &options.dom0_vcpus_pin);
    unknown = !options_sched(o, &why);
    return why;
}

void options_parse(const char *cmdline)
{
    struct cmdline_opt o;
    const char *pos = cmdline;

    while (cmdline_next(&pos, &o)) {
        unknown = false;
        const char *why = parse_one(&o);
        if (unknown)
            log_warn("Unknown option \"%s\" on the command line: ignored", o.name);
        else if (why)
            log_warn("Option \"%s=%s\": %s; ignored", o.name, o.value, why);
    }
    log_set_level(hv_level, guest_level);
}

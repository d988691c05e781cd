/* SPDX-License-Identifier: MIT */
/*
 * A table of names and parsers; a value that cannot be used is named in the log and left out. At
 * boot, one CPU; `options` is constant after that.
 */
#include "x86/glue/options.h"

#include <limits.h>

#include "core/domain.h"
#include "core/log.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "x86/glue/crash_test.h"
#include "x86/panic.h"
#include "x86/pv/ptable.h"

struct options options = { .console_com = 1,
                           .console_vga = true,
                           .smap = true,
                           .smep = true,
                           .x2apic = -1,
                           .spec = { .xpti_dom0 = -1, .xpti_domu = -1 },
                           .maxcpus = UINT_MAX,
                           .dom0_min_vcpus = 1,
                           .dom0_max_vcpus = UINT_MAX };

static char com_value[2][CMDLINE_VALUE_MAX], tsc_value[CMDLINE_VALUE_MAX];
static char console_words[CMDLINE_VALUE_MAX]; /* of console=, that are none of ours */

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

/* A word of console=. The letter behind a port's name says which half of a shared line (Xen's
 * com1H). */
static bool console_word(const char *word)
{
    if (str_starts(word, "com1") || str_starts(word, "com2")) {
        if (!options.console_com) /* the first one named */
            options.console_com = (unsigned int)(word[3] - '0');
    } else if (str_eq(word, "vga")) {
        options.console_vga = true;
    } else {
        return str_eq(word, "none") || !*word;
    }
    return !word[4] || word[0] == 'v';
}

static void add_word(const char *word)
{
    size_t n = strlen(console_words), cap = sizeof(console_words);

    if (n && n + 2 < cap) {
        str_copy(console_words + n, ", ", cap - n);
        n += 2;
    }
    str_copy(console_words + n, word, cap - n);
}

/*
 * Words such as tty0 or hvc0 are for Domain 0's kernel, not for here: they are named in the log. If
 * nothing else is there, the log goes where it goes without the option, since a console that stays
 * black tells nobody why.
 */
static void parse_console(const struct cmdline_opt *o)
{
    char word[32];
    bool none = list_has(o->value, "none");
    const char *p = o->value;

    options.console_com = 0;
    options.console_vga = false;
    for (;;) {
        size_t n = 0;

        while (p[n] && p[n] != ',')
            n++;
        str_copy(word, p, MIN(n + 1, sizeof(word)));
        if (!console_word(word))
            add_word(word);
        if (!p[n])
            break;
        p += n + 1;
    }
    if (console_words[0])
        options.console_wrong = console_words;
    if (!options.console_com && !options.console_vga && !none) {
        options.console_com = 1;
        options.console_vga = true;
    }
}

void options_early(const char *cmdline)
{
    struct cmdline_opt o;

    for (unsigned int i = 0; i < 2; i++) {
        if (cmdline_find(cmdline, i ? "com2" : "com1", &o)) {
            str_copy(com_value[i], o.value, sizeof(com_value[i]));
            options.com[i] = com_value[i];
        }
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

/* efi=[no-]rs; attr= is Xen's for mappings of other memory, and its own. */
static const char *parse_efi(const struct cmdline_opt *o)
{
    bool no = list_has(o->value, "no-rs") || list_has(o->value, "rs=0") ||
              list_has(o->value, "rs=no") || list_has(o->value, "rs=off") ||
              list_has(o->value, "rs=false");

    if (!no && !list_has(o->value, "rs") && !list_has(o->value, "rs=1") &&
        !list_has(o->value, "rs=yes") && !list_has(o->value, "rs=on") &&
        !list_has(o->value, "rs=true"))
        return "rs and no-rs are known";
    options.efi_alone = no;
    return NULL;
}

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
    options.spec.all = true;
    return NULL;
}

/* xpti=: a switch, or a list of default, dom0=, domu=. */
static const char *parse_xpti(const struct cmdline_opt *o)
{
    char words[CMDLINE_VALUE_MAX];
    const char *at = words;
    struct cmdline_opt w;
    bool on;

    if (cmdline_bool(o, &on)) {
        options.spec.xpti_dom0 = options.spec.xpti_domu = on;
        return NULL;
    }
    str_copy(words, o->value, sizeof(words));
    for (char *c = words; *c; c++)
        if (*c == ',')
            *c = ' ';
    while (cmdline_next(&at, &w)) {
        if (cmdline_is(&w, "default") && !w.has_value)
            options.spec.xpti_dom0 = options.spec.xpti_domu = -1;
        else if (cmdline_is(&w, "dom0") && cmdline_bool(&w, &on))
            options.spec.xpti_dom0 = on;
        else if (cmdline_is(&w, "domu") && cmdline_bool(&w, &on))
            options.spec.xpti_domu = on;
        else
            return "yes, no, default, dom0=yes|no, domu=yes|no expected";
    }
    return NULL;
}

static const char *parse_dom0(const struct cmdline_opt *o)
{
    if (str_eq(o->value, "pv") || str_eq(o->value, "pvh"))
        options.dom0_pvh = str_eq(o->value, "pvh");
    else
        return "pv or pvh expected";
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

    if (cmdline_is(o, "com1") || cmdline_is(o, "com2") || cmdline_is(o, "console") ||
        cmdline_is(o, "smap") || cmdline_is(o, "smep"))
        return NULL; /* options_early */
    if (cmdline_is(o, "noreboot"))
        return parse_bool(o, &opt_noreboot);
    if (cmdline_is(o, "dom0"))
        return parse_dom0(o);
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
    if (cmdline_is(o, "pv-linear-pt"))
        return parse_bool(o, &pt_linear);
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
    if (cmdline_is(o, "efi"))
        return parse_efi(o);
    if (cmdline_is(o, "dom0_vcpus_pin"))
        return parse_bool(o, &options.dom0_vcpus_pin);
    if (cmdline_is(o, "nosmp")) {
        bool alone = false;

        why = parse_bool(o, &alone);
        if (alone)
            options.maxcpus = 1;
        return why;
    }
    unknown = !options_sched(o, &why) && !options_known(o, &why);
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
            log_warn("Unknown option \"%s%s\" on the command line: ignored", o.negated ? "no-" : "",
                     o.name);
        else if (why)
            log_warn("Option \"%s%s%s%s\": %s; ignored", o.negated ? "no-" : "", o.name,
                     o.has_value ? "=" : "", o.value, why);
    }
    log_set_level(hv_level, guest_level);
}

/* SPDX-License-Identifier: MIT */
#include "lib/cmdline.h"

#include "lib/macros.h"
#include "lib/string.h"
#include "lib/strutil.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *s)
{
    while (is_space(*s))
        s++;
    return s;
}

const char *cmdline_skip_word(const char *text)
{
    if (!text)
        return "";
    text = skip_space(text);
    while (*text && !is_space(*text))
        text++;
    return skip_space(text);
}

static bool append(char *buf, size_t cap, size_t *len, char c)
{
    if (*len + 1 >= cap)
        return false;
    buf[(*len)++] = c;
    buf[*len] = '\0';
    return true;
}

bool cmdline_next(const char **pos, struct cmdline_opt *opt)
{
    const char *s = *pos ? skip_space(*pos) : "";
    size_t name_len = 0, value_len = 0;
    char quote = 0;

    memset(opt, 0, sizeof(*opt));
    if (!*s) {
        *pos = s;
        return false;
    }
    if (str_starts(s, "no-") && s[3] && !is_space(s[3])) {
        opt->negated = true;
        s += 3;
    }
    for (; *s && (quote || !is_space(*s)); s++) {
        if (quote ? *s == quote : (*s == '"' || *s == '\''))
            quote = quote ? 0 : *s;
        else if (*s == '=' && !opt->has_value)
            opt->has_value = true;
        else if (opt->has_value)
            opt->cut |= !append(opt->value, sizeof(opt->value), &value_len, *s);
        else
            opt->cut |= !append(opt->name, sizeof(opt->name), &name_len, *s);
    }
    *pos = s;
    return true;
}

static char fold(char c)
{
    return c == '_' ? '-' : c;
}

bool cmdline_is(const struct cmdline_opt *opt, const char *name)
{
    const char *s = opt->name;

    while (*s && fold(*s) == fold(*name)) {
        s++;
        name++;
    }
    return fold(*s) == fold(*name);
}

bool cmdline_find(const char *text, const char *name, struct cmdline_opt *opt)
{
    struct cmdline_opt word;
    bool found = false;

    while (cmdline_next(&text, &word)) {
        if (cmdline_is(&word, name)) {
            *opt = word;
            found = true;
        }
    }
    return found;
}

bool cmdline_bool(const struct cmdline_opt *opt, bool *out)
{
    static const char *const yes[] = { "yes", "on", "true", "enable", "1" };
    static const char *const no[] = { "no", "off", "false", "disable", "0" };

    if (!opt->has_value) {
        *out = !opt->negated;
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (str_eq(opt->value, yes[i])) {
            *out = !opt->negated;
            return true;
        }
        if (str_eq(opt->value, no[i])) {
            *out = opt->negated;
            return true;
        }
    }
    return false;
}

bool cmdline_u64(const struct cmdline_opt *opt, uint64_t *out)
{
    return !opt->negated && !opt->cut && str_to_u64(opt->value, NULL, 0, out);
}

/* One size of dom0_mem at `*pos`; stops at a comma or the end. */
static const char *parse_amount(const char **pos, struct cmdline_amount *a)
{
    const char *s = *pos, *end;
    uint64_t v;

    memset(a, 0, sizeof(*a));
    a->negative = *s == '-';
    if (a->negative)
        s++;
    if (!str_to_u64(s, &end, 0, &v))
        return "a size is not a number";
    if (*end != '%') {
        if (!str_to_size(s, &end, 1024, &a->bytes))
            return "a size is too large";
        if (*end == '+' && !str_to_u64(end + 1, &end, 10, &v))
            return "a + is not followed by a percentage";
    }
    if (*end == '%') {
        if (v > 100 || a->negative)
            return "a percentage is negative or above 100";
        a->percent = v;
        end++;
    } else if (*end && *end != ',') {
        return "a size has an unknown unit";
    }
    a->given = true;
    *pos = end;
    return NULL;
}

const char *cmdline_dom0_mem(const char *value, struct cmdline_dom0_mem *out)
{
    struct cmdline_dom0_mem m = { { 0 }, { 0 }, { 0 } };

    for (;;) {
        struct cmdline_amount *a = &m.size;
        const char *why;

        if (str_starts(value, "min:") || str_starts(value, "max:")) {
            a = value[1] == 'i' ? &m.min : &m.max;
            value += 4;
        }
        why = parse_amount(&value, a);
        if (why)
            return why;
        if (!*value)
            break;
        if (*value++ != ',')
            return "the list's items are not separated by commas";
    }
    *out = m;
    return NULL;
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static uint64_t resolve(const struct cmdline_amount *a, uint64_t available)
{
    if (a->negative)
        return a->bytes < available ? available - a->bytes : 0;
    return add_capped(a->bytes, available / 100 * a->percent);
}

uint64_t cmdline_dom0_bytes(const struct cmdline_dom0_mem *m, uint64_t available,
                            uint64_t *max_bytes)
{
    uint64_t bytes = available - MIN(available / 16, MIB(128));
    uint64_t max = m->max.given ? resolve(&m->max, available) : UINT64_MAX;

    if (m->size.given)
        bytes = resolve(&m->size, available);
    if (m->min.given)
        bytes = MAX(bytes, resolve(&m->min, available));
    *max_bytes = max;
    return MIN(MIN(bytes, max), available);
}

static bool parse_unsigned(const char **s, unsigned *out)
{
    uint64_t v;

    if (!str_to_u64(*s, s, 10, &v) || v > UINT32_MAX)
        return false;
    *out = (unsigned)v;
    return true;
}

const char *cmdline_range(const char *value, unsigned *min, unsigned *max)
{
    unsigned low = 1, high = UINT32_MAX;
    bool has_low = *value != '-';

    if (has_low && !parse_unsigned(&value, &low))
        return "not a number";
    if (!*value)
        high = low;
    else if (*value++ != '-')
        return "not of the form N, MIN-MAX, MIN- or -MAX";
    else if ((*value || !has_low) && !parse_unsigned(&value, &high))
        return "not a number";
    if (*value || low > high || high == 0)
        return "not of the form N, MIN-MAX, MIN- or -MAX";
    *min = low;
    *max = high;
    return NULL;
}

/* <bits><parity><stop>, such as 8n1; any part from the end may be missing. */
static const char *parse_frame(const char *s, struct cmdline_serial *out)
{
    if (*s >= '5' && *s <= '8')
        out->data_bits = (unsigned)(*s++ - '0');
    if (*s && strchr("noems", *s))
        out->parity = *s++;
    if (*s == '1' || *s == '2')
        out->stop_bits = (unsigned)(*s++ - '0');
    return s;
}

/* The fields behind the first comma; `s` is at it. */
static const char *parse_serial_rest(const char *s, struct cmdline_serial *out)
{
    s = parse_frame(s + 1, out);
    if (*s && *s != ',')
        return "data bits, parity and stop bits are not of a form like 8n1";
    if (*s == ',' && s[1] != ',' && !str_to_u64(s + 1, &s, 0, &out->port))
        return "the I/O port is not a number";
    else if (*s == ',' && s[1] == ',')
        s++;
    if (*s == ',') {
        if (!str_to_u64(s + 1, &s, 0, &out->irq))
            return "the interrupt is not a number";
        out->has_irq = true;
    }
    if (*s)
        return "something unknown follows";
    return out->port > 0xffff ? "the I/O port is above 0xffff" : NULL;
}

const char *cmdline_serial(const char *value, struct cmdline_serial *out)
{
    struct cmdline_serial r = *out;
    const char *s = value;
    const char *why;

    if (str_starts(s, "auto")) {
        r.baud = 0;
        s += 4;
    } else if (*s != ',' && *s != '\0') {
        if (!str_to_u64(s, &s, 10, &r.baud) || r.baud == 0)
            return "the speed is neither a number nor auto";
    }
    if (*s == '/' && (!str_to_u64(s + 1, &s, 10, &r.base_baud) || r.base_baud == 0))
        return "the base speed is not a number";
    if (*s && *s != ',')
        return "something unknown follows the speed";
    why = *s ? parse_serial_rest(s, &r) : NULL;
    if (!why)
        *out = r;
    return why;
}

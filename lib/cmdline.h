/* SPDX-License-Identifier: MIT */
/*
 * Xen's command line, as its documentation (xen-command-line) describes it: words `key`,
 * `key=value`, `no-key`; a value may be quoted with " or ' to hold spaces. Pure: the text is never
 * changed.
 */
#ifndef LIB_CMDLINE_H
#define LIB_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMDLINE_NAME_MAX 48
#define CMDLINE_VALUE_MAX 256

/*
 * One word. A `no-` prefix is taken off the name; longer names and values are cut, with `cut` set.
 */
struct cmdline_opt {
    char name[CMDLINE_NAME_MAX];
    char value[CMDLINE_VALUE_MAX]; /* "" without a value */
    bool has_value;                /* an = was there */
    bool negated;                  /* a no- was there */
    bool cut;
};

/*
 * Returns the text behind the first word (a file's name, or GRUB's `placeholder`) and the spaces
 * that follow.
 */
const char *cmdline_skip_word(const char *text);

/* Reads the word at `*pos` and moves on. Returns false at the end of the text (or at NULL). */
bool cmdline_next(const char **pos, struct cmdline_opt *opt);

/*
 * Searches the whole text for option `name`, its last occurrence, as later ones win. Returns false
 * if there is none. Meant for the few options that are needed before the regular pass.
 */
bool cmdline_find(const char *text, const char *name, struct cmdline_opt *opt);

/* True if the option has this name; - and _ count as the same letter. */
bool cmdline_is(const struct cmdline_opt *opt, const char *name);

/*
 * Value of a switch: `foo`, `no-foo`, `foo=yes|on|true|enable|1`, `foo=no|off|false|disable|0`.
 * Returns false if the value is none of these.
 */
bool cmdline_bool(const struct cmdline_opt *opt, bool *out);

/* The value as one whole number (decimal, 0x, octal). */
bool cmdline_u64(const struct cmdline_opt *opt, uint64_t *out);

/*
 * One amount of dom0_mem: `bytes` plus `percent` of what is available; negative: available less
 * `bytes`.
 */
struct cmdline_amount {
    bool given;
    bool negative;
    uint64_t bytes;
    uint64_t percent;
};

struct cmdline_dom0_mem {
    struct cmdline_amount size, min, max;
};

/*
 * Parses dom0_mem's value: a list of `<size>`, `min:<size>`, `max:<size>`; a size is
 * `[-]<number>[BKMGT]` (KiB when bare), `<percent>%` or `<size>+<percent>%`. Returns NULL, or what
 * is wrong.
 */
const char *cmdline_dom0_mem(const char *value, struct cmdline_dom0_mem *out);

/*
 * Bytes for Dom0 out of `available`: the size, at least min, at most max and available. Without any
 * size: all but one sixteenth, but at most 128 MiB, are Dom0's. `*max_bytes` is the ceiling that
 * Dom0 may later balloon to (UINT64_MAX without max:).
 */
uint64_t cmdline_dom0_bytes(const struct cmdline_dom0_mem *m, uint64_t available,
                            uint64_t *max_bytes);

/*
 * dom0_max_vcpus: `N`, `min-max`, `-max`, `min-`. Returns NULL or what is wrong; missing ends are 1
 * and UINT_MAX.
 */
const char *cmdline_range(const char *value, unsigned *min, unsigned *max);

/*
 * com1=<baud>[/<base>][,<bits><parity><stop>[,<port>[,<irq>]]] ; `auto` keeps the firmware's speed
 * (baud 0).
 */
struct cmdline_serial {
    uint64_t baud;      /* 0: auto */
    uint64_t base_baud; /* 0: not given */
    unsigned data_bits; /* 5 to 8 */
    char parity;        /* n o e m s */
    unsigned stop_bits; /* 1 or 2 */
    uint64_t port;      /* 0: not given */
    uint64_t irq;       /* 0: not given or polled */
    bool has_irq;
};

/*
 * Fields left out keep what `*out` holds, so the caller fills in its defaults first. NULL, or what
 * is wrong.
 */
const char *cmdline_serial(const char *value, struct cmdline_serial *out);

#endif

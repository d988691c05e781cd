/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's log: a console ring that tools read (sysctl readconsole) and, by level, the
 * serial line and the screen. Each line carries "(orlop) " and, in the ring, a timestamp.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_NONE = -1, LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Writes one message at `level`; the text needs no newline. Any context. Takes RANK_CONSOLE. */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_msg(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

struct domain;
/*
 * Why an operation of domain `d` was refused, rate-limited for each domain; NULL: the hypervisor.
 * It reaches the serial line and the screen a little later, as far as one budget of all allows.
 */
void log_refusal(struct domain *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Thresholds from loglvl= and guest_loglvl=: what reaches the serial line and the screen. */
void log_set_level(enum log_level hv, enum log_level guest);

/* Raw text of Dom0 or a guest (console_io write), `n` bytes as they are. */
void log_guest_text(struct domain *d, const char *text, size_t n);

/*
 * A sink for console text, called with RANK_CONSOLE held. Up to four (serial, screen).
 */
typedef void log_sink_fn(const char *text, size_t n);
void log_add_sink(log_sink_fn *fn);
void log_remove_sink(log_sink_fn *fn);

/* After a panic: locks are broken, everything goes out at once. */
void log_panic_mode(void);

/*
 * sysctl readconsole: copies up to `len` bytes of ring starting at absolute index *index (or the
 * oldest byte kept), returns the count and moves *index on. `clear` forgets what is there.
 */
size_t log_read(char *buf, size_t len, uint32_t *index, bool incremental);
void log_clear(void);

/*
 * Hands the ring its memory, which may hold the text of the boot before (warm reboot): that text
 * stays in the ring, and its last lines are shown when that boot did not end by log_close().
 */
void log_init_ring(void *mem, size_t size);
/* The machine goes down as somebody wished: the next boot need not show this one's text. */
void log_close(void);
/* Exit-path work WORK_LOG: some of the refusals that wait go out. */
void log_late(void);
/* Exit-path work WORK_CONRING: raises VIRQ_CON_RING in Dom0. */
void log_notify(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What went wrong, in words: a cause and, where there is one, a remedy. A function that can fail
 * takes a struct error and fills it where the failure is understood best; callers above put the
 * context in front ("web1: disk 2: ..."). The command prints it once, at its end. Foreign text in
 * it is cleaned here (text.h).
 */
#ifndef TOOLS_LIB_ERROR_H
#define TOOLS_LIB_ERROR_H

#include <stdbool.h>
#include <stddef.h>

struct error {
    int code; /* an errno value that a caller may act on; 0: nothing failed */
    char cause[1024];
    char remedy[512]; /* "" when there is nothing to advise */
};

/*
 * Fills e (which may be NULL) and returns -1, so that a caller writes `return error_set(...)`.
 * remedy may be NULL; it is a sentence of its own. code 0 is taken as EINVAL.
 */
int error_set(struct error *e, int code, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with a remedy that needs values of its own; call it after error_set. Returns -1. */
int error_remedy(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "fmt: " in front of the cause. Returns -1. */
int error_in(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A failed system call: "fmt: reason", with errno's or the given positive errno's text. */
int error_sys(struct error *e, int err, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "who: cause" and "    remedy" on stderr; nothing when e->code is 0. */
void error_print(const struct error *e, const char *who);

/* One line {"error": cause, "remedy": remedy} on stdout, for commands called with --json. */
void error_print_json(const struct error *e);

#endif

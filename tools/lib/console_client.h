/* SPDX-License-Identifier: MIT */
/*
 * A guest's console, as the console daemon serves it at its socket: what `orlop console` and
 * `orlop log` do. Guests are named by name or number; "hypervisor" is the hypervisor's own console.
 */
#ifndef TOOLS_LIB_CONSOLE_CLIENT_H
#define TOOLS_LIB_CONSOLE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct error;

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

struct console_options {
    const char *socket;   /* CONSOLE_SOCKET */
    int in, out;          /* descriptors: 0 and 1 */
    int escape;           /* the byte that detaches, where `in` is a terminal; -1: none */
    bool readonly;        /* nothing is typed: `in` is not read but for the escape */
    int64_t history;      /* bytes of it that are shown first; -1: all */
    const char *greeting; /* a line for stderr once the console is there; NULL: none */
    unsigned int wait_ms; /* how long to wait for a daemon and a guest that are not there yet */
};

enum console_result {
    CONSOLE_FAILED = -1, /* the error says why */
    CONSOLE_DETACHED,    /* by the escape, or by SIGINT, SIGTERM or SIGHUP */
    CONSOLE_ENDED        /* all was shown: the guest has ended, or the history has */
};

/* What is behind the fields above; waits 2 s. */
void console_options_default(struct console_options *o);

/*
 * Shows history and live output on o->out and types what comes from o->in, until the guest ends or
 * the user detaches. A terminal at o->in is raw meanwhile, and as before afterwards. When o->in
 * ends, and it is no terminal, the output still goes on. A restart of the daemon is survived
 * without a gap. What the daemon says goes to stderr. o may be NULL.
 */
enum console_result console_attach(const char *guest, const struct console_options *o,
                                   struct error *e);

/* Writes the history of a guest, alive or not, to o->out. With follow: goes on with what comes,
 * until the guest ends. */
enum console_result console_log(const char *guest, bool follow, const struct console_options *o,
                                struct error *e);

#endif

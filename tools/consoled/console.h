/* SPDX-License-Identifier: MIT */
/*
 * One console: a guest's ring (or the hypervisor's console), its log, its history, and who looks at
 * it. Output goes to the log and the history as it comes; viewers read the history at their own
 * pace and hold nobody back: one that is too slow misses what the history no longer has.
 *
 * A console waits until its page and port are known, is then connected until its guest ends, and
 * is kept for a while as dead.
 */
#ifndef CONSOLED_CONSOLE_H
#define CONSOLED_CONSOLE_H

#include "consoled/consoled.h"
#include "consoled/history.h"
#include "consoled/ring.h"
#include "consoled/state.h"

#include <event2/buffer.h>

enum console_state {
    CONSOLE_WAITING,   /* its page or port is not known, or could not be used yet */
    CONSOLE_CONNECTED, /* the ring is served */
    CONSOLE_DISABLED,  /* it was, until impossible indices came too often */
    CONSOLE_DEAD       /* the guest has ended */
};

#define HYPERVISOR_ID UINT32_MAX /* `domid` of the hypervisor's console */

struct viewer;

struct console {
    struct consoled *d;
    struct console *next_dead;
    uint32_t domid;
    char name[128];
    char identity[128]; /* which run of which guest: never the same for two */
    enum console_state state;
    bool known; /* began: has a history and a log */
    uint64_t gfn;
    uint32_t port;
    int local; /* port; -1: none */
    bool granted, complained;
    unsigned offences;
    uint32_t resumes; /* the port that an earlier process served in this run; 0: none */
    struct ring ring;
    struct history hist;
    struct logfile log;
    struct state saved;
    struct bucket bucket;
    struct event *resume; /* pending while the guest has used up its rate */
    bool held;            /* its port is masked until then */
    struct evbuffer *input;
    struct viewer *viewers, *pty;
    int64_t died;
};

struct console *console_new(struct consoled *d, uint32_t domid);
void console_free(struct console *con);

/* Starts log, history and state. What an earlier process knew of the same run (`identity`) goes on.
 */
void console_begin(struct console *con, const char *name, uint64_t history);
/* Another name: a new log file. */
void console_rename(struct console *con, const char *name);
/* Maps the page and binds the port; false: not possible now, the reason is logged once. */
bool console_connect(struct console *con, uint64_t gfn, uint32_t port);
/* The ring's last output is taken, and the page and port are given back. */
void console_disconnect(struct console *con, enum console_state state);
/* The guest has ended. */
void console_end(struct console *con);

/* The guest signalled; its port is unmasked, at once or when its rate allows. */
void console_event(struct console *con);
/* New output, from wherever: log, history, viewers. `cons` is the source's position behind it. */
void console_output(struct console *con, const void *p, size_t n, uint32_t cons);
/* How much of the first output after a restart is in the log already. */
size_t console_logged(struct console *con, const void *p, size_t n);

/* Whether there is room to type, and typing. What is typed to a guest that has none is dropped. */
bool console_takes_input(const struct console *con);
void console_input(struct console *con, const void *p, size_t n);

/* The word for console.state. */
const char *console_state_name(const struct console *con);

#endif

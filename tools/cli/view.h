/* SPDX-License-Identifier: MIT */
/* What the viewing commands share: all domains at one moment, and how they are shown. */
#ifndef TOOLS_CLI_VIEW_H
#define TOOLS_CLI_VIEW_H

#include "tools/cli/host.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

struct error;
struct json_object;

struct view {
    struct xen_domctl_getdomaininfo info;
    char name[NAME_SIZE]; /* "" if it has none, or no xenstored answers */
    bool unresolved;      /* suspended, and may run on another host (suspend.h) */
};

/*
 * Opens the hypervisor, and the store if a xenstored answers; if none does, says so on stderr and
 * goes on without names (h->store.h is NULL). -1 with e without a hypervisor.
 */
int view_open(struct host *h, struct error *e);

/* All domains by number: how many, and *out to free(); -1 with e. */
int views_get(struct host *h, struct view **out, struct error *e);

/*
 * The same, only those named by the `n` words (names or numbers), in their order; all with n = 0. A
 * word that names no domain is an error that tells near names.
 */
int views_select(struct host *h, char *const *words, int n, struct view **out, struct error *e);

/* Prints a line about the domain, or adds to `list` when that is not NULL. */
typedef void view_show(struct host *h, const struct view *v, struct json_object *list);
/*
 * A whole command of the form [GUEST...] without options: the header and a line for each, or a JSON
 * array. Returns the exit code.
 */
int views_command(int argc, char **argv, const char *header, view_show *show);
/* The same after the options were taken; `after` (or NULL) adds what is no domain, if all are
 * shown. */
typedef void views_after(struct host *h, struct json_object *list);
int views_show(int argc, char **argv, const char *header, view_show *show, views_after *after);

/* One domain by name or number; -1 with e. */
int view_find(struct host *h, const char *word, struct view *out, struct error *e);

/* "running", "blocked", "paused", "shutdown", "unresolved", "crashed", "dying" or "runnable". */
const char *view_state(const struct view *v);
/* xl's six letters: r b p s c d, or '-'. */
void view_letters(const struct view *v, char letters[7]);

/* name, domid, uuid, state, memory, vCPUs, time: what `list` shows. The caller puts it. */
struct json_object *view_json(const struct view *v);

/* "web1", or "(no name, domain 5)" in `text`. */
const char *view_label(const struct view *v, char text[NAME_SIZE]);

/* KiB, seconds; a domain's share of pages is told in KiB everywhere. */
static inline uint64_t pages_to_kib(uint64_t pages)
{
    return pages * 4;
}

/* "1-3,5" for a bitmap of `bits` bits; "all" when the first `online` are all set; to free(). */
char *cpumap_text(const uint8_t *map, unsigned bits, unsigned online);

/* "3 days, 02:11:07" */
void duration_text(uint64_t seconds, char text[48]);

#endif

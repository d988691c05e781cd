/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory and vCPUs, as a stream's records (docs/stream.md). What leaves the host names
 * the guest's own frame numbers: page tables, its table of frames and its registers are turned
 * from the machine's numbers on the way out, and into those of the new frames on the way in.
 *
 * Only PV guests: the records of others are not written here. Callers hold the guest's lock.
 */
#ifndef TOOLS_CLI_IMAGE_H
#define TOOLS_CLI_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>

struct error;
struct host;
struct stream;
struct stream_out;

/* -1 with e: guests of this kind, or in this state, are not saved here. */
int image_can_save(struct host *h, unsigned int domid, struct error *e);

struct image_saver;

/* Writes to `o`, and fills `e` when a call below fails. image_save_close() ends it. */
struct image_saver *image_save_open(struct host *h, unsigned int domid, struct stream_out *o,
                                    struct error *e);
/* The first records, which hold also while it runs: its kind and CPU policy. -1 with e. */
int image_save_static(struct image_saver *s);

struct image_round {
    unsigned int nr;
    uint64_t sent;  /* pages */
    uint64_t dirty; /* of the guest's pages, written meanwhile */
    uint64_t left;  /* these, and what could not be sent while it runs */
    uint64_t bytes_per_s;
    int64_t rest_ms; /* that the rest would take */
};

struct image_goal {
    int64_t rest_ms;  /* the rest may take so long */
    int64_t limit_ms; /* give up after this time; 0: never, but do not go on without end either */
    void (*tell)(void *arg, const struct image_round *r); /* after each round; NULL: nobody */
    void *arg;
};

/*
 * Sends a guest's pages while it runs, until the goal is reached or further rounds bring nothing.
 * 1 with e: the hypervisor does not log what this guest writes; nothing was sent. -1 with e.
 */
int image_save_rounds(struct image_saver *s, const struct image_goal *g);
/*
 * All others, END not among them, of a suspended guest; with `verify` all its pages a second time,
 * which the reader compares. -1 with e.
 */
int image_save_rest(struct image_saver *s, bool verify);
void image_save_close(struct image_saver *s);
/* Of a guest whose saver was killed: what it writes is not logged any more. */
void image_log_off(struct host *h, unsigned int domid);

/* --- the way in --- */

struct image_request {
    domid_t domid;
    uint64_t max_kib;   /* as its memory map shows it */
    unsigned int vcpus; /* that the domain has */
    evtchn_port_t console_port, store_port;
    /* Called once the static part is read and good, before a page is; NULL: nobody. -1 ends it. */
    int (*before_pages)(void *arg);
    void *arg;
};

struct image_result {
    xen_pfn_t console_mfn, store_mfn; /* for console/ring-ref, store/ring-ref, XS_INTRODUCE */
};

/*
 * Fills a new, paused domain without memory from an opened stream, to the stream's end; then it can
 * be unpaused. On failure destroying the domain takes all back. The work is done by a child
 * process, as builder_build's is. 0, or -1 with e.
 */
int image_load(struct host *h, const struct image_request *req, struct stream *s,
               struct image_result *result, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * State that outlives the process: files in a directory on tmpfs, written through a mapping, so
 * that what was stored is kept whatever kills the process, and no system call is made per request.
 *
 * `log.N` is a chain of records; one record is all that a request did. The record is copied behind
 * the end, and then one store moves the end: a record is there completely or not at all. `base.N`
 * is the whole state at the moment when log.N was begun. It is written a slice at a time while
 * log.N grows; until it is complete, base.N-1 and log.N-1 stay. Recovery takes the newest complete
 * base and applies all logs from its number on.
 */
#ifndef XENSTORED_JOURNAL_H
#define XENSTORED_JOURNAL_H

#include "xenstored/util.h"

struct tnode;
struct client;

enum {
    JR_NODE = 1, /* path, perms, value: as it is now */
    JR_RM,       /* path: gone, with all below */
    JR_DOM,      /* domid, gfn (two words), port, req_cons, rsp_prod: a new domain */
    JR_DOM_DEL,  /* domid */
    JR_TARGET,   /* domid, target */
    JR_SHUTDOWN, /* domid, whether its shutdown was reported */
    JR_WATCH,    /* domid, rel, depth, path, token */
    JR_UNWATCH,  /* domid, path, token */
    JR_TXN,      /* domid, id */
    JR_TXN_END,  /* domid, id */
    JR_RESET,    /* domid: its watches and transactions are gone */
    JR_IN,       /* domid, req_cons, bytes: the next part of an incomplete request */
    JR_IN_DONE,  /* domid, req_cons: the request is carried out */
    JR_OUT,      /* domid, bytes to send */
    JR_LOST,     /* domid, whether it lost events */
    JR_RING,     /* domid, req_cons, rsp_prod: the ring starts anew */
};

struct jfile {
    int fd;
    uint8_t *map; /* NULL: not open */
    uint64_t end, size;
};

struct journal {
    char *dir; /* NULL: nothing is kept */
    uint64_t number;
    struct jfile log, base;
    struct buf rec;     /* the current record */
    struct tnode *snap; /* what base still has to get, NULL if it is complete */
    char *snap_at;      /* the last path written */
    uint64_t base_size; /* of the last complete one */
    uint64_t min_log;   /* no new base before the log has this size */
};

struct xs;

/* Takes over the directory's state, or starts anew if there is none of this boot. 0 or an errno
 * value. */
int journal_open(struct xs *xs, const char *dir);
/* Ends the current record and makes it last. Replies may leave after this, not before. */
void journal_commit(struct xs *xs);
/* Does a slice of checkpoint work; called between requests. */
void journal_work(struct xs *xs);
/* Lets go of memory and files; the state stays in the directory. */
void journal_close(struct xs *xs);

/* Adds to the current record. */
void journal_node(struct buf *rec, const struct tnode *t);
void journal_words(struct buf *rec, uint32_t kind, uint32_t a, uint32_t b);

/* recover.c: puts what a client is into a record; applies one record, false if it makes no sense.
 */
void record_client(struct buf *rec, struct client *c);
bool record_apply(struct xs *xs, const uint8_t *p, size_t n);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the parts of saving a guest share. Which pages are to be sent is a set of the guest's own
 * numbers (`todo`). Of a guest that runs (image_live.c) each round sends the set, and what the
 * hypervisor's log or a second look at the guest's table of frames finds changed is the next one;
 * what does not fit together just then waits for a later round (`later`). Of a guest that stands
 * still all that it says must fit together; where it does not, the save is refused.
 *
 * Frames of the machine are turned into the guest's by the guest's own table of frames, which is
 * read whole and turned around: so a frame that the table names twice is sent once, and what it
 * says of frames that are not the guest's is found when they are looked at.
 *
 * Belongs to one thread, whose callers hold the guest's lock.
 */
#ifndef TOOLS_CLI_IMAGE_SAVER_H
#define TOOLS_CLI_IMAGE_SAVER_H

#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/p2m.h"
#include "tools/lib/error.h"
#include "tools/lib/stream.h"
#include "tools/lib/stream_out.h"

struct image_saver {
    struct host *h;
    unsigned int domid;
    struct stream_out *o;
    struct error *e;

    struct p2m p2m;
    bool reading;     /* p2m is open */
    uint64_t nr_pfns; /* as the guest says; it cannot change any more once it was sent */
    uint64_t max_mfn; /* of the machine */
    uint64_t *mfn_of; /* by pfn, plus 1; 0: none */
    uint32_t *pfn_of; /* by mfn, plus 1; 0: not the guest's */
    uint8_t *type_of; /* by pfn: as it was sent last; these three are shared with children */
    uint64_t *todo, *later;
    uint64_t *table; /* pfns where the guest's table of frames lies, as they were sent; or NULL */

    bool running; /* it runs: what does not fit together is put off */
    bool logging; /* the hypervisor logs what it writes */
};

static inline bool saver_has(const uint64_t *set, uint64_t pfn)
{
    return set[pfn / 64] >> pfn % 64 & 1;
}

static inline void saver_add(uint64_t *set, uint64_t pfn)
{
    set[pfn / 64] |= 1ull << pfn % 64;
}

static inline void saver_remove(uint64_t *set, uint64_t pfn)
{
    set[pfn / 64] &= ~(1ull << pfn % 64);
}

/* -1 with s->e: of the stream's first failure. */
int saver_write_failed(struct image_saver *s);
int saver_put(struct image_saver *s, uint32_t type, const void *body, uint32_t n);
int saver_not_its_frame(struct image_saver *s, const char *what, uint64_t mfn);

/* The guest's number of a machine's frame; P2M_NONE: it is none of its frames. */
uint64_t saver_pfn_of(const struct image_saver *s, uint64_t mfn);

/* --- image_frames.c --- */

/*
 * Reads the guest's table of frames, again if it was read before; where it names other frames than
 * before, the pages are to be sent. -1: it tells nonsense, or another size than before.
 */
int saver_read_frames(struct image_saver *s);
/*
 * Where the table itself lies: a record the first time; later it must lie there still, since the
 * other side knows no other place.
 */
int saver_put_table(struct image_saver *s);
void saver_free_frames(struct image_saver *s);

/* --- image_pages.c, image_state.c --- */

/* Sends what is to be sent, and empties the set. */
int saver_put_pages(struct image_saver *s);
/* Time, the shared page and the vCPUs, of a guest that stands still. */
int saver_put_state(struct image_saver *s);

/* --- image_live.c --- */

/* What was written since the log was asked last is to be sent. */
int saver_read_log(struct image_saver *s, bool final);
void saver_end_log(struct image_saver *s);

#endif

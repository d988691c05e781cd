/* SPDX-License-Identifier: MIT */
/* What save and migrate have in common: a guest with its configuration, locked. */
#ifndef TOOLS_CLI_SAVE_H
#define TOOLS_CLI_SAVE_H

#include "tools/cli/config.h"
#include "tools/cli/guest_lock.h"

struct error;
struct host;
struct image_goal;
struct image_saver;
struct stream_out;

struct save {
    struct host *h;
    unsigned int domid;
    uint8_t uuid[16];
    struct guest_lock lock;
    struct guest_config cfg;   /* as it is now */
    struct image_saver *image; /* once it is begun */
    bool suspended;
};

/*
 * Locks the guest, looks whether it can be saved and what its configuration is. If this program is
 * killed from here on, `left` becomes of the guest. save_close() is due either way.
 */
int save_open(struct save *s, struct host *h, unsigned int domid, enum guest_left left,
              struct error *e);
/*
 * What comes first in libxl's stream, after a header of xl's where there is to be one; it runs. All
 * that follows is written there too, and later failures come with the same e.
 */
int save_begin(struct save *s, struct stream_out *o, struct error *e);
/* Its pages while it runs, as image_save_rounds() does; 1: the hypervisor cannot, e says why. */
int save_rounds(struct save *s, const struct image_goal *goal);
/* Asks it to stand still, for so many seconds. */
int save_suspend(struct save *s, unsigned int seconds, struct error *e);
/* The rest of the stream; with `verify` all pages once more, for the reader to compare. */
int save_write(struct save *s, struct stream_out *o, bool verify, struct error *e);
/* It is saved: it goes on here ... */
int save_resume(struct save *s, struct error *e);
/* ... or ends here. From the call on it is erased if this program is killed. */
int save_erase(struct save *s, struct error *e);
/* A guest that is still suspended goes on. */
void save_close(struct save *s);

#endif

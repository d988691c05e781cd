/* SPDX-License-Identifier: MIT */
/*
 * Guests as a whole: made, ended, and what is known of them.
 *
 * Beside the nodes that every Xen tool knows, xenstore holds Orlop's record of a guest:
 *
 *   /orlop/UUID/domid       its domain; missing while it has none
 *   /orlop/UUID/config/N    its configuration as JSON, in pieces, as it is now (with devices that
 *                           were attached since)
 *   /orlop/UUID/restarts    when the monitor restarted it: seconds since 1970, newest last
 *   /orlop/UUID/pending     "restart": its domain was taken away to be made anew
 *   /orlop/UUID/kept        why its domain stays though it has stopped
 *   /orlop/UUID/keys/KEY    the disks it has
 *   /orlop/disks/KEY/UUID   the same by disk: "r" or "w"
 *
 * Whoever makes, ends or rebuilds a guest holds its guest_lock.
 */
#ifndef TOOLS_CLI_GUEST_H
#define TOOLS_CLI_GUEST_H

#include "tools/cli/config.h"

struct builder_kernel;
struct disk_backing;
struct dm_files;
struct error;
struct guest_lock;
struct host;
struct store;
struct stream;

#define RECORD_ROOT "/orlop"
#define RECORD_STOPPING "stopping" /* /orlop/stopping: the host goes down, nothing is restarted */

struct create_options {
    bool paused;  /* leave it paused */
    bool restart; /* the record of a former domain stays (restarts), and `pending` goes */
    bool check;   /* only look whether it could be made */
    bool force;   /* disks that others write too */
    struct guest_lock *held; /* the caller's lock, given away to this call; NULL: takes its own */
    struct guest_lock *keep; /* with paused: the caller gets the lock; NULL: it is let go */
    struct stream *image;    /* opened: it is restored from there; NULL: built from its kernel */
    int (*before_pages)(void *arg); /* with image, see image.h */
    void *arg;
};

/* What a check found, for --dry-run. */
struct create_plan {
    uint64_t free_kib, need_kib;
    bool cached; /* the unpacked kernel was there already */
    char kernel_kind[32], kernel_version[64];
};

/*
 * Makes the guest. cfg gets its uuid if it had none. All that can be checked is checked before
 * anything is made; -1 with e leaves nothing behind. plan may be NULL.
 */
int guest_create(struct host *h, struct guest_config *cfg, const struct create_options *o,
                 unsigned int *domid, struct create_plan *plan, struct error *e);

/*
 * Ends the domain (-1: there is none) and removes all that belongs to it; waits until the
 * hypervisor has its memory back, but not beyond the deadline (now_ms). keep_record leaves
 * /orlop/UUID, without its domid. The caller holds the lock.
 */
int guest_erase(struct host *h, int domid, const uint8_t uuid[16], bool keep_record,
                int64_t deadline, struct error *e);

/* What a killed maker left of this guest. */
void guest_clean_unfinished(struct host *h, const uint8_t uuid[16]);

/* --- the record --- */

/* In the caller's transaction: 0 or -errno. */
int record_store_config(struct store *s, const struct guest_config *cfg);
/* -1 with e; code ENOENT: no orlop made this guest. */
int record_load(struct store *s, const uint8_t uuid[16], struct guest_config *cfg, struct error *e);
/*
 * Loads it, lets fn change it and stores it again, with whatever fn writes, in one transaction. fn
 * returns 0 or -errno and may be called several times. A guest without a record: fn gets NULL.
 */
int record_change(struct store *s, const uint8_t uuid[16],
                  int (*fn)(struct store *s, struct guest_config *cfg, void *ctx), void *ctx,
                  struct error *e);
int record_put(struct store *s, const uint8_t uuid[16], const char *name, const char *value);
/* free() it; NULL: none. */
char *record_get(struct store *s, const uint8_t uuid[16], const char *name);
/* The domain's uuid, by its handle. */
int record_uuid(struct host *h, unsigned int domid, uint8_t uuid[16], struct error *e);

/* In the caller's transaction: the guest uses this disk. 0 or -errno. */
int record_add_disk(struct store *s, const uint8_t uuid[16], const struct disk_backing *b,
                    bool readonly);
int record_drop_disk(struct store *s, const uint8_t uuid[16], const char *key);

/* --- pieces of guest_create (guest_check.c, guest_store.c) --- */

struct builder_kernel;
/*
 * Kernel and ramdisk, and whether the memory is enough to start. *kernel (may be NULL) to close. Of
 * an HVM guest it is hvmloader; if there is a device model, *files is filled.
 */
int guest_check_kernel(const struct guest_config *cfg, struct builder_kernel **kernel,
                       struct dm_files *files, struct create_plan *plan, struct error *e);

/* The number of the pool that pool= names; -1 with e. */
int guest_check_pool(struct host *h, const struct guest_config *cfg, uint32_t *id, struct error *e);

/* Bridges, CPUs, disks: nothing is made. backing[] has nr_disks elements. */
int guest_check_devices(struct host *h, const struct guest_config *cfg,
                        struct disk_backing *backing, bool force, struct error *e);
int guest_check_memory(struct host *h, const struct guest_config *cfg, struct create_plan *plan,
                       struct error *e);

struct guest_nodes {
    const struct guest_config *cfg;
    unsigned int domid;
    unsigned int console_port, store_port;
    struct disk_backing *backing;
    unsigned int vnc_port; /* 0: no screen */
};

/* All nodes of a new guest, for store_transact: ctx is a struct guest_nodes. */
int guest_store_nodes(struct store *s, void *ctx);

#endif

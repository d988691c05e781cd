/* SPDX-License-Identifier: MIT */
/*
 * Fills the memory of a new 64-bit PV domain, so that it can be unpaused: memory, kernel,
 * initramfs, p2m list, page tables, start info, rings, first vCPU (<xen/xen.h>, "Start-of-day
 * memory layout"). It speaks to any Xen: only libxencall and libxenforeignmemory are used.
 *
 * The caller, in this order:
 *
 *     struct builder b = { 0 };
 *     builder_kernel_open(&b, path, cache, &kernel)    before the domain exists: all that can be
 *                                                      wrong with the file is found here
 *     XEN_DOMCTL_createdomain, max_vcpus, max_mem, CPU policy ...; EVTCHNOP_alloc_unbound for
 *                                                      console and store (dom = the new one)
 *     builder_build(&b, &request, &result)             on failure: destroy the domain, nothing
 *                                                      else of ours is left
 *     builder_kernel_close(kernel)
 *     XEN_DOMCTL_unpausedomain
 *
 * Functions return 0, or -1 with cause and remedy in b.error: one or two sentences without a final
 * full stop or newline. A builder needs no closing.
 */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>

#define BUILDER_CACHE_DIR "/run/orlop/cache"
#define BUILDER_ERROR_MAX 1024

struct builder {
    /* May be NULL. Called with "unpacking kernel", 0 to 100, while a kernel is not in the cache. */
    void (*progress)(void *arg, const char *what, unsigned int percent);
    void *progress_arg;
    char error[BUILDER_ERROR_MAX];
};

enum builder_kind {
    BUILDER_OTHER, /* a PV kernel that says nothing known, such as a micro-guest */
    BUILDER_LINUX,
    BUILDER_GRUB,
    BUILDER_MINIOS
};

const char *builder_kind_name(enum builder_kind kind); /* "Linux", "GRUB" ... */

/*
 * Opens a PV kernel: an ELF file, or a bzImage with a payload in ELF, gzip, xz, zstd or lz4. The
 * unpacked ELF is kept in the directory `cache` (made if missing; NULL: not kept), so that the next
 * opening of the same file unpacks nothing. A cache that cannot be used is no error: the kernel
 * then lives in memory until it is closed.
 */
struct builder_kernel;

int builder_kernel_open(struct builder *b, const char *path, const char *cache,
                        struct builder_kernel **out);
void builder_kernel_close(struct builder_kernel *k); /* NULL is allowed */

enum builder_kind builder_kernel_kind(const struct builder_kernel *k);
const char *builder_kernel_version(const struct builder_kernel *k); /* GUEST_VERSION, or "" */
bool builder_kernel_was_cached(const struct builder_kernel *k);

struct builder_request {
    domid_t domid;
    struct builder_kernel *kernel;
    const char *ramdisk; /* path, or NULL */
    const char *cmdline; /* NULL is "" */

    /*
     * Memory at start, and the most it may ever have (0: the same). The rest of max_kib is shown to
     * the guest by its memory map; XEN_DOMCTL_max_mem is the caller's, and so is
     * max_kib > what the domain's limit allows.
     */
    uint64_t memory_kib, max_kib;

    /* Ports in the guest, and who serves them (grants in the reserved entries go there). */
    evtchn_port_t console_port, store_port;
    domid_t console_domid, store_domid;

    uint32_t start_flags; /* further SIF_ bits of start_info; 0 for a guest */
    uint32_t features;    /* XENFEAT_ bits that the hypervisor offers PV guests; 0: the usual */
};

struct builder_result {
    xen_pfn_t console_mfn, store_mfn; /* for console/ring-ref, store/ring-ref, XS_INTRODUCE */
    xen_pfn_t shared_info_mfn;
    uint64_t nr_pages; /* populated */
    enum builder_kind kind;
    /* Nanoseconds: memory from the hypervisor, copying kernel and initramfs, all the rest. */
    uint64_t populate_ns, load_ns, finish_ns;
};

/*
 * The domain exists, is paused and has max_vcpus >= 1, no memory, and a limit of at least
 * memory_kib. vCPU 0 is left initialised and online, its L4 pinned. The work is done by a child
 * process with handles of its own: the end of a process takes thousands of foreign mappings away
 * much cheaper than munmap does (and they must be gone before the guest runs: what Domain 0 maps
 * writable cannot become a page table).
 */
int builder_build(struct builder *b, const struct builder_request *req,
                  struct builder_result *result);

/*
 * The least memory, in KiB, with which this kernel and a ramdisk of that many bytes start at all
 * (both unpacked lie there together; it is not what a user wants). 0 if it cannot start at all.
 */
uint64_t builder_least_memory(const struct builder_kernel *k, uint64_t ramdisk_bytes);

/* Removes what the cache holds. 0 also if there is none. */
int builder_cache_clear(struct builder *b, const char *cache);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Fills the memory of a new domain, PV, PVH or HVM, so that it can be unpaused: memory, kernel,
 * initramfs, rings, first vCPU; for PV p2m list, page tables, start info (<xen/xen.h>,
 * "Start-of-day memory layout"), for PVH ACPI tables and its start info
 * (<xen/arch-x86/hvm/start_info.h>), for HVM hvmloader in the kernel's place, the BIOS in the
 * initramfs's, and hvm_info_table. It speaks to any Xen: only libxencall and libxenforeignmemory
 * are used.
 *
 * The caller, in this order:
 *
 *     k = builder_kernel_open(path, cache, type, e)   before the domain exists: all that can be
 * wrong with the file is found here XEN_DOMCTL_createdomain, max_vcpus, max_mem, CPU policy ...;
 * EVTCHNOP_alloc_unbound for console and store (dom = the new one) builder_build(&request, &result,
 * e)         on failure: destroy the domain, nothing else is left builder_kernel_close(k)
 *     XEN_DOMCTL_unpausedomain
 */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>

struct error;

#define BUILDER_CACHE_DIR "/run/orlop/cache"

enum builder_kind {
    BUILDER_OTHER, /* a PV kernel that says nothing known, such as a micro-guest */
    BUILDER_LINUX,
    BUILDER_GRUB,
    BUILDER_MINIOS
};

/*
 * How the guest runs: on the hypervisor's interface, or on the processor's virtualisation, without
 * a PC's devices or with them. Of an HVM guest the "kernel" is hvmloader, which is no kernel.
 */
enum builder_type { BUILDER_PV, BUILDER_PVH, BUILDER_HVM };

const char *builder_kind_name(enum builder_kind kind); /* "Linux", "GRUB" ... */

/*
 * Opens a kernel for guests of this type: an ELF file, or a bzImage with a payload in ELF, gzip,
 * xz, zstd or lz4. The unpacked ELF is kept in the directory `cache` (made if missing; NULL: not
 * kept), so that the next opening of the same file unpacks nothing (meanwhile tools/lib's
 * progress() speaks). A cache that cannot be used is no error: the kernel then lives in memory
 * until it is closed. NULL with e.
 */
struct builder_kernel;

struct builder_kernel *builder_kernel_open(const char *path, const char *cache,
                                           enum builder_type type, struct error *e);
void builder_kernel_close(struct builder_kernel *k); /* NULL is allowed */

enum builder_kind builder_kernel_kind(const struct builder_kernel *k);
const char *builder_kernel_version(const struct builder_kernel *k); /* GUEST_VERSION, or "" */
bool builder_kernel_was_cached(const struct builder_kernel *k);

#define BUILDER_PVH_VCPUS 127u

struct builder_request {
    domid_t domid;
    struct builder_kernel *kernel;
    const char *ramdisk; /* path, or NULL; HVM: the BIOS's image */
    const char *cmdline; /* NULL is "" */

    /*
     * Memory at start, and the most it may ever have (0: the same). The rest of max_kib is shown to
     * the guest by its memory map; XEN_DOMCTL_max_mem is the caller's, and so is
     * max_kib > what the domain's limit allows.
     */
    uint64_t memory_kib, max_kib;
    /* PVH and HVM: that there may be, as in its ACPI tables; at most BUILDER_PVH_VCPUS. */
    unsigned int vcpus;
    uint32_t viridian;         /* HVM: HVM_PARAM_VIRIDIAN, before the guest runs */
    unsigned int vcpus_online; /* HVM: the first so many of them are there at its start */

    /* Ports in the guest, and who serves them (grants in the reserved entries go there). */
    evtchn_port_t console_port, store_port;
    domid_t console_domid, store_domid;

    uint32_t start_flags; /* further SIF_ bits of start_info; 0 for a guest */
    uint32_t features;    /* XENFEAT_ bits that the hypervisor offers PV guests; 0: the usual */
};

struct builder_result {
    /* Frames (PVH and HVM: guest frames) for console/ring-ref, store/ring-ref, XS_INTRODUCE. */
    xen_pfn_t console_mfn, store_mfn;
    xen_pfn_t shared_info_mfn; /* PV */
    uint64_t nr_pages;         /* populated */
    enum builder_kind kind;
    /* Nanoseconds: memory from the hypervisor, copying kernel and initramfs, all the rest. */
    uint64_t populate_ns, load_ns, finish_ns;
};

/*
 * The domain exists, is paused and has max_vcpus >= 1, no memory, and a limit of at least
 * memory_kib; a PVH or HVM guest was created so. vCPU 0 is left initialised and online, its L4
 * pinned. The work is done by a child process with handles of its own: the end of a process takes
 * thousands of foreign mappings away much cheaper than munmap does (and they must be gone before
 * the guest runs: what Domain 0 maps writable cannot become a page table). 0, or -1 with e.
 */
int builder_build(const struct builder_request *req, struct builder_result *result,
                  struct error *e);

/*
 * The least memory, in KiB, with which this kernel and a ramdisk of that many bytes start at all
 * (both unpacked lie there together; it is not what a user wants). 0 if it cannot start at all.
 */
uint64_t builder_least_memory(const struct builder_kernel *k, uint64_t ramdisk_bytes);

/* Removes what the cache holds; 0 also if there is none, else -1 with e. */
int builder_cache_clear(const char *cache, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine for host programs: arch.h over plain memory. RAM is one mapping, CPUs are
 * records; a thread acts as the CPU it says it is (host_be), so one thread can play all of them in
 * turn, or several threads one each. Time moves only when the program says so.
 */
#ifndef TESTS_HOST_HOST_H
#define TESTS_HOST_HOST_H

#include <setjmp.h>

#include "core/domain.h"
#include "core/pcpu.h"

#define HOST_MAX_CPUS 8

struct host_cpu {
    struct pcpu p; /* first */
    struct vcpu idle;
    uint64_t deadline; /* the timer's, ~0 none; atomic */
    uint32_t kicked;   /* IPIs received; atomic */
    uint32_t nmis;
    uint64_t switches; /* arch_switch calls */
    /* Cross-call mailbox: who asks sets fn, the CPU clears it; atomic. */
    void (*call_fn)(void *);
    void *call_arg;
    uint32_t called;               /* calls answered */
    const struct domain *in_guest; /* whose vCPU it is running as, with several threads a core;
                                    * atomic */
    uint32_t alive; /* a thread plays this CPU now: it answers calls by itself; atomic */
};

extern struct host_cpu host_cpus[HOST_MAX_CPUS];
extern uint8_t *host_ram;
extern uint64_t host_ram_frames;
extern uint64_t *host_m2p;
extern uint64_t host_time;        /* ns; atomic */
extern void (*host_on_now)(void); /* called once, by the next reading of the clock */
extern bool host_verbose;         /* the log goes to stderr */

/* How the machine went down, if it did: it stops there by a jump to where HOST_CATCH was. */
enum host_end { HOST_RUNS, HOST_PANIC, HOST_REBOOT, HOST_HALT, HOST_POWEROFF };
extern enum host_end host_end;
extern char host_panic_text[512];
extern __thread jmp_buf host_jump;
extern __thread bool host_catching;
/* Runs `statement`; afterwards host_end says whether and how it ended the machine. */
#define HOST_CATCH(statement)         \
    do {                              \
        host_end = HOST_RUNS;         \
        host_catching = true;         \
        if (setjmp(host_jump) == 0) { \
            statement;                \
        }                             \
        host_catching = false;        \
    } while (0)

/* A fresh machine of `frames` frames (frame 0 unused) and `cpus` CPUs; the thread becomes CPU 0. */
void host_boot(uint64_t frames, unsigned int cpus);
/* From now on this thread is CPU `id`. */
void host_be(unsigned int id);
/* Let time pass; timers whose deadline is reached raise their work. */
extern unsigned int host_threads; /* of a core: CPUs of successive numbers */
extern unsigned int host_beside;  /* how often two domains were in guest mode on a core; atomic */
void host_advance(uint64_t ns);
/* The exit path and the idle loop of all CPUs, in turn, until no work is pending. One thread only.
 */
void host_settle(void);
/* The exit path of this thread's CPU: pending work, then what a kick would do. */
void host_exit_path(void);

/* --- toy guests: a linear window of pages from HOST_GUEST_BASE, nothing else --- */
#define HOST_GUEST_BASE 0x10000000ul
#define HOST_GUEST_PAGES 64

#define HOST_GFNS 1024u /* of a mapped toy: its frame numbers are 0 to this - 1 */
#define HOST_STALE 64

struct host_domain {
    struct domain d;                 /* first */
    uint32_t page[HOST_GUEST_PAGES]; /* mfn of each page of the window, 0 none; typed writable */
    /* Of a mapped toy, whose frame numbers are not the machine's. */
    spinlock_t map_lock;        /* RANK_P2M */
    uint32_t map[HOST_GFNS];    /* [map_lock] mfn behind each number, 0 none */
    uint32_t stale[HOST_STALE]; /* [map_lock] taken away, and still in some CPU's memory */
    uint32_t nr_stale;          /* [map_lock] */
};

/*
 * From now on domains of odd ids are mapped toys (GUEST_HVM): each frame that they get is to be
 * placed in a map of their own, and the numbers that they use in hypercalls are its. False at boot.
 */
extern bool host_mixed;
/* The frame behind a number that d uses, or NULL: what the door should give. */
struct frame *host_frame(struct domain *d, uint64_t gfn);
/* One page more of d's, at a free number; false: no memory. */
bool host_give_page(struct domain *d);

/* A domain with vCPUs (down, initialised) and `pages` pages of window; privileged: it is dom0. */
struct domain *host_domain(domid_t id, unsigned int vcpus, unsigned int pages, bool privileged);
/* Bring vCPU up and let it run on CPU `cpu` (it must be free). */
struct vcpu *host_up(struct domain *d, unsigned int vcpu);
/* The window's address of page i, and the memory behind it. */
#define HOST_PAGE(i) (HOST_GUEST_BASE + (unsigned long)(i)*PAGE_SIZE)
void *host_guest(struct domain *d, unsigned long addr);
/* The domain's page i, as machine frame; and the number by which it knows it. */
mfn_t host_guest_mfn(struct domain *d, unsigned int i);
uint64_t host_guest_gfn(struct domain *d, unsigned int i);

/* A hypercall by v, repeated while it restarts; pending work is done between as on the exit path.
 */
long host_call(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1,
               unsigned long a2, unsigned long a3);

/* Fails every n-th allocation of a frame from now on; 0 stops that. */
extern unsigned int host_fail_every;

#endif

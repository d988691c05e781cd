/* SPDX-License-Identifier: MIT */
/* Every limit of the system, on one page. */
#ifndef CORE_PARAM_H
#define CORE_PARAM_H

#define MAX_CPUS 256                /* processors of the machine */
#define MAX_MFN (5ull << 28)        /* 5 TiB of machine memory, in frames */
#define MAX_VCPUS 128               /* vCPUs of one domain */
#define MAX_DOMAINS 32752           /* domain ids below DOMID_FIRST_RESERVED (0x7FF0) */
#define CONRING_SIZE 65536          /* bytes of console ring; a power of two */
#define MAX_MODULES 8               /* boot modules looked at */
#define MAX_MEMMAP 128              /* entries of the firmware's memory map */
#define MAX_EVTCHNS_2L 4096         /* ports of a 64-bit guest with 2-level events */
#define MAX_GRANT_FRAMES 128        /* frames of a domain's grant table, 512 grants each */
#define DEFAULT_GRANT_FRAMES 64     /* of these, unless createdomain says otherwise */
#define MAX_MAPTRACK_FRAMES 4096    /* of records of the grants it maps, 256 each; Dom0's limit */
#define DEFAULT_MAPTRACK_FRAMES 256 /* of these, unless createdomain says otherwise */
#define NR_WATCHDOGS 2              /* watchdog timers of a domain */
#define MAX_EXTENT_ORDER_DOM0 18    /* of memory_op's extents: 1 GiB */
#define MAX_EXTENT_ORDER 9          /* of other domains: 2 MiB */
#define PREEMPT_BUDGET 512 /* thousands of instructions that a long operation does in one go */

/* CPU pools; number 0 is always there. CPUPOOL_NONE is the pool of CPUs that are in none. */
#define MAX_CPUPOOLS 32
#define CPUPOOL_NONE MAX_CPUPOOLS
#define CPUPOOL_OFFLINE (MAX_CPUPOOLS + 1) /* the same for those that a tool took offline */

#endif

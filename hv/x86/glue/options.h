/* SPDX-License-Identifier: MIT */
/* The command line's options, parsed once. */
#ifndef X86_GLUE_OPTIONS_H
#define X86_GLUE_OPTIONS_H

#include <stdbool.h>

#include "lib/cmdline.h"
#include "x86/cpu/spec.h"

struct options {
    const char *com[2];       /* com1=, com2=; NULL: default */
    unsigned int console_com; /* 1, 2: where the log goes; 0: to none of them */
    bool console_vga;
    const char *console_wrong; /* what console= says and is not there; NULL: nothing */
    bool smap, smep;
    struct spec_wish spec; /* spec-ctrl=all, xpti= */
    int x2apic;            /* -1 not given */
    unsigned int maxcpus;
    const char *tsc; /* "stable", "unstable", or NULL */
    bool vga_keep;
    bool efi_alone;         /* efi=no-rs: UEFI's runtime services are not called */
    const char *crash_test; /* NULL: none; see glue/crash_test.h */
    bool dom0_pvh;          /* dom0=pvh */
    struct cmdline_dom0_mem dom0_mem;
    unsigned int dom0_min_vcpus, dom0_max_vcpus;
    bool sched_core;     /* a core runs one domain at a time (core/sched_core.h) */
    bool dom0_vcpus_pin; /* vCPU n of Domain 0 stays on CPU n */
};
extern struct options options;

/* What the console needs, before anything can be said. */
void options_early(const char *cmdline);
/* Everything; what is wrong or unknown is named in the log. */
void options_parse(const char *cmdline);

/* If o is an option of Xen's that changes nothing here, says so (options_known.c); *why as below.
 */
struct cmdline_opt;
bool options_known(const struct cmdline_opt *o, const char **why);

/* If o is one of the scheduler's, follows it (options_sched.c): *why says what is wrong, or NULL.
 */
bool options_sched(const struct cmdline_opt *o, const char **why);

#endif

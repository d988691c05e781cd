/* SPDX-License-Identifier: MIT */
/*
 * Words for a filter of system calls (seccomp(2)), as one statement after the other in an array of
 * struct sock_filter. Jumps count the statements that are left out.
 */
#ifndef TOOLS_SECCOMP_H
#define TOOLS_SECCOMP_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#define SC_LOAD(f) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, f))
#define SC_RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define SC_REFUSE(err) SC_RETURN(SECCOMP_RET_ERRNO | (err))
#define SC_UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))

struct sc_filter {
    struct sock_filter *f;
    unsigned short n;
};

static inline void sc_add(struct sc_filter *to, struct sock_filter f)
{
    to->f[to->n++] = f;
}
#define SC_ADD(to, ...) sc_add(to, (struct sock_filter)__VA_ARGS__)

/* The beginning, five statements: death by any other ABI, x32 included; then the call's number. */
static inline void sc_begin(struct sc_filter *to)
{
    SC_ADD(to, SC_LOAD(arch));
    SC_ADD(to, SC_UNLESS(AUDIT_ARCH_X86_64, 1));
    SC_ADD(to, SC_LOAD(nr));
    SC_ADD(to, BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
    SC_ADD(to, SC_RETURN(SECCOMP_RET_KILL_PROCESS));
}

/* These calls are allowed, whatever their arguments: two statements each. */
static inline void sc_allow(struct sc_filter *to, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        SC_ADD(to, SC_UNLESS((uint32_t)calls[i], 1));
        SC_ADD(to, SC_RETURN(SECCOMP_RET_ALLOW));
    }
}

/* In force from here on. 0 or -errno. */
static inline int sc_install(const struct sc_filter *from)
{
    struct sock_fprog prog = { .filter = from->f, .len = from->n };

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -errno : 0;
}

#endif

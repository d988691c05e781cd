/* SPDX-License-Identifier: MIT */
/*
 * Confinement: user and groups, resource limits, then a filter of system calls, which is the last
 * step because it forbids the others.
 */
#define _GNU_SOURCE
#include "tools/builder/confine.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/macros.h"
#include "tools/lib/seccomp.h"

#define NOBODY 65534
#define MEMORY \
    (448ull << 20)      /* of liblzma at its limit, or of zstd's largest window, and buffers */
#define CPU_SECONDS 300 /* a kernel of 1 GiB by an emulated CPU */

static const int calls[] = {
    SYS_pwrite64,  SYS_write,        SYS_ftruncate,   SYS_brk,           SYS_mmap,       SYS_munmap,
    SYS_mremap,    SYS_mprotect,     SYS_madvise,     SYS_clock_gettime, SYS_futex,      SYS_gettid,
    SYS_getrandom, SYS_rt_sigreturn, SYS_sigaltstack, SYS_exit,          SYS_exit_group,
};

static int filter_calls(void)
{
    struct sock_filter statements[16 + 2 * ARRAY_SIZE(calls)];
    struct sc_filter f = { .f = statements };

    sc_begin(&f);
    sc_allow(&f, calls, ARRAY_SIZE(calls));
    SC_ADD(&f, SC_UNLESS(SYS_ioctl, 3)); /* whether stderr is a terminal */
    SC_ADD(&f, SC_LOAD(args[1]));
    SC_ADD(&f, SC_UNLESS(TCGETS, 1));
    SC_ADD(&f, SC_RETURN(SECCOMP_RET_ALLOW));
    SC_ADD(&f, SC_RETURN(SECCOMP_RET_KILL_PROCESS));
    return sc_install(&f);
}

static int limit(int what, uint64_t value)
{
    struct rlimit now, r = { .rlim_cur = value, .rlim_max = value };

    if (getrlimit(what, &now) == 0 && now.rlim_max < value)
        r = (struct rlimit){ .rlim_cur = now.rlim_max, .rlim_max = now.rlim_max };
    return setrlimit(what, &r) ? -errno : 0;
}

/* Bytes of data that this process has now: its limit begins there. */
static uint64_t data_now(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (uint64_t)pages * 4096;
}

static int limit_all(uint64_t max_bytes)
{
    static const struct {
        int what;
        uint64_t value;
    } fixed[] = { { RLIMIT_CORE, 0 },    { RLIMIT_NOFILE, 0 },        { RLIMIT_NPROC, 0 },
                  { RLIMIT_MEMLOCK, 0 }, { RLIMIT_CPU, CPU_SECONDS }, { RLIMIT_MSGQUEUE, 0 } };
    int rc = limit(RLIMIT_DATA, data_now() + MEMORY);

    rc = rc ? rc : limit(RLIMIT_FSIZE, max_bytes);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(fixed); i++)
        rc = limit(fixed[i].what, fixed[i].value);
    return rc;
}

static int drop_privileges(void)
{
    if (geteuid() != 0)
        return 0; /* the caller has none to drop */
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY))
        return -errno;
    return 0;
}

/* All but 2 and the one given. */
static int close_others(int fd)
{
    if (close_range(0, 1, 0) || (fd > 3 && close_range(3, (unsigned int)fd - 1, 0)) ||
        close_range((unsigned int)(fd > 2 ? fd + 1 : 3), ~0u, 0))
        return -errno;
    return 0;
}

int confine(int fd, uint64_t max_bytes)
{
    int rc;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0))
        return -errno;
    rc = limit_all(max_bytes); /* reads a file, which later it cannot */
    rc = rc ? rc : close_others(fd);
    rc = rc ? rc : drop_privileges();
    return rc ? rc : filter_calls();
}

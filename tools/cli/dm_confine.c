/* SPDX-License-Identifier: MIT */
/*
 * A list of system calls that are refused, not one of those that are allowed: what QEMU calls is
 * its own and its libraries' business and changes with them. It must not have new processes
 * (threads it has), look into others, change file systems or load code into the kernel; most of it
 * its user could not do anyway.
 */
#define _GNU_SOURCE
#include "tools/cli/dm_confine.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tools/lib/seccomp.h"

#define FILE_LIMIT (64ul << 20) /* its log, the serial line's file */
#define THREAD_LIMIT 256ul      /* of its user, which is this guest's alone */

static const int refused[] = {
    SYS_fork,
    SYS_vfork,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_open_by_handle_at,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_iopl,
    SYS_ioperm,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
};
#define NR_REFUSED (sizeof(refused) / sizeof(refused[0]))

static int filter_calls(void)
{
    struct sock_filter statements[16 + 2 * NR_REFUSED];
    struct sc_filter f = { .f = statements };

    sc_begin(&f);
    for (unsigned int i = 0; i < NR_REFUSED; i++) {
        SC_ADD(&f, SC_UNLESS((uint32_t)refused[i], 1));
        SC_ADD(&f, SC_REFUSE(EPERM));
    }
    SC_ADD(&f,
           SC_UNLESS(SYS_clone3, 1)); /* its flags cannot be seen here; glibc calls clone then */
    SC_ADD(&f, SC_REFUSE(ENOSYS));
    SC_ADD(&f, SC_UNLESS(SYS_clone, 3));
    SC_ADD(&f, SC_LOAD(args[0]));
    SC_ADD(&f, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    SC_ADD(&f, SC_REFUSE(EPERM));
    SC_ADD(&f, SC_RETURN(SECCOMP_RET_ALLOW));
    return sc_install(&f);
}

int dm_confine(void)
{
    struct rlimit files = { FILE_LIMIT, FILE_LIMIT }, none = { 0, 0 };
    struct rlimit threads = { THREAD_LIMIT, THREAD_LIMIT };

    if (unshare(CLONE_NEWNET | CLONE_NEWIPC) || setrlimit(RLIMIT_FSIZE, &files) ||
        setrlimit(RLIMIT_CORE, &none) || setrlimit(RLIMIT_NPROC, &threads) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    return filter_calls();
}

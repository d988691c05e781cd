/* SPDX-License-Identifier: MIT */
/*
 * A 32-bit program without a library: system calls by int 0x80 and by the vDSO's fast entry
 * (SYSENTER or SYSCALL, as Linux chose for this CPU's vendor), which must agree.
 */
typedef unsigned int u32;

#define AT_SYSINFO 32
#define NR_EXIT 1
#define NR_WRITE 4
#define NR_GETPID 20
#define NR_MMAP2 192

static u32 vsyscall;

static int int80(int nr, u32 a, u32 b, u32 c)
{
    int ret;

    __asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
    return ret;
}

static int fast(int nr, u32 a, u32 b, u32 c)
{
    int ret;

    __asm__ volatile("call *%5"
                     : "=a"(ret)
                     : "a"(nr), "b"(a), "c"(b), "d"(c), "m"(vsyscall)
                     : "memory");
    return ret;
}

/* Six arguments: the last one travels in EBP, which the fast entries need for themselves. */
static u32 fast_mmap(u32 length)
{
    u32 args[6] = { 0, length, 3 /* read, write */, 0x22 /* private, anonymous */, -1U, 0 };
    u32 ret;

    __asm__ volatile(
        "push %%ebp; push %%ebx; mov %2, %%ebp; mov 0(%%eax), %%ebx; mov 4(%%eax), %%ecx;"
        "mov 8(%%eax), %%edx; mov 12(%%eax), %%esi; mov 16(%%eax), %%edi;"
        "push %%ebp; mov 20(%%eax), %%ebp; mov $192, %%eax; call *(%%esp); add $4, %%esp;"
        "pop %%ebx; pop %%ebp"
        : "=a"(ret)
        : "0"(args), "r"(vsyscall)
        : "ecx", "edx", "esi", "edi", "memory");
    return ret;
}

static void say(const char *s)
{
    u32 n = 0;

    while (s[n])
        n++;
    int80(NR_WRITE, 1, (u32)s, n);
}

static void check(int good, const char *what)
{
    if (good)
        return;
    say("compat32: failed: ");
    say(what);
    say("\n");
    int80(NR_EXIT, 1, 0, 0);
}

__attribute__((used)) void start(u32 *stack)
{
    u32 *p = stack + 1 + stack[0] + 1;

    while (*p)
        p++;
    for (p++; p[0]; p += 2)
        if (p[0] == AT_SYSINFO)
            vsyscall = p[1];
    check(vsyscall != 0, "no AT_SYSINFO");
    int pid = int80(NR_GETPID, 0, 0, 0);
    check(pid > 0, "getpid by int 0x80");
    for (int i = 0; i < 100000; i++)
        check(fast(NR_GETPID, 0, 0, 0) == pid, "getpid by the fast entry");
    check(fast(9999, 0, 0, 0) == -38, "an unknown call by the fast entry");
    check(int80(9999, 0, 0, 0) == -38, "an unknown call by int 0x80");
    u32 *page = (u32 *)fast_mmap(0x10000);
    check((u32)page < 0xfffff000U, "mmap2 by the fast entry");
    page[0] = 1, page[0x3fff] = 2;
    check(page[0] + page[0x3fff] == 3, "mapped memory");
    say("compat32: int 0x80 and the fast entry agree\n");
    int80(NR_EXIT, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %esp, %eax; and $-16, %esp; sub $12, %esp; push %eax; call "
        "start\n");

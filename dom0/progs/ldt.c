/* SPDX-License-Identifier: MIT */
/* modify_ldt: segments with base and limit work, survive fork, and fault once they are removed. */
#include <asm/ldt.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 600 /* more than one page of LDT */

static sigjmp_buf escape;

static void check(int good, const char *what)
{
    if (good)
        return;
    printf("ldt: failed: %s (errno %d)\n", what, errno);
    exit(1);
}

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(escape, 1);
}

static int set_entry(unsigned int number, void *base, unsigned int limit, int empty)
{
    struct user_desc d = {
        .entry_number = number,
        .base_addr = (uintptr_t)base,
        .limit = limit,
        .seg_32bit = 1,
        .useable = 1,
    };

    if (empty) {
        memset(&d, 0, sizeof(d));
        d.entry_number = number;
        d.read_exec_only = 1;
        d.seg_not_present = 1;
    }
    return syscall(SYS_modify_ldt, 0x11, &d, sizeof(d));
}

static uint32_t read_gs(unsigned int number, uint32_t offset)
{
    uint32_t value;

    /* %fs is the C library's thread pointer; %gs is free. */
    __asm__ volatile("mov %1, %%gs; mov %%gs:(%2), %0; mov %3, %%gs"
                     : "=r"(value)
                     : "r"(number * 8 + 7), "r"((uint64_t)offset), "r"(0)
                     : "memory");
    return value;
}

static uint32_t limit_of(unsigned int number)
{
    uint64_t limit = 0;
    uint8_t ok;

    __asm__ volatile("lsl %2, %0; setz %1" : "+r"(limit), "=q"(ok) : "r"((uint64_t)number * 8 + 7));
    return ok ? limit : 0;
}

int main(void)
{
    static uint8_t table[ENTRIES * 8];
    uint32_t *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    int status;

    check(page != MAP_FAILED, "mmap");
    signal(SIGSEGV, on_fault);
    for (unsigned int i = 0; i < 1000; i++)
        page[i] = i * 7;
    for (unsigned int i = 0; i < ENTRIES; i++)
        check(set_entry(i, page + i, i, 0) == 0, "modify_ldt: set");
    check(syscall(SYS_modify_ldt, 0, table, sizeof(table)) == sizeof(table), "modify_ldt: read");
    for (unsigned int i = 0; i < ENTRIES; i += 37) {
        check(read_gs(i, 4) == (i + 1) * 7, "value through a segment's base");
        check(limit_of(i) == i, "limit by LSL");
    }
    if (!fork()) {
        for (unsigned int i = 0; i < ENTRIES; i += 37)
            check(read_gs(i, 4) == (i + 1) * 7, "the child's inherited LDT");
        _exit(7);
    }
    check(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child");
    check(set_entry(37, NULL, 0, 1) == 0, "modify_ldt: remove");
    if (!sigsetjmp(escape, 1)) {
        read_gs(37, 0);
        check(0, "a removed segment could be loaded");
    }
    check(read_gs(74, 4) == 75 * 7, "the other segments after a fault");
    printf("ldt: %d segments work\n", ENTRIES);
    return 0;
}

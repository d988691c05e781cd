/* SPDX-License-Identifier: MIT */
/* arch_prctl and FSGSBASE: each thread's FS and GS bases stay its own across switches. */
#include <asm/prctl.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS 3000

static int fsgsbase;

static void check(int good, const char *what)
{
    if (good)
        return;
    printf("archprctl: failed: %s (errno %d)\n", what, errno);
    exit(1);
}

static uint64_t load_gs(void)
{
    uint64_t value;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    return value;
}

static uint64_t rdgsbase(void)
{
    uint64_t value;

    __asm__ volatile("rdgsbase %0" : "=r"(value));
    return value;
}

static void *thread(void *arg)
{
    uint64_t cells[2] = { (uintptr_t)arg, ~(uintptr_t)arg }, base;
    uint64_t fs;

    check(!syscall(SYS_arch_prctl, ARCH_GET_FS, &fs), "ARCH_GET_FS");
    check(fs == (uintptr_t)pthread_self(), "FS base is the thread's");
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t *cell = &cells[i & 1];

        if (fsgsbase && i % 3 == 0)
            __asm__ volatile("wrgsbase %0" : : "r"(cell));
        else
            check(!syscall(SYS_arch_prctl, ARCH_SET_GS, cell), "ARCH_SET_GS");
        check(load_gs() == *cell, "load through GS");
        sched_yield();
        check(load_gs() == *cell, "load through GS after a switch");
        check(!syscall(SYS_arch_prctl, ARCH_GET_GS, &base) && base == (uintptr_t)cell,
              "ARCH_GET_GS");
        check(!fsgsbase || rdgsbase() == (uintptr_t)cell, "rdgsbase");
    }
    check(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ULL << 63) == -1 && errno == EPERM,
          "a base in the kernel's half is refused");
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    fsgsbase = (getauxval(AT_HWCAP2) >> 1) & 1;
    for (uintptr_t i = 0; i < THREADS; i++)
        check(!pthread_create(&threads[i], NULL, thread, (void *)(i + 1)), "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("archprctl: %d threads keep their bases (FSGSBASE %s)\n", THREADS,
           fsgsbase ? "offered" : "not offered");
    return 0;
}

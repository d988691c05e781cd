/* SPDX-License-Identifier: MIT */
/* Nothing here runs unless crash-test= names it. No locks but the one that `lock` leaves held. */
#include "x86/glue/crash_test.h"

#include "core/arch.h"
#include "core/bug.h"
#include "core/pcpu.h"
#include "lib/strutil.h"
#include "x86/cpu/ops.h"
#include "x86/layout.h"

/* Nothing is mapped there: the end of vmap's range. */
#define NOWHERE ((volatile uint32_t *)(VMAP_END - 8))

static void fault(void)
{
    *NOWHERE = 1;
}

static void plain_panic(void)
{
    panic("crash-test=panic");
}

static void stack(void)
{
    __asm__ volatile("1: push %%rax; jmp 1b" ::: "memory");
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

static void lock(void)
{
    static spinlock_t l = SPINLOCK_INIT(RANK_CONSOLE);

    l.next++; /* held by nobody */
    l.owner = 1;
    spin_lock(&l);
}

static void hang_here(void *unused)
{
    (void)unused;
    for (;;)
        cpu_pause();
}

static void hang(void)
{
    static struct timer t;

    timer_init(&t, hang_here, NULL);
    timer_set(&t, pcpus[nr_pcpus - 1], arch_now() + 3000000000ull);
}

static const struct {
    const char *word;
    void (*fn)(void);
} late[] = { { "fault", fault },  { "panic", plain_panic }, { "stack", stack },
             { "ud", undefined }, { "lock", lock },         { "hang", hang } };

bool crash_test_known(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(late); i++)
        if (str_eq(word, late[i].word))
            return true;
    return str_eq(word, "early");
}

void crash_test_early(const char *word)
{
    if (word && str_eq(word, "early"))
        fault();
}

void crash_test_late(const char *word)
{
    for (size_t i = 0; word && i < ARRAY_SIZE(late); i++)
        if (str_eq(word, late[i].word))
            late[i].fn();
}

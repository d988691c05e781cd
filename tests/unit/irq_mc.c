/* SPDX-License-Identifier: MIT */
/* Machine checks: what is fatal, what is logged and cleared, what waits in its bank. */
#include <setjmp.h>

#include "machine.h"

#include "x86/cpu/mc.c"

#define BANK2(what) (0x400 + 4 * 2 + (what))

static bool panicked, panic_mode;
static jmp_buf after_panic;

bool panic_in_progress(void)
{
    return false;
}

void log_panic_mode(void)
{
    panic_mode = true;
}

void panic_regs(struct x86_regs *regs, const char *fmt, ...)
{
    (void)regs;
    (void)fmt;
    panicked = true;
    longjmp(after_panic, 1);
}

static const struct host_cpuid with_mca[] = { { 1, ~0u, 0x663, 0, 0, 0x4080 },
                                              { ~0u, ~0u, 0, 0, 0, 0 } };
static const struct host_cpuid without[] = { { ~0u, ~0u, 0, 0, 0, 0 } };

/* Ten banks, nothing in them. */
static void machine(const struct host_cpuid *cpuid_rows, uint64_t cap)
{
    host_machine = (struct host_machine){ .cpuid = cpuid_rows };
    struct host_msr *m = host_machine.msr;

    *m++ = (struct host_msr){ MSR_MCG_CAP, cap, true };
    *m++ = (struct host_msr){ MSR_MCG_STATUS, 0, false };
    for (uint32_t i = 0x400; i < 0x400 + 40; i++)
        *m++ = (struct host_msr){ i, 0, false };
    host_machine.nr_msr = (unsigned int)(m - host_machine.msr);
    nr_banks = 0;
    recovery = false;
    machine_log[0] = 0;
    panicked = panic_mode = false;
}

static void happens(uint64_t global, uint64_t status)
{
    struct x86_regs regs = { 0 };

    wrmsr(MSR_MCG_STATUS, global);
    wrmsr(BANK2(1), status);
    wrmsr(BANK2(2), 0x1234000);
    if (!setjmp(after_panic))
        mc_exception(&regs);
}

TEST(fatal_or_not)
{
    const uint64_t val = MC_STATUS_VAL, uc = val | MC_STATUS_UC;

    CHECK(!mc_fatal(0, false));
    CHECK(!mc_fatal(~val, false));
    CHECK(!mc_fatal(val | MC_STATUS_PCC, true));
    CHECK(mc_fatal(uc, false));
    CHECK(mc_fatal(uc | MC_STATUS_PCC, true));
    CHECK(!mc_fatal(uc, true));
    CHECK(!mc_fatal(uc | MC_STATUS_S, true));
    CHECK(mc_fatal(uc | MC_STATUS_S | MC_STATUS_AR, true));
}

TEST(banks_are_switched_on_and_old_errors_told)
{
    machine(with_mca, 10 | CAP_CTL);
    wrmsr(BANK2(1), MC_STATUS_VAL | MC_STATUS_ADDRV);
    wrmsr(BANK2(2), 0xabc000);
    mc_init_cpu();
    CHECK_EQ(nr_banks, 10);
    CHECK_EQ(rdmsr(BANK2(0)), ~0ull);
    CHECK_EQ(rdmsr(BANK2(1)), 0);
    CHECK(strstr(machine_log, "bank 2: corrected"));
    CHECK(strstr(machine_log, "address abc000"));
    CHECK(strstr(machine_log, "from before this boot"));
    machine(without, 10);
    mc_init_cpu();
    CHECK_EQ(nr_banks, 0);
}

TEST(corrected_waits_for_the_poll)
{
    machine(with_mca, 10);
    mc_init_cpu();
    happens(MC_GLOBAL_RIPV | MC_GLOBAL_MCIP, MC_STATUS_VAL);
    CHECK(!panicked);
    CHECK_EQ(rdmsr(MSR_MCG_STATUS), 0);
    CHECK(!strstr(machine_log, "bank 2"));
    mc_poll();
    CHECK(strstr(machine_log, "bank 2: corrected"));
    CHECK_EQ(rdmsr(BANK2(1)), 0);
}

TEST(fatal_panics_and_shows_the_bank)
{
    machine(with_mca, 10);
    mc_init_cpu();
    happens(MC_GLOBAL_RIPV | MC_GLOBAL_MCIP,
            MC_STATUS_VAL | MC_STATUS_UC | MC_STATUS_PCC | MC_STATUS_ADDRV);
    CHECK(panicked && panic_mode);
    CHECK(strstr(machine_log, "uncorrected, processor context corrupt"));
    CHECK(strstr(machine_log, "address 1234000"));
    /* No way back to what was interrupted. */
    machine(with_mca, 10);
    mc_init_cpu();
    happens(MC_GLOBAL_MCIP, MC_STATUS_VAL);
    CHECK(panicked);
    /* An exception on a processor that was not asked about its banks. */
    machine(without, 0);
    happens(MC_GLOBAL_RIPV, 0);
    CHECK(panicked);
}

/* SPDX-License-Identifier: MIT */
/*
 * Machine checks: banks are read by the exception of each CPU, on its own stack, and polled for
 * what was corrected. The exception takes no lock: what is not fatal stays in its bank for
 * mc_poll(), and a panic writes without the log's.
 */
#include "x86/cpu/mc.h"

#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/panic.h"

#define CAP_BANKS 0xff
#define CAP_CTL (1ull << 8)
#define CAP_RECOVERY (1ull << 24) /* MCG_SER_P */
#define MAX_BANKS 64u

#define CPUID_1_EDX_MCE (1u << 7)
#define CPUID_1_EDX_MCA (1u << 14)

static unsigned int nr_banks; /* of the first CPU; 0: no machine-check architecture */
static bool recovery;

bool mc_fatal(uint64_t status, bool ser)
{
    if (!(status & MC_STATUS_VAL) || !(status & MC_STATUS_UC))
        return false;
    if (status & MC_STATUS_PCC)
        return true;
    /* Uncorrected and nobody has used it: its reader will meet it again. */
    return !ser || (status & (MC_STATUS_S | MC_STATUS_AR)) == (MC_STATUS_S | MC_STATUS_AR);
}

static uint64_t bank_status(unsigned int bank)
{
    uint64_t s = 0;

    return rdmsr_safe(MSR_MC_STATUS(bank), &s) && (s & MC_STATUS_VAL) ? s : 0;
}

static void show_bank(unsigned int bank, uint64_t status)
{
    uint64_t addr = 0, misc = 0;

    if (status & MC_STATUS_ADDRV)
        rdmsr_safe(MSR_MC_ADDR(bank), &addr);
    if (status & MC_STATUS_MISCV)
        rdmsr_safe(MSR_MC_MISC(bank), &misc);
    log_err("Machine check on CPU %u, bank %u: %s%s%s, status %016lx address %lx misc %lx",
            this_cpu_id(), bank, status & MC_STATUS_UC ? "uncorrected" : "corrected",
            status & MC_STATUS_PCC ? ", processor context corrupt" : "",
            status & MC_STATUS_OVER ? ", more were lost" : "", status, addr, misc);
}

static unsigned int show_banks(bool clear)
{
    unsigned int shown = 0;

    for (unsigned int i = 0; i < nr_banks; i++) {
        uint64_t s = bank_status(i);
        if (!s)
            continue;
        show_bank(i, s);
        shown++;
        if (clear)
            wrmsr_safe(MSR_MC_STATUS(i), 0);
    }
    return shown;
}

void mc_poll(void)
{
    show_banks(true);
}

void mc_init_cpu(void)
{
    uint32_t a, b, c, d;
    uint64_t cap = 0;

    cpuid(1, 0, &a, &b, &c, &d);
    if (!(d & CPUID_1_EDX_MCE) || !(d & CPUID_1_EDX_MCA) || !rdmsr_safe(MSR_MCG_CAP, &cap))
        return;
    if (!nr_banks) {
        nr_banks = MIN((unsigned int)(cap & CAP_BANKS), MAX_BANKS);
        recovery = cap & CAP_RECOVERY;
    }
    if (show_banks(true))
        log_warn("CPU %u: these machine checks are from before this boot", this_cpu_id());
    if (cap & CAP_CTL)
        wrmsr_safe(MSR_MCG_CTL, ~0ull);
    for (unsigned int i = 0; i < nr_banks; i++)
        wrmsr_safe(MSR_MC_CTL(i), ~0ull);
}

/*
 * What is not fatal stays in its bank, where mc_poll() finds it: the interrupted code may hold the
 * log's lock.
 */
void mc_exception(struct x86_regs *regs)
{
    uint64_t global = 0;
    bool fatal = !nr_banks || !rdmsr_safe(MSR_MCG_STATUS, &global) || !(global & MC_GLOBAL_RIPV);

    for (unsigned int i = 0; i < nr_banks; i++)
        fatal |= mc_fatal(bank_status(i), recovery);
    if (!fatal) {
        wrmsr_safe(MSR_MCG_STATUS, 0);
        return;
    }
    if (!panic_in_progress()) {
        log_panic_mode();
        show_banks(false);
    }
    panic_regs(regs, "Machine check (global status %#lx)", global);
}

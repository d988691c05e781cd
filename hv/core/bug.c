/* SPDX-License-Identifier: MIT */
/*
 * panic(): the words of the first CPU that gives up. Takes no lock, since one that is held may
 * never be given back; the log goes without its own from here on.
 */
#include "core/bug.h"

#include "core/arch.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "lib/format.h"

void panic(const char *fmt, ...)
{
    static char msg[512];
    static uint32_t entered;
    const struct pcpu *p = arch_this_cpu();
    va_list ap;

    /* A panic inside the panic, or on a second CPU, leaves the first one's words alone. */
    if (__atomic_fetch_add(&entered, 1, __ATOMIC_SEQ_CST) != 0)
        arch_panic("(another panic)");
    log_panic_mode();
    va_start(ap, fmt);
    fmt_vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    log_err("****************************************");
    log_err("Panic on CPU %u:", p ? p->id : 0);
    log_err("%s", msg);
    log_err("****************************************");
    arch_panic(msg);
}

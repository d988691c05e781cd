/* SPDX-License-Identifier: MIT */
/*
 * The console_io hypercall, and who gets what comes in by the serial line: Domain 0, or the
 * debug keys after three times Ctrl-A. Input waits in a ring under `lock` (RANK_CONSOLE); what
 * does not fit is dropped.
 */
#include "core/console.h"

#include "core/evtchn.h"
#include "core/hypercall.h"
#include "core/keys.h"
#include "core/log.h"

#define SWITCH_CHAR 1 /* Ctrl-A */
#define SWITCH_COUNT 3
#define INPUT_SIZE 1024
#define CHUNK 256

static spinlock_t lock = SPINLOCK_INIT(RANK_CONSOLE);
static char input[INPUT_SIZE];    /* [lock] bytes for Dom0 */
static uint32_t in_prod, in_cons; /* [lock] free running */
static unsigned int switch_seen;  /* [lock] Ctrl-A in a row */
static bool to_keys;              /* [lock] input goes to the debug keys */

/* Stores a byte for Dom0; a full buffer drops it. */
static void store(uint8_t c)
{
    if (in_prod - in_cons < INPUT_SIZE)
        input[in_prod++ % INPUT_SIZE] = (char)c;
}

/* True when c completed the switch between Dom0 and keys. */
static bool is_switch(uint8_t c)
{
    if (c != SWITCH_CHAR) {
        switch_seen = 0;
        return false;
    }
    if (++switch_seen < SWITCH_COUNT)
        return false;
    switch_seen = 0;
    to_keys = !to_keys;
    return true;
}

void console_input(uint8_t c)
{
    bool keys, switched;

    spin_lock(&lock);
    switched = is_switch(c);
    keys = to_keys;
    if (!keys && !switched)
        store(c);
    spin_unlock(&lock);
    if (switched)
        log_info("*** Serial input to %s (type 'CTRL-a' three times to switch input)",
                 keys ? "the debug keys" : "DOM0");
    else if (keys && c != SWITCH_CHAR)
        keys_press((char)c);
    else if (!keys && dom0)
        evtchn_send_global_virq(dom0, VIRQ_CONSOLE);
}

size_t console_take(char *buf, size_t n)
{
    size_t i;

    spin_lock(&lock);
    for (i = 0; i < n && in_cons != in_prod; i++)
        buf[i] = input[in_cons++ % INPUT_SIZE];
    spin_unlock(&lock);
    return i;
}

static long console_write(struct vcpu *v, unsigned long count, unsigned long buf)
{
    char text[CHUNK];

    while (count > 0) {
        size_t n = MIN(count, (unsigned long)CHUNK);

        if (guest_read(v, text, GPTR(buf), n))
            return E(EFAULT);
        log_guest_text(v->domain, text, n);
        buf += n;
        count -= n;
        if (hc_preempt(32) && count > 0)
            return hc_restart(v, HC_ARGS(CONSOLEIO_write, count, buf));
    }
    return 0;
}

static long console_read(struct vcpu *v, unsigned long count, unsigned long buf)
{
    char text[CHUNK];
    size_t n, total = 0;

    /* Progress is bounded by the buffer's size. */
    while (total < count && (n = console_take(text, MIN(count - total, (size_t)CHUNK))) > 0) {
        if (guest_write(v, GPTR(buf + total), text, n))
            return E(EFAULT);
        total += n;
    }
    return (long)total;
}

long hc_console_io(struct vcpu *v, const struct hc_args *args)
{
    unsigned long count = args->a[1];
    unsigned long buf = args->a[2];

    count = (uint32_t)count;
    switch ((uint32_t)args->a[0]) {
    case CONSOLEIO_write:
        return count > INT32_MAX ? E(EINVAL) : console_write(v, count, buf);
    case CONSOLEIO_read: /* the machine's own input */
        if (!access_host(v->domain))
            return E(EPERM);
        /* The result has to fit an int. */
        return count > INT32_MAX ? E(E2BIG) : console_read(v, count, buf);
    default:
        return E(ENOSYS);
    }
}

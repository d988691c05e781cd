/* SPDX-License-Identifier: MIT */
/* Output by console_io, the verdict, the command line. */
#include "guest.h"

#include <xen/io/console.h>
#include <xen/sysctl.h>

long (*hypercall_way)(long, long, long, long, long, long) = hypercall_raw;
unsigned int checks_done;
const char *guest_cmdline = "";
void (*own_console)(const char *text, size_t n);

static unsigned int failures;
static char first_failure[160];

void console_ring_write(volatile struct xencons_interface *c, uint32_t port, const char *text,
                        size_t n)
{
    struct evtchn_send op = { .port = port };

    while (n--) {
        while (c->out_prod - c->out_cons >= sizeof(c->out))
            hc_sched_op(SCHEDOP_yield, NULL);
        c->out[MASK_XENCONS_IDX(c->out_prod, c->out)] = *text++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        c->out_prod++;
    }
    hc_event_channel_op(EVTCHNOP_send, &op);
}

struct out {
    char *buf;
    size_t size, len;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len++] = c;
}

static void put_number(struct out *o, uint64_t v, unsigned int base, int width, bool zero, bool neg)
{
    char digits[24];
    int n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (neg)
        digits[n++] = '-';
    for (int i = n; i < width; i++)
        put(o, zero ? '0' : ' ');
    while (n)
        put(o, digits[--n]);
}

static void put_integer(struct out *o, char conv, bool is_long, bool alt, int width, bool zero,
                        va_list *ap)
{
    uint64_t v = is_long ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int);
    bool neg = false;

    if (conv == 'd') {
        int64_t s = is_long ? (int64_t)v : (int32_t)v;

        neg = s < 0;
        v = neg ? -(uint64_t)s : (uint64_t)s;
    }
    if (alt) {
        put(o, '0');
        put(o, 'x');
    }
    put_number(o, v, conv == 'x' ? 16 : 10, width, zero, neg);
}

static void put_string(struct out *o, const char *s)
{
    while (*s)
        put(o, *s++);
}

static size_t format(char *buf, size_t size, const char *fmt, va_list *ap)
{
    struct out o = { buf, size, 0 };

    for (; *fmt; fmt++) {
        bool alt = false, zero = false, is_long = false;
        int width = 0;

        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        for (fmt++; *fmt == '#' || *fmt == '0'; fmt++) {
            alt |= *fmt == '#';
            zero |= *fmt == '0';
        }
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + (*fmt - '0');
        for (; *fmt == 'l' || *fmt == 'z'; fmt++)
            is_long = true;
        switch (*fmt) {
        case 's':
            put_string(&o, va_arg(*ap, const char *));
            break;
        case 'c':
            put(&o, (char)va_arg(*ap, int));
            break;
        case 'p':
            put_integer(&o, 'x', true, true, 0, false, ap);
            break;
        case 'd':
        case 'u':
        case 'x':
            put_integer(&o, *fmt, is_long, alt, width, zero, ap);
            break;
        default:
            put(&o, *fmt);
        }
    }
    buf[o.len] = 0;
    return o.len;
}

void printk(const char *fmt, ...)
{
    char buf[512];
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = format(buf, sizeof(buf), fmt, &ap);
    va_end(ap);
    if (own_console)
        own_console(buf, n);
    else
        hypercall_way(__HYPERVISOR_console_io, CONSOLEIO_write, (long)n, (long)buf, 0, 0);
}

void check_failed(const char *file, int line, const char *what, const char *fmt, ...)
{
    const char *base = file;
    char buf[400];
    va_list ap;
    size_t n = 0;

    for (const char *p = file; *p; p++)
        if (*p == '/')
            base = p + 1;
    for (; *what && n < 150; what++)
        buf[n++] = *what;
    va_start(ap, fmt);
    n += format(buf + n, sizeof(buf) - n, fmt, &ap);
    va_end(ap);
    if (!failures++) {
        if (n >= sizeof(first_failure))
            n = sizeof(first_failure) - 1;
        memcpy(first_failure, buf, n);
        first_failure[n] = 0;
    }
    if (failures <= 50)
        printk("CHECK FAILED %s:%d: %s\n", base, line, buf);
}

/* Orlop's debug key A recounts every reference; the runner reads the line that it prints. */
static void ask_for_audit(void)
{
    static char key[] = "A";
    struct xen_sysctl ctl = {
        .cmd = XEN_SYSCTL_debug_keys,
        .interface_version = XEN_SYSCTL_INTERFACE_VERSION,
    };

    ctl.u.debug_keys.keys.p = key;
    ctl.u.debug_keys.nr_keys = 1;
    hc_sysctl(&ctl);
}

void finish(void)
{
    /* A reboot ends QEMU (-no-reboot) at once; a power-off without ACPI S5 may only halt. */
    struct sched_shutdown down = { .reason = option("poweroff") ? SHUTDOWN_poweroff
                                                                : SHUTDOWN_reboot };

    if (!checks_done)
        check_failed("console.c", 0, "", "nothing was checked");
    if (option("audit"))
        ask_for_audit();
    if (failures)
        printk("RESULT FAIL %s: %s (%u of %u)\n", guest_name, first_failure, failures, checks_done);
    else
        printk("RESULT ok %s (%u checks)\n", guest_name, checks_done);
    for (;;)
        hc_sched_op(SCHEDOP_shutdown, &down);
}

static const char *find_word(const char *name)
{
    const char *s = guest_cmdline;
    size_t n = strlen(name);

    while (*s) {
        while (*s == ' ')
            s++;
        if (!strncmp(s, name, n) && (!s[n] || s[n] == ' ' || s[n] == '='))
            return s + n;
        while (*s && *s != ' ')
            s++;
    }
    return NULL;
}

bool option(const char *name)
{
    return find_word(name) != NULL;
}

const char *option_value(const char *name)
{
    const char *s = find_word(name);

    return s && *s == '=' ? s + 1 : NULL;
}

void run_case(const struct guest_case *list, size_t n)
{
    const char *name = option_value("case");

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(list[i].name);

        if (strncmp(name, list[i].name, len) || (name[len] && name[len] != ' '))
            continue;
        list[i].fn();
        printk("%s went on\n", list[i].name);
        CHECK(true);
        return;
    }
    CHECK(false, "no case '%s'", name);
}

/* SPDX-License-Identifier: MIT */
/*
 * xsloop SECONDS [PATH]: writes numbers below PATH (data/loop) through the kernel's own xenstore
 * connection and reads them back, singly and in transactions. Whatever happens to the daemon
 * meanwhile, no answer may be missing or wrong; a transaction may have to be repeated.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

static int fd;
static char reply[XENSTORE_PAYLOAD_MAX + 1];

static void die(const char *what, const char *detail)
{
    printf("xsloop: %s: %s\n", what, detail);
    exit(1);
}

static void get(void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)p + at, n - at);

        if (got <= 0)
            die("read", strerror(errno));
        at += got;
    }
}

/* One request and its answer in `reply`; false: an error of the protocol, whose name is there. */
static int ask(uint32_t type, uint32_t tx, const char *a, const char *b, int b_len)
{
    static uint32_t id;
    struct {
        struct xsd_sockmsg m;
        char text[256];
    } out = { { .type = type, .req_id = ++id, .tx_id = tx } };
    struct xsd_sockmsg in;
    size_t len = strlen(a) + 1;

    memcpy(out.text, a, len);
    memcpy(out.text + len, b, b_len);
    out.m.len = len + b_len;
    if (write(fd, &out, sizeof(out.m) + out.m.len) != sizeof(out.m) + out.m.len)
        die("write", strerror(errno));
    get(&in, sizeof(in));
    if (in.len > XENSTORE_PAYLOAD_MAX)
        die("answer", "too long");
    get(reply, in.len);
    reply[in.len] = 0;
    if (in.req_id != id)
        die("answer", "to another request");
    return in.type == type;
}

static void put(uint32_t tx, const char *path, const char *value)
{
    if (!ask(XS_WRITE, tx, path, value, strlen(value)))
        die(path, reply);
}

static int holds(uint32_t tx, const char *path, const char *value)
{
    return ask(XS_READ, tx, path, "", 0) && strcmp(reply, value) == 0;
}

static void expect(const char *path, const char *value)
{
    if (!holds(0, path, value))
        die(path, reply);
}

/* False: the transaction met another change, or the daemon's end: then what it saw may be old. */
static int in_transaction(const char *a, const char *b, const char *value)
{
    uint32_t tx;
    int right;

    if (!ask(XS_TRANSACTION_START, 0, "", "", 0))
        die("transaction start", reply);
    tx = strtoul(reply, NULL, 10);
    put(tx, a, value);
    put(tx, b, value);
    right = holds(tx, a, value);
    if (ask(XS_TRANSACTION_END, tx, "T", "", 0)) {
        if (!right)
            die("transaction", "ended well, but had lost a value");
        return 1;
    }
    if (strcmp(reply, "EAGAIN") != 0)
        die("transaction end", reply);
    return 0;
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    const char *base = argc > 2 ? argv[2] : "data/loop";
    unsigned long n = 0, again = 0;
    char a[128], b[128], value[24];

    fd = open("/dev/xen/xenbus", O_RDWR);
    if (fd < 0)
        die("/dev/xen/xenbus", strerror(errno));
    snprintf(a, sizeof(a), "%s/a", base);
    snprintf(b, sizeof(b), "%s/b", base);
    while (time(NULL) < end) {
        snprintf(value, sizeof(value), "%lu", ++n);
        put(0, a, value);
        expect(a, value);
        snprintf(value, sizeof(value), "%lu", ++n);
        while (!in_transaction(a, b, value))
            again++;
        expect(a, value);
        expect(b, value);
    }
    printf("xsloop: %lu values, %lu transactions again\n", n, again);
    return 0;
}

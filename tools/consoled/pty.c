/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* ptsname_r */
#include "consoled/pty.h"
#include "consoled/console.h"
#include "consoled/viewer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static void output(struct viewer *v, const uint8_t *p, size_t n)
{
    evbuffer_add(v->out, p, n);
}

/* Nobody has read for long: what lies in the pty is older still, and would make the gap look like
 * none. */
static void lost(struct viewer *v, uint64_t n)
{
    tcflush(v->slave, TCIFLUSH);
    evbuffer_drain(v->out, evbuffer_get_length(v->out));
    evbuffer_add_printf(v->out, "\r\n[%llu bytes of older output are gone]\r\n",
                        (unsigned long long)n);
}

static void message(struct viewer *v, const char *text)
{
    evbuffer_add_printf(v->out, "\r\n[%s]\r\n", text);
}

static void end(struct viewer *v, const char *why)
{
    message(v, why);
}

static bool input(struct viewer *v)
{
    size_t n = evbuffer_get_length(v->in);

    console_input(v->con, evbuffer_pullup(v->in, -1), n);
    evbuffer_drain(v->in, n);
    return true;
}

static void closed(struct viewer *v)
{
    v->con->pty = NULL;
}

static const struct viewer_kind pty_kind = { output, lost, message, end, input, closed };

/* The master's descriptor, the slave's in *slave; negative: errno. The slave stays open, so that
 * the pty lives on when a program that had it open ends. */
static int open_pair(int *slave, char *name, size_t size)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;

    *slave = -1;
    if (fd < 0)
        return -1;
    if (grantpt(fd) == 0 && unlockpt(fd) == 0 && ptsname_r(fd, name, size) == 0)
        *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0 || fchmod(*slave, 0600) != 0 || tcgetattr(*slave, &t) != 0)
        goto fail;
    cfmakeraw(&t);
    if (tcsetattr(*slave, TCSANOW, &t) != 0 || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
        goto fail;
    return fd;
fail:
    if (*slave >= 0)
        close(*slave);
    close(fd);
    return -1;
}

void pty_open(struct console *con)
{
    char name[sizeof(con->pty->path)];
    struct viewer *v;
    int slave, fd = open_pair(&slave, name, sizeof(name));

    if (fd < 0) {
        con_log("domain %u (%s): no pty for its console: %s (see sysctl kernel.pty.max); `orlop "
                "console` works without",
                con->domid, con->name, strerror(errno));
        return;
    }
    v = viewer_new(con->d, &pty_kind, fd);
    v->slave = slave;
    v->follows = v->may_type = true;
    strcpy(v->path, name);
    con->pty = v;
    viewer_join(v, con);
    viewer_kick(v);
}

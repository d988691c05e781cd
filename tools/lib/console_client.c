/* SPDX-License-Identifier: MIT */
#include "lib/console_client.h"
#include "lib/console_proto.h"
#include "lib/error.h"
#include "lib/text.h"
#include "lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define BACK_MS 10000 /* how long a daemon that is started anew may take */
#define RETRY_US 100000
#define DAEMON_REMEDY "Is orlop-consoled running? `orlop-consoled` starts it; run this as root."

struct session {
    const struct console_options *o;
    const char *guest, *verb;
    int fd;
    bool input, tty, in_open;
    int domid;
    uint64_t pos;
    uint8_t typed[65536]; /* frames that the daemon has not taken yet */
    size_t typed_len;
    uint8_t got[CONSOLE_HEADER + CONSOLE_FRAME_MAX];
    size_t got_len;
};

/* What a step of the session comes to. */
enum step { STEP_ON, STEP_LOST, STEP_ENDED, STEP_DETACHED, STEP_FAILED };

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    stopped = 1;
}

void console_options_default(struct console_options *o)
{
    *o = (struct console_options){ .socket = CONSOLE_SOCKET,
                                   .in = 0,
                                   .out = 1,
                                   .escape = CONSOLE_ESCAPE,
                                   .history = -1,
                                   .wait_ms = 2000 };
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    strcpy(addr.sun_path, path);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* One line, without its newline; the bytes behind it stay unread. */
static int read_line(int fd, char *line, size_t size)
{
    size_t n = 0;

    while (n < size - 1) {
        ssize_t got = read(fd, line + n, 1);

        if (got < 0 && errno == EINTR && !stopped)
            continue;
        if (got <= 0)
            return -1;
        if (line[n] == '\n')
            break;
        n++;
    }
    line[n] = 0;
    return 0;
}

static uint64_t field(const char *line, const char *name)
{
    const char *p = strstr(line, name);

    return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

/* Sends the request, again with the place to go on from if there is one. 0; 1: not yet, it may be
 * tried again; -1: refused. */
static int request(struct session *s, bool again, struct error *e)
{
    char line[CONSOLE_LINE_MAX];
    int n = snprintf(line, sizeof(line), "%s %s", s->verb, s->guest);

    if (again)
        n += snprintf(line + n, sizeof(line) - n, " from=%llu of=%d", (unsigned long long)s->pos,
                      s->domid);
    else if (s->o->history >= 0)
        n += snprintf(line + n, sizeof(line) - n, " history=%lld", (long long)s->o->history);
    n += snprintf(line + n, sizeof(line) - n, "%s\n", s->o->readonly ? " readonly" : "");
    if (write_all(s->fd, line, n) != 0 || read_line(s->fd, line, sizeof(line)) != 0) {
        error_set(e, ECONNRESET, NULL, "the console daemon closed the connection");
        return 1;
    }
    if (strncmp(line, "ok", 2) == 0) {
        s->pos = field(line, " pos=");
        s->domid = field(line, " domid=");
        s->input = field(line, " input=");
        return 0;
    }
    if (strncmp(line, "error unknown: ", 15) == 0) {
        error_set(e, ENOENT, NULL, "%s", line + 15);
        return 1;
    }
    error_set(e, EACCES, NULL, "the console daemon refuses: %s",
              strncmp(line, "error ", 6) == 0 ? line + 6 : line);
    return -1;
}

/* Connects within the time given. 0 or -1. */
static int open_session(struct session *s, bool again, unsigned int ms, struct error *e)
{
    int64_t deadline = now_ms() + ms;
    int rc;

    for (;;) {
        rc = 1;
        s->fd = connect_to(s->o->socket);
        if (s->fd >= 0) {
            s->got_len = s->typed_len = 0;
            rc = request(s, again, e);
            if (rc == 0)
                return 0;
            close(s->fd);
            s->fd = -1;
        } else {
            error_sys(e, errno, DAEMON_REMEDY, "no connection to the console daemon at %s",
                      s->o->socket);
        }
        if (rc < 0 || stopped || left_ms(deadline) == 0)
            return -1;
        usleep(RETRY_US);
    }
}

/* A line between the guest's: the terminal is raw. */
static void say(const char *what)
{
    char text[CONSOLE_FRAME_MAX + 1];

    snprintf(text, sizeof(text), "%s", what);
    fprintf(stderr, "\r\n[console: %s]\r\n", text_clean(text));
}

static enum step frame(struct session *s, const uint8_t *p, size_t n)
{
    char text[CONSOLE_FRAME_MAX + 1], line[64];

    if (s->got[0] == CONSOLE_F_OUTPUT) {
        s->pos += n;
        return write_all(s->o->out, p, n) == 0 ? STEP_ON : STEP_FAILED;
    }
    memcpy(text, p, n);
    text[n] = 0;
    switch (s->got[0]) {
    case CONSOLE_F_LOST:
        s->pos += strtoull(text, NULL, 10);
        snprintf(line, sizeof(line), "%.20s bytes of output are gone", text);
        say(line);
        return STEP_ON;
    case CONSOLE_F_MESSAGE:
        say(text);
        return STEP_ON;
    case CONSOLE_F_END:
        return STEP_ENDED;
    default: /* of a newer daemon */
        return STEP_ON;
    }
}

static enum step receive(struct session *s)
{
    ssize_t n = read(s->fd, s->got + s->got_len, sizeof(s->got) - s->got_len);
    enum step step = STEP_ON;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return STEP_ON;
    if (n <= 0)
        return STEP_LOST;
    s->got_len += n;
    while (step == STEP_ON && s->got_len >= CONSOLE_HEADER) {
        size_t len = console_header_len(s->got);

        if (len > CONSOLE_FRAME_MAX)
            return STEP_LOST;
        if (s->got_len < CONSOLE_HEADER + len)
            break;
        step = frame(s, s->got + CONSOLE_HEADER, len);
        s->got_len -= CONSOLE_HEADER + len;
        memmove(s->got, s->got + CONSOLE_HEADER + len, s->got_len);
    }
    return step;
}

/* Reads what is typed, into a frame. */
static enum step type(struct session *s)
{
    uint8_t *h = s->typed + s->typed_len, *p = h + CONSOLE_HEADER, *esc = NULL;
    ssize_t n = read(s->o->in, p, CONSOLE_FRAME_MAX);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return STEP_ON;
    if (n <= 0) {
        s->in_open = false;
        return s->tty ? STEP_DETACHED : STEP_ON;
    }
    if (s->tty && s->o->escape >= 0)
        esc = memchr(p, s->o->escape, n);
    if (esc)
        return STEP_DETACHED;
    if (s->input) {
        console_header_put(h, CONSOLE_F_INPUT, n);
        s->typed_len += CONSOLE_HEADER + n;
    }
    return STEP_ON;
}

static enum step send_typed(struct session *s)
{
    ssize_t n = send(s->fd, s->typed, s->typed_len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? STEP_ON : STEP_LOST;
    s->typed_len -= n;
    memmove(s->typed, s->typed + n, s->typed_len);
    return STEP_ON;
}

static enum step turn(struct session *s)
{
    bool room = s->typed_len + CONSOLE_HEADER + CONSOLE_FRAME_MAX <= sizeof(s->typed);
    struct pollfd p[2] = {
        { .fd = s->fd, .events = POLLIN | (s->typed_len ? POLLOUT : 0) },
        { .fd = s->in_open && room ? s->o->in : -1, .events = POLLIN },
    };
    enum step step = STEP_ON;

    if (poll(p, 2, -1) < 0)
        return errno == EINTR ? STEP_ON : STEP_FAILED;
    if (p[1].revents)
        step = type(s);
    if (step == STEP_ON && (p[0].revents & POLLOUT))
        step = send_typed(s);
    if (step == STEP_ON && (p[0].revents & ~POLLOUT))
        step = receive(s);
    return step;
}

static enum console_result talk(struct session *s, bool live, struct error *e)
{
    for (;;) {
        enum step step = stopped ? STEP_DETACHED : turn(s);

        switch (step) {
        case STEP_ON:
            break;
        case STEP_ENDED:
            return CONSOLE_ENDED;
        case STEP_DETACHED:
            return CONSOLE_DETACHED;
        case STEP_FAILED:
            error_sys(e, errno, NULL, "cannot write the guest's output");
            return CONSOLE_FAILED;
        case STEP_LOST:
            close(s->fd);
            s->fd = -1;
            if (!live || open_session(s, true, BACK_MS, e) != 0) {
                if (stopped)
                    return CONSOLE_DETACHED;
                error_set(e, ECONNRESET, DAEMON_REMEDY,
                          "the console daemon closed the connection and did not come back");
                return CONSOLE_FAILED;
            }
            break;
        }
    }
}

/* The signals that end the session leave it in order. */
static void catch_signals(struct sigaction old[3], bool on)
{
    static const int signals[3] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction sa = { .sa_handler = on_signal };

    for (int i = 0; i < 3; i++)
        sigaction(signals[i], on ? &sa : &old[i], on ? &old[i] : NULL);
}

static enum console_result run(const char *guest, const char *verb, bool type_in, bool live,
                               const struct console_options *o, struct error *e)
{
    struct session *s = mem_alloc(sizeof(*s));
    struct sigaction old[3];
    struct termios before, raw;
    enum console_result result = CONSOLE_FAILED;

    *s = (struct session){ .o = o, .guest = guest, .verb = verb, .fd = -1, .in_open = type_in };
    stopped = 0;
    catch_signals(old, true);
    s->tty = type_in && tcgetattr(o->in, &before) == 0;
    if (strpbrk(guest, " \n")) {
        error_set(e, EINVAL, "Use its number (`orlop list`).",
                  "\"%s\": the console daemon knows no names with spaces", guest);
    } else if (open_session(s, false, o->wait_ms, e) == 0) {
        if (o->greeting)
            fprintf(stderr, "%s\n", o->greeting);
        if (s->tty) {
            raw = before;
            cfmakeraw(&raw);
            tcsetattr(o->in, TCSANOW, &raw);
        }
        result = talk(s, live, e);
        if (s->tty)
            tcsetattr(o->in, TCSADRAIN, &before);
    }
    if (s->fd >= 0)
        close(s->fd);
    catch_signals(old, false);
    free(s);
    return result;
}

enum console_result console_attach(const char *guest, const struct console_options *o,
                                   struct error *e)
{
    struct console_options standard;

    console_options_default(&standard);
    return run(guest, "attach", true, true, o ? o : &standard, e);
}

enum console_result console_log(const char *guest, bool follow, const struct console_options *o,
                                struct error *e)
{
    struct console_options own;

    console_options_default(&own);
    if (o)
        own = *o;
    own.readonly = true;
    if (!follow)
        own.wait_ms = 0;
    return run(guest, follow ? "attach" : "log", false, follow, &own, e);
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* accept4, struct ucred */
#include "consoled/client.h"
#include "consoled/console.h"
#include "consoled/domain.h"
#include "consoled/viewer.h"
#include "lib/console_proto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A request line, cut into words. */
struct request {
    char *verb, *key;
    uint64_t from, of, history;
    bool has_from, has_of, has_history, readonly;
};

static void frame(struct viewer *v, char type, const void *p, size_t n)
{
    uint8_t h[CONSOLE_HEADER];

    console_header_put(h, type, n);
    evbuffer_add(v->out, h, sizeof(h));
    evbuffer_add(v->out, p, n);
}

static void output(struct viewer *v, const uint8_t *p, size_t n)
{
    frame(v, CONSOLE_F_OUTPUT, p, n);
}

static void lost(struct viewer *v, uint64_t n)
{
    char text[24];

    frame(v, CONSOLE_F_LOST, text, snprintf(text, sizeof(text), "%llu", (unsigned long long)n));
}

static void message(struct viewer *v, const char *text)
{
    frame(v, CONSOLE_F_MESSAGE, text, strlen(text));
}

static void end(struct viewer *v, const char *why)
{
    frame(v, CONSOLE_F_END, why, strlen(why));
}

static void closed(struct viewer *v)
{
    v->d->viewers--;
}

/* All of what the request was answered with is in v->out: it is closed when that is written. */
static bool answered(struct viewer *v)
{
    v->ended = true;
    return true;
}

static bool refuse(struct viewer *v, const char *word, const char *text)
{
    evbuffer_add_printf(v->out, "error %s: %s\n", word, text);
    return answered(v);
}

static bool unknown(struct viewer *v, const struct request *q)
{
    char text[CONSOLE_LINE_MAX];

    snprintf(text, sizeof(text),
             "no guest \"%.200s\" runs, ended a short time ago or has a log (`orlop list` shows "
             "those that run)",
             q->key);
    return refuse(v, "unknown", text);
}

/* The guest is neither alive nor remembered: the end of its log. */
static bool send_file(struct viewer *v, const struct request *q)
{
    const struct settings *set = &v->d->set;
    size_t max = q->has_history && q->history < set->history ? q->history : set->history, n;
    char *path = log_path(set->log_dir, q->key);
    uint8_t *buf = con_alloc(max + 1);

    n = log_tail(path, buf, max);
    if (!n && access(path, F_OK) != 0) {
        unknown(v, q);
    } else {
        evbuffer_add_printf(v->out, "ok pos=0 live=0 input=0 source=file\n");
        for (size_t at = 0; at < n; at += CONSOLE_FRAME_MAX)
            output(v, buf + at, n - at < CONSOLE_FRAME_MAX ? n - at : CONSOLE_FRAME_MAX);
        end(v, "end of the log file");
    }
    free(path);
    free(buf);
    return answered(v);
}

/* Where in the history to begin. */
static uint64_t start_of(const struct request *q, const struct console *con)
{
    uint64_t pos = con->hist.start;

    /* To go on after this daemon was started anew, if it is the same guest. */
    if (q->has_from && (!q->has_of || q->of == con->domid))
        return q->from > con->hist.end ? con->hist.end : q->from;
    if (q->has_history && con->hist.end - pos > q->history)
        pos = con->hist.end - q->history;
    return pos;
}

static bool stream(struct viewer *v, const struct request *q)
{
    struct console *con = domain_find(v->d, q->key);

    if (!con)
        return send_file(v, q);
    v->follows = strcmp(q->verb, "attach") == 0;
    v->may_type = v->follows && !q->readonly && con->domid != HYPERVISOR_ID &&
                  (v->uid == 0 || v->d->set.group_types);
    viewer_join(v, con);
    v->pos = start_of(q, con);
    evbuffer_add_printf(v->out, "ok domid=%d pos=%llu live=%d input=%d source=memory\n",
                        con->domid == HYPERVISOR_ID ? -1 : (int)con->domid,
                        (unsigned long long)v->pos, con->state != CONSOLE_DEAD, v->may_type);
    return true;
}

static void list_one(struct consoled *d, struct console *con, void *arg)
{
    struct viewer *v = arg;
    char line[256];
    unsigned viewers = 0;
    int n;

    if (!con->known)
        return;
    for (struct viewer *w = con->viewers; w; w = w->next)
        viewers++;
    n = snprintf(line, sizeof(line), "%d %s %s %llu %u %s\n",
                 con->domid == HYPERVISOR_ID ? -1 : (int)con->domid, con->name,
                 console_state_name(con), (unsigned long long)con->hist.end, viewers,
                 con->pty ? con->pty->path : "-");
    output(v, (uint8_t *)line, n);
}

static bool list(struct viewer *v, const struct request *q)
{
    evbuffer_add_printf(v->out, "ok\n");
    domain_each(v->d, list_one, v);
    end(v, "end of the list");
    return answered(v);
}

static bool number_option(const char *word, const char *name, uint64_t *value, bool *has)
{
    size_t n = strlen(name);

    if (strncmp(word, name, n) != 0 || word[n] != '=' ||
        !con_number(word + n + 1, 0, INT64_MAX, value))
        return false;
    *has = true;
    return true;
}

/* NULL, or the word that makes no sense. */
static const char *parse(char *line, struct request *q)
{
    char *save, *word;

    *q = (struct request){ .verb = strtok_r(line, " ", &save) };
    if (!q->verb)
        return "";
    q->key = strtok_r(NULL, " ", &save);
    while ((word = strtok_r(NULL, " ", &save))) {
        if (strcmp(word, "readonly") == 0)
            q->readonly = true;
        else if (!number_option(word, "from", &q->from, &q->has_from) &&
                 !number_option(word, "of", &q->of, &q->has_of) &&
                 !number_option(word, "history", &q->history, &q->has_history))
            return word;
    }
    return NULL;
}

static bool request(struct viewer *v, char *line)
{
    struct request q;
    const char *bad = parse(line, &q);
    char text[CONSOLE_LINE_MAX + 32];

    if (!bad && strcmp(q.verb, "list") == 0 && !q.key)
        return list(v, &q);
    if (!bad && q.key && (strcmp(q.verb, "attach") == 0 || strcmp(q.verb, "log") == 0))
        return stream(v, &q);
    snprintf(text, sizeof(text), "what is \"%s\"? Known are: attach, log, list",
             bad ? bad : q.verb);
    return refuse(v, "request", text);
}

/* Typed bytes; false: not in frames of ours. */
static bool typed(struct viewer *v)
{
    uint8_t h[CONSOLE_HEADER];
    uint32_t len;

    while (evbuffer_copyout(v->in, h, sizeof(h)) == sizeof(h)) {
        len = console_header_len(h);
        if (h[0] != CONSOLE_F_INPUT || len > CONSOLE_FRAME_MAX)
            return false;
        if (evbuffer_get_length(v->in) < CONSOLE_HEADER + len)
            return true;
        evbuffer_drain(v->in, CONSOLE_HEADER);
        if (v->may_type)
            console_input(v->con, evbuffer_pullup(v->in, len), len);
        evbuffer_drain(v->in, len);
    }
    return true;
}

static bool input(struct viewer *v)
{
    char *line;
    bool ok;

    if (v->con)
        return typed(v);
    if (v->ended) {
        evbuffer_drain(v->in, evbuffer_get_length(v->in));
        return true;
    }
    line = evbuffer_readln(v->in, NULL, EVBUFFER_EOL_LF);
    if (!line) {
        if (evbuffer_get_length(v->in) < CONSOLE_LINE_MAX)
            return true;
        return refuse(v, "request", "the line is too long");
    }
    if (strlen(line) >= CONSOLE_LINE_MAX)
        ok = refuse(v, "request", "the line is too long");
    else
        ok = request(v, line);
    free(line);
    return ok && (!v->con || typed(v));
}

static const struct viewer_kind client_kind = { output, lost, message, end, input, closed };

void client_new(struct consoled *d, int fd, uint32_t uid)
{
    struct viewer *v = viewer_new(d, &client_kind, fd);

    v->uid = uid;
    /* Root always finds a place: no member of the group can take them all. */
    if (++d->viewers > MAX_VIEWERS && uid != 0) {
        refuse(v, "busy", "too many are looking already; close some");
        viewer_kick(v);
    }
}

static void on_connect(evutil_socket_t listener, short what, void *arg)
{
    struct consoled *d = arg;
    struct ucred who;
    socklen_t n = sizeof(who);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        /* No descriptors left, most likely: not again before the next tick. */
        event_del(d->ev_listen);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
        who.uid = UINT32_MAX;
    client_new(d, fd, who.uid);
}

int client_listen(struct consoled *d, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    mode_t old;
    int rc;

    if (strlen(path) >= sizeof(addr.sun_path))
        return ENAMETOOLONG;
    d->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->listener < 0)
        return errno;
    strcpy(addr.sun_path, path);
    unlink(path);
    old = umask(0177);
    rc = bind(d->listener, (struct sockaddr *)&addr, sizeof(addr));
    umask(old);
    /* First the group, then its right: nobody else may connect in between. */
    if (rc == 0 && d->set.group)
        rc = chown(path, -1, d->group_id) || chmod(path, 0660);
    if (rc != 0 || listen(d->listener, 64) != 0)
        return errno;
    d->ev_listen = event_new(d->base, d->listener, EV_READ | EV_PERSIST, on_connect, d);
    return d->ev_listen && event_add(d->ev_listen, NULL) == 0 ? 0 : ENOMEM;
}

/* SPDX-License-Identifier: MIT */
/* A client for one short talk. What QEMU says is foreign: it is parsed by json-c, with a limit. */
#include "tools/cli/qmp.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX 65536

struct talk {
    int fd;
    int64_t deadline;
    size_t have;
    char buf[ANSWER_MAX];
};

static int more(struct talk *t)
{
    struct pollfd p = { .fd = t->fd, .events = POLLIN };
    int rc = poll(&p, 1, left_ms(t->deadline));
    ssize_t n;

    if (rc < 0)
        return -errno;
    if (rc == 0 || left_ms(t->deadline) == 0) /* one who never stops talking is late, too */
        return -ETIMEDOUT;
    if (t->have + 1 >= sizeof(t->buf))
        return -EMSGSIZE;
    n = recv(t->fd, t->buf + t->have, sizeof(t->buf) - 1 - t->have, 0);
    if (n <= 0)
        return n == 0 ? -ECONNRESET : -errno;
    t->have += (size_t)n;
    return 0;
}

/* The next object that has this member (events lie between); to put, NULL with *rc. */
static struct json_object *next(struct talk *t, const char *member, int *rc)
{
    for (;;) {
        char *end = memchr(t->buf, '\n', t->have);
        struct json_object *j;

        if (!end) {
            *rc = more(t);
            if (*rc)
                return NULL;
            continue;
        }
        *end = '\0';
        j = json_tokener_parse(t->buf);
        t->have -= (size_t)(end + 1 - t->buf);
        memmove(t->buf, end + 1, t->have);
        if (json_object_is_type(j, json_type_object) &&
            json_object_object_get_ex(j, "error", NULL)) {
            json_object_put(j);
            *rc = -EPROTO;
            return NULL;
        }
        if (json_object_is_type(j, json_type_object) && json_object_object_get_ex(j, member, NULL))
            return j;
        json_object_put(j);
    }
}

/* A line, with a descriptor unless that is -1. */
static bool say(struct talk *t, const char *text, int fd)
{
    char control[CMSG_SPACE(sizeof(fd))] = { 0 };
    struct iovec line = { .iov_base = (void *)text, .iov_len = strlen(text) };
    struct msghdr m = { .msg_iov = &line, .msg_iovlen = 1 };
    struct cmsghdr *c;

    if (fd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    return sendmsg(t->fd, &m, MSG_NOSIGNAL) == (ssize_t)line.iov_len;
}

/* The answer to a command with these arguments (put here; NULL: none) and descriptor (-1: none);
 * to put. */
static struct json_object *ask_with(struct talk *t, const char *command,
                                    struct json_object *arguments, int fd, int *rc)
{
    struct json_object *j = json_object_new_object();
    char *text;
    bool said;

    json_object_object_add(j, "execute", json_object_new_string(command));
    if (arguments)
        json_object_object_add(j, "arguments", arguments);
    text = str_fmt("%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN));
    json_object_put(j);
    said = say(t, text, fd);
    free(text);
    if (said)
        return next(t, "return", rc);
    *rc = -ECONNRESET;
    return NULL;
}

static struct json_object *ask(struct talk *t, const char *command, int *rc)
{
    return ask_with(t, command, NULL, -1, rc);
}

static struct json_object *object_of(const char *key, const char *text)
{
    struct json_object *j = json_object_new_object();

    json_object_object_add(j, key, json_object_new_string(text));
    return j;
}

/* The password first: nobody gets in before it is set. */
static int give_screen(struct talk *t, const struct qmp_screen *screen)
{
    static const char name[] = "vnc";
    struct json_object *update = object_of("type", "vnc"), *where = object_of("type", "fd"),
                       *list = json_object_new_array();
    int rc = 0;

    json_object_object_add(where, "str", json_object_new_string(name));
    json_object_array_add(list, where);
    json_object_object_add(update, "addresses", list);
    if (screen->password)
        json_object_put(
            ask_with(t, "change-vnc-password", object_of("password", screen->password), -1, &rc));
    if (rc == 0)
        json_object_put(ask_with(t, "getfd", object_of("fdname", name), screen->fd, &rc));
    if (rc == 0)
        json_object_put(ask_with(t, "display-update", json_object_get(update), -1, &rc));
    json_object_put(update);
    return rc;
}

static const char *member_text(struct json_object *j, const char *name)
{
    struct json_object *v;

    return json_object_object_get_ex(j, name, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : "";
}

static int find_serial(struct talk *t, char pty[64])
{
    struct json_object *list, *j;
    int rc = 0;

    j = ask(t, "query-chardev", &rc);
    if (!j)
        return rc;
    json_object_object_get_ex(j, "return", &list);
    for (size_t i = 0;
         json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        struct json_object *c = json_object_array_get_idx(list, i);
        const char *file = member_text(c, "filename");

        if (strcmp(member_text(c, "label"), "serial0") == 0 &&
            strncmp(file, "pty:/dev/pts/", 13) == 0 && !strchr(file + 13, '/') && strlen(file) < 64)
            strcpy(pty, file + 4);
    }
    json_object_put(j);
    return 0;
}

/* Until it runs: "prelaunch" and the like go by. */
static int await_running(struct talk *t)
{
    for (;;) {
        struct json_object *j, *status;
        bool runs;
        int rc = 0;

        j = ask(t, "query-status", &rc);
        if (!j)
            return rc;
        json_object_object_get_ex(j, "return", &status);
        runs = strcmp(member_text(status, "status"), "running") == 0;
        json_object_put(j);
        if (runs)
            return 0;
        if (left_ms(t->deadline) == 0)
            return -ETIMEDOUT;
        poll(NULL, 0, 20);
    }
}

int qmp_ready(const char *path, int64_t deadline, const struct qmp_screen *screen, char pty[64])
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct talk *t = mem_alloc(sizeof(*t));
    struct json_object *j = NULL;
    int rc = 0;

    pty[0] = '\0';
    t->deadline = deadline;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        rc = -errno;
    if (rc == 0)
        j = next(t, "QMP", &rc);
    json_object_put(j);
    if (rc == 0)
        json_object_put(ask(t, "qmp_capabilities", &rc));
    if (rc == 0 && screen->fd >= 0)
        rc = give_screen(t, screen);
    if (rc == 0)
        rc = await_running(t);
    if (rc == 0)
        rc = find_serial(t, pty);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * HTTP by libmicrohttpd, on one thread of its own that waits for all connections at once. The
 * library is loaded when it is asked for: it brings ten others (TLS, which is not used here), which
 * no other command should wait for or need.
 */
#define _GNU_SOURCE
#include "tools/cli/metrics_serve.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 32, IDLE_SECONDS = 10 };

#define LIBRARY "libmicrohttpd.so.12"

struct metrics_server {
    int fd; /* listens; the daemon's once there is one */
    unsigned int port;
    metrics_fn *fn;
    void *arg;
    struct MHD_Daemon *daemon;
    __typeof__(MHD_start_daemon) *start;
    __typeof__(MHD_stop_daemon) *stop;
    __typeof__(MHD_create_response_from_buffer) *response;
    __typeof__(MHD_destroy_response) *destroy;
    __typeof__(MHD_add_response_header) *header;
    __typeof__(MHD_queue_response) *queue;
};

/* --- addresses --- */

static int bad_address(const char *text, struct error *e)
{
    return error_set(e, EINVAL, "For example --listen 9199, --listen 10.0.0.1:9199 or [::1]:9199.",
                     "\"%s\" is no address and port", text);
}

int metrics_address(const char *text, struct sockaddr_storage *at, struct error *e)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
    const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
    size_t n = colon ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
    unsigned int number;

    memset(at, 0, sizeof(*at));
    if (!parse_uint(port, &number) || number > 65535 || n >= sizeof(host) || colon == text)
        return bad_address(text, e);
    if (colon) {
        memcpy(host, text, n);
        host[n] = 0;
    }
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)number);
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1)
            return 0;
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1)
            return 0;
    }
    return bad_address(text, e);
}

bool metrics_loopback(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)at)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 == 127;
}

/* --- answers --- */

static enum MHD_Result answer(const struct metrics_server *s, struct MHD_Connection *c,
                              unsigned int status, char *text, size_t size)
{
    struct MHD_Response *r = s->response(size, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result rc = MHD_NO;

    if (!r) {
        free(text);
        return MHD_NO;
    }
    if (s->header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8") == MHD_YES)
        rc = s->queue(c, status, r);
    s->destroy(r);
    return rc;
}

static enum MHD_Result answer_words(const struct metrics_server *s, struct MHD_Connection *c,
                                    unsigned int status, const char *words)
{
    char *text;
    int n = asprintf(&text, "%s\n", words);

    return n < 0 ? MHD_NO : answer(s, c, status, text, (size_t)n);
}

static enum MHD_Result scrape(struct metrics_server *s, struct MHD_Connection *c)
{
    struct error e = { 0 };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int rc = out ? s->fn(out, s->arg, &e) : error_sys(&e, errno, NULL, "no memory");

    if (out)
        fclose(out);
    if (rc == 0)
        return answer(s, c, MHD_HTTP_OK, text, size);
    free(text);
    return answer_words(s, c, MHD_HTTP_INTERNAL_SERVER_ERROR, e.cause);
}

static enum MHD_Result request(void *server, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *left, void **state)
{
    static int seen;

    if (!*state) { /* its head is there; what it sends besides is not wanted, and ends it */
        *state = &seen;
        if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
            return MHD_YES;
        return answer_words(server, c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is all there is.");
    }
    if (*left)
        return MHD_NO;
    if (strcmp(url, "/metrics") == 0)
        return scrape(server, c);
    return answer_words(server, c, MHD_HTTP_NOT_FOUND, "Here is /metrics only.");
}

/* --- start and end --- */

static int load(struct metrics_server *s, struct error *e)
{
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    const struct {
        const char *name;
        void *to;
    } need[] = { { "MHD_start_daemon", &s->start },
                 { "MHD_stop_daemon", &s->stop },
                 { "MHD_create_response_from_buffer", &s->response },
                 { "MHD_destroy_response", &s->destroy },
                 { "MHD_add_response_header", &s->header },
                 { "MHD_queue_response", &s->queue } };

    if (!lib)
        return error_set(e, ENOENT, "It is in Debian's package libmicrohttpd12.",
                         "--listen needs a library that is not installed: %s", dlerror());
    for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
        void *f = dlsym(lib, need[i].name);

        if (!f)
            return error_set(e, ENOENT, NULL, LIBRARY ": %s", dlerror());
        memcpy(need[i].to, &f, sizeof(f));
    }
    return 0; /* it stays loaded */
}

static int open_socket(struct metrics_server *s, const struct sockaddr_storage *at, struct error *e)
{
    socklen_t len = at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    struct sockaddr_storage got;
    int one = 1;

    s->fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return error_sys(e, errno, NULL, "cannot make a socket");
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s->fd, (const struct sockaddr *)at, len) || listen(s->fd, CONNECTIONS))
        return error_sys(e, errno, "ss -ltnp shows who listens where; ip address, what is there.",
                         "cannot listen at this address");
    len = sizeof(got);
    if (getsockname(s->fd, (struct sockaddr *)&got, &len))
        return error_sys(e, errno, NULL, "cannot listen at this address");
    s->port = ntohs(got.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&got)->sin6_port
                                              : ((struct sockaddr_in *)&got)->sin_port);
    return 0;
}

struct metrics_server *metrics_serve(const struct sockaddr_storage *at, metrics_fn *fn, void *arg,
                                     struct error *e)
{
    struct metrics_server *s = calloc(1, sizeof(*s));

    if (!s) {
        error_sys(e, ENOMEM, NULL, "no memory");
        return NULL;
    }
    *s = (struct metrics_server){ .fd = -1, .fn = fn, .arg = arg };
    if (load(s, e) == 0 && open_socket(s, at, e) == 0) {
        s->daemon = s->start(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, request,
                             s, MHD_OPTION_LISTEN_SOCKET, s->fd, MHD_OPTION_CONNECTION_LIMIT,
                             (unsigned int)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                             (unsigned int)CONNECTIONS / 2, MHD_OPTION_CONNECTION_TIMEOUT,
                             (unsigned int)IDLE_SECONDS, MHD_OPTION_END);
        if (s->daemon)
            return s;
        error_set(e, EIO, NULL, "the HTTP server does not start");
    }
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    return NULL;
}

unsigned int metrics_port(const struct metrics_server *s)
{
    return s->port;
}

void metrics_stop(struct metrics_server *s)
{
    s->stop(s->daemon); /* closes its sockets */
    free(s);
}

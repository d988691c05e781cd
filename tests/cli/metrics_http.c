/* SPDX-License-Identifier: MIT */
/* The server of `orlop metrics --listen`, and those who ask it nothing, too much or for ever. */
#include "tools/cli/metrics_serve.h"
#include "tools/lib/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define MUCH (16u << 20) /* more than sockets take in for who does not read */

static bool broken, large; /* what the next scrape finds */

static int write_text(FILE *out, void *arg, struct error *e)
{
    if (broken)
        return error_set(e, EIO, NULL, "the hypervisor does not answer");
    fprintf(out, "orlop_cpus %d\n", *(int *)arg);
    for (size_t i = 0; large && i < MUCH / 64; i++)
        fprintf(out, "orlop_much{i=\"%046zu\"} 1\n", i);
    return 0;
}

static int cpus = 3;
static unsigned int port;

static struct metrics_server *start(void)
{
    struct sockaddr_storage at;
    struct error e = { 0 };
    struct metrics_server *s;

    alarm(120); /* ends what hangs */
    CHECK_EQ(metrics_address("0", &at, &e), 0);
    s = metrics_serve(&at, write_text, &cpus, &e);
    if (!s)
        error_print(&e, "metrics_http");
    CHECK(s != NULL);
    port = metrics_port(s);
    broken = large = false;
    return s;
}

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* A request of its own connection: the whole answer. */
static const char *ask(const char *text)
{
    static char got[4096];
    size_t n = 0;
    ssize_t r;
    int fd = dial();

    say(fd, text);
    while (n < sizeof(got) - 1 && (r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
        n += (size_t)r;
    got[n] = 0;
    close(fd);
    return got;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

TEST(addresses)
{
    static const char *const bad[] = {
        "",      "x",       ":80",           "127.0.0.1:", "localhost:80", "1.2.3:80",   "::1:80",
        "[::1]", "[::1:80", "1.2.3.4:65536", "-1",         "1.2.3.4:9 ",   "[1.2.3.4]:9"
    };
    struct sockaddr_storage at;
    struct error e = { 0 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(metrics_address(bad[i], &at, &e) < 0 && e.cause[0] && e.remedy[0]);
    CHECK_EQ(metrics_address("9199", &at, &e), 0);
    CHECK(metrics_loopback(&at));
    CHECK_EQ(ntohs(((struct sockaddr_in *)&at)->sin_port), 9199);
    CHECK_EQ(metrics_address("10.0.0.1:80", &at, &e), 0);
    CHECK(!metrics_loopback(&at));
    CHECK_EQ(metrics_address("[::1]:80", &at, &e), 0);
    CHECK(metrics_loopback(&at) && at.ss_family == AF_INET6);
    CHECK_EQ(metrics_address("[::]:80", &at, &e), 0);
    CHECK(!metrics_loopback(&at));
}

TEST(answers)
{
    struct metrics_server *s = start();
    const char *got = ask(GET("/metrics"));

    CHECK(begins(got, "HTTP/1.1 200 "));
    CHECK(strstr(got, "Content-Type: text/plain; version=0.0.4"));
    CHECK(strstr(got, "\r\n\r\norlop_cpus 3\n"));
    cpus = 4; /* asked anew each time */
    CHECK(strstr(ask(GET("/metrics")), "\norlop_cpus 4\n"));
    CHECK(begins(ask(GET("/")), "HTTP/1.1 404 "));
    CHECK(begins(ask(GET("/metrics/../etc")), "HTTP/1.1 404 "));
    CHECK(begins(
        ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        "HTTP/1.1 405 "));
    ask("rubbish\r\n\r\n");
    broken = true;
    got = ask(GET("/metrics"));
    CHECK(begins(got, "HTTP/1.1 500 ") && strstr(got, "the hypervisor does not answer"));
    metrics_stop(s);
}

/* Some ask for much and do not read, some do not ask: the next one is answered at once. */
TEST(who_does_not_read_holds_up_nobody)
{
    struct metrics_server *s = start();
    int idle[8];
    char c;

    large = true;
    for (int i = 0; i < 8; i++) {
        idle[i] = dial();
        if (i % 2)
            say(idle[i], GET("/metrics"));
    }
    for (int i = 1; i < 8; i += 2)
        CHECK_EQ(read(idle[i], &c, 1), 1); /* its answer has begun */
    large = false;
    CHECK(strstr(ask(GET("/metrics")), "\norlop_cpus "));
    metrics_stop(s); /* nor does it wait for them */
    for (int i = 0; i < 8; i++)
        close(idle[i]);
}

TEST(an_address_in_use)
{
    struct metrics_server *s = start();
    struct sockaddr_storage at;
    struct error e = { 0 };
    char text[16];

    snprintf(text, sizeof(text), "%u", port);
    CHECK_EQ(metrics_address(text, &at, &e), 0);
    CHECK(metrics_serve(&at, write_text, &cpus, &e) == NULL);
    CHECK(e.code && e.cause[0] && e.remedy[0]);
    metrics_stop(s);
}

/* SPDX-License-Identifier: MIT */
/* Debian's libxenstore behind store.h, with a xenstored that is killed and started again. */
#include "sim.h"
#include "unit.h"

#include "await.h"

#include "consoled/store.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static pid_t start(void)
{
    char sock[96], pidf[96], state[96];
    pid_t pid;

    snprintf(sock, sizeof(sock), "%s/socket", sim_dir);
    snprintf(pidf, sizeof(pidf), "%s/pid", sim_dir);
    snprintf(state, sizeof(state), "%s/xs", sim_dir);
    setenv("XENSTORED_PATH", sock, 1);
    unlink(sock);
    pid = fork();
    if (pid == 0) {
        execl("build/tests/xenstored/xenstored", "xenstored", "-F", "--no-domains", "-P", pidf,
              "-s", sock, "-d", state, NULL);
        _exit(9);
    }
    CHECK(await_socket(sock));
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool next(struct store *st, const char *path, const char *token)
{
    char p[64], t[16];
    struct pollfd fd = { .fd = st->fd(NULL), .events = POLLIN };

    poll(&fd, 1, 60000);
    return st->next(NULL, p, sizeof(p), t, sizeof(t)) && strcmp(p, path) == 0 &&
           strcmp(t, token) == 0;
}

static void use(struct store *st, bool first)
{
    char p[64], t[16], *v, **names;
    unsigned n;

    CHECK(st->open(NULL) && st->connected(NULL));
    CHECK(st->watch(NULL, "/c", "tok") && next(st, "/c", "tok"));
    CHECK(!st->next(NULL, p, sizeof(p), t, sizeof(t)) && errno == EAGAIN);
    if (first) {
        /* Nothing to write beside. */
        CHECK(!st->write_beside(NULL, "/c/tty", "pts", "/c/ring-ref"));
        CHECK(st->read(NULL, "/c/tty") == NULL);
        CHECK(st->write_beside(NULL, "/c/ring-ref", "1", "/tool"));
        CHECK(next(st, "/c/ring-ref", "tok"));
    }
    CHECK(st->write_beside(NULL, "/c/tty", "pts", "/c/ring-ref"));
    CHECK(next(st, "/c/tty", "tok"));
    v = st->read(NULL, "/c/tty");
    CHECK_STR(v, "pts");
    free(v);
    names = st->list(NULL, "/c", &n);
    CHECK(names && n == 2);
    free(names);
}

TEST(store_killed)
{
    struct store st;
    pid_t pid;
    char p[64], t[16];

    signal(SIGPIPE, SIG_IGN);
    sim_fresh();
    store_init(&st);
    setenv("XENSTORED_PATH", "/nowhere", 1);
    CHECK(st.fd(NULL) == -1 && !st.connected(NULL));
    pid = start();
    use(&st, true);
    stop(pid);
    CHECK(!st.connected(NULL));
    CHECK(!st.watch(NULL, "/d", "tok") && st.read(NULL, "/c/tty") == NULL);
    CHECK(!st.next(NULL, p, sizeof(p), t, sizeof(t)));
    st.close(NULL);
    pid = start();
    use(&st, false);
    st.close(NULL);
    stop(pid);
    sim_done();
}

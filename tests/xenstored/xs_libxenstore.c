/* SPDX-License-Identifier: MIT */
/* The program itself at its Unix socket, driven by Debian's libxenstore; killed and started again.
 */
#include "unit.h"
#include "await.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

static char dir[] = "/tmp/xs-lib-XXXXXX";
static pid_t pid;

static bool start(void)
{
    char sock[64], pidf[64], state[64];

    snprintf(sock, sizeof(sock), "%s/socket", dir);
    snprintf(pidf, sizeof(pidf), "%s/pid", dir);
    snprintf(state, sizeof(state), "%s/state", dir);
    setenv("XENSTORED_PATH", sock, 1);
    unlink(sock);
    pid = fork();
    if (pid == 0) {
        execl("build/tests/xenstored/xenstored", "xenstored", "-F", "--no-domains", "-P", pidf,
              "-s", sock, "-d", state, NULL);
        _exit(9);
    }
    return await_socket(sock);
}

static int stop(int sig)
{
    int status = -1;

    kill(pid, sig);
    waitpid(pid, &status, 0);
    return status;
}

static void nodes(struct xs_handle *h)
{
    unsigned len = 0;
    char *v;
    char **names;
    struct xs_permissions p[2] = { { 0, XS_PERM_NONE }, { 5, XS_PERM_READ | XS_PERM_WRITE } }, *q;

    CHECK(xs_write(h, XBT_NULL, "/t/a", "one", 3));
    v = xs_read(h, XBT_NULL, "/t/a", &len);
    CHECK_STR(v, "one");
    CHECK_EQ(len, 3);
    free(v);
    CHECK(xs_mkdir(h, XBT_NULL, "/t/b/c"));
    names = xs_directory(h, XBT_NULL, "/t", &len);
    CHECK_EQ(len, 2);
    free(names);
    CHECK(xs_set_permissions(h, XBT_NULL, "/t/a", p, 2));
    q = xs_get_permissions(h, XBT_NULL, "/t/a", &len);
    CHECK_EQ(len, 2);
    CHECK(q && q[1].id == 5 && q[1].perms == (XS_PERM_READ | XS_PERM_WRITE));
    free(q);
    CHECK(xs_rm(h, XBT_NULL, "/t/b"));
    CHECK(!xs_read(h, XBT_NULL, "/t/b/c", &len) && errno == ENOENT);
    v = xs_get_domain_path(h, 3);
    CHECK_STR(v, "/local/domain/3");
    free(v);
    CHECK(!xs_is_domain_introduced(h, 3));
    CHECK(!xs_introduce_domain(h, 3, 1, 1) && errno == EINVAL);
    v = xs_control_command(h, "quota", NULL, 0);
    CHECK(v && strstr(v, "nodes: 1000"));
    free(v);
}

/* More names than one message holds. */
static void long_directory(struct xs_handle *h)
{
    char path[64];
    unsigned n = 0;
    char **names;

    for (int i = 0; i < 1500; i++) {
        snprintf(path, sizeof(path), "/long/a-name-that-is-long-%d", i);
        CHECK(xs_mkdir(h, XBT_NULL, path));
    }
    names = xs_directory(h, XBT_NULL, "/long", &n);
    CHECK(names != NULL);
    CHECK_EQ(n, 1500);
    free(names);
}

static void watches_and_transactions(struct xs_handle *h)
{
    unsigned n;
    char **ev;
    xs_transaction_t a, b;

    CHECK(xs_watch(h, "/t", "tok"));
    ev = xs_read_watch(h, &n);
    CHECK(ev && strcmp(ev[XS_WATCH_PATH], "/t") == 0 && strcmp(ev[XS_WATCH_TOKEN], "tok") == 0);
    free(ev);
    a = xs_transaction_start(h);
    b = xs_transaction_start(h);
    free(xs_read(h, a, "/t/a", &n));
    CHECK(xs_write(h, a, "/t/x", "1", 1));
    CHECK(xs_write(h, b, "/t/a", "2", 1));
    CHECK(xs_transaction_end(h, b, false));
    CHECK(!xs_transaction_end(h, a, false) && errno == EAGAIN);
    ev = xs_read_watch(h, &n);
    CHECK(ev && strcmp(ev[XS_WATCH_PATH], "/t/a") == 0);
    free(ev);
    CHECK(!xs_read(h, XBT_NULL, "/t/x", &n) && errno == ENOENT);
    CHECK(xs_unwatch(h, "/t", "tok"));
}

TEST(libxenstore)
{
    struct xs_handle *h;
    unsigned len;
    char *v, cmd[80];
    int status;

    CHECK(mkdtemp(dir) != NULL);
    CHECK(start());
    h = xs_open(0);
    CHECK(h != NULL);
    if (!h)
        return;
    nodes(h);
    long_directory(h);
    watches_and_transactions(h);
    stop(SIGKILL);
    CHECK(!xs_read(h, XBT_NULL, "/t/a", &len));
    xs_close(h);
    CHECK(start());
    h = xs_open(0);
    v = h ? xs_read(h, XBT_NULL, "/t/a", &len) : NULL;
    CHECK_STR(v, "2");
    free(v);
    xs_close(h);
    status = stop(SIGTERM);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    CHECK_EQ(system(cmd), 0);
}

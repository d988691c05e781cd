/* SPDX-License-Identifier: MIT */
/* The command line's side against the daemon at a real socket. Daemon and user are processes of
 * their own; the guest says "hello" and answers what is typed with the same in capitals. */
#include "sim.h"
#include "await.h"
#include "unit.h"

#include "lib/console_client.h"
#include "lib/error.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>

static char sock[128];

static void guest_turn(void)
{
    char buf[512];
    size_t n = sim_take(1, buf, sizeof(buf));

    for (size_t i = 0; i < n; i++)
        buf[i] = toupper(buf[i]);
    if (n)
        sim_put(1, buf, n);
    /* Its last word. */
    if (memchr(buf, '!', n)) {
        sim_run();
        sim_destroy(1);
    }
}

/* The daemon, with a guest that has written up to a position. */
static pid_t daemon_start(uint32_t position)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    signal(SIGPIPE, SIG_IGN);
    sim_start();
    sim_guest(1, "g");
    sim.page[1].out_cons = sim.page[1].out_prod = position;
    domain_start(&sim_d);
    if (client_listen(&sim_d, sock) != 0)
        _exit(1);
    if (position == 0)
        sim_put(1, "hello\r\n", 7);
    for (int i = 0; i < 300000; i++) { /* it is killed before */
        sim_run();
        guest_turn();
        usleep(1000);
    }
    _exit(0);
}

/* The user's process: its ends of the pipes, or of a terminal. */
struct user {
    pid_t pid;
    int to, from;
    char got[1024];
    size_t len;
};

/* follow < 0: attach; else log. The exit code is the result and 1 more. */
static void user_start(struct user *u, const char *guest, int follow, bool tty)
{
    struct console_options o;
    struct error e = { 0 };
    int in[2], out[2];

    memset(u, 0, sizeof(*u));
    if (tty) {
        in[1] = posix_openpt(O_RDWR | O_NOCTTY);
        if (in[1] < 0 || grantpt(in[1]) || unlockpt(in[1]))
            abort();
        in[0] = open(ptsname(in[1]), O_RDWR | O_NOCTTY);
    } else if (pipe(in) != 0) {
        abort();
    }
    if (pipe(out) != 0)
        abort();
    u->pid = fork();
    if (u->pid == 0) {
        close(in[1]);
        close(out[0]);
        console_options_default(&o);
        o.socket = sock;
        o.in = in[0];
        o.out = out[1];
        if (follow < 0)
            follow = console_attach(guest, &o, &e);
        else
            follow = console_log(guest, follow, &o, &e);
        dprintf(out[1], "%s", e.cause);
        _exit(follow + 1);
    }
    close(in[0]);
    close(out[1]);
    u->to = in[1];
    u->from = out[0];
}

/* Reads until the text is there; false: nothing came for 100 s, or the output ended. */
static bool user_sees(struct user *u, const char *text)
{
    struct pollfd p = { .fd = u->from, .events = POLLIN };

    while (!strstr(u->got, text)) {
        ssize_t n = poll(&p, 1, 100000) > 0 ? read(u->from, u->got + u->len, 900 - u->len) : 0;

        if (n <= 0)
            return false;
        u->len += n;
        u->got[u->len] = 0;
    }
    return true;
}

static void user_types(struct user *u, const char *text)
{
    CHECK_EQ(write(u->to, text, strlen(text)), strlen(text));
}

static int user_ends(struct user *u)
{
    int status = -1;

    waitpid(u->pid, &status, 0);
    close(u->to);
    close(u->from);
    return WIFEXITED(status) ? WEXITSTATUS(status) - 1 : -99;
}

static pid_t begin(void)
{
    sim_fresh();
    snprintf(sock, sizeof(sock), "%s/sock", sim_dir);
    return daemon_start(0);
}

static void finish(pid_t daemon)
{
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    sim_done();
}

TEST(attach_type_and_the_guest_ends)
{
    pid_t daemon = begin();
    struct user u;

    user_start(&u, "g", -1, false);
    CHECK(user_sees(&u, "hello\r\n"));
    user_types(&u, "abc");
    CHECK(user_sees(&u, "ABC"));
    user_types(&u, "bye!");
    CHECK(user_sees(&u, "BYE!"));
    CHECK_EQ(user_ends(&u), CONSOLE_ENDED);
    CHECK_STR(u.got, "hello\r\nABCBYE!");
    /* It can still be read. */
    user_start(&u, "g", 0, false);
    CHECK(user_sees(&u, "hello\r\nABCBYE!"));
    CHECK_EQ(user_ends(&u), CONSOLE_ENDED);
    finish(daemon);
}

TEST(escape_on_a_terminal)
{
    pid_t daemon = begin();
    struct user u;
    struct termios t;

    user_start(&u, "1", -1, true);
    CHECK(user_sees(&u, "hello\r\n"));
    user_types(&u, "x\x03");
    CHECK(user_sees(&u, "X\x03"));
    user_types(&u, "\x1d");
    CHECK(!user_sees(&u, "nothing more"));
    /* As it was before: lines, echo. */
    CHECK(tcgetattr(u.to, &t) == 0 && (t.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO));
    CHECK_EQ(user_ends(&u), CONSOLE_DETACHED);
    finish(daemon);
}

TEST(daemon_killed_meanwhile)
{
    pid_t daemon = begin();
    struct user u, log;

    user_start(&u, "g", -1, false);
    user_start(&log, "g", 1, false);
    CHECK(user_sees(&u, "hello\r\n") && user_sees(&log, "hello\r\n"));
    user_types(&u, "one");
    CHECK(user_sees(&u, "ONE") && user_sees(&log, "ONE"));
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    usleep(300000);
    daemon = daemon_start(10);
    CHECK(await_socket(sock));
    usleep(500000);
    user_types(&u, "two!");
    CHECK(user_sees(&u, "TWO!") && user_sees(&log, "TWO!"));
    CHECK_EQ(user_ends(&u), CONSOLE_ENDED);
    CHECK_EQ(user_ends(&log), CONSOLE_ENDED);
    CHECK_STR(u.got, "hello\r\nONETWO!");
    CHECK_STR(log.got, "hello\r\nONETWO!");
    finish(daemon);
}

TEST(refusals)
{
    struct user u;
    pid_t daemon;

    sim_fresh();
    snprintf(sock, sizeof(sock), "%s/sock", sim_dir);
    user_start(&u, "g", 0, false);
    CHECK(user_sees(&u, "no connection to the console daemon at "));
    CHECK(user_ends(&u) == CONSOLE_FAILED);
    daemon = begin();
    CHECK(await_socket(sock));
    user_start(&u, "other", 0, false);
    CHECK(user_sees(&u, "no guest \"other\" runs, ended a short time ago or has a log"));
    CHECK(user_ends(&u) == CONSOLE_FAILED);
    user_start(&u, "a b", -1, false);
    CHECK(user_sees(&u, "knows no names with spaces"));
    CHECK(user_ends(&u) == CONSOLE_FAILED);
    finish(daemon);
}

/* SPDX-License-Identifier: MIT */
/* The daemon with guests in memory: consoles from their guest's first byte to its end. */
#include "sim.h"
#include "unit.h"

#include <poll.h>

static void begin(void)
{
    sim_fresh();
    sim_start();
    CHECK(domain_start(&sim_d));
}

static void finish(void)
{
    consoled_free(&sim_d);
    sim_done();
}

/* As if it had been killed: nothing is told to anybody. Memory is given back for the checker. */
static void kill_daemon(void)
{
    memset(sim.bound, 0, sizeof(sim.bound));
    consoled_free(&sim_d);
    sim.watches = 0;
}

/* What comes after our own line at the top of a log. */
static const char *log_text(const char *name)
{
    const char *p = sim_log(name), *nl = strchr(p, '\n');

    return nl ? nl + 1 : p;
}

static const char *node(const char *path)
{
    int i = sim_find(path);

    return i < 0 ? "" : sim.value[i];
}

TEST(output_goes_everywhere)
{
    struct sim_client a, b;

    begin();
    sim_guest(1, "web1");
    sim_run();
    CHECK(sim.mapped[1] && sim.bound[1]);
    sim_puts(1, "first\r\n");
    CHECK_STR(log_text("web1.log"), "first\r\n");
    CHECK(strstr(sim_log("web1.log"), "domain 1 (web1): log begins"));
    sim_ask(&a, 0, "attach web1");
    CHECK_STR(a.line, "ok domid=1 pos=0 live=1 input=1 source=memory");
    sim_ask(&b, 0, "attach 1");
    sim_puts(1, "second\r\n");
    sim_frames(&a);
    sim_frames(&b);
    CHECK_STR(a.out, "first\r\nsecond\r\n");
    CHECK_STR(b.out, "first\r\nsecond\r\n");
    CHECK(sim.notified[1] >= 2);
    CHECK_EQ(sim.page[1].out_cons, 15);
    sim_close(&a);
    sim_puts(1, "third");
    sim_frames(&b);
    CHECK_STR(b.out, "first\r\nsecond\r\nthird");
    sim_close(&b);
    CHECK_EQ(sim_d.viewers, 0);
    finish();
}

TEST(what_was_written_before_we_came)
{
    struct sim_client c;

    sim_fresh();
    sim_guest(2, "early");
    sim_put(2, "boot\n", 5);
    sim.pending[2] = false;
    sim_start();
    domain_start(&sim_d);
    sim_run();
    sim_ask(&c, 0, "log early");
    sim_frames(&c);
    CHECK_STR(c.out, "boot\n");
    CHECK_STR(c.end, "end of the history");
    sim_close(&c);
    finish();
}

TEST(input)
{
    struct sim_client a, b;
    char buf[3000] = { 0 };

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_ask(&a, 0, "attach g");
    sim_ask(&b, 0, "attach g");
    sim_type(&a, "ls");
    sim_type(&b, "\r");
    CHECK_EQ(sim_take(1, buf, sizeof(buf)), 3);
    CHECK_STR(buf, "ls\r");
    sim_close(&a);
    sim_close(&b);
    finish();
}

/* More than the ring holds: whoever types waits, nothing is lost. */
TEST(input_waits_for_the_guest)
{
    struct sim_client c;
    char text[401], buf[1024];
    size_t got = 0;
    unsigned seen = 0;

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_ask(&c, 0, "attach g");
    for (int i = 0; i < 100; i++) {
        memset(text, 'a' + i % 26, 400);
        text[400] = 0;
        sim_type(&c, text);
    }
    for (int i = 0; i < 500 && got < 40000; i++) {
        size_t n = sim_take(1, buf, 300);

        for (size_t k = 0; k < n; k++)
            CHECK_EQ(buf[k], 'a' + (got + k) / 400 % 26);
        got += n;
        sim_run();
        seen++;
    }
    CHECK_EQ(got, 40000);
    sim_close(&c);
    finish();
}

TEST(input_needs_permission)
{
    struct sim_client c;
    char buf[10];

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_ask(&c, 1000, "attach g");
    CHECK(strstr(c.line, "input=0"));
    sim_type(&c, "x");
    CHECK_EQ(sim_take(1, buf, sizeof(buf)), 0);
    sim_close(&c);
    sim_ask(&c, 0, "attach g readonly");
    CHECK(strstr(c.line, "input=0"));
    sim_type(&c, "x");
    CHECK_EQ(sim_take(1, buf, sizeof(buf)), 0);
    sim_close(&c);
    sim_d.set.group_types = true;
    sim_ask(&c, 1000, "attach g");
    sim_type(&c, "x");
    CHECK_EQ(sim_take(1, buf, sizeof(buf)), 1);
    sim_close(&c);
    finish();
}

/* A pty's two sides pass bytes on in a kernel thread: what one wrote comes soon, not at once. */
static void wait_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    poll(&p, 1, 60000);
}

static size_t wait_take(int domid, char *buf, size_t n)
{
    size_t got = 0;

    for (int i = 0; i < 60000 && got < n; i++) {
        sim_run();
        got += sim_take(domid, buf + got, n - got);
        usleep(1000);
    }
    return got;
}

TEST(pty)
{
    char buf[100] = { 0 };
    const char *tty;
    struct stat st;
    int fd;

    begin();
    sim_guest(1, "g");
    sim_run();
    tty = node("/local/domain/1/console/tty");
    CHECK(strncmp(tty, "/dev/pts/", 9) == 0);
    CHECK(stat(tty, &st) == 0 && (st.st_mode & 07777) == 0600);
    fd = open(tty, O_RDWR | O_NOCTTY | O_NONBLOCK);
    CHECK(fd >= 0);
    sim_puts(1, "login: \n");
    wait_readable(fd);
    CHECK_EQ(read(fd, buf, sizeof(buf)), 8);
    CHECK_STR(buf, "login: \n");
    CHECK_EQ(write(fd, "root\r\x03", 6), 6);
    memset(buf, 0, sizeof(buf));
    CHECK_EQ(wait_take(1, buf, 6), 6);
    CHECK_STR(buf, "root\r\x03");
    /* A program that opens and closes it leaves it as it is. */
    close(fd);
    sim_puts(1, "still there");
    fd = open(tty, O_RDWR | O_NOCTTY | O_NONBLOCK);
    wait_readable(fd);
    CHECK_EQ(read(fd, buf, sizeof(buf)), 11);
    close(fd);
    finish();
}

/* A flood while nobody reads the pty: the reader who comes gets the latest, with a word about it.
 */
TEST(pty_without_reader)
{
    static char buf[1 << 17];
    size_t got = 0;
    ssize_t n;
    int fd;

    begin();
    sim_guest(1, "g");
    sim_run();
    for (int i = 0; i < 20000; i++) {
        snprintf(buf, sizeof(buf), "line %06d\n", i);
        while (sim_put(1, buf, 12) < 12)
            sim_run();
        if (i % 100 == 0)
            sim_run();
    }
    sim_run();
    fd = open(node("/local/domain/1/console/tty"), O_RDWR | O_NOCTTY | O_NONBLOCK);
    for (int i = 0; i < 60000; i++) {
        while ((n = read(fd, buf + got, sizeof(buf) - 1 - got)) > 0)
            got += n;
        if (got >= 12 && memcmp(buf + got - 12, "line 019999\n", 12) == 0)
            break;
        sim_run();
        usleep(1000);
    }
    buf[got] = 0;
    CHECK(strstr(buf, "of older output are gone"));
    CHECK(got > 60000 && got < 100000);
    CHECK(strcmp(buf + got - 12, "line 019999\n") == 0);
    close(fd);
    finish();
}

TEST(guest_that_died_at_once)
{
    struct sim_client c;

    begin();
    sim_guest(1, "short");
    sim_run();
    /* Its last words are in the ring when it ends. */
    sim_put(1, "Kernel panic\n", 13);
    sim.pending[1] = false;
    sim_destroy(1);
    sim_run();
    CHECK(!sim.mapped[1] && !sim.bound[1]);
    CHECK_STR(node("/local/domain/1/console/tty"), "");
    sim_ask(&c, 0, "log short");
    CHECK(strstr(c.line, "live=0"));
    sim_frames(&c);
    CHECK_STR(c.out, "Kernel panic\n");
    CHECK_STR(c.end, "the guest has ended");
    sim_close(&c);
    CHECK(strstr(sim_log("short.log"), "Kernel panic\n--- "));
    CHECK(strstr(sim_log("short.log"), "has ended"));
    /* A restart, and later: from the file. */
    kill_daemon();
    sim_start();
    domain_start(&sim_d);
    sim_ask(&c, 0, "log short");
    CHECK(strstr(c.line, "source=file"));
    sim_frames(&c);
    CHECK(strstr(c.out, "Kernel panic\n"));
    sim_close(&c);
    sim_ask(&c, 0, "attach nobody");
    CHECK(strncmp(c.line, "error unknown: no guest \"nobody\"", 32) == 0);
    sim_close(&c);
    finish();
}

TEST(dead_are_forgotten_in_time)
{
    struct sim_client c;
    char name[16];

    begin();
    sim_d.set.max_dead = 3;
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        sim_guest(1, name);
        sim_run();
        sim_puts(1, name);
        sim_destroy(1);
        sim_run();
    }
    sim_ask(&c, 0, "list");
    sim_frames(&c);
    CHECK(!strstr(c.out, "g2") && strstr(c.out, "1 g3 dead 2 ") && strstr(c.out, "g5"));
    sim_close(&c);
    /* Looking at one that is forgotten meanwhile. */
    sim_ask(&c, 0, "attach g5");
    sim_d.set.keep_dead = 0;
    domain_tick(&sim_d);
    CHECK(sim_d.dead == NULL);
    sim_close(&c);
    finish();
}

TEST(viewer_sees_the_end)
{
    struct sim_client c;

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_ask(&c, 0, "attach g");
    sim_puts(1, "bye\n");
    sim_destroy(1);
    sim_frames(&c);
    CHECK_STR(c.out, "bye\n");
    CHECK_STR(c.end, "the guest has ended");
    CHECK_EQ(sim_d.viewers, 0);
    close(c.fd);
    finish();
}

/* Reads its output late: it misses some, the others and the guest do not wait for it. */
TEST(slow_viewer)
{
    static struct sim_client slow, quick;
    char line[128];

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_ask(&slow, 0, "attach g");
    sim_ask(&quick, 0, "attach g");
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof(line), "%0100d\n", i);
        while (sim_put(1, line, 101) < 101)
            sim_run();
        if (i % 10 == 0)
            sim_frames(&quick);
        quick.len = quick.len > 100000 ? 0 : quick.len;
    }
    sim_frames(&quick);
    CHECK_EQ(quick.lost, 0);
    CHECK_EQ(atoi(quick.out + quick.len - 101), 19999);
    for (int i = 0; i < 1000; i++) {
        sim_frames(&slow);
        slow.len = slow.len > 100000 ? 0 : slow.len;
    }
    CHECK(slow.lost > 1000000);
    CHECK_EQ(atoi(slow.out + slow.len - 101), 19999);
    sim_close(&slow);
    sim_close(&quick);
    finish();
}

TEST(killed_and_started_again)
{
    struct sim_client c;

    begin();
    sim_guest(1, "g");
    sim_guest(2, "h");
    sim_run();
    sim_puts(1, "one\n");
    kill_daemon();
    /* Written while there is no daemon. */
    sim_put(1, "two\n", 4);
    sim_start();
    domain_start(&sim_d);
    sim_run();
    sim_puts(1, "three\n");
    CHECK_STR(log_text("g.log"), "one\ntwo\nthree\n");
    sim_ask(&c, 0, "attach g");
    CHECK(strstr(c.line, "pos=0 "));
    sim_frames(&c);
    CHECK_STR(c.out, "one\ntwo\nthree\n");
    sim_close(&c);
    /* A client that goes on where it was. */
    sim_ask(&c, 0, "attach g from=4 of=1");
    sim_frames(&c);
    CHECK_STR(c.out, "two\nthree\n");
    sim_close(&c);
    sim_ask(&c, 0, "attach g from=4 of=2");
    CHECK(strstr(c.line, "pos=0 "));
    sim_close(&c);
    CHECK(strstr(node("/local/domain/1/console/tty"), "/dev/pts/"));
    finish();
}

/* Killed between each two steps of taking a piece: nothing is lost, nothing is there twice. */
TEST(killed_between_the_steps)
{
    for (int step = 0; step < 3; step++) {
        struct sim_client c;
        struct console *con;

        begin();
        sim_guest(1, "g");
        sim_run();
        sim_puts(1, "before\n");
        con = sim_d.live[1];
        sim_put(1, "piece\n", 6);
        sim.pending[1] = false;
        if (step == 0) /* part of it in the log */
            log_write(&con->log, "pie", 3);
        if (step >= 1)
            log_write(&con->log, "piece\n", 6);
        if (step == 2) { /* also in the state, not in the ring */
            struct saved s = { 13, con->log.size, 13, 5 };

            state_put(&con->saved, &s);
        }
        kill_daemon();
        sim_start();
        domain_start(&sim_d);
        sim_run();
        sim_puts(1, "after\n");
        CHECK_STR(log_text("g.log"), "before\npiece\nafter\n");
        sim_ask(&c, 0, "log g");
        sim_frames(&c);
        CHECK_STR(c.out, "before\npiece\nafter\n");
        sim_close(&c);
        finish();
    }
}

/* The log was emptied by somebody, or belongs to another: what is in the ring counts. */
TEST(killed_and_the_log_is_another)
{
    struct sim_client c;

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_puts(1, "before\n");
    sim_put(1, "piece\n", 6);
    log_write(&sim_d.live[1]->log, "strange bytes", 13);
    kill_daemon();
    sim_start();
    domain_start(&sim_d);
    sim_run();
    sim_ask(&c, 0, "log g");
    sim_frames(&c);
    CHECK(strstr(c.out, "piece\n"));
    sim_close(&c);
    finish();
}

TEST(same_number_another_guest)
{
    struct sim_client c;

    begin();
    sim_guest(1, "old");
    sim_run();
    sim_puts(1, "old text\n");
    kill_daemon();
    sim_destroy(1);
    sim_guest(1, "new");
    sim_start();
    domain_start(&sim_d);
    sim_run();
    sim_puts(1, "new text\n");
    sim_ask(&c, 0, "log new");
    sim_frames(&c);
    CHECK_STR(c.out, "new text\n");
    sim_close(&c);
    finish();
}

/* Rubbish in the indices: that ring is given up in the end, the neighbour notices nothing. */
TEST(hostile_indices)
{
    struct sim_client bad, good;

    begin();
    sim_guest(1, "bad");
    sim_guest(2, "good");
    sim_run();
    sim_ask(&bad, 0, "attach bad");
    sim_ask(&good, 0, "attach good");
    sim_puts(1, "hello\n");
    for (int i = 0; i < 100; i++) {
        sim.page[1].out_prod += 5000 + i;
        sim.page[1].in_cons = i * 77777;
        sim.page[1].out_cons = 3;
        sim.pending[1] = true;
        sim_run();
        sim_puts(2, "x");
    }
    CHECK(!sim.mapped[1] && !sim.bound[1]);
    CHECK(sim_d.live[1]->state == CONSOLE_DISABLED);
    sim_frames(&bad);
    CHECK_STR(bad.out, "hello\n");
    CHECK(strstr(bad.message, "impossible indices"));
    sim_type(&bad, "into the void");
    sim_frames(&good);
    CHECK_EQ(good.len, 100);
    sim_close(&bad);
    sim_close(&good);
    /* A new ring is a new chance. */
    memset(&sim.page[1], 0, sizeof(sim.page[1]));
    sim_set("/local/domain/1/console/port", "6");
    sim_run();
    sim_puts(1, "again\n");
    sim_ask(&bad, 0, "log bad");
    sim_frames(&bad);
    CHECK_STR(bad.out, "hello\nagain\n");
    sim_close(&bad);
    sim_destroy(1);
    sim_run();
    finish();
}

/* One lapse is forgiven. */
TEST(one_bad_index)
{
    begin();
    sim_guest(1, "g");
    sim_run();
    sim.page[1].out_prod = 0x80000000;
    sim.pending[1] = true;
    sim_run();
    CHECK_EQ(sim.page[1].out_cons, 0x80000000);
    sim_puts(1, "fine\n");
    CHECK_STR(log_text("g.log"), "fine\n");
    finish();
}

static int64_t flood_ms;

static int64_t flood_clock(void)
{
    return flood_ms;
}

/*
 * A flood takes what its rate allows and no more; its port stays masked meanwhile. The clock is the
 * test's: however long this process waits for a CPU, 700 ms have passed.
 */
TEST(flood)
{
    char junk[2048];
    const uint64_t spent = 65536 + 65536 * 7 / 10, piece = sizeof(junk) + 64;
    struct console *con;
    uint64_t total;

    memset(junk, 'f', sizeof(junk));
    con_clock = flood_clock;
    sim_fresh();
    sim_start();
    sim_d.set.rate = 65536;
    sim_d.set.log = (struct log_limits){ .size = 16384, .keep = 1 };
    domain_start(&sim_d);
    sim_guest(1, "flood");
    sim_guest(2, "calm");
    sim_run();
    con = sim_d.live[1];
    for (int i = 0; i < 700; i++, flood_ms++) {
        sim_put(1, junk, sizeof(junk));
        consoled_ports(&sim_d);
        /* As often as can be: it is the clock that holds it back. */
        if (con->held)
            event_active(con->resume, EV_TIMEOUT, 1);
        event_base_loop(sim_d.base, EVLOOP_NONBLOCK);
    }
    total = con->hist.end;
    /* The burst, and 0.7 s of the rate; a signal counts as 64 bytes, the last may overdraw. */
    CHECK(total > (spent - 2 * piece) / piece * sizeof(junk));
    CHECK(total <= (spent + piece) / piece * sizeof(junk));
    CHECK(con->held && sim.masked[1]);
    sim_puts(2, "calm\n");
    CHECK_STR(log_text("calm.log"), "calm\n");
    CHECK(strlen(sim_log("flood.log")) <= 16384 && strlen(sim_log("flood.log.1")) <= 16384);
    /* It goes on by itself. */
    CHECK(event_pending(con->resume, EV_TIMEOUT, NULL));
    flood_ms += 1000;
    for (int i = 0; i < 1000 && con->hist.end == total && !unit_failures; i++)
        event_base_loop(sim_d.base, EVLOOP_ONCE);
    CHECK(con->hist.end > total);
    con_clock = NULL;
    finish();
}

/* Signals without a byte cost too. */
TEST(flood_of_signals)
{
    unsigned handled = 0;

    con_clock = flood_clock; /* stands still */
    sim_fresh();
    sim_start();
    sim_d.set.rate = 64000;
    domain_start(&sim_d);
    sim_guest(1, "g");
    sim_run();
    for (int i = 0; i < 100000; i++) {
        sim.pending[1] = true;
        if (!sim.masked[1])
            handled++;
        consoled_ports(&sim_d);
    }
    CHECK(handled >= 990 && handled <= 1001);
    con_clock = NULL;
    finish();
}

TEST(not_ours)
{
    begin();
    sim_set("/local/domain/1/console/type", "ioemu");
    sim_guest(1, "hvm");
    sim_run();
    CHECK(!sim.mapped[1]);
    sim_set("/local/domain/2/console/type", "xenconsoled");
    sim_guest(2, "pv");
    sim_run();
    CHECK(sim.mapped[2]);
    finish();
}

TEST(rubbish_in_the_store)
{
    begin();
    sim_guest(1, "g");
    sim_set("/local/domain/1/console/ring-ref", "-1");
    sim_run();
    CHECK(!sim.mapped[1]);
    sim_set("/local/domain/1/console/ring-ref", "1001");
    sim_set("/local/domain/1/console/port", "99999999999");
    sim_run();
    CHECK(!sim.mapped[1]);
    sim_set("/local/domain/1/console/port", "5");
    sim_run();
    CHECK(sim.mapped[1]);
    finish();
}

/* Another daemon has the port; once it is gone, it works. */
TEST(port_in_use)
{
    begin();
    sim.refuse_bind = true;
    sim_guest(1, "g");
    sim_run();
    CHECK(!sim.mapped[1] && !sim.bound[1]);
    domain_tick(&sim_d);
    sim.refuse_bind = false;
    domain_tick(&sim_d);
    CHECK(sim.mapped[1] && sim.bound[1]);
    sim_puts(1, "x");
    CHECK_STR(log_text("g.log"), "x");
    finish();
}

TEST(store_started_again)
{
    begin();
    sim_guest(1, "g");
    sim_run();
    sim.store_down = true;
    domain_tick(&sim_d);
    CHECK(!sim_d.store_up);
    sim_puts(1, "served on\n");
    CHECK_STR(log_text("g.log"), "served on\n");
    CHECK(!domain_start(&sim_d));
    /* Meanwhile one came and one went. */
    sim_guest(2, "h");
    sim.exists[1] = false;
    sim_rm("/local/domain/1/");
    sim.store_down = false;
    CHECK(domain_start(&sim_d));
    sim_run();
    CHECK(sim.mapped[2] && !sim.mapped[1]);
    finish();
}

TEST(rename)
{
    struct sim_client c;

    begin();
    sim_guest(1, "a");
    sim_run();
    sim_puts(1, "one\n");
    sim_set("/local/domain/1/name", "b");
    sim_run();
    sim_puts(1, "two\n");
    CHECK_STR(log_text("a.log"), "one\n");
    CHECK_STR(log_text("b.log"), "two\n");
    sim_ask(&c, 0, "log b");
    sim_frames(&c);
    CHECK_STR(c.out, "one\ntwo\n");
    sim_close(&c);
    finish();
}

TEST(logs_opened_anew)
{
    begin();
    sim_guest(1, "g");
    sim_run();
    sim_puts(1, "one\n");
    CHECK(rename(sim_path("log/g.log"), sim_path("log/moved")) == 0);
    sim_puts(1, "two\n");
    log_reopen(&sim_d.live[1]->log);
    sim_puts(1, "three\n");
    CHECK_STR(log_text("moved"), "one\ntwo\n");
    CHECK_STR(sim_log("g.log"), "three\n");
    finish();
}

TEST(hypervisor)
{
    struct sim_client c;

    sim_fresh();
    strcpy(sim.hv, "(orlop) one\n");
    sim.hv_len = strlen(sim.hv);
    sim_start();
    hypervisor_start(&sim_d);
    domain_start(&sim_d);
    CHECK_STR(log_text("hypervisor.log"), "(orlop) one\n");
    strcat(sim.hv, "(orlop) two\n");
    sim.hv_len = strlen(sim.hv);
    sim.hv_pending = true;
    sim_run();
    CHECK_STR(log_text("hypervisor.log"), "(orlop) one\n(orlop) two\n");
    sim_ask(&c, 0, "attach hypervisor");
    CHECK_STR(c.line, "ok domid=-1 pos=0 live=1 input=0 source=memory");
    sim_frames(&c);
    CHECK_STR(c.out, "(orlop) one\n(orlop) two\n");
    sim_close(&c);
    /* Killed after it wrote the log and before the state. */
    strcat(sim.hv, "(orlop) three\n");
    sim.hv_len = strlen(sim.hv);
    log_write(&sim_d.hypervisor->log, "(orlop) three\n", 14);
    kill_daemon();
    strcat(sim.hv, "(orlop) four\n");
    sim.hv_len = strlen(sim.hv);
    sim.no_virq = true;
    sim_start();
    hypervisor_start(&sim_d);
    CHECK_STR(log_text("hypervisor.log"), sim.hv);
    /* Without the event: looked at each second. */
    strcat(sim.hv, "(orlop) five\n");
    sim.hv_len = strlen(sim.hv);
    hypervisor_tick(&sim_d);
    CHECK_STR(log_text("hypervisor.log"), sim.hv);
    finish();
}

TEST(bad_requests)
{
    static const char *const lines[] = { "",           "attach",          "log",
                                         "dance web1", "attach g from=x", "attach g history=-1",
                                         "list all",   "attach g what" };
    struct sim_client c;
    char big[2000];

    begin();
    sim_guest(1, "g");
    sim_run();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        sim_ask(&c, 0, lines[i]);
        CHECK(strncmp(c.line, "error request: ", 15) == 0);
        CHECK(strstr(c.line, "attach, log, list"));
        sim_close(&c);
    }
    memset(big, 'a', sizeof(big));
    big[sizeof(big) - 1] = 0;
    sim_ask(&c, 0, big);
    CHECK(strstr(c.line, "too long"));
    sim_close(&c);
    /* Not in frames: cut off. */
    sim_ask(&c, 0, "attach g");
    sim_send(&c, "GET / HTTP/1.0\r\n\r\n", 18);
    sim_run();
    CHECK_EQ(sim_d.viewers, 0);
    close(c.fd);
    sim_ask(&c, 0, "attach g history=0");
    sim_puts(1, "live");
    sim_frames(&c);
    CHECK_STR(c.out, "live");
    sim_close(&c);
    finish();
}

TEST(too_many_viewers)
{
    static struct sim_client c[3];

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_d.viewers = MAX_VIEWERS;
    sim_ask(&c[0], 1000, "attach g");
    CHECK(strstr(c[0].line, "error busy:"));
    sim_close(&c[0]);
    CHECK_EQ(sim_d.viewers, MAX_VIEWERS);
    /* Whoever the group has let in, root gets in. */
    sim_ask(&c[0], 0, "attach g");
    CHECK(strstr(c[0].line, "ok domid=1"));
    sim_close(&c[0]);
    CHECK_EQ(sim_d.viewers, MAX_VIEWERS);
    sim_d.viewers = 0;
    finish();
}

/* Requests and typing in pieces of one byte. */
TEST(bytes_one_by_one)
{
    static const char text[] = "attach g\ni\0\0\2hi";
    struct sim_client c;
    char buf[10] = { 0 };

    begin();
    sim_guest(1, "g");
    sim_run();
    sim_connect(&c, 0);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        sim_send(&c, text + i, 1);
        sim_run();
    }
    CHECK_EQ(sim_take(1, buf, sizeof(buf)), 2);
    CHECK_STR(buf, "hi");
    sim_close(&c);
    finish();
}

/* Asked for before the store's event was handled: found all the same. */
TEST(attach_at_once)
{
    struct sim_client c;

    begin();
    sim_run();
    sim_guest(3, "quick");
    sim.nfired = 0;
    sim_ask(&c, 0, "attach quick");
    CHECK(strstr(c.line, "ok domid=3"));
    sim_close(&c);
    finish();
}

/* SPDX-License-Identifier: MIT */
/* The parts alone: history, ring, budget, log files, state. */
#include "sim.h"
#include "unit.h"

TEST(history)
{
    struct history h;
    uint8_t in[40000], out[40000];
    uint64_t total = 1000;

    history_init(&h, 16384, total);
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = i * 7 + i / 256;
    /* Pieces of all sizes, also larger than all that is kept. */
    for (size_t n = 1; n <= sizeof(in); n = n * 5 / 3 + 1) {
        history_add(&h, in, n);
        total += n;
        CHECK_EQ(h.end, total);
        CHECK(h.end - h.start <= 16384);
        CHECK(h.end - h.start >= (n < 16384 ? n : 16384));
        n = n < sizeof(in) ? n : sizeof(in);
        size_t part = n < 16384 ? n : 16384;

        CHECK_EQ(history_read(&h, h.end - part, out, sizeof(out)), part);
        CHECK(memcmp(out, in + n - part, part) == 0);
    }
    CHECK_EQ(h.size, 16384);
    CHECK_EQ(history_read(&h, h.end, out, 10), 0);
    CHECK_EQ(history_read(&h, h.start, out, 10), 10);
    history_free(&h);
}

TEST(history_grows_only_as_needed)
{
    struct history h;

    history_init(&h, 1 << 20, 0);
    CHECK(h.bytes == NULL);
    history_add(&h, "abc", 3);
    CHECK_EQ(h.size, 4096);
    history_free(&h);
}

TEST(bucket)
{
    struct bucket b;

    bucket_init(&b, 1000, 500, 0);
    CHECK_EQ(bucket_level(&b, 0), 500);
    bucket_spend(&b, 700);
    CHECK_EQ((uint64_t)-bucket_level(&b, 0), 200);
    CHECK_EQ(bucket_wait(&b, 100), 301);
    CHECK_EQ(bucket_level(&b, 301), 101);
    CHECK_EQ(bucket_level(&b, 100000), 500);
    /* Looking often is no reason to get nothing. */
    bucket_init(&b, 100, 100, 0);
    bucket_spend(&b, 100);
    for (int t = 0; t <= 1000; t++)
        bucket_level(&b, t);
    CHECK_EQ(bucket_level(&b, 1000), 100);
    CHECK_EQ(bucket_level(&b, INT64_MAX / 2), 100);
}

TEST(numbers)
{
    uint64_t v = 7;

    CHECK(con_number("12", 1, 12, &v) && v == 12);
    CHECK(!con_number("13", 1, 12, &v) && !con_number("", 0, 9, &v) && !con_number("-1", 0, 9, &v));
    CHECK(!con_number("1x", 0, 9, &v) && !con_number(" 1", 0, 9, &v) &&
          !con_number(NULL, 0, 9, &v));
    CHECK(!con_number("99999999999999999999999", 0, UINT64_MAX, &v));
}

/* Positions that wrap, in both directions. */
TEST(ring_wraps)
{
    struct xencons_interface page = {
        .out_cons = 0xfffffff0, .out_prod = 0xfffffff0, .in_cons = 0xfffffff8, .in_prod = 0xfffffff8
    };
    struct ring r;
    uint8_t buf[RING_OUT];

    ring_attach(&r, &page);
    CHECK_EQ(ring_peek(&r, buf, sizeof(buf)), 0);
    for (int i = 0; i < 100; i++)
        page.out[page.out_prod++ & (RING_OUT - 1)] = i;
    CHECK_EQ(ring_peek(&r, buf, sizeof(buf)), 100);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(buf[i], i);
    CHECK_EQ(page.out_cons, 0xfffffff0);
    ring_consume(&r, 100);
    CHECK_EQ(page.out_cons, 84);
    memset(buf, 'x', sizeof(buf));
    CHECK_EQ(ring_write(&r, buf, sizeof(buf)), RING_IN);
    CHECK_EQ(ring_write(&r, buf, 1), 0);
    CHECK_EQ(page.in_prod, RING_IN - 8);
    page.in_cons += 3;
    CHECK_EQ(ring_write(&r, buf, 10), 3);
}

TEST(ring_impossible)
{
    struct xencons_interface page = { .out_cons = 5, .out_prod = 1 << 20, .in_prod = 99999 };
    struct ring r;
    uint8_t buf[RING_OUT];

    /* As it is found: begins empty. */
    ring_attach(&r, &page);
    CHECK_EQ(ring_peek(&r, buf, sizeof(buf)), 0);
    CHECK_EQ(page.in_prod, 0);
    /* The guest's changes to our own positions do nothing. */
    page.out_cons = 77;
    page.in_prod = 12345;
    CHECK_EQ(ring_write(&r, buf, 4), 4);
    CHECK_EQ(page.in_prod, 4);
    page.out_prod += RING_OUT;
    CHECK_EQ(ring_peek(&r, buf, sizeof(buf)), RING_OUT);
    page.out_prod++;
    CHECK(ring_peek(&r, buf, sizeof(buf)) == -1);
    page.in_cons = 5;
    CHECK(ring_write(&r, buf, 4) == -1);
    ring_resync(&r);
    CHECK_EQ(ring_peek(&r, buf, sizeof(buf)), 0);
    CHECK_EQ(ring_write(&r, buf, 4), 4);
}

static unsigned files_in(const char *dir)
{
    char command[200];
    FILE *f;
    unsigned n = 0;

    snprintf(command, sizeof(command), "ls %s | wc -l", dir);
    f = popen(command, "r");
    if (!f || fscanf(f, "%u", &n) != 1)
        n = 999;
    pclose(f);
    return n;
}

TEST(log_rotates)
{
    static const struct log_limits limits = { .size = 4096, .keep = 2 };
    struct logfile l;
    char line[101], tail[6000];
    char *path;

    sim_fresh();
    log_open(&l, sim_path("log"), "web1", &limits);
    for (int i = 0; i < 400; i++) {
        snprintf(line, sizeof(line), "%099d\n", i);
        log_write(&l, line, 100);
        CHECK(l.size <= 4096);
    }
    CHECK_EQ(files_in(sim_path("log")), 3);
    path = log_path(sim_path("log"), "web1");
    /* The newest part holds less than that: the end goes on in the part before. */
    CHECK_EQ(log_tail(path, tail, 5000), 5000);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(atoi(tail + i * 100), 350 + i);
    CHECK_EQ(log_tail(path, tail, 50), 50);
    CHECK_EQ(atoi(tail), 399);
    free(path);
    log_close(&l);
    sim_done();
}

TEST(log_without_older_files)
{
    static const struct log_limits limits = { .size = 4096 };
    struct logfile l;
    char line[100];

    sim_fresh();
    memset(line, 'x', sizeof(line));
    log_open(&l, sim_path("log"), "a", &limits);
    for (int i = 0; i < 1000; i++)
        log_write(&l, line, sizeof(line));
    CHECK_EQ(files_in(sim_path("log")), 1);
    CHECK(strlen(sim_log("a.log")) <= 4096);
    log_close(&l);
    sim_done();
}

TEST(log_names)
{
    static const struct {
        const char *name, *file;
    } names[] = { { "web1", "d/web1.log" },
                  { "../../etc/x", "d/_.__.._etc_x.log" },
                  { ".hidden", "d/_hidden.log" },
                  { "", "d/_.log" },
                  { "a b\n\xff", "d/a_b__.log" } };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = log_path("d", names[i].name);

        if (i == 1)
            CHECK(strchr(path + 2, '/') == NULL);
        else
            CHECK_STR(path, names[i].file);
        free(path);
    }
}

/* A link in the directory's place is not followed; the guest is served on. */
TEST(log_that_cannot_be_opened)
{
    static const struct log_limits limits = { .size = 4096, .keep = 2 };
    struct logfile l;

    sim_fresh();
    CHECK(symlink("/etc/passwd", sim_path("log/a.log")) == 0);
    log_open(&l, sim_path("log"), "a", &limits);
    CHECK_EQ((uint64_t)-l.fd, 1);
    log_write(&l, "x", 1);
    unlink(sim_path("log/a.log"));
    log_write(&l, "y", 1);
    CHECK_STR(sim_log("a.log"), "y");
    log_close(&l);
    sim_done();
}

TEST(state)
{
    struct state s;
    struct saved v = { 100, 50, 7, 5 }, got;

    sim_fresh();
    CHECK(!state_open(&s, sim_path("state"), "3", "3 /vm/x", &got));
    CHECK_EQ(got.total, 0);
    state_put(&s, &v);
    v.total = 200;
    state_put(&s, &v);
    state_close(&s, false);
    CHECK(state_open(&s, sim_path("state"), "3", "3 /vm/x", &got));
    CHECK_EQ(got.total, 200);
    CHECK_EQ(got.cons, 7);
    state_close(&s, false);
    /* Another guest with the same number. */
    CHECK(!state_open(&s, sim_path("state"), "3", "3 /vm/y", &got));
    state_close(&s, true);
    CHECK_EQ(files_in(sim_path("state")), 0);
    sim_done();
}

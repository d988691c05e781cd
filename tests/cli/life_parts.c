/* SPDX-License-Identifier: MIT */
/* The life-cycle commands' pure parts: what is taken back and in which order, addresses, what
 * becomes of a guest that stopped, how often it may come back; errors with their remedies. */
#include "tools/cli/dump_dir.h"
#include "tools/cli/policy.h"
#include "tools/cli/undo.h"
#include "tools/cli/vif.h"
#include "tools/lib/daemon.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/sched.h>
#include "unit.h"

static char trace[16];

static void note(void *ctx)
{
    strcat(trace, ctx);
}

TEST(undo_newest_first_and_once)
{
    struct undo u = { 0 };

    undo_push(&u, note, "a");
    undo_push(&u, note, "b");
    undo_push(&u, note, "c");
    undo_run(&u);
    CHECK_STR(trace, "cba");
    undo_run(&u);
    CHECK_STR(trace, "cba");
    trace[0] = 0;
    undo_push(&u, note, "d");
    undo_forget(&u);
    undo_run(&u);
    CHECK_STR(trace, "");
}

TEST(signals_leave_a_note)
{
    struct error e = { 0 };

    interrupt_catch();
    CHECK_EQ(interrupt_check(&e), 0);
    raise(SIGINT);
    CHECK(interrupt_check(&e) != 0);
    CHECK_EQ(e.code, EINTR);
    interrupt_clear();
    CHECK_EQ(interrupt_check(&e), 0);
}

TEST(addresses_are_stable_and_differ)
{
    uint8_t uuid[16] = { 1, 2, 3 }, a[6], b[6];

    vif_mac(uuid, 0, a);
    vif_mac(uuid, 0, b);
    CHECK(memcmp(a, b, 6) == 0);
    CHECK(a[0] == 0x00 && a[1] == 0x16 && a[2] == 0x3e && a[3] < 0x80);
    for (unsigned int i = 1; i < 64; i++) {
        vif_mac(uuid, i, b);
        CHECK(memcmp(a, b, 6) != 0);
    }
    uuid[15] ^= 1;
    vif_mac(uuid, 0, b);
    CHECK(memcmp(a, b, 6) != 0);
}

/* Of 5,000 cards by chance about 1.5 pairs share an address of 23 bits; a weak hash gives many. */
TEST(addresses_spread)
{
    static uint32_t seen[5000];
    unsigned int same = 0;

    for (unsigned int i = 0; i < 5000; i++) {
        uint8_t uuid[16] = { i, i >> 8 }, mac[6];

        vif_mac(uuid, i % 3, mac);
        seen[i] = mac[3] << 16 | mac[4] << 8 | mac[5];
        for (unsigned int k = 0; k < i; k++)
            same += seen[k] == seen[i];
    }
    CHECK(same <= 8);
}

TEST(actions_by_reason)
{
    struct guest_config c = { .on_poweroff = ACTION_DESTROY,
                              .on_reboot = ACTION_RESTART,
                              .on_crash = ACTION_COREDUMP_RESTART,
                              .on_watchdog = ACTION_RENAME_RESTART };

    CHECK_EQ(policy_action(&c, SHUTDOWN_poweroff), ACTION_DESTROY);
    CHECK_EQ(policy_action(&c, SHUTDOWN_reboot), ACTION_RESTART);
    CHECK_EQ(policy_action(&c, SHUTDOWN_crash), ACTION_COREDUMP_RESTART);
    CHECK_EQ(policy_action(&c, SHUTDOWN_watchdog), ACTION_RENAME_RESTART);
    CHECK_EQ(policy_action(&c, SHUTDOWN_suspend), ACTION_PRESERVE);
    CHECK_EQ(policy_action(&c, 200), ACTION_COREDUMP_RESTART);
}

static bool plan_is(enum guest_action action, bool core, bool rename, bool destroy, bool restart)
{
    struct policy_plan p = policy_plan(action);

    return p.core == core && p.rename == rename && p.destroy == destroy && p.restart == restart;
}

TEST(plans)
{
    CHECK(plan_is(ACTION_DESTROY, 0, 0, 1, 0));
    CHECK(plan_is(ACTION_RESTART, 0, 0, 1, 1));
    CHECK(plan_is(ACTION_RENAME_RESTART, 0, 1, 0, 1));
    CHECK(plan_is(ACTION_PRESERVE, 0, 0, 0, 0));
    CHECK(plan_is(ACTION_COREDUMP_DESTROY, 1, 0, 1, 0));
    CHECK(plan_is(ACTION_COREDUMP_RESTART, 1, 0, 1, 1));
}

/* A guest that comes back every `step` seconds: how often before it stays down, at most `most`. */
TEST(restarts_back_off)
{
    static const unsigned int expected[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    unsigned int quick = 0;

    for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        CHECK_EQ(policy_restart_pause(&quick, 3), expected[i]);
    CHECK_EQ(policy_restart_pause(&quick, RESTART_QUICK_S), 0); /* it ran: all is forgotten */
    CHECK_EQ(quick, 0);
    CHECK_EQ(policy_restart_pause(&quick, RESTART_QUICK_S - 1), 1);
    CHECK_EQ(policy_restart_pause(&quick, -5), 0);
}

TEST(errors_grow_in_front)
{
    struct error e = { 0 };
    char longest[2000];

    CHECK_EQ(error_set(&e, ENOENT, "Make it.", "%s is missing", "x"), -1);
    error_in(&e, "disk %d", 2);
    CHECK_STR(e.cause, "disk 2: x is missing");
    CHECK_STR(e.remedy, "Make it.");
    CHECK_EQ(e.code, ENOENT);
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    error_set(&e, 1, longest, "%s", longest);
    error_in(&e, "%s", longest);
    CHECK_EQ(strlen(e.cause), sizeof(e.cause) - 1);
    CHECK_EQ(error_set(NULL, 1, NULL, "nobody asks"), -1);
}

TEST(uuids)
{
    uint8_t u[16], v[16];
    char text[UUID_TEXT];

    uuid_random(u);
    uuid_to_text(u, text);
    CHECK_EQ(strlen(text), 36);
    CHECK(uuid_from_text(text, v) && memcmp(u, v, 16) == 0);
    CHECK(!uuid_from_text("disks", v));
    CHECK(!uuid_from_text("", v));
    strcat(strcpy(text, "00000000-0000-0000-0000-00000000000"), "g");
    CHECK(!uuid_from_text(text, v));
}

/* A child that has the pid file and dies a moment after we ask, or not at all. */
static pid_t holder(const char *file, unsigned int dies_after_us)
{
    int ready[2];
    pid_t pid;
    char c;

    CHECK_EQ(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (daemon_claim(file) || write(ready[1], "", 1) != 1)
            _exit(1);
        usleep(dies_after_us);
        _exit(0);
    }
    CHECK_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void remove_claim(const char *file)
{
    char lock[80];

    snprintf(lock, sizeof(lock), "%s.lock", file);
    unlink(file);
    unlink(lock);
}

/* What everybody may open is no lock: another user holds it as long as he likes. */
TEST(pid_file_is_no_lock)
{
    char file[] = "/tmp/orlop-pid-XXXXXX", lock[80];
    const char *why;
    struct stat st;
    int fd, other;

    close(mkstemp(file));
    unlink(file);
    umask(0);
    fd = open(file, O_RDWR | O_CREAT, 0644);
    other = open(file, O_RDONLY);
    CHECK_EQ(flock(other, LOCK_EX), 0);
    why = daemon_claim(file);
    CHECK(!why);
    snprintf(lock, sizeof(lock), "%s.lock", file);
    CHECK(stat(lock, &st) == 0 && (st.st_mode & 0777) == 0600);
    close(fd);
    close(other);
    remove_claim(file);
    /* A lock file that is open to others is not taken. */
    close(open(lock, O_RDWR | O_CREAT, 0644));
    why = daemon_claim(file);
    CHECK(why && strstr(why, "remove it"));
    remove_claim(file);
    /* The locks of the tools: names, guests, the monitor. */
    fd = lock_file(lock, false);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600);
    close(fd);
    remove_claim(file);
    umask(022);
}

TEST(one_daemon_of_a_kind)
{
    char file[] = "/tmp/orlop-pid-XXXXXX", *text, number[16];
    const char *why;
    pid_t pid;

    close(mkstemp(file));
    pid = holder(file, 100000); /* as one that was just killed */
    why = daemon_claim(file);
    CHECK(!why);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    text = file_read(file, 100, NULL);
    snprintf(number, sizeof(number), "%d\n", (int)getpid());
    CHECK_STR(text, number);
    free(text);
    remove_claim(file);

    strcpy(file, "/tmp/orlop-pid-XXXXXX");
    close(mkstemp(file));
    pid = holder(file, 60000000);
    why = daemon_claim(file);
    CHECK(why && strstr(why, "another one"));
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    remove_claim(file);
}

TEST(only_a_no_is_a_no)
{
    CHECK_EQ(policy_listens("0"), LISTENS_NOT);
    CHECK_EQ(policy_listens("1"), LISTENS);
    CHECK_EQ(policy_listens(""), LISTENS_PERHAPS); /* as made, until the kernel has come so far */
    CHECK_EQ(policy_listens(NULL), LISTENS_PERHAPS);
}

static bool there_is(const char *dir, const char *file)
{
    char *path = str_fmt("%s/%s", dir, file);
    bool is = access(path, F_OK) == 0;

    free(path);
    return is;
}

TEST(core_files_of_a_guest_are_few)
{
    static const char *const files[] = {
        "web-20260101-000000.core",  "web-20260102-000000.core",   "web-20251231-235959.core",
        "web-20260103-000000.core",  "web-1-20200101-000000.core", "web-20260102-00000x.core",
        "xweb-20200101-000000.core",
    };
    char dir[] = "/tmp/dumps.XXXXXX", *path;

    if (!mkdtemp(dir))
        abort();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path = str_fmt("%s/%s", dir, files[i]);
        CHECK_EQ(file_write(path, "x"), 0);
        free(path);
    }
    CHECK_EQ(dump_prune(dir, "web", 3), 2);
    CHECK(!there_is(dir, files[2]) && !there_is(dir, files[0]));
    CHECK(there_is(dir, files[1]) && there_is(dir, files[3]) && there_is(dir, files[4]));
    CHECK(there_is(dir, files[5]) && there_is(dir, files[6]));
    CHECK_EQ(dump_prune(dir, "web", 3), 0);
    CHECK_EQ(dump_prune("/nowhere", "web", 3), 0);
    path = dump_path(dir, "web", 1767225600);
    CHECK_EQ(file_write(path, "x"), 0);
    CHECK_EQ(dump_prune(dir, "web", 1), 3);
    CHECK(access(path, F_OK) != 0);
    free(path);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path = str_fmt("%s/%s", dir, files[i]);
        unlink(path);
        free(path);
    }
    CHECK_EQ(rmdir(dir), 0);
}

static const char *cleaned(const char *text, bool lines)
{
    static char buf[128];

    snprintf(buf, sizeof(buf), "%s", text);
    return lines ? text_clean_lines(buf) : text_clean(buf);
}

TEST(foreign_text)
{
    char all[256];

    CHECK_STR(cleaned("web-1 M\u00fcnchen \u65e5\u672c \U0001f600", false),
              "web-1 M\u00fcnchen \u65e5\u672c \U0001f600");
    CHECK_STR(cleaned("a\033[2Jb\x7f\r\n\tc", false), "a?[2Jb????c");
    CHECK_STR(cleaned("a\r\n\tc", true), "a?\n\tc");
    CHECK_STR(cleaned("\xc2\x9b"
                      "31m",
                      false),
              "?31m");                                                 /* CSI as one character */
    CHECK_STR(cleaned("x\u202egnp.exe", false), "x?gnp.exe");          /* right to left */
    CHECK_STR(cleaned("\xff\xc0\x80\xed\xa0\x80.", false), "??????."); /* no UTF-8 */
    CHECK_STR(cleaned("cut \xe6\x97", false), "cut ??");
    CHECK_STR(cleaned("\xf4\x90\x80\x80", false), "????");
    for (int c = 1; c < 256; c++)
        all[c - 1] = c;
    all[255] = 0;
    text_clean(all);
    for (int i = 0; i < 255; i++)
        CHECK(all[i] >= 0x20 && all[i] < 0x7f);
}

TEST(errors_are_clean)
{
    struct error e = { 0 };

    error_set(&e, EINVAL, "do\033this", "guest %s", "\033]0;evil\007");
    CHECK_STR(e.cause, "guest ?]0;evil?");
    CHECK_STR(e.remedy, "do?this");
    error_in(&e, "%s", "a\nb");
    CHECK_STR(e.cause, "a?b: guest ?]0;evil?");
    error_remedy(&e, "%s", "x\ry");
    CHECK_STR(e.remedy, "x?y");
}

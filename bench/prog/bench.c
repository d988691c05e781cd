/* SPDX-License-Identifier: MIT */
/*
 * The operations whose cost the project is judged by, each between two marker instructions that
 * bench/count.c sees. Prints, for each repetition, "bench: ROW NAME OPERATIONS NANOSECONDS".
 *
 * bench mark: only executes the marker "Domain 0's first program runs".
 * bench [REPETITIONS]: all rows.
 * bench guest REPETITIONS ADDRESS DISK: all rows in a guest, with its disk and a peer elsewhere.
 * bench peer: that peer, in Domain 0.
 * bench run NUMBER NAME COMMAND...: a row that is one run of a command.
 * bench boot-begins, bench boot-ended: the row of a guest's boot begins (in Domain 0) and ends (in
 * the guest).
 * bench rounds SECONDS CPUS: how often as many programs at once, each on a CPU of its own, fault,
 * mprotect, munmap and fork in that time: "bench-rounds: CPUS ROUNDS".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARKER(event, row)                                      \
    __asm__ volatile("nopl %c0(%%rax,%%rax,1)"                  \
                     :                                          \
                     : "i"(0x4f520000 + ((event) << 8) + (row)) \
                     : "memory")
#define BEGIN 1
#define END 2
#define INIT 3

#define PAGE 4096UL
#define PAGES 2048UL
#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

struct privcmd_hypercall {
    uint64_t op;
    uint64_t arg[5];
};

static uint64_t begin_ns;
static int privcmd = -1, ramdisk = -1, to_child[2], from_child[2], tcp = -1;
static volatile sig_atomic_t signals;
static uint8_t *area;

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void report(int row, const char *name, unsigned long operations, uint64_t ns)
{
    printf("bench: %d %s %lu %llu\n", row, name, operations, (unsigned long long)ns);
}

/* A row: `prepare` is not counted, `body` is, and stands for `n` operations. */
#define ROW(number, name, n, prepare, body)           \
    do {                                              \
        prepare;                                      \
        begin_ns = now_ns();                          \
        MARKER(BEGIN, number);                        \
        body;                                         \
        MARKER(END, number);                          \
        report(number, name, n, now_ns() - begin_ns); \
    } while (0)
#define TIMES(n, statement)                 \
    for (unsigned long i = 0; i < (n); i++) \
    statement

static void map_area(int touch)
{
    if (area)
        munmap(area, PAGES * PAGE);
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        die("mmap");
    if (touch)
        TIMES(PAGES, area[i * PAGE] = 1);
}

static void fork_wait(void)
{
    pid_t pid = fork();

    if (!pid)
        _exit(0);
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        die("fork");
}

/* busybox is a static program of ordinary size (2 MB). */
static void vfork_exec_wait(void)
{
    static char *const argv[] = { "true", NULL };
    pid_t pid = vfork();

    if (!pid) {
        execv("/bin/busybox", argv);
        _exit(9);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
        die("vfork and exec");
}

static void ping_pong(void)
{
    char c = 0;

    if (write(to_child[1], &c, 1) != 1 || read(from_child[0], &c, 1) != 1)
        die("ping-pong");
}

static void start_echo_process(void)
{
    char c;

    if (pipe(to_child) || pipe(from_child))
        die("pipe");
    if (fork())
        return;
    close(to_child[1]);
    while (read(to_child[0], &c, 1) == 1)
        if (write(from_child[1], &c, 1) != 1)
            break;
    _exit(0);
}

static void on_signal(int sig)
{
    (void)sig;
    signals++;
}

static void clock_read(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    __asm__ volatile("" : : "m"(ts));
}

static void hypercall(void)
{
    struct privcmd_hypercall call = { .op = 17 /* xen_version */,
                                      .arg = { 0 /* XENVER_version */ } };

    if (ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0)
        die("privcmd");
}

static void nanosleep_1us(void)
{
    struct timespec ts = { 0, 1000 };

    nanosleep(&ts, NULL);
}

static void read_disk(size_t size, uint64_t where)
{
    uint8_t *buffer = area;

    if (pread(ramdisk, buffer, size, where) != (ssize_t)size)
        die("read of the ram disk");
}

static void tcp_move(int writing, size_t total)
{
    uint8_t *buffer = area;

    while (total) {
        size_t n = total < 65536 ? total : 65536;
        ssize_t done = writing ? write(tcp, buffer, n) : read(tcp, buffer, n);

        if (done <= 0)
            die("TCP");
        total -= done;
    }
}

/* The TCP peer: a command byte, then what it asks for. */
static void tcp_peer(int fd)
{
    size_t left;
    char c;

    tcp = fd;
    while (read(fd, &c, 1) == 1) {
        left = 1 << 20;
        if (c == 'r')
            tcp_move(1, left);
        if (c == 's') {
            tcp_move(0, left);
            tcp_move(1, 1);
        }
        if (c == 'e')
            tcp_move(1, 1);
    }
    _exit(0);
}

static struct sockaddr_in tcp_address(const char *host)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = inet_addr(host),
                                .sin_port = htons(7000) };
    return addr;
}

static void set_nodelay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int tcp_listen(void)
{
    struct sockaddr_in addr = tcp_address("0.0.0.0");
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1))
        die("listen");
    return listener;
}

static void tcp_connect(const char *host)
{
    struct sockaddr_in addr = tcp_address(host);

    for (int tries = 0; tries < 300; tries++) { /* of 100 ms: Domain 0 says when by listening */
        tcp = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(tcp, (struct sockaddr *)&addr, sizeof(addr))) {
            set_nodelay(tcp);
            return;
        }
        close(tcp);
        usleep(100000);
    }
    die("connect (is the interface up?)");
}

static void start_tcp(void)
{
    int listener = tcp_listen();

    if (!fork())
        tcp_peer(accept(listener, NULL, NULL));
    tcp_connect("127.0.0.1");
    close(listener);
}

/* One guest's peer, until the guest ends the connection. */
static int peer(void)
{
    int fd = accept(tcp_listen(), NULL, NULL);

    set_nodelay(fd);
    map_area(1);
    tcp_peer(fd);
    return 0;
}

static int run_command(int row, const char *name, char **command)
{
    pid_t pid;
    int status = -1;

    /* Each marker's row is a constant of its instruction. */
#define COMMAND_ROW(number)                  \
    case number:                             \
        ROW(number, name, 1UL, , {           \
            pid = vfork();                   \
            if (!pid) {                      \
                execvp(command[0], command); \
                _exit(127);                  \
            }                                \
            waitpid(pid, &status, 0);        \
        });                                  \
        break
    switch (row) {
        COMMAND_ROW(20);
        COMMAND_ROW(21);
        COMMAND_ROW(22);
        COMMAND_ROW(23);
        COMMAND_ROW(24);
        COMMAND_ROW(28);
        COMMAND_ROW(30);
        COMMAND_ROW(31);
        COMMAND_ROW(32);
        COMMAND_ROW(33);
    }
    return status ? 1 : 0;
}

static void tcp_command(char c)
{
    if (write(tcp, &c, 1) != 1)
        die("TCP");
    if (c == 's')
        tcp_move(1, 1 << 20);
    tcp_move(0, c == 'r' ? 1 << 20 : 1);
}

static void run_rows(void)
{
    uint32_t seed = 1;

    ROW(0, "getppid", 20000, , TIMES(20000, syscall(SYS_getppid)));
    ROW(1, "first-touch", PAGES, map_area(0), TIMES(PAGES, area[i * PAGE] = 1));
    ROW(2, "munmap-page", PAGES, , {
        munmap(area, PAGES * PAGE);
        area = NULL;
    });
    ROW(3, "mprotect-page", 2 * PAGES, map_area(1), {
        mprotect(area, PAGES * PAGE, PROT_READ);
        mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE);
    });
    map_area(0); /* its pages stay untouched: the child of fork inherits little */
    ROW(4, "fork-exit", 50, , TIMES(50, fork_wait()));
    ROW(5, "vfork-exec", 50, , TIMES(50, vfork_exec_wait()));
    ROW(6, "ping-pong", 2000, , TIMES(2000, ping_pong()));
    ROW(7, "signal", 5000, , TIMES(5000, raise(SIGUSR1)));
    ROW(8, "clock_gettime", 20000, , TIMES(20000, clock_read()));
    if (privcmd >= 0) {
        ROW(9, "empty-ioctl", 5000, , TIMES(5000, ioctl(privcmd, 0, 0)));
        ROW(10, "hypercall", 5000, , TIMES(5000, hypercall()));
    }
    ROW(11, "nanosleep-1us", 500, , TIMES(500, nanosleep_1us()));
    map_area(1);
    if (ramdisk >= 0) {
        ROW(12, "block-1MiB", 32, , TIMES(32, read_disk(1 << 20, i % 8 << 20)));
        ROW(13, "block-4KiB", 1000, , TIMES(1000, {
                seed = seed * 1103515245 + 12345;
                read_disk(PAGE, (uint64_t)(seed >> 16) % 2048 * PAGE);
            }));
    }
    ROW(14, "tcp-1-byte", 1000, , TIMES(1000, tcp_command('e')));
    ROW(15, "tcp-send-1MiB", 8, , TIMES(8, tcp_command('s')));
    ROW(16, "tcp-receive-1MiB", 8, , TIMES(8, tcp_command('r')));
}

/* Pages of a ram disk that were never written do not exist yet. */
static void fill_ramdisk(void)
{
    int fd = open("/dev/ram0", O_WRONLY);
    size_t size = 1 << 20;
    void *block = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    TIMES(8, if (write(fd, block, size) != (ssize_t)size) die("write to the ram disk"));
    fsync(fd);
    close(fd);
    munmap(block, size); /* so that fork does not copy it in the rows */
}

#define ROUND_PAGES 64UL

static void one_round(void)
{
    uint8_t *p = mmap(NULL, ROUND_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    TIMES(ROUND_PAGES, p[i * PAGE] = 1);
    for (unsigned long i = 0; i < ROUND_PAGES; i += 2)
        if (mprotect(p + i * PAGE, PAGE, PROT_READ))
            die("mprotect");
    fork_wait();
    munmap(p, ROUND_PAGES * PAGE);
}

static uint64_t rounds_until(uint64_t end, int cpu)
{
    cpu_set_t set;
    uint64_t n = 0;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        die("affinity");
    for (; now_ns() < end; n++)
        one_round();
    return n;
}

static int rounds(int seconds, int cpus)
{
    uint64_t end = now_ns() + seconds * 1000000000ULL, sum = 0;
    uint64_t *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, bad = 0;

    for (int i = 0; i < cpus; i++) {
        if (!fork()) {
            done[i] = rounds_until(end, i);
            _exit(0);
        }
    }
    for (int i = 0; i < cpus; i++)
        bad += wait(&status) < 0 || status;
    for (int i = 0; i < cpus; i++)
        sum += done[i];
    printf("bench-rounds: %d %llu\n", cpus, (unsigned long long)sum);
    return bad;
}

static void all_rows(int repetitions)
{
    signal(SIGUSR1, on_signal);
    start_echo_process();
    for (int i = 0; i < repetitions; i++)
        run_rows();
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "5";

    if (!strcmp(what, "mark")) {
        MARKER(INIT, 0);
        return 0;
    }
    if (!strcmp(what, "peer"))
        return peer();
    if (!strcmp(what, "run") && argc > 4)
        return run_command(atoi(argv[2]), argv[3], argv + 4);
    if (!strcmp(what, "boot-begins")) {
        MARKER(BEGIN, 25);
        return 0;
    }
    if (!strcmp(what, "boot-ended")) {
        MARKER(END, 25);
        return 0;
    }
    if (!strcmp(what, "rounds") && argc > 3)
        return rounds(atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(what, "guest") && argc > 4) {
        ramdisk = open(argv[4], O_RDONLY | O_DIRECT);
        if (ramdisk < 0)
            die(argv[4]);
        map_area(0);
        tcp_connect(argv[3]);
        all_rows(atoi(argv[2]));
        return 0;
    }
    privcmd = open("/dev/xen/privcmd", O_RDWR);
    ramdisk = open("/dev/ram0", O_RDONLY | O_DIRECT);
    if (ramdisk >= 0)
        fill_ramdisk();
    map_area(0);
    start_tcp();
    all_rows(atoi(what));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Storms of what a process can ask of page tables, exceptions and the scheduler, on all CPUs at
 * once: storm [-s SECONDS] [-w WORKERS-PER-CPU] KIND... where KIND is fork, exec, mmap, mprotect,
 * signal, pipe or all. Each worker verifies what it reads back; any difference or failing call ends
 * the storm with an exit code of 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static const char *kind_name = "?";
static volatile sig_atomic_t signals;
static volatile uintptr_t expected_fault;

/* write(), not printf(): forked children must not flush what their parent had buffered. */
static void die(const char *what)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "storm: %s: %s: %s\n", kind_name, what, strerror(errno));
    (void)!write(2, line, n);
    _exit(1);
}

static time_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void wait_ok(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
        die("child's exit code");
}

/* Parent and child write the same pages after fork: each must keep its own copy. */
static void storm_fork(uint64_t *rnd)
{
    static uint64_t pages[8][PAGE / 8];
    uint64_t mark = next_random(rnd);
    pid_t pid;

    for (int i = 0; i < 8; i++)
        pages[i][0] = mark + i;
    pid = fork();
    if (pid < 0)
        die("fork");
    for (int i = 0; i < 8; i++) {
        if (pages[i][0] != mark + i)
            die("page after fork");
        pages[i][0] = mark + i + (pid ? 100 : 200);
    }
    for (int i = 0; i < 8; i++)
        if (pages[i][0] != mark + i + (pid ? 100 : 200))
            die("copied page");
    if (!pid)
        _exit(7);
    wait_ok(pid);
}

static void storm_exec(uint64_t *rnd)
{
    char number[24];
    pid_t pid;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)(next_random(rnd) >> 1));
    pid = vfork();
    if (pid < 0)
        die("vfork");
    if (!pid) {
        execl("/proc/self/exe", "storm", "--echo", number, (char *)NULL);
        _exit(9);
    }
    wait_ok(pid);
}

static void storm_mmap(uint64_t *rnd)
{
    size_t n = 1 + next_random(rnd) % 64;
    uint64_t mark = next_random(rnd);
    uint64_t *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    for (size_t i = 0; i < n; i++) {
        if (p[i * 512] || p[i * 512 + 511])
            die("fresh page not zero");
        p[i * 512] = mark + i;
    }
    p = mremap(p, n * PAGE, 2 * n * PAGE, MREMAP_MAYMOVE);
    if (p == MAP_FAILED)
        die("mremap");
    for (size_t i = 0; i < n; i++)
        if (p[i * 512] != mark + i)
            die("page after mremap");
    if (munmap(p + n / 2 * 512, (2 * n - n / 2) * PAGE))
        die("munmap");
    if (n / 2 && munmap(p, n / 2 * PAGE))
        die("munmap rest");
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    if ((uintptr_t)info->si_addr != expected_fault)
        die("fault address");
    if (mprotect((void *)(expected_fault & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE))
        die("mprotect in handler");
    signals++;
}

static void storm_mprotect(uint64_t *rnd)
{
    static uint64_t *area;
    size_t page = next_random(rnd) % 64;
    int before = signals;

    if (!area) {
        struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };

        sigaction(SIGSEGV, &sa, NULL);
        area = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            die("mmap");
        memset(area, 1, 64 * PAGE);
    }
    if (mprotect(area, 64 * PAGE, PROT_READ))
        die("mprotect");
    expected_fault = (uintptr_t)&area[page * 512 + 3];
    *(volatile uint64_t *)expected_fault = page;
    if (signals != before + 1)
        die("write to a read-only page did not fault once");
    if (area[page * 512 + 3] != page)
        die("value after fault");
    area[page * 512 + 3] = 0x0101010101010101;
}

static void on_usr1(int sig)
{
    (void)sig;
    signals++;
}

static void storm_signal(uint64_t *rnd)
{
    int before = signals;
    double x = (double)(next_random(rnd) >> 40), y = x * 3.0;

    signal(SIGUSR1, on_usr1);
    if (kill(getpid(), SIGUSR1))
        die("kill");
    if (signals != before + 1)
        die("signal not delivered");
    if (y / 3.0 != x)
        die("floating point state");
}

static void storm_pipe(uint64_t *rnd)
{
    uint64_t out[128], in[128];
    int to[2], from[2];
    pid_t pid;

    if (pipe(to) || pipe(from))
        die("pipe");
    pid = fork();
    if (pid < 0)
        die("fork");
    if (!pid) {
        close(to[1]);
        while (read(to[0], in, sizeof(in)) == sizeof(in))
            if (write(from[1], in, sizeof(in)) != sizeof(in))
                _exit(8);
        _exit(7);
    }
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 128; i++)
            out[i] = next_random(rnd);
        if (write(to[1], out, sizeof(out)) != sizeof(out))
            die("write to pipe");
        if (read(from[0], in, sizeof(in)) != sizeof(in) || memcmp(in, out, sizeof(in)))
            die("bytes through pipes");
    }
    close(to[0]);
    close(to[1]);
    close(from[0]);
    close(from[1]);
    wait_ok(pid);
}

static const struct {
    const char *name;
    void (*run)(uint64_t *rnd);
} kinds[] = {
    { "fork", storm_fork },         { "exec", storm_exec },     { "mmap", storm_mmap },
    { "mprotect", storm_mprotect }, { "signal", storm_signal }, { "pipe", storm_pipe },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A worker runs until `end`, then leaves its count of rounds in the shared `rounds`. */
static void worker(unsigned int kind, unsigned int number, time_t end, volatile uint64_t *rounds)
{
    uint64_t rnd = 0x9e3779b97f4a7c15ULL * (number + 1), n = 0;

    kind_name = kinds[kind].name;
    do { /* once in any case: on a busy host the last worker may begin after the end */
        kinds[kind].run(&rnd);
        n++;
    } while (now() < end);
    *rounds = n;
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned int seconds = 10, per_cpu = 1, count = 0, bad = 0, chosen = 0;
    unsigned int cpus = sysconf(_SC_NPROCESSORS_ONLN);
    volatile uint64_t *rounds;
    time_t end;
    int opt, status;

    if (argc == 3 && !strcmp(argv[1], "--echo"))
        return atoll(argv[2]) >= 0 ? 7 : 8;
    while ((opt = getopt(argc, argv, "s:w:")) != -1) {
        if (opt == 's')
            seconds = atoi(optarg);
        else if (opt == 'w')
            per_cpu = atoi(optarg);
        else
            return 2;
    }
    for (int i = optind; i < argc; i++)
        for (unsigned int k = 0; k < NKINDS; k++)
            if (!strcmp(argv[i], "all") || !strcmp(argv[i], kinds[k].name))
                chosen |= 1U << k;
    if (!chosen) {
        fprintf(stderr, "storm: [-s seconds] [-w workers per CPU] "
                        "fork|exec|mmap|mprotect|signal|pipe|all ...\n");
        return 2;
    }
    rounds = mmap(NULL, NKINDS * sizeof(*rounds) * cpus * per_cpu, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    end = now() + seconds;
    for (unsigned int k = 0; k < NKINDS; k++)
        for (unsigned int w = 0; chosen & (1U << k) && w < cpus * per_cpu; w++, count++)
            if (!fork())
                worker(k, count, end, &rounds[k * cpus * per_cpu + w]);
    while (count--)
        if (wait(&status) > 0 && status)
            bad++;
    for (unsigned int k = 0; k < NKINDS; k++) {
        uint64_t sum = 0, idle = 0;

        if (!(chosen & (1U << k)))
            continue;
        for (unsigned int w = 0; w < cpus * per_cpu; w++) {
            sum += rounds[k * cpus * per_cpu + w];
            idle += !rounds[k * cpus * per_cpu + w];
        }
        printf("storm: %s: %llu rounds by %u workers\n", kinds[k].name, (unsigned long long)sum,
               cpus * per_cpu);
        bad += idle;
    }
    if (bad)
        printf("storm: %u workers failed\n", bad);
    return bad ? 1 : 0;
}

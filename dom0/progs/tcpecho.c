/* SPDX-License-Identifier: MIT */
/* tcpecho ADDRESS PORT KIB: sends that much through TCP to an echo server and compares the answer.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)((i * 0x9e3779b97f4a7c15ULL) >> 56);
}

static void sender(int fd, uint64_t total)
{
    uint8_t block[8192];

    for (uint64_t at = 0; at < total;) {
        size_t n = total - at < sizeof(block) ? total - at : sizeof(block);

        for (size_t i = 0; i < n; i++)
            block[i] = pattern(at + i);
        ssize_t done = write(fd, block, n);
        if (done <= 0) {
            perror("tcpecho: write");
            _exit(1);
        }
        at += done;
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    uint8_t block[8192];
    uint64_t total, at = 0;
    int status, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 4 || !inet_aton(argv[1], &to.sin_addr))
        return 2;
    to.sin_port = htons(atoi(argv[2]));
    total = strtoull(argv[3], NULL, 0) << 10;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        perror("tcpecho: connect");
        return 1;
    }
    if (!fork())
        sender(fd, total);
    while (at < total) {
        ssize_t n = read(fd, block, sizeof(block));

        if (n <= 0) {
            fprintf(stderr, "tcpecho: connection ended after %llu bytes\n", (unsigned long long)at);
            return 1;
        }
        for (ssize_t i = 0; i < n; i++)
            if (block[i] != pattern(at + i)) {
                fprintf(stderr, "tcpecho: byte %llu differs\n", (unsigned long long)(at + i));
                return 1;
            }
        at += n;
    }
    wait(&status);
    printf("tcpecho: %llu KiB there and back\n", (unsigned long long)(total >> 10));
    return status != 0;
}

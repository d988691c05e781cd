/* SPDX-License-Identifier: MIT */
/* bigfile write|verify PATH MIB: fills a file with a pattern that depends on the place, or checks
 * it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1U << 20)

static void fill(uint64_t *block, uint64_t number)
{
    uint64_t x = (number + 1) * 0x9e3779b97f4a7c15ULL;

    for (size_t i = 0; i < BLOCK / 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        block[i] = x;
    }
}

int main(int argc, char **argv)
{
    static uint64_t want[BLOCK / 8], have[BLOCK / 8];

    if (argc != 4)
        return 2;
    int writing = !strcmp(argv[1], "write"), blocks = atoi(argv[3]);
    int fd = open(argv[2], writing ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0600);
    if (fd < 0) {
        perror("bigfile: open");
        return 1;
    }
    for (int i = 0; i < blocks; i++) {
        fill(want, i);
        if (writing && write(fd, want, BLOCK) != BLOCK) {
            perror("bigfile: write");
            return 1;
        }
        if (!writing && (read(fd, have, BLOCK) != BLOCK || memcmp(want, have, BLOCK))) {
            fprintf(stderr, "bigfile: block %d differs\n", i);
            return 1;
        }
    }
    if (writing && fsync(fd)) {
        perror("bigfile: fsync");
        return 1;
    }
    return close(fd) != 0;
}

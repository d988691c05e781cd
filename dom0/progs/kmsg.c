/* SPDX-License-Identifier: MIT */
/* kmsg LEVEL: prints the kernel log's lines of this level and worse (4 is "warning"). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int level = argc > 1 ? atoi(argv[1]) : 4, fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    char record[9000];
    ssize_t n;

    if (fd < 0) {
        perror("kmsg: /dev/kmsg");
        return 1;
    }
    while ((n = read(fd, record, sizeof(record) - 1)) > 0) {
        record[n] = '\0';
        char *text = strchr(record, ';');
        int prio = atoi(record);

        /* Only the kernel's own facility (0); a record's continuation lines are its dictionary. */
        if (!text || prio >> 3 || (prio & 7) > level)
            continue;
        text[strcspn(text, "\n")] = '\0';
        printf("kmsg <%d> %s\n", prio & 7, text + 1);
    }
    return 0;
}

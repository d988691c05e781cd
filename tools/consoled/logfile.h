/* SPDX-License-Identifier: MIT */
/*
 * A log file with a limit of size: NAME.log is the newest part, NAME.log.1 the one before, up to
 * NAME.log.<keep>. Bytes are written as they come, nothing is added between them.
 */
#ifndef CONSOLED_LOGFILE_H
#define CONSOLED_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_limits {
    uint64_t size; /* bytes of one file; 0: there are no logs */
    unsigned keep; /* older files beside it */
};

struct logfile {
    char *path;
    int fd;        /* -1: not open */
    uint64_t size; /* of the newest part */
    const struct log_limits *limits;
    bool complained; /* a failure was logged, and nothing was written since */
};

/* Opens dir/NAME.log for appending; name is made safe as a file name. A failure is logged, and
 * tried again later: the guest is served without. */
void log_open(struct logfile *l, const char *dir, const char *name,
              const struct log_limits *limits);
void log_close(struct logfile *l);
/* The file was moved away (SIGHUP). */
void log_reopen(struct logfile *l);
void log_write(struct logfile *l, const void *p, size_t n);

/* Copies the last bytes of the log, at most max; how many. */
size_t log_tail(const char *path, void *buf, size_t max);
/* The bytes of the newest part from an offset on, at most max. */
size_t log_read_from(const struct logfile *l, uint64_t offset, void *buf, size_t max);
/* dir/NAME.log as log_open has it; the caller frees it. */
char *log_path(const char *dir, const char *name);

#endif

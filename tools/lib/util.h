/* SPDX-License-Identifier: MIT */
/* Small things that every tool needs. Memory never fails: without it the program ends with a line
 * on stderr, and what it left half done is taken back by the next `orlop` (see cli/undo.h). */
#ifndef TOOLS_LIB_UTIL_H
#define TOOLS_LIB_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

void *mem_alloc(size_t size); /* zeroed */
void *mem_grow(void *p, size_t size);
char *str_dup(const char *s);
char *str_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* free() it */

/* The whole file with a NUL behind it, at most `max` bytes; NULL with errno. */
char *file_read(const char *path, size_t max, size_t *len);
/* Replaces the file by a new one with this text, at once for every reader. 0 or -errno. */
int file_write(const char *path, const char *text);
/* All of it, however often the kernel takes only a part. 0 or -errno. */
int write_all(int fd, const void *data, size_t n);
/* The directories of the path up to its last slash; 0 or -errno. */
int make_dirs(const char *path, int mode);

/* Monotonic time in milliseconds; how much of a deadline is left, never below 0. */
int64_t now_ms(void);
int left_ms(int64_t deadline);

/* A decimal number that fills the string. */
bool parse_u64(const char *s, uint64_t *v);
bool parse_uint(const char *s, unsigned int *v);

/* 16 bytes <-> "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". */
#define UUID_TEXT 37
void uuid_random(uint8_t uuid[16]);
void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT]);
bool uuid_from_text(const char *text, uint8_t uuid[16]);

/* An exclusive lock on a file, made if need be; -errno (-EWOULDBLOCK: somebody has it, no wait). */
int lock_file(const char *path, bool wait);

/* "what: 42 %" on stderr when that is a terminal, at most ten times a second; done >= total ends
 * the line. Nothing while progress_off. */
extern bool progress_off;
void progress(const char *what, uint64_t done, uint64_t total);

#endif

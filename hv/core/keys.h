/* SPDX-License-Identifier: MIT */
/* Debug keys: a table of what each prints, fed by the serial line and by sysctl debug_keys. */
#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include <stdbool.h>

/* Registers a handler, called from an exit path without locks, for key `key`. At boot only. */
void keys_register(char key, const char *what, void (*fn)(void));
/* The core's own keys. */
void keys_init(void);
/* A key was pressed: its handler runs on this CPU's exit path. Any context. */
void keys_press(char key);
/* In handlers that print many lines: this CPU is slow, not dead (the watchdog looks at that). */
void keys_alive(void);
/* Exit-path work WORK_KEY. */
void keys_run(void);

#endif

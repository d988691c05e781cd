/* SPDX-License-Identifier: MIT */
/*
 * Text that others wrote (guests, xenstore, configuration files, other programs), made fit to be
 * shown: what could move a terminal's cursor, forge a line of a log or spoil JSON becomes '?'. That
 * is every control character (ESC, DEL and the C1 controls among them), whatever is no UTF-8, and
 * the characters that turn the direction of writing. Whoever prints such text calls one of these.
 */
#ifndef TOOLS_LIB_TEXT_H
#define TOOLS_LIB_TEXT_H

/* One line, cleaned where it lies; returns it. It never gets longer. */
char *text_clean(char *text);

/* The same for text of several lines: '\n' and '\t' stay. */
char *text_clean_lines(char *text);

#endif

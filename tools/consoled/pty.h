/* SPDX-License-Identifier: MIT */
/* A guest's pty: what `xl console` and any terminal program open by its name. */
#ifndef CONSOLED_PTY_H
#define CONSOLED_PTY_H

struct console;

/* Gives the console a pty (con->pty) with a name in its path; NULL stays if there is none to be
 * had, and the reason is logged. */
void pty_open(struct console *con);

#endif

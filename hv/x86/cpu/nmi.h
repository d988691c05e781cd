/* SPDX-License-Identifier: MIT */
/*
 * NMIs of the machine. The handler takes no locks and says nothing: it notes the reason, and the
 * CPU's next exit path, to which it sends itself an interrupt, does the rest.
 */
#ifndef X86_CPU_NMI_H
#define X86_CPU_NMI_H

enum nmi_reason { NMI_IOCHK = 1, NMI_SERR = 2, NMI_UNKNOWN = 4 };

/* The exception, on its own stack. */
void nmi_exception(void);
/* Exit path: what was noted since the last call, on any CPU, goes to the log and to Dom0. */
void nmi_pass_on(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Which Xen's ABI this is: the one whose public headers it is built with, and so the one that the
 * distribution's tools speak. Tools and guests are told its version. */
#ifndef LIB_XENABI_H
#define LIB_XENABI_H

#include <stdint.h>

#include <xen/xen.h>

#include <xen/domctl.h>

#define XEN_ABI_MAJOR 4
#if XEN_DOMCTL_INTERFACE_VERSION == 0x15
#define XEN_ABI_MINOR 17 /* Debian 12 */
#define XEN_ABI_TEXT "4.17"
#elif XEN_DOMCTL_INTERFACE_VERSION == 0x17
#define XEN_ABI_MINOR 20 /* Debian 13 */
#define XEN_ABI_TEXT "4.20"
#else
/* cppcheck-suppress preprocessorErrorDirective */
#error "the Xen headers (libxen-dev) are neither those of 4.17 nor of 4.20"
#endif
#define XEN_ABI_VERSION (XEN_ABI_MAJOR << 16 | XEN_ABI_MINOR)

#endif

# SPDX-License-Identifier: MIT
# Unit tests of what a PV guest's processor state may be: descriptors, selectors.

UNIT_OUT ?= build/tests/unit
HOSTCC ?= gcc
HOST_CFLAGS ?= -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100

UNIT_TESTS += $(UNIT_OUT)/pv_desc

$(UNIT_OUT)/pv_desc: tests/unit/pv_desc.c tests/unit/unit.h hv/x86/pv/descriptor.c hv/x86/pv/desc.h \
		hv/x86/pv/pv.h $(wildcard hv/core/*.h) tests/unit/pvcpu.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< hv/x86/pv/descriptor.c

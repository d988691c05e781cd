# SPDX-License-Identifier: MIT
# Unit tests of lib/: programs and rules for the top Makefile, which defines UNIT_TESTS and runs what is in it.

UNIT_OUT ?= build/tests/unit
BUILD ?= build
HOSTCC ?= gcc
HOST_CFLAGS ?= -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100

# lib/string.c is left out: host programs use libc's functions of these names.
LIB_HOST_SRC := $(filter-out lib/string.c,$(wildcard lib/*.c))
LIB_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/lib_*.c))
UNIT_TESTS += $(LIB_UNIT)

$(LIB_UNIT): $(UNIT_OUT)/%: tests/unit/%.c tests/unit/unit.h $(LIB_HOST_SRC) lib/string.c $(wildcard lib/*.h) tests/unit/lib.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(LIB_HOST_SRC)

# The decompression shim, as the object of the hypervisor (hv/x86/boot/unpack.mk).
UNIT_TESTS += $(UNIT_OUT)/unpack
$(UNIT_OUT)/unpack: tests/unit/unpack.c tests/unit/unit.h hv/x86/boot/unpack.h lib/bzimage.c $(BUILD)/unpack.o
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -fno-sanitize=address -I. -Ihv -Itests/unit -o $@ $< lib/bzimage.c $(BUILD)/unpack.o -no-pie -pthread

# The ACPI parser is pure as well.
ACPI_SRC := $(wildcard hv/x86/acpi/*.c)
ACPI_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/acpi_*.c))
UNIT_TESTS += $(ACPI_UNIT)

$(ACPI_UNIT): $(UNIT_OUT)/%: tests/unit/%.c tests/unit/unit.h $(ACPI_SRC) $(wildcard hv/x86/acpi/*.h)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(ACPI_SRC)

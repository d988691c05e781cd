# SPDX-License-Identifier: MIT
# Unit tests of hv/core against the simulated machine of tests/host.

UNIT_OUT ?= build/tests/unit
HOSTCC ?= gcc
CORE_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100
CORE_OUT := $(UNIT_OUT)/core
CORE_CPPFLAGS := -I. -Ihv -Itests -Itests/unit -DORLOP_DEBUG
CORE_LDFLAGS := -Wl,--wrap=frame_alloc,--wrap=frame_alloc_for,--wrap=frame_alloc_hv,--wrap=frame_alloc_hv_order -pthread
CORE_SRC := $(wildcard hv/core/*.c) tests/host/host.c tests/host/step.c tests/host/toy.c tests/host/toy_calls.c \
	$(filter-out lib/string.c,$(wildcard lib/*.c))
CORE_OBJ := $(patsubst %.c,$(CORE_OUT)/%.o,$(CORE_SRC))
CORE_HDR := $(wildcard hv/core/*.h lib/*.h tests/host/*.h)
CORE_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/core_*.c))
UNIT_TESTS += $(CORE_UNIT)

$(CORE_OUT)/%.o: %.c $(CORE_HDR) tests/unit/core.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -c -o $@ $<

$(CORE_UNIT): $(UNIT_OUT)/%: tests/unit/%.c tests/unit/unit.h $(CORE_OBJ)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -o $@ $< $(CORE_OBJ) $(CORE_LDFLAGS)

# SPDX-License-Identifier: MIT
# Tests of tools/xenstored: programs and rules for the top Makefile, in the format of tests/unit/lib.mk.

XS_OUT ?= build/tests/xenstored
HOSTCC ?= gcc
XS_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -Wno-unused-parameter -Wno-sign-compare \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I. -Itools -Itests/unit -Itests/xenstored

# All but the program's start and the part that needs Xen.
XS_SRC := $(filter-out tools/xenstored/main.c tools/xenstored/xen.c,$(wildcard tools/xenstored/*.c))
XS_HDR := $(wildcard tools/xenstored/*.h tests/xenstored/*.h) tests/unit/unit.h tests/unit/await.h
XS_OBJ := $(patsubst tools/xenstored/%.c,$(XS_OUT)/obj/%.o,$(XS_SRC))
XS_TESTS := $(patsubst tests/xenstored/%.c,$(XS_OUT)/%,$(wildcard tests/xenstored/xs_*.c))
UNIT_TESTS += $(XS_TESTS)

$(XS_OUT)/obj/%.o: tools/xenstored/%.c $(XS_HDR) tests/xenstored/xs.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(XS_CFLAGS) -c -o $@ $<

$(XS_TESTS): $(XS_OUT)/%: tests/xenstored/%.c $(XS_OBJ) $(XS_HDR) tests/xenstored/xs.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(XS_CFLAGS) -o $@ $< $(XS_OBJ) $(XS_LIBS_$(@F))

XS_LIBS_xs_libxenstore := -lxenstore

.SECONDARY: $(XS_OBJ)
.PHONY: xs-tests
xs-tests: $(XS_TESTS)
	@scripts/run-tests $(XS_TESTS)

# The whole program, for the test with Debian's library.
$(XS_OUT)/xs_libxenstore: $(XS_OUT)/xenstored
$(XS_OUT)/xenstored: tools/xenstored/main.c tools/xenstored/xen.c tools/lib/daemon.c tools/lib/ring.c $(XS_OBJ)
	$(HOSTCC) $(XS_CFLAGS) -o $@ $^ -lxenevtchn -lxengnttab -lxenforeignmemory -lxencall

XS_FUZZ_CC ?= clang
FUZZERS += build/tests/fuzz/fuzz_xs_wire
build/tests/fuzz/fuzz_xs_wire: tests/xenstored/fuzz_xs_wire.c $(XS_SRC) $(XS_HDR)
	@mkdir -p $(@D)
	$(XS_FUZZ_CC) -fsanitize=fuzzer $(XS_CFLAGS) -o $@ $< $(XS_SRC)

# SPDX-License-Identifier: MIT
# Tests of tools/consoled: programs and rules for the top Makefile, in the format of tests/unit/lib.mk.

CON_OUT ?= build/tests/consoled
HOSTCC ?= gcc
CON_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -Wno-unused-parameter -Wno-sign-compare \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I. -Itools -Itests/unit -Itests/consoled

# All but the program's start and the parts that need Xen; and the command line's side.
CON_SRC := $(filter-out tools/consoled/main.c tools/consoled/xen.c tools/consoled/store.c,$(wildcard tools/consoled/*.c)) \
	tools/lib/console_client.c tools/lib/error.c tools/lib/text.c tools/lib/util.c
CON_HDR := $(wildcard tools/consoled/*.h tools/lib/*.h tests/consoled/*.h) tests/unit/unit.h tests/unit/await.h
CON_OBJ := $(patsubst tools/%.c,$(CON_OUT)/obj/%.o,$(CON_SRC))
CON_TESTS := $(patsubst tests/consoled/%.c,$(CON_OUT)/%,$(wildcard tests/consoled/con_*.c))
CON_LIBS := -levent_core
UNIT_TESTS += $(CON_TESTS)

$(CON_OUT)/obj/%.o: tools/%.c $(CON_HDR) tests/consoled/con.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CON_CFLAGS) -c -o $@ $<

$(CON_TESTS): $(CON_OUT)/%: tests/consoled/%.c $(CON_OBJ) $(CON_HDR) tests/consoled/con.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CON_CFLAGS) -o $@ $< $(CON_OBJ) $(CON_LIBS_$(@F)) $(CON_LIBS)

# The real store: Debian's libxenstore, and Orlop's xenstored as built for its own tests.
CON_LIBS_con_store := tools/consoled/store.c -lxenstore
$(CON_OUT)/con_store: tools/consoled/store.c | build/tests/xenstored/xenstored

.SECONDARY: $(CON_OBJ)
.PHONY: con-tests
con-tests: $(CON_TESTS)
	@scripts/run-tests $(CON_TESTS)

FUZZERS += build/tests/fuzz/fuzz_console
build/tests/fuzz/fuzz_console: tests/consoled/fuzz_console.c $(CON_SRC) $(CON_HDR)
	@mkdir -p $(@D)
	clang -fsanitize=fuzzer $(CON_CFLAGS) -o $@ $< $(CON_SRC) $(CON_LIBS)

# For scripts in a Domain 0, until they use `orlop console`.
$(CON_OUT)/console_tool: tests/consoled/console_tool.c tools/lib/console_client.c tools/lib/error.c tools/lib/text.c tools/lib/util.c $(CON_HDR)
	@mkdir -p $(@D)
	$(HOSTCC) -std=gnu11 -O1 -g -Wall -Wextra -Wno-unused-parameter -I. -Itools -o $@ $(filter %.c,$^)

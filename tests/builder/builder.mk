# SPDX-License-Identifier: MIT
# Tests of tools/builder: programs and rules for the top Makefile, in the format of tests/unit/lib.mk.

BLD_OUT ?= build/tests/builder
BLD_LIBS := -llzma -lzstd -llz4 -lz
BLD_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -Wno-unused-parameter -Wno-sign-compare \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I. -Itools -Itests/unit -Itests/builder
BLD_SRC := $(wildcard tools/builder/*.c) tools/lib/error.c tools/lib/text.c tools/lib/util.c \
	$(patsubst %,lib/%.c,bzimage elf pvlayout pvstart strutil xennote)
BLD_TEST_SRC := $(patsubst %,tests/builder/%.c,fake_xen make_kernel)
BLD_HDR := $(wildcard tools/builder/*.h tests/builder/*.h tools/lib/*.h lib/*.h) tests/unit/unit.h
BLD_TEST_OBJ := $(patsubst %.c,$(BLD_OUT)/obj/%.o,$(BLD_SRC) $(BLD_TEST_SRC))
BLD_TESTS := $(patsubst tests/builder/%.c,$(BLD_OUT)/%,$(wildcard tests/builder/bld_*.c))
UNIT_TESTS += $(BLD_TESTS)

$(BLD_TEST_OBJ): $(BLD_OUT)/obj/%.o: %.c $(BLD_HDR) tests/builder/builder.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(BLD_CFLAGS) -c -o $@ $<

# On a hypervisor of their own (fake_xen.c), as ordinary programs.
$(BLD_TESTS): $(BLD_OUT)/%: tests/builder/%.c $(BLD_TEST_OBJ) $(BLD_HDR) tests/builder/builder.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(BLD_CFLAGS) -o $@ $< $(BLD_TEST_OBJ) $(BLD_LIBS)

.SECONDARY: $(BLD_TEST_OBJ)
.PHONY: builder-tests
builder-tests: $(BLD_TESTS)
	@scripts/run-tests $(BLD_TESTS)

# A program for runs in Domain 0 (docs/builder.md).
BLD_OBJ := $(patsubst tools/%.c,$(TOOLS_OUT)/obj/%.o,$(wildcard tools/builder/*.c tools/lib/*.c)) $(PURE_OBJ)
$(BLD_OUT)/pvbuild: tests/builder/pvbuild.c $(BLD_OBJ)
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -o $@ $^ -lxencall -lxenforeignmemory -lxenevtchn -lxengnttab -lxenstore $(BLD_LIBS)

FUZZERS += build/tests/fuzz/fuzz_builder
build/tests/fuzz/fuzz_builder: tests/builder/fuzz_builder.c $(BLD_SRC) $(BLD_HDR) tests/builder/builder.mk
	@mkdir -p $(@D)
	clang -fsanitize=fuzzer $(BLD_CFLAGS) -D_GNU_SOURCE -Wno-macro-redefined -o $@ $< \
		$(filter-out tools/builder/build.c tools/builder/child.c tools/builder/confine.c tools/builder/domain.c tools/builder/domain_hvm.c,$(BLD_SRC)) $(BLD_LIBS)

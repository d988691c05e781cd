# SPDX-License-Identifier: MIT
# Tests of tools/builder: programs and rules for the top Makefile, in the format of tests/unit/lib.mk.

BLD_OUT ?= build/tests/builder
BLD_OBJ := $(patsubst tools/%.c,$(TOOLS_OUT)/obj/%.o,$(wildcard tools/builder/*.c tools/lib/*.c)) $(PURE_OBJ)

# For runs in Domain 0 (docs/builder.md).
$(BLD_OUT)/pvbuild: tests/builder/pvbuild.c $(BLD_OBJ)
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -o $@ $^ -lxencall -lxenforeignmemory -lxenevtchn -lxenstore \
		-llzma -lzstd -llz4 -lz

# SPDX-License-Identifier: MIT
# Fuzzers of the instruction decoders and of the emulation of privileged instructions. fuzz.mk's rule
# `fuzz` runs what is in FUZZERS; its variables are repeated here so that the order does not matter.

BUILD ?= build
FUZZ_OUT ?= $(BUILD)/tests/fuzz
FUZZ_CC ?= clang
FUZZ_INSN_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -Itests/host -I. -Ihv

FUZZ_INSN_SRC := hv/x86/insn/decode.c hv/x86/insn/ptwrite.c
FUZZ_PRIVOP_SRC := hv/x86/pv/privop.c hv/x86/pv/msr.c hv/x86/policy/cpuid.c hv/x86/policy/xen_leaves.c hv/x86/policy/viridian.c hv/x86/policy/cpu_policy.c \
	lib/cpu_policy.c hv/x86/pv/ioport.c hv/x86/insn/decode.c tests/host/x86/cpu/ops.c
FUZZ_INSN_HDR := $(wildcard hv/x86/insn/*.h hv/x86/pv/*.h hv/x86/*.h hv/core/*.h lib/*.h \
	tests/host/x86/cpu/*.h tests/unit/privop_guest.h)

FUZZERS += $(FUZZ_OUT)/fuzz_insn $(FUZZ_OUT)/fuzz_privop

$(FUZZ_OUT)/fuzz_insn: tests/fuzz/fuzz_insn.c $(FUZZ_INSN_SRC) $(FUZZ_INSN_HDR) tests/fuzz/insn.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_INSN_CFLAGS) -o $@ $< $(FUZZ_INSN_SRC)

$(FUZZ_OUT)/fuzz_privop: tests/fuzz/fuzz_privop.c $(FUZZ_PRIVOP_SRC) $(FUZZ_INSN_HDR) tests/fuzz/insn.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_INSN_CFLAGS) -o $@ $< $(FUZZ_PRIVOP_SRC)

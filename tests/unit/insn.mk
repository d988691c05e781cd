# SPDX-License-Identifier: MIT
# Unit tests of x86/insn, of the privileged instructions of PV guests, of the speculation choice.

UNIT_OUT ?= build/tests/unit
HOSTCC ?= gcc
HOST_CFLAGS ?= -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100

INSN_SRC := hv/x86/insn/decode.c hv/x86/insn/ptwrite.c
INSN_HDR := $(wildcard hv/x86/insn/*.h hv/x86/pv/*.h hv/x86/cpu/*.h hv/x86/*.h hv/core/*.h lib/*.h \
	tests/host/x86/cpu/*.h tests/unit/*.h)
INSN_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/insn_*.c))
UNIT_TESTS += $(INSN_UNIT)

$(INSN_UNIT): $(UNIT_OUT)/%: tests/unit/%.c $(INSN_SRC) $(INSN_HDR) tests/unit/insn.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(INSN_SRC)

PRIVOP_SRC := hv/x86/pv/privop.c hv/x86/pv/msr.c hv/x86/policy/cpuid.c hv/x86/policy/xen_leaves.c hv/x86/policy/viridian.c hv/x86/policy/cpu_policy.c \
	lib/cpu_policy.c hv/x86/pv/ioport.c hv/x86/insn/decode.c tests/host/x86/cpu/ops.c
PRIVOP_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/privop_*.c))
UNIT_TESTS += $(PRIVOP_UNIT)

$(UNIT_OUT)/privop_policy: hv/x86/hypercall/cpu_policy.c
# tests/host comes first: its x86/cpu/ops.h replaces the hypervisor's.
$(PRIVOP_UNIT): $(UNIT_OUT)/%: tests/unit/%.c $(PRIVOP_SRC) $(INSN_HDR) tests/unit/insn.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host -I. -Ihv -Itests/unit -o $@ $< $(PRIVOP_SRC)

SPEC_SRC := hv/x86/cpu/spec.c lib/format.c lib/strutil.c tests/host/x86/cpu/ops.c
SPEC_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/spec_*.c))
UNIT_TESTS += $(SPEC_UNIT)

$(SPEC_UNIT): $(UNIT_OUT)/%: tests/unit/%.c $(SPEC_SRC) $(INSN_HDR) tests/unit/insn.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host -I. -Ihv -Itests/unit -o $@ $< $(SPEC_SRC)

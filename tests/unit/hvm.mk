# SPDX-License-Identifier: MIT
# Unit tests of what hardware-assisted guests need and what runs as an ordinary program: walks of a guest's tables,
# emulated devices, the emulator.

UNIT_OUT ?= build/tests/unit
HVM_HDR := $(wildcard hv/x86/hvm/*.h hv/x86/emul/*.h hv/x86/insn/*.h hv/x86/mm/guest_walk.h hv/x86/*.h lib/*.h tests/unit/*.h)

UNIT_TESTS += $(UNIT_OUT)/guest_walk
$(UNIT_OUT)/guest_walk: tests/unit/guest_walk.c hv/x86/mm/guest_walk.c $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $<

HVM_DEVICES := $(filter-out hv/x86/hvm/viridian.c,$(wildcard hv/x86/hvm/v[lipr]*.c)) hv/x86/hvm/vhpet.c hv/x86/hvm/context.c hv/x86/hvm/ioreq.c
HVM_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/hvm_*.c))
UNIT_TESTS += $(HVM_UNIT)
$(HVM_UNIT): $(UNIT_OUT)/%: tests/unit/%.c $(HVM_DEVICES) $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(HVM_DEVICES)

UNIT_TESTS += $(UNIT_OUT)/vmx_caps
$(UNIT_OUT)/vmx_caps: tests/unit/vmx_caps.c hv/x86/hvm/vmx/caps.c hv/x86/hvm/vmx/caps.h hv/x86/hvm/vmx/vmcs.h hv/x86/mm/p2m.h tests/unit/unit.h tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $<

UNIT_TESTS += $(UNIT_OUT)/vmx_failure
$(UNIT_OUT)/vmx_failure: tests/unit/vmx_failure.c hv/x86/hvm/vmx/failure.c hv/x86/hvm/vmx/vmx.h hv/x86/hvm/vmx/vmcs.h $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $<

UNIT_TESTS += $(UNIT_OUT)/vmx_apic
$(UNIT_OUT)/vmx_apic: tests/unit/vmx_apic.c hv/x86/hvm/vmx/apic.c hv/x86/hvm/vmx/vmx.h hv/x86/hvm/vmx/vmcs.h $(HVM_DEVICES) $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(filter hv/x86/hvm/vlapic%,$(HVM_DEVICES))

EMUL_SRC := hv/x86/emul/emul.c hv/x86/emul/alu.c hv/x86/insn/decode.c
EMUL_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/emul_*.c))
UNIT_TESTS += $(EMUL_UNIT)
$(EMUL_UNIT): $(UNIT_OUT)/%: tests/unit/%.c $(EMUL_SRC) $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< $(EMUL_SRC)

FUZZ_CC ?= clang
FUZZ_OUT ?= build/tests/fuzz
FUZZERS += $(FUZZ_OUT)/fuzz_guest_walk $(FUZZ_OUT)/fuzz_emul $(FUZZ_OUT)/fuzz_hvm_context
FUZZ_HVM_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I. -Ihv -Itests/unit

$(FUZZ_OUT)/fuzz_guest_walk: tests/fuzz/fuzz_guest_walk.c hv/x86/mm/guest_walk.c $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_HVM_CFLAGS) -o $@ $< hv/x86/mm/guest_walk.c

$(FUZZ_OUT)/fuzz_emul: tests/fuzz/fuzz_emul.c $(EMUL_SRC) $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_HVM_CFLAGS) -o $@ $< $(EMUL_SRC)

$(FUZZ_OUT)/fuzz_hvm_context: tests/fuzz/fuzz_hvm_context.c $(HVM_DEVICES) $(HVM_HDR) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_HVM_CFLAGS) -o $@ $< $(HVM_DEVICES)

# What waits for a device model; its stand-ins take the places of files that reach the machine.
DM_SRC := hv/x86/hvm/io.c hv/x86/hvm/emulate.c hv/x86/hvm/ioreq.c hv/x86/mm/guest_walk.c $(EMUL_SRC)
UNIT_TESTS += $(UNIT_OUT)/dm_io
$(UNIT_OUT)/dm_io: tests/unit/dm_io.c $(DM_SRC) $(HVM_HDR) $(wildcard hv/core/*.h tests/host/pv_inc/*/*/*.h) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host/pv_inc -I. -Ihv -Itests/unit -o $@ $< $(DM_SRC)

UNIT_TESTS += $(UNIT_OUT)/dm_op
$(UNIT_OUT)/dm_op: tests/unit/dm_op.c hv/x86/hvm/hc_dm_op.c hv/x86/hvm/ioreq.c $(HVM_HDR) $(wildcard hv/core/*.h tests/host/pv_inc/*/*/*.h) tests/unit/hvm.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host/pv_inc -I. -Ihv -Itests/unit -o $@ $< hv/x86/hvm/hc_dm_op.c hv/x86/hvm/ioreq.c

# SPDX-License-Identifier: MIT
# The model test of PV memory: the core and the C of x86/pv that moves references, on the machine of
# tests/host with CPUs that walk page tables (tests/host/pv_machine.c).

MODEL_OUT ?= build/tests/model
PV_OUT := $(MODEL_OUT)/pv.obj
UNIT_TESTS += $(MODEL_OUT)/pv $(MODEL_OUT)/pv_threads
# In ./check --long: what it reports depends on how the host runs the threads, so each report wants a look.
TSAN_TESTS += $(MODEL_OUT)/pv_tsan

PV_CPPFLAGS := -Itests/host/pv_inc -I. -Ihv -Itests -DORLOP_DEBUG
PV_HV := $(addprefix hv/x86/pv/,ptable.c ptwalk.c mmu_update.c mmuext.c ptwr.c desc.c descriptor.c grant_pte.c \
	teardown.c hc_memory.c exchange.c hc_physdev.c hc_domctl.c hc_vcpu_state.c log_dirty.c twin.c domain.c context.c bounce.c calls.c audit.c) hv/x86/switch.c hv/x86/mm/tlb.c hv/x86/insn/ptwrite.c hv/x86/insn/decode.c \
	hv/x86/emul/emul.c hv/x86/emul/alu.c \
	hv/x86/hypercall/memory.c hv/x86/policy/told.c $(wildcard hv/x86/hvm/*32*.c)
PV_SRC := $(PV_HV) $(wildcard hv/core/*.c) hv/x86/glue/hypercall_table.c tests/host/host.c tests/host/step.c tests/host/pv_machine.c \
	tests/model/pv_ops.c tests/model/pv_log.c tests/model/pv_life.c tests/model/pv_pick.c $(filter-out lib/string.c,$(wildcard lib/*.c))
PV_OBJ := $(patsubst %.c,$(PV_OUT)/%.o,$(PV_SRC))
PV_HDR := $(wildcard hv/core/*.h hv/x86/*.h hv/x86/*/*.h lib/*.h tests/host/*.h tests/host/pv_inc/*/*/*.h tests/model/pv_ops.h tests/model/pv_pick.h)

$(PV_OUT)/%.o: %.c $(PV_HDR) tests/model/pv.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(PV_CPPFLAGS) -c -o $@ $<

$(MODEL_OUT)/pv: tests/model/pv.c $(PV_OBJ)
	@$(HOSTCC) $(CORE_CFLAGS) $(PV_CPPFLAGS) -o $@ $< $(PV_OBJ) $(CORE_LDFLAGS)

$(MODEL_OUT)/pv_threads: tests/model/pv_threads.c $(PV_OBJ)
	@$(HOSTCC) $(CORE_CFLAGS) $(PV_CPPFLAGS) -o $@ $< $(PV_OBJ) $(CORE_LDFLAGS)

PV_UNIT := build/tests/unit/pv_checks build/tests/unit/pv_refusals build/tests/unit/pv_edges build/tests/unit/pv_state build/tests/unit/pv_log
UNIT_TESTS += $(PV_UNIT)

$(PV_UNIT): build/tests/unit/%: tests/unit/%.c tests/unit/unit.h tests/unit/pv_unit.h $(PV_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(PV_CPPFLAGS) -Itests/unit -o $@ $< $(PV_OBJ) $(CORE_LDFLAGS)

# With libFuzzer. All variables come into two sections, so that each input finds the machine as after its boot.
FUZZ_CC ?= clang
FUZZ_OUT ?= build/tests/fuzz
FUZZERS += $(FUZZ_OUT)/fuzz_pv
PV_FUZZ_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize%,$(CORE_CFLAGS)) -fno-sanitize-recover=undefined \
	-Wno-unused-function -Wno-missing-braces
PV_FUZZ_OBJ := $(patsubst %.c,$(PV_OUT)/fuzz/%.o,$(PV_SRC))

$(PV_OUT)/fuzz/%.o: %.c $(PV_HDR) tests/model/pv.mk
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(PV_FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined $(PV_CPPFLAGS) -c -o $@ $<

$(PV_OUT)/fuzz/all.o: $(PV_FUZZ_OBJ)
	@ld -r -o $@ $(PV_FUZZ_OBJ)
	@objcopy --rename-section .data=pvdata --rename-section .bss=pvbss,alloc,load,data,contents $@

$(FUZZ_OUT)/fuzz_pv: tests/fuzz/fuzz_pv.c $(PV_OUT)/fuzz/all.o
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(PV_FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined $(PV_CPPFLAGS) -o $@ $^ $(CORE_LDFLAGS)

# The threads under ThreadSanitizer. What guests and page walks do to memory is no business of it: that file is left out.
PV_TSAN_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize%,$(CORE_CFLAGS)) -Wno-tsan
PV_TSAN_OBJ := $(patsubst %.c,$(PV_OUT)/tsan/%.o,$(PV_SRC) tests/model/pv_threads.c)

$(PV_OUT)/tsan/%.o: %.c $(PV_HDR) tests/model/pv.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(PV_TSAN_CFLAGS) $(if $(findstring pv_machine,$<),,-fsanitize=thread) $(PV_CPPFLAGS) -c -o $@ $<

$(MODEL_OUT)/pv_tsan: $(PV_TSAN_OBJ)
	@$(HOSTCC) $(PV_TSAN_CFLAGS) -fsanitize=thread -o $@ $(PV_TSAN_OBJ) $(CORE_LDFLAGS)

# How much hypercalls do between two looks at pending work: the core and the PV code compiled to be counted.

COST_OUT := build/tests/cost
COST_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize% -O%,$(CORE_CFLAGS)) -O2 -fno-builtin-memcpy -fno-builtin-memset \
	-Wno-array-bounds -Wno-stringop-overflow
COST_SRC := $(sort $(CORE_SRC) $(PV_SRC))
COST_OBJ := $(patsubst %.c,$(COST_OUT)/%.o,$(COST_SRC) tests/host/cost.c)
COST_LDFLAGS := $(CORE_LDFLAGS) -Wl,--wrap=memcpy,--wrap=memset
COST_UNIT := build/tests/unit/cost_core build/tests/unit/cost_pv build/tests/unit/cost_calls
# What no other host program of this kind has, since it needs devices: cost_calls.c is the machine.
COST_MORE := hv/x86/hypercall/platform.c hv/x86/hypercall/physdev.c hv/x86/irq/pirq.c hv/x86/pv/hc_physdev.c
UNIT_TESTS += $(COST_UNIT)

# What stands for the machine is not counted.
$(COST_OUT)/%.o: %.c $(PV_HDR) tests/host/cost.h tests/model/pv.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(COST_CFLAGS) $(PV_CPPFLAGS) $(if $(filter tests/%,$<),,-fsanitize-coverage=trace-pc) -c -o $@ $<

build/tests/unit/cost_core: tests/unit/cost_core.c tests/unit/unit.h tests/host/cost.h $(COST_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(COST_CFLAGS) $(CORE_CPPFLAGS) -o $@ $< $(patsubst %.c,$(COST_OUT)/%.o,$(CORE_SRC) tests/host/cost.c) $(COST_LDFLAGS)

build/tests/unit/cost_pv: tests/unit/cost_pv.c tests/unit/unit.h tests/host/cost.h $(COST_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(COST_CFLAGS) $(PV_CPPFLAGS) -Itests/unit -o $@ $< $(patsubst %.c,$(COST_OUT)/%.o,$(PV_SRC) tests/host/cost.c) $(COST_LDFLAGS)

build/tests/unit/cost_calls: tests/unit/cost_calls.c tests/unit/unit.h tests/host/cost.h $(COST_OBJ) $(patsubst %.c,$(COST_OUT)/%.o,$(COST_MORE))
	@mkdir -p $(@D)
	@$(HOSTCC) $(COST_CFLAGS) $(PV_CPPFLAGS) -Itests/unit -o $@ $< $(patsubst %.c,$(COST_OUT)/%.o,$(sort $(PV_SRC) $(COST_MORE)) tests/host/cost.c) $(COST_LDFLAGS)

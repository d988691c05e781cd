# SPDX-License-Identifier: MIT
# The model test of a hardware-assisted guest's memory: x86/mm/p2m*.c on the core, against a flat record.

HVM_P2M_OUT := build/tests/model/p2m.obj
HVM_P2M_SRC := hv/x86/mm/p2m.c hv/x86/mm/p2m_log.c hv/x86/mm/p2m_end.c
HVM_P2M_OBJ := $(patsubst %.c,$(HVM_P2M_OUT)/%.o,$(HVM_P2M_SRC))
UNIT_TESTS += $(MODEL_OUT)/p2m

$(HVM_P2M_OUT)/%.o: %.c $(wildcard hv/x86/mm/*.h tests/host/pv_inc/*/*/*.h) $(CORE_HDR) tests/model/p2m.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) -Itests/host/pv_inc $(CORE_CPPFLAGS) -c -o $@ $<

$(MODEL_OUT)/p2m: tests/model/p2m.c tests/model/stream.c tests/model/stream.h $(HVM_P2M_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) -Itests/host/pv_inc $(CORE_CPPFLAGS) -o $@ $(filter tests/model/%.c,$^) $(HVM_P2M_OBJ) \
		$(CORE_OBJ) $(CORE_LDFLAGS)

# Cases of its own, on the same machine.
UNIT_TESTS += $(UNIT_OUT)/p2m_cases
$(UNIT_OUT)/p2m_cases: tests/unit/p2m_cases.c tests/unit/unit.h $(HVM_P2M_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) -Itests/host/pv_inc $(CORE_CPPFLAGS) -o $@ $< $(HVM_P2M_OBJ) $(CORE_OBJ) $(CORE_LDFLAGS)

# With a thread for each CPU, under ThreadSanitizer.
UNIT_TESTS += $(MODEL_OUT)/p2m_threads
HVM_P2M_TSAN_OBJ := $(patsubst %.c,$(HVM_P2M_OUT)/tsan/%.o,$(HVM_P2M_SRC) tests/model/p2m_threads.c)

$(HVM_P2M_OUT)/tsan/%.o: %.c $(wildcard hv/x86/mm/*.h tests/host/pv_inc/*/*/*.h) $(CORE_HDR) tests/model/p2m.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(TSAN_CFLAGS) -Itests/host/pv_inc $(CORE_CPPFLAGS) -c -o $@ $<

$(MODEL_OUT)/p2m_threads: $(HVM_P2M_TSAN_OBJ) $(TSAN_OBJ)
	@$(HOSTCC) $(TSAN_CFLAGS) -o $@ $^ $(CORE_LDFLAGS) -Wl,--wrap=frame_get

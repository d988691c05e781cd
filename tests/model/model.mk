# SPDX-License-Identifier: MIT
# The model tests of the core (tests/model): hypercalls of every kind, with ASan and UBSan, and with ThreadSanitizer;
# grants of domains that come and go.

MODEL_OUT := build/tests/model
UNIT_TESTS += $(MODEL_OUT)/core $(MODEL_OUT)/grants
MODEL_HDR := tests/model/ops.h tests/model/stream.h

$(MODEL_OUT)/core: tests/model/model.c tests/model/ops.c tests/model/stream.c $(MODEL_HDR) $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -o $@ $(filter tests/%.c,$^) $(CORE_OBJ) $(CORE_LDFLAGS)

$(MODEL_OUT)/grants: tests/model/grants.c tests/model/stream.c $(MODEL_HDR) $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -o $@ $(filter tests/%.c,$^) $(CORE_OBJ) $(CORE_LDFLAGS)

# With a thread for each CPU, under ThreadSanitizer.
UNIT_TESTS += $(MODEL_OUT)/threads $(MODEL_OUT)/events
TSAN_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize%,$(CORE_CFLAGS)) -fsanitize=thread -Wno-tsan
TSAN_OBJ := $(patsubst %.c,$(MODEL_OUT)/tsan/%.o,$(CORE_SRC) tests/model/ops.c tests/model/stream.c)

$(MODEL_OUT)/tsan/%.o: %.c $(CORE_HDR) $(MODEL_HDR) tests/model/model.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(TSAN_CFLAGS) $(CORE_CPPFLAGS) -c -o $@ $<

$(MODEL_OUT)/threads $(MODEL_OUT)/events: $(MODEL_OUT)/%: $(MODEL_OUT)/tsan/tests/model/%.o $(TSAN_OBJ)
	@$(HOSTCC) $(TSAN_CFLAGS) -o $@ $^ $(CORE_LDFLAGS)

UNIT_TESTS += $(MODEL_OUT)/threads-cores
$(MODEL_OUT)/threads-cores: $(MODEL_OUT)/threads
	@cp $< $@

# The scheduler in simulated time, on the workloads of tests/model/sched.
UNIT_TESTS += $(MODEL_OUT)/sched
# Its pictures: drawn from a run, and looked at.
UNIT_TESTS += $(MODEL_OUT)/plot
$(MODEL_OUT)/plot: tests/model/plot scripts/plot-sched $(MODEL_OUT)/sched
	@mkdir -p $(@D)
	cp $< $@
$(MODEL_OUT)/sched: tests/model/sched.c $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -o $@ $< $(CORE_OBJ) $(CORE_LDFLAGS)

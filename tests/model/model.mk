# SPDX-License-Identifier: MIT
# The model test of the core (tests/model), one build with ASan and UBSan, one with ThreadSanitizer.

MODEL_OUT := build/tests/model
UNIT_TESTS += $(MODEL_OUT)/core

$(MODEL_OUT)/core: tests/model/model.c tests/model/ops.c tests/model/ops.h $(CORE_OBJ)
	@mkdir -p $(@D)
	@$(HOSTCC) $(CORE_CFLAGS) $(CORE_CPPFLAGS) -o $@ tests/model/model.c tests/model/ops.c $(CORE_OBJ) $(CORE_LDFLAGS)

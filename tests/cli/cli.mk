# SPDX-License-Identifier: MIT
# Tests of tools/cli: programs and rules for the top Makefile, in the format of tests/unit/lib.mk.

CLI_OUT ?= build/tests/cli
TOOLS_OUT ?= build/tools
HOSTCC ?= gcc
CLI_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-function -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -DUSERDATA_DIR='"$(CLI_OUT)/userdata"' -I. -Itools -Itests/unit -Itests/cli -I$(CLI_OUT)

# The configuration's parser, from text to struct guest_config, and what the viewing commands compute.
CLI_CFG_SRC := $(wildcard tools/cli/config*.c) tools/cli/cpu_features.c tools/cli/names.c tools/cli/view.c tools/cli/top.c tools/cli/top_calls.c tools/cli/perfc.c tools/cli/metrics_text.c tools/cli/trace_json.c tools/cli/trace_file.c $(wildcard tools/lib/*.c)
CLI_CFG_GEN := $(CLI_OUT)/gen/config_grammar.c $(CLI_OUT)/gen/config_scanner.c
CLI_HDR := $(wildcard tools/cli/*.h tools/lib/*.h tests/cli/*.h) tests/unit/unit.h $(CLI_OUT)/gen/config_grammar.h
CLI_CFG_OBJ := $(CLI_CFG_SRC:tools/%.c=$(CLI_OUT)/obj/%.o) $(CLI_CFG_GEN:$(CLI_OUT)/%.c=$(CLI_OUT)/obj/%.o)
CLI_TEST_LIBS := -lxencall -lxenforeignmemory -lxenevtchn -lxengnttab -lxenstore -ljson-c
CLI_TESTS := $(patsubst tests/cli/%.c,$(CLI_OUT)/%,$(wildcard tests/cli/cfg_*.c tests/cli/view_*.c))
UNIT_TESTS += $(CLI_TESTS)

$(CLI_OUT)/gen/config_grammar.c $(CLI_OUT)/gen/config_grammar.h &: tools/cli/config_grammar.y
	@mkdir -p $(@D)
	bison -Wall -Werror -o $(CLI_OUT)/gen/config_grammar.c --header=$(CLI_OUT)/gen/config_grammar.h $<
$(CLI_OUT)/gen/config_scanner.c: tools/cli/config_scanner.l $(CLI_OUT)/gen/config_grammar.h
	flex -o $@ $<

$(CLI_OUT)/obj/gen/%.o: $(CLI_OUT)/gen/%.c $(CLI_HDR)
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -c -o $@ $<
$(CLI_OUT)/obj/%.o: tools/%.c $(CLI_HDR)
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -c -o $@ $<

$(CLI_TESTS): $(CLI_OUT)/%: tests/cli/%.c $(CLI_CFG_OBJ) tests/cli/cli.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(CLI_CFG_OBJ) $(CLI_TEST_LIBS)

# Scripts that look at the program itself: the man pages say what it says, its frame.
CLI_SCRIPTS := $(CLI_OUT)/man $(CLI_OUT)/frame
UNIT_TESTS += $(CLI_SCRIPTS)
$(CLI_SCRIPTS): $(CLI_OUT)/%: tests/cli/% docs/man/orlop.1 docs/man/orlop.cfg.5 $(TOOLS_OUT)/orlop
	@mkdir -p $(@D)
	cp $< $@

.SECONDARY: $(CLI_CFG_OBJ) $(CLI_CFG_GEN)
.PHONY: cli-tests
cli-tests: $(CLI_TESTS) $(CLI_SCRIPTS)
	@scripts/run-tests $(CLI_TESTS) $(CLI_SCRIPTS)

CLI_FUZZ_CC ?= clang
FUZZERS += build/tests/fuzz/fuzz_config
build/tests/fuzz/fuzz_config: tests/cli/fuzz_config.c $(CLI_CFG_SRC) $(CLI_CFG_GEN) $(CLI_HDR)
	@mkdir -p $(@D)
	$(CLI_FUZZ_CC) -fsanitize=fuzzer $(CLI_CFLAGS) -o $@ $< $(CLI_CFG_SRC) $(CLI_CFG_GEN) $(CLI_TEST_LIBS)

# The life-cycle commands' parts that need no hypervisor; life_store runs our xenstored.
LIFE_SRC := $(addprefix tools/cli/,device.c device_list.c device_model.c disk.c disk_use.c dm_confine.c dm_handles.c dm_store.c hotplug.c dump_dir.c guest_erase.c guest_store.c nbd.c policy.c qmp.c record.c screen.c undo.c userdata.c vif.c)
LIFE_OBJ := $(LIFE_SRC:tools/%.c=$(CLI_OUT)/obj/%.o)
LIFE_TESTS := $(patsubst tests/cli/%.c,$(CLI_OUT)/%,$(wildcard tests/cli/life_*.c))
UNIT_TESTS += $(LIFE_TESTS)
$(LIFE_TESTS): $(CLI_OUT)/%: tests/cli/%.c $(LIFE_OBJ) $(CLI_CFG_OBJ) tests/cli/cli.mk | $(TOOLS_OUT)/xenstored
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(LIFE_OBJ) $(CLI_CFG_OBJ) $(CLI_TEST_LIBS)
.SECONDARY: $(LIFE_OBJ)
cli-tests: $(LIFE_TESTS)

# The monitor over a guest's restarts, on a host and in a time of the test's own.
RESTART_OBJ := $(patsubst %,$(CLI_OUT)/obj/cli/%.o,monitor_act policy record down dump_dir userdata vif) $(filter-out $(patsubst %,$(CLI_OUT)/obj/%.o,lib/xen cli/top cli/top_calls cli/perfc cli/metrics_text cli/trace_json cli/trace_file),$(CLI_CFG_OBJ))
UNIT_TESTS += $(CLI_OUT)/restart_loop
$(CLI_OUT)/restart_loop: tests/cli/restart_loop.c $(RESTART_OBJ) tests/cli/cli.mk | $(TOOLS_OUT)/xenstored
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(RESTART_OBJ) $(CLI_TEST_LIBS)
.SECONDARY: $(RESTART_OBJ)
cli-tests: $(CLI_OUT)/restart_loop

# Core files, on a hypervisor of the test's own.
CLI_CORE_OBJ := $(patsubst %,$(CLI_OUT)/obj/cli/%.o,core frame_set p2m undo) $(patsubst %,$(CLI_OUT)/obj/lib/%.o,error text util)
UNIT_TESTS += $(CLI_OUT)/core_file
$(CLI_OUT)/core_file: tests/cli/core_file.c tests/cli/xen_buffers.h $(CLI_CORE_OBJ) tests/cli/cli.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(CLI_CORE_OBJ)
.SECONDARY: $(CLI_CORE_OBJ)
cli-tests: $(CLI_OUT)/core_file

# The metrics' server, over real sockets.
CLI_HTTP_OBJ := $(CLI_OUT)/obj/cli/metrics_serve.o $(patsubst %,$(CLI_OUT)/obj/lib/%.o,error text util)
UNIT_TESTS += $(CLI_OUT)/metrics_http
$(CLI_OUT)/metrics_http: tests/cli/metrics_http.c $(CLI_HTTP_OBJ) tests/cli/cli.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(CLI_HTTP_OBJ)
.SECONDARY: $(CLI_HTTP_OBJ)
cli-tests: $(CLI_OUT)/metrics_http

# Saved guests' streams.
UNIT_TESTS += $(CLI_OUT)/stream_read
$(CLI_OUT)/stream_read: tests/cli/stream_read.c $(CLI_OUT)/obj/lib/stream.o tests/cli/cli.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(CLI_OUT)/obj/lib/stream.o
cli-tests: $(CLI_OUT)/stream_read
FUZZERS += build/tests/fuzz/fuzz_stream
build/tests/fuzz/fuzz_stream: tests/cli/fuzz_stream.c tools/lib/stream.c tools/lib/stream.h
	@mkdir -p $(@D)
	$(CLI_FUZZ_CC) -fsanitize=fuzzer $(CLI_CFLAGS) -o $@ $< tools/lib/stream.c

# A guest into a stream and back, on a hypervisor of the test's own.
IMAGE_OBJ := $(patsubst %,$(CLI_OUT)/obj/cli/%.o,image_save image_frames image_pages image_state image_live image_load image_fill image_set cpu_features frame_set p2m undo) \
	$(patsubst %,$(CLI_OUT)/obj/builder/%.o,child domain memory) $(patsubst %,$(CLI_OUT)/obj/lib/%.o,error stream stream_out text util)
UNIT_TESTS += $(CLI_OUT)/image_round
$(CLI_OUT)/image_round: tests/cli/image_round.c tests/cli/xen_buffers.h $(IMAGE_OBJ) tests/cli/cli.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(CLI_CFLAGS) -o $@ $< $(IMAGE_OBJ)
.SECONDARY: $(IMAGE_OBJ)
cli-tests: $(CLI_OUT)/image_round

# SPDX-License-Identifier: MIT
# Domain 0's programs: `make tools` leaves them in build/tools/.

TOOLS_OUT ?= build/tools
TOOLS_CC ?= gcc
TOOLS_CFLAGS ?= -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -pie \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100

# What the daemons share.
DAEMON_SRC := tools/lib/daemon.c tools/lib/ring.c
TEXT_SRC := tools/lib/text.c

XENSTORED_SRC := $(wildcard tools/xenstored/*.c) $(DAEMON_SRC)
XENSTORED_HDR := $(wildcard tools/xenstored/*.h) $(DAEMON_SRC:.c=.h)

$(TOOLS_OUT)/xenstored: $(XENSTORED_SRC) $(XENSTORED_HDR) tools/tools.mk
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -o $@ $(XENSTORED_SRC) -lxenevtchn -lxengnttab -lxenforeignmemory -lxencall

# Programs of many files go by objects: build/tools/obj/FOLDER/FILE.o.
$(TOOLS_OUT)/obj/%.o: tools/%.c tools/tools.mk
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -I$(TOOLS_OUT) -MMD -MP -c -o $@ $<

# The configuration's grammar, by flex and bison.
CLI_GEN := $(TOOLS_OUT)/gen
$(CLI_GEN)/config_grammar.c $(CLI_GEN)/config_grammar.h &: tools/cli/config_grammar.y
	@mkdir -p $(@D)
	bison -Wall -Werror -o $(CLI_GEN)/config_grammar.c --header=$(CLI_GEN)/config_grammar.h $<
$(CLI_GEN)/config_scanner.c: tools/cli/config_scanner.l $(CLI_GEN)/config_grammar.h
	flex -o $@ $<
CLI_GEN_OBJ := $(patsubst %,$(TOOLS_OUT)/obj/gen/%.o,config_grammar config_scanner)
$(CLI_GEN_OBJ): $(TOOLS_OUT)/obj/gen/%.o: $(CLI_GEN)/%.c
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -I$(TOOLS_OUT) -c -o $@ $<

# The functions of lib/ that the builder shares with the hypervisor.
PURE_OBJ := $(patsubst %,$(TOOLS_OUT)/obj/pure/%.o,bzimage elf pvlayout pvstart strutil xennote)
$(PURE_OBJ): $(TOOLS_OUT)/obj/pure/%.o: lib/%.c tools/tools.mk
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -MMD -MP -c -o $@ $<
-include $(PURE_OBJ:.o=.d)

# The command line. What it uses of tools/lib and tools/builder is linked in as it appears there.
CLI_OBJ := $(patsubst tools/%.c,$(TOOLS_OUT)/obj/%.o,$(filter-out $(DAEMON_SRC),$(wildcard tools/cli/*.c tools/lib/*.c tools/builder/*.c)))
CLI_LIBS := -lxencall -lxenforeignmemory -lxenevtchn -lxengnttab -lxenstore -ljson-c -levent_core -lncurses -ltinfo \
	-llzma -lzstd -llz4 -lz
$(CLI_OBJ): $(CLI_GEN)/config_grammar.h
$(TOOLS_OUT)/orlop: $(CLI_OBJ) $(CLI_GEN_OBJ) $(PURE_OBJ)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -o $@ $^ $(CLI_LIBS)
-include $(CLI_OBJ:.o=.d)

# The console daemon.
CONSOLED_OBJ := $(patsubst tools/%.c,$(TOOLS_OUT)/obj/%.o,$(wildcard tools/consoled/*.c) $(DAEMON_SRC) $(TEXT_SRC))
$(TOOLS_OUT)/orlop-consoled: $(CONSOLED_OBJ)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -o $@ $^ -lxenevtchn -lxengnttab -lxenforeignmemory -lxencall -lxenstore -levent_core
-include $(CONSOLED_OBJ:.o=.d)

tools: $(TOOLS_OUT)/xenstored $(TOOLS_OUT)/orlop $(TOOLS_OUT)/orlop-consoled
.PHONY: tools

include tools/services/install.mk

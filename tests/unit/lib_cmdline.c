/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "lib/cmdline.h"
#include "lib/macros.h"

TEST(cmdline_words)
{
    const char *text =
        "  dom0_mem=512M,max:1G noreboot no-smep  guest_loglvl=\"all debug\" x='a \"b' =v";
    struct cmdline_opt o;

    CHECK(cmdline_next(&text, &o) && cmdline_is(&o, "dom0_mem") && cmdline_is(&o, "dom0-mem"));
    CHECK_STR(o.value, "512M,max:1G");
    CHECK(cmdline_next(&text, &o) && cmdline_is(&o, "noreboot") && !o.has_value && !o.negated);
    CHECK(cmdline_next(&text, &o) && cmdline_is(&o, "smep") && o.negated);
    CHECK(cmdline_next(&text, &o) && cmdline_is(&o, "guest_loglvl"));
    CHECK_STR(o.value, "all debug");
    CHECK(cmdline_next(&text, &o) && o.has_value);
    CHECK_STR(o.value, "a \"b");
    CHECK(cmdline_next(&text, &o) && o.name[0] == 0 && o.has_value);
    CHECK(!cmdline_next(&text, &o));
    text = NULL;
    CHECK(!cmdline_next(&text, &o));
    CHECK_STR(cmdline_skip_word("placeholder  a b"), "a b");
    CHECK_STR(cmdline_skip_word(""), "");
    CHECK_STR(cmdline_skip_word(NULL), "");
}

TEST(cmdline_long_words_are_cut)
{
    char text[1000];
    const char *p = text;
    struct cmdline_opt o;

    memset(text, 'a', sizeof(text));
    text[100] = '=';
    text[999] = 0;
    CHECK(cmdline_next(&p, &o) && o.cut);
    CHECK_EQ(strlen(o.name), CMDLINE_NAME_MAX - 1);
    CHECK_EQ(strlen(o.value), CMDLINE_VALUE_MAX - 1);
    CHECK(!cmdline_next(&p, &o));
}

TEST(cmdline_last_one_wins)
{
    struct cmdline_opt o;

    CHECK(cmdline_find("a=1 b a=2", "a", &o));
    CHECK_STR(o.value, "2");
    CHECK(!cmdline_find("a=1 b a=2", "c", &o));
}

static int as_bool(const char *text)
{
    struct cmdline_opt o;
    bool v;

    cmdline_next(&text, &o);
    return cmdline_bool(&o, &v) ? v : -1;
}

TEST(cmdline_switches)
{
    CHECK(as_bool("foo") == 1 && as_bool("no-foo") == 0);
    CHECK(as_bool("foo=yes") == 1 && as_bool("foo=0") == 0 && as_bool("foo=disable") == 0);
    CHECK(as_bool("no-foo=off") == 1);
    CHECK(as_bool("foo=maybe") == -1 && as_bool("foo=") == -1);
}

TEST(cmdline_dom0_mem_forms)
{
    struct cmdline_dom0_mem m;
    uint64_t max;

    CHECK_NULL(cmdline_dom0_mem("512M", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, GIB(2), &max), MIB(512));
    CHECK_EQ(max, UINT64_MAX);
    CHECK_NULL(cmdline_dom0_mem("-256M,min:1G,max:4096000", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, GIB(2), &max), GIB(2) - MIB(256));
    CHECK_EQ(max, KIB(4096000));
    CHECK_EQ(cmdline_dom0_bytes(&m, MIB(1200), &max), GIB(1));
    CHECK_EQ(cmdline_dom0_bytes(&m, MIB(100), &max), MIB(100));
    CHECK_NULL(cmdline_dom0_mem("max:1G", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, MIB(512), &max), MIB(480));
    CHECK_EQ(cmdline_dom0_bytes(&m, GIB(8), &max), GIB(1));
    CHECK_NULL(cmdline_dom0_mem("100M+50%", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, 200ull << 20, &max), 200ull << 20);
    CHECK_NULL(cmdline_dom0_mem("50%", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, 1000, &max), 500);
    CHECK_NULL(cmdline_dom0_mem("-9G", &m));
    CHECK_EQ(cmdline_dom0_bytes(&m, GIB(1), &max), 0);
}

TEST(cmdline_dom0_mem_refusals)
{
    struct cmdline_dom0_mem m;

    CHECK_WHY(cmdline_dom0_mem("", &m), "not a number");
    CHECK_WHY(cmdline_dom0_mem("512M,", &m), "not a number");
    CHECK_WHY(cmdline_dom0_mem("512X", &m), "unit");
    CHECK_WHY(cmdline_dom0_mem("512M;1G", &m), "unit");
    CHECK_WHY(cmdline_dom0_mem("max:99999999999999999999", &m), "not a number");
    CHECK_WHY(cmdline_dom0_mem("9999999999999999T", &m), "too large");
    CHECK_WHY(cmdline_dom0_mem("101%", &m), "percentage");
    CHECK_WHY(cmdline_dom0_mem("1G+x", &m), "percentage");
}

TEST(cmdline_ranges)
{
    unsigned lo, hi;

    CHECK_NULL(cmdline_range("4", &lo, &hi));
    CHECK(lo == 4 && hi == 4);
    CHECK_NULL(cmdline_range("2-8", &lo, &hi));
    CHECK(lo == 2 && hi == 8);
    CHECK_NULL(cmdline_range("-8", &lo, &hi));
    CHECK(lo == 1 && hi == 8);
    CHECK_NULL(cmdline_range("2-", &lo, &hi));
    CHECK(lo == 2 && hi == UINT32_MAX);
    CHECK_WHY(cmdline_range("8-2", &lo, &hi), "form");
    CHECK_WHY(cmdline_range("-", &lo, &hi), "number");
    CHECK_WHY(cmdline_range("x", &lo, &hi), "number");
    CHECK_WHY(cmdline_range("0", &lo, &hi), "form");
    CHECK_WHY(cmdline_range("2-3x", &lo, &hi), "form");
}

TEST(cmdline_serial_forms)
{
    struct cmdline_serial s = { .baud = 9600, .data_bits = 8, .parity = 'n', .stop_bits = 1 };

    CHECK_NULL(cmdline_serial("115200,8n1", &s));
    CHECK(s.baud == 115200 && s.data_bits == 8 && s.parity == 'n' && s.stop_bits == 1 && !s.port);
    CHECK_NULL(cmdline_serial("115200,7e2,0x2f8,3", &s));
    CHECK(s.data_bits == 7 && s.parity == 'e' && s.stop_bits == 2 && s.port == 0x2f8 && s.irq == 3);
    CHECK_NULL(cmdline_serial("auto/1843200", &s));
    CHECK(s.baud == 0 && s.base_baud == 1843200);
    CHECK_NULL(cmdline_serial("38400,,0x3e8", &s));
    CHECK(s.baud == 38400 && s.port == 0x3e8);
    CHECK_NULL(cmdline_serial("38400,8n1,,5", &s));
    CHECK(s.irq == 5 && s.port == 0x3e8);
    CHECK_WHY(cmdline_serial("fast", &s), "speed");
    CHECK_WHY(cmdline_serial("0", &s), "speed");
    CHECK_WHY(cmdline_serial("115200,9n1", &s), "8n1");
    CHECK_WHY(cmdline_serial("115200,8n1,port", &s), "port");
    CHECK_WHY(cmdline_serial("115200,8n1,0x10000", &s), "0xffff");
    CHECK_WHY(cmdline_serial("115200,8n1,0x3f8,4,5", &s), "follows");
    CHECK_EQ(s.baud, 38400);
}

/* SPDX-License-Identifier: MIT */
/* The configuration's parser: what is accepted and how it is decoded, what is refused and in which
 * words. */
#include "tools/cli/config.h"
#include "tools/lib/util.h"
#include <json-c/json.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit.h"

static struct guest_config cfg;
static struct config_errors errors;

/* Forgets the last one and parses a text. */
static bool parse_with(const char *text, char *const *overrides, unsigned count)
{
    config_free(&cfg);
    config_errors_free(&errors);
    return config_parse(&cfg, "/etc/orlop/t.cfg", text, strlen(text), overrides, count, &errors);
}

#define BASE "name='web1'\nkernel='/boot/vmlinuz'\nmemory=512\n"

/* BASE and more lines, the first of which is line 4. */
static bool parse(const char *text)
{
    char *all = malloc(strlen(text) + sizeof(BASE));
    bool good;

    strcpy(all, BASE);
    strcat(all, text);
    good = parse_with(all, NULL, 0);
    free(all);
    return good;
}

/* Is refused with exactly `count` errors, one of which contains `part`. */
static bool refused_as(bool good, unsigned count, const char *part)
{
    bool found = false;

    for (unsigned i = 0; i < errors.count; i++)
        found |= strstr(errors.text[i], part) != NULL;
    if (!good && errors.count == count && found && !cfg.name)
        return true;
    printf("%u errors%s, without \"%s\":\n", errors.count, good ? ", accepted" : "", part);
    for (unsigned i = 0; i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    return false;
}

#define REFUSED(text, part) CHECK(refused_as(parse(text), 1, part))

static bool accepted(const char *text)
{
    bool good = parse(text);

    for (unsigned i = 0; i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    return good && !errors.count;
}

TEST(cfg_whole_file)
{
    const char text[] =
        "# a comment\n"
        "name = \"web1\"; type = 'pv'\n"
        "uuid = '6fd7a1c0-3a52-4b0e-9d3c-0a1b2c3d4e5f'\n"
        "kernel = '/boot/vmlinuz'   # behind a value\n"
        "ramdisk = 'initrd.img'\n"
        "root = '/dev/xvda ro'\n"
        "extra = 'console=hvc0 \"quoted\" #no comment'\n"
        "memory = 0x200\nmaxmem = '1024'\n"
        "vcpus = 2\nmaxvcpus = 010\n"
        "cpus = ['0', \"2-3,^2\", 1]\ncpus_soft = 'all,^node:1'\n"
        "cpu_weight=512\ncap=150\n"
        "on_poweroff='preserve' ; on_reboot='rename-restart'\n"
        "on_crash = 'coredump-restart'\non_watchdog=\"restart\"\n"
        "disk = [ 'phy:/dev/vg/web,xvda,w',   # the first\n"
        "\n"
        "         'format=qcow2, vdev=xvdb, access=ro, target=/srv/a,b.qcow2',\n"
        "       ]\n"
        "vif = [ 'mac=00:16:3e:00:00:01,bridge=br1,ip=10.0.0.2 fd00::2/64,rate=1MB/s@20ms', '' ]\n"
        "localtime = 1\nrtc_timeoffset = -3600\ntsc_mode='native'\n"
        "max_event_channels=1023\nmax_grant_frames=32\nmax_maptrack_frames = 64";

    CHECK(parse_with(text, NULL, 0));
    CHECK_EQ(errors.count, 0);
    CHECK_STR(cfg.file, "/etc/orlop/t.cfg");
    CHECK_STR(cfg.name, "web1");
    CHECK(cfg.has_uuid);
    CHECK_EQ(cfg.uuid[0], 0x6f);
    CHECK_STR(cfg.kernel, "/boot/vmlinuz");
    CHECK_STR(cfg.ramdisk, "/etc/orlop/initrd.img");
    CHECK_STR(cfg.cmdline, "root=/dev/xvda ro console=hvc0 \"quoted\" #no comment");
    CHECK_EQ(cfg.memory_mb, 512);
    CHECK_EQ(cfg.maxmem_mb, 1024);
    CHECK_EQ(cfg.vcpus, 2);
    CHECK_EQ(cfg.maxvcpus, 8);
    CHECK(cfg.cpus.per_vcpu);
    CHECK_EQ(cfg.cpus.count, 3);
    CHECK_STR(cfg.cpus.list[1], "2-3,^2");
    CHECK(!cfg.cpus_soft.per_vcpu);
    CHECK_STR(cfg.cpus_soft.list[0], "all,^node:1");
    CHECK_EQ(cfg.cpu_weight, 512);
    CHECK_EQ(cfg.cap, 150);
    CHECK_EQ(cfg.on_poweroff, ACTION_PRESERVE);
    CHECK_EQ(cfg.on_reboot, ACTION_RENAME_RESTART);
    CHECK_EQ(cfg.on_crash, ACTION_COREDUMP_RESTART);
    CHECK_EQ(cfg.on_watchdog, ACTION_RESTART);
    CHECK(cfg.localtime);
    CHECK_EQ(cfg.rtc_offset_s, -3600);
    CHECK_EQ(cfg.tsc_mode, TSC_NATIVE);
    CHECK_EQ(cfg.max_event_channels, 1023);
    CHECK_EQ(cfg.max_grant_frames, 32);
    CHECK_EQ(cfg.max_maptrack_frames, 64);
    CHECK_EQ(cfg.nr_disks, 2);
    CHECK_EQ(cfg.disks[1].line, 21);
    CHECK_STR(cfg.disks[1].target, "/srv/a,b.qcow2");
    CHECK_EQ(cfg.nr_vifs, 2);
    CHECK_EQ(cfg.vifs[1].devid, 1);
}

TEST(cfg_defaults)
{
    CHECK(accepted(""));
    CHECK_EQ(cfg.maxmem_mb, 512);
    CHECK_EQ(cfg.vcpus, 1);
    CHECK_EQ(cfg.maxvcpus, 1);
    CHECK_STR(cfg.cmdline, "");
    CHECK_EQ(cfg.cpu_weight, 256);
    CHECK_EQ(cfg.on_poweroff, ACTION_DESTROY);
    CHECK_EQ(cfg.on_reboot, ACTION_RESTART);
    CHECK_EQ(cfg.on_crash, ACTION_DESTROY);
    CHECK(!cfg.has_uuid && !cfg.ramdisk && !cfg.nr_disks && !cfg.nr_vifs && !cfg.cpus.count);
    CHECK(accepted("disk=[]\nvif = [\n]\n"));
    CHECK(accepted("extra='it\\'s \\\"\\\\ '") && strcmp(cfg.cmdline, "it's \"\\ ") == 0);
    CHECK(accepted("extra='quiet'") && strcmp(cfg.cmdline, "quiet") == 0);
}

TEST(cfg_syntax_errors)
{
    REFUSED("vcpus 2\n", "t.cfg:4: vcpus: a number, where '=' is expected");
    REFUSED("vcpus =\n", "t.cfg:4: vcpus: the end of the line, where a number");
    REFUSED("vcpus = two\n", "t.cfg:4: vcpus: a bare word, where a number");
    REFUSED("vcpus = 2 2\n", "t.cfg:4: vcpus: a number, where the end of the line");
    REFUSED("= 2\n", "t.cfg:4: '=', where KEY = VALUE");
    REFUSED("extra = 'abc\n", "t.cfg:4: extra: a string that has no ' at its end");
    REFUSED("extra = 'ab\001c'\n", "t.cfg:4: extra: a control character");
    REFUSED("extra = 'a\\qb'\n", "t.cfg:4: extra: behind a \\ in a string stands one of");
    REFUSED("extra = 'a\\x'\n", "t.cfg:4: extra: behind a \\");
    REFUSED("extra = 'a\\0'\n", "t.cfg:4: extra: behind a \\");
    REFUSED("extra = 'a\\777'\n", "t.cfg:4: extra: behind a \\");
    REFUSED("extra = 'a\\033b'\n", "t.cfg:4: extra: a control character");
    REFUSED("extra = \xe2\x80\x9d"
            "abc\xe2\x80\x9d\n",
            "t.cfg:4: extra: a typographic quotation mark");
    REFUSED("extra = 'abc\\'\n", "t.cfg:4: extra: a string that has no ' at its end");
    REFUSED("extra = 'x' \\\n", "'\\' means nothing here");
    REFUSED("extra = \xc3\n", "t.cfg:4: extra: a byte 0xc3");
    REFUSED("extra = %\n", "t.cfg:4: extra: '%' means nothing here");
    REFUSED("vcpus = 99999999999999999999\n", "t.cfg:4: vcpus: no number of 64 bits");
    REFUSED("vcpus = 2k\n", "t.cfg:4: vcpus: no number of 64 bits");
    REFUSED("cpus = ['1' '2']\n", "t.cfg:4: cpus: a string, where ',' or ']' is expected");
    REFUSED("cpus = ['1',\n\n'2'\nvcpus=2\n",
            "t.cfg:7: cpus: a bare word, where ',' or ']' is expected (the list begins in line 4)");
    REFUSED("cpus = ['1',\n", "the end of the line, where");
    REFUSED("cpus = ['1';'2']\n", "';' inside a list");
    REFUSED("cpus = [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "nested too deeply");
    /* errors do not hide what comes after them */
    CHECK(refused_as(parse("vcpus = = 2\nvpcus = 3\ncap = 'x'\n"), 3,
                     "t.cfg:5: vpcus: there is no such key; did you mean vcpus?"));
    /* a file that cannot be read is not blamed for what is missing in it */
    CHECK(refused_as(parse_with("name = web1\n", NULL, 0), 1, "t.cfg:1: name: a bare word"));
}

TEST(cfg_keys_refused)
{
    REFUSED("memroy = 5\n", "t.cfg:4: memroy: there is no such key; did you mean memory?");
    REFUSED("Disk = []\n", "did you mean disk?");
    REFUSED("qwertyuiop = 5\n", "there is no such key (`orlop help config`");
    REFUSED("memory = 5\n", "t.cfg:4: memory: is set twice; line 3 does it first");
    REFUSED("disk = []\ndisk = ['/a,raw,xvda,w']\n", "t.cfg:5: disk: is set twice");
    REFUSED("builder = 'pvh'\n", "t.cfg:4: builder: expected is");
    REFUSED("pci = ['01:00.0']\n", "t.cfg:4: pci: passthrough of devices is not supported yet");
    REFUSED("vnuma = [['pnode=0','size=512']]\n", "virtual NUMA is not supported yet");
    REFUSED("usbdev = ['hostbus=1']\n", "USB devices are not supported yet");
}

TEST(cfg_pvh)
{
    CHECK(accepted("type = 'pv'\n") && cfg.type == GUEST_PV);
    CHECK(accepted("type = 'PVH'\nmaxmem = 512\nvcpus = 127\nhap = 1\npvshim = 0\n"));
    CHECK_EQ(cfg.type, GUEST_PVH);
    REFUSED("type = 'pvh'\nmaxmem = 513\n", "t.cfg:5: maxmem: 513 MiB is more than memory = 512");
    REFUSED("type = 'pvh'\nvcpus = 128\n", "t.cfg:5: vcpus: a PVH guest has 127 vCPUs at most");
    REFUSED("type = 'pvh'\nhap = 0\n", "t.cfg:5: hap: there are no shadow page tables");
    REFUSED("type = 'pvh'\npvshim = 1\n", "t.cfg:5: pvshim: there is no shim");
    REFUSED("type = 'pvh'\nnestedhvm = 1\n", "t.cfg:5: nestedhvm: hypervisors within guests");
    CHECK(parse("type = 'pvh'\nbootloader = 'pygrub'\n"));
    CHECK_STR(cfg.kernel, "/usr/lib/grub-xen/grub-i386-xen_pvh.bin");
}

static bool hvm(const char *lines)
{
    char *text = str_fmt("name = 'w'\nmemory = 64\ntype = 'hvm'\ndisk = ['/a,raw,hda,w']\n%s",
                         lines);
    bool good = parse_with(text, NULL, 0);

    free(text);
    return good;
}

#define HVM_REFUSED(lines, part) CHECK(!hvm(lines) && refused_as(false, 1, part))

TEST(cfg_hvm)
{
    CHECK(hvm("boot = 'dc'\nserial = 'pty'\ndevice_model_override = '/q'\n") && !errors.warnings);
    CHECK(!cfg.ahci);
    CHECK_EQ(cfg.type, GUEST_HVM);
    CHECK(!cfg.kernel);
    CHECK_STR(cfg.boot, "dc");
    CHECK_STR(cfg.serial, "pty");
    CHECK_STR(cfg.device_model, "/q");
    CHECK(hvm("acpi = 1\nhap = 1\nvga = 'none'\nvnc = 0\nusb = 0\nnographic = 1\nviridian = 0\n"
              "firmware = 'bios'\nserial = 'none'\naltp2m = 'disabled'\n") &&
          !errors.warnings && !cfg.serial);
    CHECK(parse_with("memory = 64\nbuilder = 'hvm'\nname = 'w'\nkernel = '/k'\nextra = 'x'\n", NULL,
                     0) &&
          cfg.type == GUEST_HVM);
    CHECK(hvm("kernel = '/usr/lib/xen-4.17/boot/hvmloader'\n") && !cfg.kernel &&
          errors.warnings == 1);
    CHECK(hvm("hdtype = 'ide'\n") && !errors.warnings && !cfg.ahci);
    CHECK(hvm("hdtype = 'ahci'\n") && !errors.warnings && cfg.ahci);
    HVM_REFUSED("hdtype = 'scsi'\n", "t.cfg:5: hdtype: expected is 'ide' or 'ahci'");
    HVM_REFUSED("acpi = 0\n", "t.cfg:5: acpi: HVM guests always have ACPI");
    CHECK(hvm("viridian = 1\n") && cfg.viridian == 7 && !errors.warnings);
    CHECK(hvm("viridian = ['all', '!freq', '!stimer']\n") && cfg.viridian == 5);
    CHECK(hvm("viridian = []\n") && !cfg.viridian);
    HVM_REFUSED("viridian = ['base', 'stimer']\n", "t.cfg:5: viridian: stimer is not there");
    HVM_REFUSED("viridian = ['freq']\n", "t.cfg:5: viridian: the others need 'base'");
    HVM_REFUSED("viridian = ['some']\n", "t.cfg:5: viridian: there is no group some");
    HVM_REFUSED("device_model_args = ['-x']\n", "device_model_args: is not supported for HVM");
    CHECK(hvm("firmware = 'uefi'\n") && cfg.uefi && !errors.warnings);
    CHECK(hvm("firmware = 'ovmf'\n") && cfg.uefi && hvm("firmware = 'bios'\n") && !cfg.uefi);
    HVM_REFUSED("firmware = 'rombios'\n", "t.cfg:5: firmware: an HVM guest's is 'bios' or 'uefi'");
    HVM_REFUSED("bios = 'ovmf'\n", "t.cfg:5: bios: OVMF is asked for by firmware = 'uefi'");
    CHECK(hvm("boot = 'ncd'\n") && strcmp(cfg.boot, "ncd") == 0);
    HVM_REFUSED("boot = 'x'\n", "t.cfg:5: boot: expected is letters");
    HVM_REFUSED("serial = 'tcp:x'\n", "t.cfg:5: serial: expected is");
    HVM_REFUSED("serial = 'file:/a,b'\n", "t.cfg:5: serial: expected is");
    HVM_REFUSED("maxmem = 65\n", "65 MiB is more than memory = 64, and HVM guests do not grow");
    HVM_REFUSED("vcpus = 128\n", "an HVM guest has 127 vCPUs at most");
    HVM_REFUSED("ramdisk = '/r'\n", "t.cfg:5: ramdisk: there is no kernel=");
    HVM_REFUSED("extra = 'quiet'\n", "t.cfg:5: extra: there is no kernel=");
    CHECK(!parse_with("name = 'w'\nmemory = 64\ntype = 'hvm'\n", NULL, 0));
    CHECK(refused_as(false, 1, "nothing to boot from"));
}

/* An HVM guest's card of this text is one of that kind and model (NULL: none). */
static bool card(const char *text, enum vif_kind kind, const char *model)
{
    char *line = str_fmt("vif = ['%s']\n", text);
    bool good = hvm(line);
    const char *got = good ? cfg.vifs[0].model : NULL;

    free(line);
    return good && cfg.vifs[0].kind == kind && (model ? got && strcmp(got, model) == 0 : !got);
}

TEST(cfg_hvm_cards)
{
    CHECK(card("", VIF_EMULATED, "rtl8139"));
    CHECK(card("model=e1000", VIF_EMULATED, "e1000"));
    CHECK(card("type=ioemu,bridge=br0", VIF_EMULATED, "rtl8139"));
    CHECK(card("type=vif", VIF_PV, NULL));
    CHECK(card("script=vif-route", VIF_PV, NULL));
    CHECK(hvm("vif = ['type=vif,model=e1000']\n") && errors.warnings == 1 && !cfg.vifs[0].model);
    HVM_REFUSED("vif = ['type=ioemu,script=vif-route']\n", "t.cfg:5: vif: card 0: what script=");
    HVM_REFUSED("vif = ['model=e1001']\n", "model=e1001: rtl8139");
    CHECK(hvm("vif = ['','','','','','','','','type=vif']\n") && cfg.nr_vifs == 9);
    HVM_REFUSED("vif = ['','','','','','','','','']\n", "t.cfg:5: vif: 9 emulated cards");
    REFUSED("vif = ['type=ioemu']\n", "type=ioemu is for HVM guests");
}

TEST(cfg_hvm_screen)
{
    CHECK(hvm("") && !errors.warnings && cfg.screen.vga == VGA_CIRRUS && cfg.screen.vnc);
    CHECK_EQ(cfg.screen.videoram_mb, 8);
    CHECK_STR(cfg.screen.listen, "127.0.0.1");
    CHECK(!cfg.screen.only && cfg.screen.display == 0 && !cfg.screen.password && !cfg.screen.usb);
    CHECK(hvm("vga = 'stdvga'\nvideoram = 32\nvnc = 1\nvnclisten = '0.0.0.0'\nvncdisplay = 12\n"
              "vncunused = 0\nvncpasswd = 'secret'\nkeymap = 'de'\nusbdevice = ['tablet', "
              "'keyboard']\n") &&
          !errors.warnings && cfg.screen.vga == VGA_STDVGA && cfg.screen.only && cfg.screen.usb);
    CHECK_EQ(cfg.screen.videoram_mb, 32);
    CHECK_STR(cfg.screen.listen, "0.0.0.0");
    CHECK_EQ(cfg.screen.display, 12);
    CHECK_STR(cfg.screen.password, "secret");
    CHECK_STR(cfg.screen.keymap, "de");
    CHECK_EQ(cfg.screen.usb_devices, USB_TABLET | USB_KEYBOARD);
    CHECK(hvm("stdvga = 1\nvnclisten = 'localhost:3'\nusbdevice = 'mouse'\n") &&
          cfg.screen.vga == VGA_STDVGA && cfg.screen.display == 3);
    CHECK_EQ(cfg.screen.videoram_mb, 16);
    CHECK_STR(cfg.screen.listen, "127.0.0.1");
    CHECK(hvm("vnclisten = '[::1]:4'\n") && cfg.screen.display == 4);
    CHECK_STR(cfg.screen.listen, "::1");
    CHECK(hvm("vnclisten = '::'\nvnc = 0\n") && !cfg.screen.vnc);
    CHECK_STR(cfg.screen.listen, "::");
    CHECK(hvm("nographic = 1\n") && cfg.screen.vga == VGA_NONE && !cfg.screen.vnc &&
          !cfg.screen.videoram_mb && !errors.warnings);
    CHECK(hvm("vga = 'none'\nvnc = 1\n") && !cfg.screen.vnc && errors.warnings == 1);
    HVM_REFUSED("vga = 'qxl'\n", "t.cfg:5: vga: expected is 'cirrus', 'stdvga' or 'none'");
    HVM_REFUSED("videoram = 32\n", "t.cfg:5: videoram: 'cirrus' has 8 or 16 MiB");
    HVM_REFUSED("stdvga = 1\nvideoram = 8\n", "t.cfg:6: videoram: 'stdvga' has 16 or 32 MiB");
    HVM_REFUSED("vnclisten = 'host'\n", "t.cfg:5: vnclisten: expected is an address");
    HVM_REFUSED("vnclisten = '127.0.0.1:x'\n", "t.cfg:5: vnclisten: expected is an address");
    HVM_REFUSED("vnclisten = '127.0.0.1:2'\nvncdisplay = 2\n",
                "vnclisten: vnclisten= names a display");
    HVM_REFUSED("vncdisplay = 10000\n", "t.cfg:5: vncdisplay: expected is the number");
    HVM_REFUSED("vncpasswd = 'ninebytes'\n", "t.cfg:5: vncpasswd: is longer than the 8");
    HVM_REFUSED("vncpasswd = 'a\\x07'\n", "t.cfg:5: vncpasswd: expected is up to 8");
    HVM_REFUSED("keymap = '../x'\n", "t.cfg:5: keymap: expected is");
    HVM_REFUSED("usbdevice = 'host:1234'\n", "t.cfg:5: usbdevice: expected is 'tablet'");
    HVM_REFUSED("sdl = 1\n", "t.cfg:5: sdl: a screen is shown by VNC");
    HVM_REFUSED("spice = 1\n", "t.cfg:5: spice: a screen is shown by VNC");
}

TEST(cfg_pv_screen)
{
    CHECK(parse("") && !cfg.screen.vnc);
    CHECK(accepted("vfb = []\n") && !cfg.screen.vnc);
    CHECK(accepted("vfb = ['']\n") && cfg.screen.vnc && !cfg.screen.only);
    CHECK_STR(cfg.screen.listen, "127.0.0.1");
    CHECK_EQ(cfg.screen.vga, VGA_NONE);
    CHECK(accepted("vfb = ['type=vnc, vnclisten=0.0.0.0,vncunused=0,vncdisplay=4,vncpasswd=x,"
                   "keymap=de,sdl=0']\n") &&
          cfg.screen.vnc && cfg.screen.only && cfg.screen.display == 4);
    CHECK_STR(cfg.screen.listen, "0.0.0.0");
    CHECK_STR(cfg.screen.password, "x");
    CHECK_STR(cfg.screen.keymap, "de");
    CHECK(accepted("vfb = ['vnc=0']\n") && !cfg.screen.vnc);
    CHECK(accepted("vnc = 1\nvnclisten = '127.0.0.1:2'\n") && cfg.screen.vnc &&
          cfg.screen.display == 2);
    CHECK(parse("vnc = 0\nvfb = ['vnclisten=::1']\nvnclisten = '127.0.0.1'\n") && cfg.screen.vnc &&
          errors.warnings == 2);
    CHECK_STR(cfg.screen.listen, "::1");
    CHECK(refused_as(parse("vfb = ['vncdisplay=1,vncdisplay=2']\n"), 1,
                     "vncdisplay= is there twice"));
    CHECK(refused_as(parse("vfb = ['', '']\n"), 1, "t.cfg:4: vfb: a guest has one screen only"));
    CHECK(refused_as(parse("vfb = ['sdl=1']\n"), 1, "vfb: sdl=1: a screen is shown by VNC only"));
    CHECK(refused_as(parse("vfb = ['videoram=4']\n"), 1, "vfb: there is no videoram= in it"));
    CHECK(refused_as(parse("vfb = ['vnc']\n"), 1, "vfb: 'vnc': expected are KEY=VALUE"));
    CHECK(refused_as(parse("vfb = 1\n"), 1, "t.cfg:4: vfb: expected is a list"));
    CHECK(refused_as(parse("vfb = ['vncdisplay=x']\n"), 1, "vncdisplay: expected is the number"));
}

/* Accepted, with this in the only warning; and an error when strict. */
static bool warned(const char *text, const char *part)
{
    bool good, strict_good;

    errors.strict = false;
    good = parse(text) && errors.count == 0 && errors.warnings == 1 &&
           strstr(errors.warning[0], part) && strstr(errors.warning[0], "t.cfg:");
    for (unsigned i = 0; !good && i < errors.warnings; i++)
        printf("warning: %s\n", errors.warning[i]);
    for (unsigned i = 0; !good && i < errors.count; i++)
        printf("error: %s\n", errors.text[i]);
    errors.strict = true;
    strict_good = !parse(text) && errors.count == 1 && strstr(errors.text[0], part);
    errors.strict = false;
    return good && strict_good;
}

TEST(cfg_warnings)
{
    CHECK(warned("dhcp = 'dhcp'\n", "t.cfg:4: dhcp: xm wrote it"));
    CHECK(warned("localtime = 2\n", "t.cfg:4: localtime: 2 counts as 1"));
    CHECK(parse("localtime = 2\n") && cfg.localtime);
    CHECK(warned("cpus = ''\n", "t.cfg:4: cpus: is empty"));
    CHECK(parse("cpus = ''\n") && cfg.cpus.count == 0 && !cfg.cpus.per_vcpu);
    CHECK(warned("cpus = ['1', '2']\n", "2 elements for 1 vCPUs"));
    CHECK(parse("cpus = ['1', '2']\n") && cfg.cpus.count == 1);
    CHECK(warned("serial = 'pty'\n", "only HVM guests"));
    CHECK(warned("boot = 'cd'\n", "only HVM guests"));
    CHECK(warned("vnclisten = '::1'\n", "there is no screen without"));
    CHECK(warned("pci = []\n", "pci"));
    CHECK(warned("driver_domain = 0\n", "driver_domain"));
    CHECK(warned("OVM_simple_name = 'x'\n", "Oracle VM"));
    CHECK(warned("memory = 512\n", "line 3 says the same"));
    CHECK(warned("vcpus = 2\nvcpus = '2'\n", "says the same"));
    CHECK(warned("cmdline = 'a'\nextra = 'b'\n", "extra= is not used"));
    CHECK(parse("cmdline = 'a'\nroot = 'b'\n"));
    CHECK_STR(cfg.cmdline, "a");
    CHECK(warned("vif = [ 'model=e1000' ]\n", "model=e1000"));
    CHECK(parse("on_reboot = 'Destroy'\n") && cfg.on_reboot == ACTION_DESTROY);
}

TEST(cfg_bootloader)
{
    CHECK(warned("bootloader = 'pygrub'\n", "grub-xen-host"));
    CHECK(warned("firmware = 'pvgrub64'\n", "grub-xen-host"));
    CHECK(warned("bootloader = ''\n", "bootloader"));
    CHECK(parse("bootloader = ''\n"));
    CHECK_STR(cfg.kernel, "/boot/vmlinuz");
    CHECK(parse_with("name='a'\nmemory=5\nextra='x'\nbootloader='/usr/bin/pygrub'", NULL, 0));
    CHECK_STR(cfg.kernel, "/usr/lib/grub-xen/grub-x86_64-xen.bin");
    CHECK_STR(cfg.cmdline, "");
}

TEST(cfg_escapes_of_xl)
{
    CHECK(accepted("extra = \"a\\n\\tb \\x41\\101 \\\\ \\\" \\' \"\n"));
    CHECK_STR(cfg.cmdline, "a\n\tb AA \\ \" ' ");
    CHECK(accepted("extra = 'a\tb'\n"));
    CHECK_STR(cfg.cmdline, "a\tb");
}

/* What editors and other systems do to files. */
TEST(cfg_odd_files)
{
    static char many[400000];
    size_t n = 0;

    CHECK(parse_with("\xef\xbb\xbfname='a'\r\nkernel='/x'\r\nmemory=1\r\n", NULL, 0));
    CHECK(refused_as(parse_with("\xff\xfen\0a\0", NULL, 0), 1, "is in UTF-16"));
    CHECK(refused_as(parse("\xfcnicode = 1\n"), 1, "t.cfg:4: a byte 0xfc"));
    CHECK(accepted("# J\xf6rg's guest\n\tvcpus\t=\t2\t\n"));
    CHECK_EQ(cfg.vcpus, 2);
    for (unsigned i = 0; i < 10000; i++)
        n += sprintf(many + n, "# line %u\n", i);
    strcpy(many + n, "vcpus = 2\nvcpsu = 3\n");
    CHECK(refused_as(parse(many), 1, "t.cfg:10005: vcpsu: there is no such key"));
    n = 0;
    for (unsigned i = 0; i < 10000; i++)
        n += sprintf(many + n, "wrong%u = 1\n", i);
    CHECK(!parse(many) && errors.count == 51);
    CHECK(refused_as(parse("vif = [ ['mac=00:16:3e:00:00:01'] ]\nmaxmem = 18446744073709551616\n"
                           "cap = 99999999999\n"),
                     3, "t.cfg:5: maxmem: no number of 64 bits"));
    CHECK(refused_as(parse("vif = [ ['mac=00:16:3e:00:00:01'] ]\ncap = 99999999999\nname = ''\n"),
                     3, "t.cfg:4: vif: expected is a list of strings"));
}

TEST(cfg_values_refused)
{
    CHECK(refused_as(parse_with("", NULL, 0), 3, "kernel is missing"));
    CHECK(refused_as(parse_with("name='a b' kernel='x'", NULL, 0), 2, "where the end of the line"));
    CHECK(refused_as(parse_with("name='a b'\nkernel='/x'\nmemory=1", NULL, 0), 1,
                     "t.cfg:1: name: expected is"));
    CHECK(refused_as(parse_with("name='12'\nkernel='/x'\nmemory=1", NULL, 0), 1, "not '12'"));
    CHECK(refused_as(parse_with("name='Domain-0'\nkernel='/x'\nmemory=1", NULL, 0), 1,
                     "the host's own"));
    CHECK(refused_as(parse_with("name='a'\nkernel=['/x']\nmemory=1", NULL, 0), 1, "not a list"));
    CHECK(refused_as(parse_with("name='a'\nkernel=''\nmemory=1", NULL, 0), 1,
                     "the path of a kernel"));
    CHECK(refused_as(parse_with("name='a'\nkernel='/x'\nmemory='lots'", NULL, 0), 1,
                     "t.cfg:3: memory: expected is the guest's memory in MiB, not 'lots'"));
    CHECK(refused_as(parse_with("name='a'\nkernel='/x'\nmemory=0", NULL, 0), 1,
                     "0 is not between 1 and"));
    REFUSED("maxmem = 256\n", "t.cfg:4: maxmem: 256 MiB is less than memory = 512");
    REFUSED("vcpus = 4\nmaxvcpus=2\n", "t.cfg:5: maxvcpus: 2 is less than vcpus = 4");
    REFUSED("vcpus = 129\n", "not between 1 and 128");
    REFUSED("uuid = 'nonsense'\n", "a UUID such as");
    REFUSED("on_crash = 'restrat'\n", "'restrat' is unknown; did you mean restart?");
    REFUSED("on_crash = 'soft-reset'\n", "HVM");
    REFUSED("localtime = 'yes'\n", "0 (the guest's clock is UTC) or 1");
    REFUSED("max_grant_frames = 256\n", "grant table, 1 to 128; 256 is not between");
    CHECK(refused_as(parse_with("name='-a'\nkernel='/x'\nmemory=1", NULL, 0), 1, "not '-a'"));
    REFUSED("cpus = '1-'\n", "t.cfg:4: cpus: '1-': a CPU list");
    REFUSED("disk = 'phy:/dev/x,xvda,w'\n", "expected is a list of strings");
    REFUSED("disk = [['/x,raw,xvda,w']]\n", "expected is a list of strings");
    REFUSED("tsc_mode = 'native_paravirt'\n", "Expected is 'default'");
    REFUSED("cpu_weight = 0\n", "not between 1 and 65535");
    CHECK(accepted("tsc_mode = 2\n"));
    CHECK_EQ(cfg.tsc_mode, TSC_NATIVE);
}

TEST(cfg_errors_have_lines_of_elements)
{
    REFUSED("disk = [ '/a,raw,xvda,w',\n  '/b,raw,xvdq1x,w',\n '/c,raw,xvdc,w' ]\n",
            "t.cfg:5: disk: '/b,raw,xvdq1x,w': vdev 'xvdq1x'");
    REFUSED("vif = [ '',\n\n 'mac=1:2' ]\n", "t.cfg:6: vif: 'mac=1:2': mac=1:2");
    REFUSED("disk = [ '/a,raw,xvda,w', '/b,raw,xvda,w' ]\n", "the same disk for the guest");
    REFUSED("disk = [ '/a,raw,xvda,w', '/b,raw,d0p0,w' ]\n", "the same disk for the guest");
    REFUSED("disk = [ '/a,raw,xvda,w', '/a,raw,xvdb,r' ]\n", "/a is given twice");
    REFUSED("vif = [ 'devid=1', '' ]\n", "two cards have the number");
    REFUSED("vif = [ 'mac=00:16:3e:00:00:01', 'mac=00:16:3E:00:00:01' ]\n", "the same MAC address");
    CHECK(accepted("disk = [ '/a,raw,xvda,r', '/a,raw,xvdb,r' ]\n"));
}

TEST(cfg_overrides)
{
    char *good[] = { "memory=1024", "name = db1", "disk=['/x,raw,xvda,w']",
                     "extra='a b'", "kernel=/k",  "extra=\"c d\"" };
    char *bad[] = { "memroy=1", "nonsense", "vcpus=many", "cpus=['1'", "=5", "2=5" };

    CHECK(parse_with(BASE "extra='x'\n", good, 6));
    CHECK_EQ(cfg.memory_mb, 1024);
    CHECK_STR(cfg.name, "db1");
    CHECK_STR(cfg.kernel, "/k");
    CHECK_STR(cfg.cmdline, "c d");
    CHECK_EQ(cfg.nr_disks, 1);
    CHECK(refused_as(parse_with(BASE, bad, 6), 6,
                     "command line: memroy: there is no such key; did you mean memory?"));
    CHECK(refused_as(parse_with(BASE, bad, 6), 6, "command line: 'nonsense' is no KEY=VALUE"));
    CHECK(refused_as(parse_with(BASE, bad, 6), 6, "command line: vcpus: expected is"));
}

static bool disk(const char *text, const char *target, enum disk_format format, unsigned number,
                 bool readonly)
{
    struct disk_config d;
    bool good;

    config_errors_free(&errors);
    if (!disk_config_parse(&d, text, "block-attach", &errors)) {
        printf("%s\n", errors.text[0]);
        return false;
    }
    good = strcmp(d.target, target) == 0 && d.format == format && d.number == number &&
           d.readonly == readonly;
    disk_config_free(&d);
    return good;
}

static bool no_disk(const char *text, const char *part)
{
    struct disk_config d;

    config_errors_free(&errors);
    return !disk_config_parse(&d, text, "block-attach", &errors) && strstr(errors.text[0], part) &&
           strstr(errors.text[0], "block-attach: '") == errors.text[0];
}

/* The examples of xl-disk-configuration(5), and others. */
TEST(cfg_disks)
{
    CHECK(disk("/dev/vg/guest-volume,,hda", "/dev/vg/guest-volume", DISK_RAW, 768, false));
    CHECK(disk("/dev/vg/guest-volume,raw,hda,rw", "/dev/vg/guest-volume", DISK_RAW, 768, false));
    CHECK(disk("format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume",
               "/dev/vg/guest-volume", DISK_RAW, 768, false));
    CHECK(disk("raw:/dev/vg/guest-volume,hda,w", "/dev/vg/guest-volume", DISK_RAW, 768, false));
    CHECK(disk("/srv/image.iso,,hdc,cdrom", "/srv/image.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("/srv/image.iso,,hdc,,cdrom", "/srv/image.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("/srv/image.iso,raw,hdc,devtype=cdrom", "/srv/image.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/srv/image.iso",
               "/srv/image.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("raw:/srv/image.iso,hdc:cdrom,ro", "/srv/image.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("phy:/dev/vg/a,xvda,w", "/dev/vg/a", DISK_RAW, 51712, false));
    CHECK(disk("tap:aio:/a.img,xvda1,r", "/a.img", DISK_RAW, 51713, true));
    CHECK(disk("tap:qcow2:/a.img,xvdb,w", "/a.img", DISK_QCOW2, 51728, false));
    CHECK(no_disk("/a.img,xvdb,w", "format xvdb is unknown"));
    CHECK(disk("vg/lv,raw,xvdb,w", "/dev/vg/lv", DISK_RAW, 51728, false));
    CHECK(disk("vdev=xvda,,target=/a,b=c ", "/a,b=c ", DISK_RAW, 51712, false));
    CHECK(disk("/a,qcow2,51712,no-discard,untrusted,backend=0", "/a", DISK_QCOW2, 51712, false));
    CHECK(no_disk("", "target is missing"));
    CHECK(no_disk("/a", "vdev is missing"));
    CHECK(no_disk("/a,raw", "vdev is missing"));
    CHECK(no_disk("phy:/a", "vdev is missing"));
    CHECK(no_disk("qcow2:/a", "vdev is missing"));
    CHECK(no_disk("/a,qcow3,xvda,w", "did you mean qcow2"));
    CHECK(no_disk("/a,raw,xvda,write", "access 'write' is unknown"));
    CHECK(no_disk("/a,raw,xvda,w,more", "'more' is one too many"));
    CHECK(no_disk("/a,raw,xvda,w,vdev=xvdb", "vdev is given twice"));
    CHECK(no_disk("/a,raw,xvda,w,acces=r", "did you mean access?"));
    CHECK(no_disk("/a,raw,xvda,w,cdrom", "cannot be written"));
    CHECK(no_disk(",xvda,w", "target is missing"));
    CHECK(no_disk("/a,raw,xvda,w,backend=net", "driver domains"));
    CHECK(no_disk("/a,raw,xvda,w,script=../iscsi", "begins with /"));
    CHECK(no_disk("/a,raw,xvda,w,script=/a b", "no blanks"));
    CHECK(no_disk("format=qcow2,vdev=xvda,script=block-iscsi,target=x", "its format is raw"));
    CHECK(no_disk("/a,raw,xvda,w,discard,no-discard", "or the contrary"));
    CHECK(disk("/a,raw,xvda,w,backendtype=qdisk", "/a", DISK_RAW, 51712, false));
    CHECK(errors.warnings == 1 && strstr(errors.warning[0], "backendtype=qdisk is not used"));
    CHECK(disk("file:/x.iso,ioemu:hdc:cdrom,r", "/x.iso", DISK_RAW, 22 << 8, true));
    CHECK(disk("phy:/dev/vg/a,ioemu:xvda,w", "/dev/vg/a", DISK_RAW, 51712, false));
    CHECK(disk("tap:aio:/a.img,ioemu:sda1,w", "/a.img", DISK_RAW, 8 << 8 | 1, false));
    CHECK(disk("tap2:vhd:/a.vhd,xvda,rw", "/a.vhd", DISK_VHD, 51712, false));
    CHECK(disk("phy:/dev/mapper/vg-a,0x3,w", "/dev/mapper/vg-a", DISK_RAW, 3, false));
}

TEST(cfg_vdevs)
{
    static const struct {
        const char *name;
        unsigned number;
    } good[] = {
        { "xvda", 202 << 8 },
        { "xvdp15", 202 << 8 | 15 << 4 | 15 },
        { "xvdq", 1 << 28 | 16 << 8 },
        { "xvdtq37", 1 << 28 | 536 << 8 | 37 },
        { "d536p37", 1 << 28 | 536 << 8 | 37 },
        { "d0", 202 << 8 },
        { "d1p2", 202 << 8 | 1 << 4 | 2 },
        { "xvdb2", 202 << 8 | 1 << 4 | 2 },
        { "sdb3", 8 << 8 | 1 << 4 | 3 },
        { "hdc2", 22 << 8 | 2 },
        { "hdb", 3 << 8 | 64 },
        { "0xca00", 202 << 8 },
        { "2049", 2049 },
    };
    static const char *const bad[] = { "",       "xvd",
                                       "xvda01", "xvda256",
                                       "sdq",    "sda16",
                                       "hde",    "hda64",
                                       "d",      "d0p",
                                       "d0p256", "d1048576",
                                       "xvdA",   "nvme0n1",
                                       "0",      "0x20000000",
                                       "12x",    "xvdaaaaaaaaaaaa",
                                       "d0p1x",  "99999999999999999999" };

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        unsigned n = 0;

        CHECK(vdev_number(good[i].name, &n));
        CHECK_EQ(n, good[i].number);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned n;

        if (vdev_number(bad[i], &n)) {
            printf("%s is accepted as %u\n", bad[i], n);
            CHECK(false);
        }
    }
}

static bool vif(const char *text, struct vif_config *v)
{
    config_errors_free(&errors);
    return vif_config_parse(v, text, "network-attach", &errors);
}

static bool no_vif(const char *text, const char *part)
{
    struct vif_config v;

    return !vif(text, &v) && strstr(errors.text[0], part);
}

static bool rate(const char *text, uint64_t bytes, unsigned us)
{
    struct vif_config v;
    bool good = vif(text, &v) && v.rate_bytes == bytes && v.rate_us == us;

    vif_config_free(&v);
    return good;
}

TEST(cfg_vifs)
{
    struct vif_config v;

    CHECK(vif("", &v));
    CHECK(!v.has_mac && !v.rate_bytes && !v.mtu && v.devid == VIF_DEVID_ANY);
    CHECK_STR(v.bridge, "xenbr0");
    vif_config_free(&v);
    CHECK(vif("mac = 00:16:3E:74:34:32 , bridge=br-lan,vifname=web,mtu=9000,devid=3,type=vif,"
              "script=/etc/xen/scripts/vif-bridge,untrusted,ip=10.0.0.2 10.0.0.3",
              &v));
    CHECK(v.has_mac && v.mac[2] == 0x3e && v.mac[5] == 0x32 && v.untrusted);
    CHECK_STR(v.bridge, "br-lan");
    CHECK_STR(v.vifname, "web");
    CHECK_STR(v.ip, "10.0.0.2 10.0.0.3");
    CHECK_EQ(v.mtu, 9000);
    CHECK_EQ(v.devid, 3);
    vif_config_free(&v);
    CHECK(rate("rate=10Mb/s", 62500, 50000));
    CHECK(rate("rate=250KB/s", 12500, 50000));
    CHECK(rate("rate=1MB/s@20ms", 20000, 20000));
    CHECK(rate("rate=1GB/s@1s", 1000000000, 1000000));
    CHECK(no_vif("rate=10", "rate=10: expected"));
    CHECK(no_vif("rate=10MB", "expected"));
    CHECK(no_vif("rate=1B/s@1us", "expected"));
    CHECK(no_vif("rate=99999999999999999999GB/s", "expected"));
    CHECK(no_vif("rate=1MB/s@2s", "expected"));
    CHECK(no_vif("mac=00:16:3e:00:00", "six pairs"));
    CHECK(no_vif("mac=0:16:3e:00:00:01", "six pairs"));
    CHECK(no_vif("mac=01:16:3e:00:00:01", "a group address"));
    CHECK(no_vif("mac=00:00:00:00:00:00", "no address of a card"));
    CHECK(no_vif("bridge=a-name-of-16-byt", "no name of an interface"));
    CHECK(no_vif("bridge=a/b", "no name of an interface"));
    CHECK(no_vif("ip=10.0.0", "IPv4 or IPv6"));
    CHECK(vif("type=ioemu,model=e1000", &v) && v.kind == VIF_EMULATED);
    CHECK_STR(v.model, "e1000");
    vif_config_free(&v);
    CHECK(vif("type=netfront", &v) && v.kind == VIF_PV && !v.model);
    vif_config_free(&v);
    CHECK(no_vif("type=tap", "type=tap: 'ioemu'"));
    CHECK(no_vif("model=e1000 -S", "model=e1000 -S: rtl8139, e1000"));
    CHECK(no_vif("script=a/vif-route", "begins with /"));
    CHECK(no_vif("gatewaydev=eth0", "add script=vif-route"));
    CHECK(no_vif("bride=br0", "did you mean bridge?"));
    CHECK(no_vif("mtu=60", "a number from 68"));
    CHECK(no_vif("bridge=a,bridge=b", "given twice"));
    CHECK(no_vif("hello", "is no KEY=VALUE"));
}

TEST(cfg_cpulists)
{
    static const unsigned node_of[12] = { 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2 };
    uint8_t bits[2];

    CHECK_NULL(cpulist_resolve("0-3,5,^1", 12, node_of, bits));
    CHECK_EQ(bits[0] | bits[1] << 8, 0x2d);
    CHECK_NULL(cpulist_resolve("all,^7", 12, node_of, bits));
    CHECK_EQ(bits[0] | bits[1] << 8, 0xf7f);
    CHECK_NULL(cpulist_resolve("^6,1,node:1", 12, node_of, bits));
    CHECK_EQ(bits[0] | bits[1] << 8, 0xb2);
    CHECK_NULL(cpulist_resolve("nodes:0-2,^node:1", 12, node_of, bits));
    CHECK_EQ(bits[0] | bits[1] << 8, 0xf0f);
    CHECK_NULL(cpulist_resolve("node:0", 12, NULL, bits));
    CHECK_EQ(bits[0] | bits[1] << 8, 0xfff);
    CHECK_WHY(cpulist_resolve("12", 12, node_of, bits), "does not have");
    CHECK_WHY(cpulist_resolve("3-12", 12, node_of, bits), "does not have");
    CHECK_WHY(cpulist_resolve("node:3", 12, node_of, bits), "a node that this host");
    CHECK_WHY(cpulist_resolve("1,^1", 12, node_of, bits), "leaves no CPU");
    CHECK_WHY(cpulist_resolve("", 0, NULL, NULL), "made of");
    CHECK_WHY(cpulist_resolve("1,,2", 0, NULL, NULL), "made of");
    CHECK_WHY(cpulist_resolve("1,", 0, NULL, NULL), "made of");
    CHECK_WHY(cpulist_resolve("3-1", 0, NULL, NULL), "ends before");
    CHECK_WHY(cpulist_resolve("1 2", 0, NULL, NULL), "comma");
    CHECK_WHY(cpulist_resolve("99999", 0, NULL, NULL), "no host has");
    CHECK_NULL(cpulist_resolve("99999", 0, NULL, NULL) ? NULL : "accepted");
}

static struct json_object *json_of(const char *text)
{
    CHECK(accepted(text));
    return config_to_json(&cfg);
}

TEST(cfg_json_round_trip)
{
    struct json_object *json = json_of(
        "uuid='6fd7a1c0-3a52-4b0e-9d3c-0a1b2c3d4e5f'\nramdisk='/i'\nvcpus=2\nmaxvcpus=4\n"
        "cpus=['1','all']\ncpus_soft='0-3'\nextra='a \"b\" \\\\ c'\n"
        "disk=['vdev=xvda,no-discard,untrusted,target=/a,b=c','/d,qcow2,xvdb,r','/"
        "e,,xvdc,cdrom','iscsi:x,xvdd,w']\n"
        "vif=['','script=vif-route,gatewaydev=e0,mac=00:16:3e:01:02:03,rate=7Mb/"
        "s@333us,ip=10.0.0.1,mtu=1400,vifname=x',"
        "'devid=9,rate=3B/s@1s']\nlocaltime=1\nrtc_timeoffset=-5\nmax_grant_frames=4");
    struct guest_config copy;
    struct json_object *again;

    CHECK(config_from_json(&copy, json, &errors));
    CHECK_STR(copy.disks[0].target, "/a,b=c");
    CHECK(!copy.disks[0].discard && copy.disks[0].untrusted && copy.disks[1].readonly);
    CHECK(copy.disks[2].cdrom && copy.cpus.per_vcpu && !copy.cpus_soft.per_vcpu);
    CHECK_EQ(copy.vifs[1].rate_bytes, 7000000 / 8 * 333 / 1000000);
    CHECK_EQ(copy.vifs[2].devid, 9);
    CHECK_STR(copy.cmdline, "a \"b\" \\ c");
    again = config_to_json(&copy);
    CHECK_STR(json_object_to_json_string(again), json_object_to_json_string(json));
    config_free(&copy);
    json_object_put(json);
    json_object_put(again);
}

static bool bad_json(const char *text, const char *part)
{
    struct json_object *json = json_tokener_parse(text);
    struct guest_config copy;
    bool good;

    config_errors_free(&errors);
    good = json && config_from_json(&copy, json, &errors);
    json_object_put(json);
    for (unsigned i = 0; i < errors.count; i++) {
        if (!good && strstr(errors.text[i], part))
            return true;
    }
    return false;
}

TEST(cfg_json_refused)
{
    CHECK(bad_json("[]", "no JSON object"));
    CHECK(bad_json("{\"name\": null}", "name: a value of the wrong kind"));
    CHECK(bad_json("{\"name\": \"a\\nb\"}", "name: a value of the wrong kind"));
    CHECK(bad_json("{\"memory\": 1.5}", "memory: a value of the wrong kind"));
    CHECK(bad_json("{\"disk\": [{\"target\": \"/a\", \"vdev\": \"xvda,rw\"}]}",
                   "disk: a value of the wrong kind"));
    CHECK(bad_json("{\"vif\": [{\"bridge\": \"a,b\"}]}", "vif: a value of the wrong kind"));
    CHECK(bad_json("{\"vif\": [{\"mtu\": true}]}", "vif: a value of the wrong kind"));
}

/* A record of a newer orlop: what this one does not know is passed over and kept. */
TEST(cfg_json_of_a_newer_one)
{
    struct json_object *json = json_tokener_parse(
        "{\"name\": \"a\", \"kernel\": \"/k\", \"memory\": 4, \"colour\": [1.5, {\"x\": null}], "
        "\"disk\": [{\"queues\": 4, \"target\": \"/a\", \"vdev\": \"xvda\"}], "
        "\"vif\": [{\"speed\": {}, \"mtu\": 1400}]}");
    struct json_object *again, *colour = NULL;
    struct guest_config copy;

    config_errors_free(&errors);
    CHECK(config_from_json(&copy, json, &errors));
    CHECK(copy.nr_disks == 1 && copy.nr_vifs == 1 && copy.vifs[0].mtu == 1400);
    again = config_to_json(&copy);
    CHECK(json_object_object_get_ex(again, "colour", &colour));
    CHECK_STR(json_object_to_json_string(colour), "[ 1.5, { \"x\": null } ]");
    config_free(&copy);
    json_object_put(json);
    json_object_put(again);
}

static bool scripted(const char *text, const char *script, const char *target)
{
    struct disk_config d;
    bool good;

    config_errors_free(&errors);
    good = disk_config_parse(&d, text, "t", &errors);
    if (!good)
        return false;
    good = strcmp(d.script ? d.script : "", script) == 0 && strcmp(d.target, target) == 0;
    disk_config_free(&d);
    return good;
}

TEST(cfg_scripts)
{
    CHECK(scripted("vdev=xvda,script=block-iscsi,target=iqn=a,portal=b",
                   "/etc/xen/scripts/block-iscsi", "iqn=a,portal=b"));
    CHECK(scripted("iscsi:iqn.2001,xvda,w", "/etc/xen/scripts/block-iscsi", "iqn.2001"));
    CHECK(scripted("drbd:web1,xvda,w", "/etc/xen/scripts/block-drbd", "web1"));
    CHECK(scripted("vdev=xvda,script=/opt/mine,target=x", "/opt/mine", "x"));
    CHECK(scripted("/a,raw,xvda,w,script=block", "", "/a"));
    CHECK(accepted("vif=['script=vif-nat','script=/etc/xen/scripts/vif-bridge',"
                   "'script=vif-route,gatewaydev=eth0']\n"));
    CHECK_STR(cfg.vifs[0].script, "/etc/xen/scripts/vif-nat");
    CHECK_NULL(cfg.vifs[1].script);
    CHECK_STR(cfg.vifs[2].gatewaydev, "eth0");
}

TEST(cfg_empty_drives)
{
    CHECK(warned("disk=[',hdc:cdrom,r','/a,raw,xvda,w']\n", "an empty drive"));
    CHECK(accepted("disk=[',hdc:cdrom,r','/a,raw,xvda,w',',raw,hdd,r,cdrom']\n"));
    CHECK_EQ(cfg.nr_disks, 1);
    CHECK_STR(cfg.disks[0].vdev, "xvda");
}

TEST(cfg_many_errors_end)
{
    char text[4096] = "";

    for (unsigned i = 0; i < 200; i++)
        strcat(text, "x =\n");
    CHECK(!parse(text));
    CHECK_EQ(errors.count, 51);
    CHECK_STR(errors.text[50], "there are more errors than these");
}

TEST(cfg_near_names)
{
    static const char *const names[] = { "memory", "maxmem", "vcpus", "vif", "disk", NULL };

    CHECK_STR(nearest_name("memroy", names), "memory");
    CHECK_STR(nearest_name("VIF", names), "vif");
    CHECK_STR(nearest_name("vfi", names), "vif");
    CHECK(!nearest_name("completely", names));
    CHECK(!nearest_name("", names));
    CHECK(!nearest_name("foo", names));
    CHECK(!nearest_name("x", names));
}

/* --- files --- */

static char folder[] = "/tmp/cfg_parse.XXXXXX";

static void put_file(const char *name, const char *text, unsigned n)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    fwrite(text, 1, n, f);
    fclose(f);
}

static bool load(const char *text)
{
    char path[100];

    config_free(&cfg);
    config_errors_free(&errors);
    snprintf(path, sizeof(path), "%s/t.cfg", folder);
    put_file("t.cfg", text, strlen(text));
    return config_load(&cfg, path, NULL, 0, &errors);
}

TEST(cfg_files)
{
    char text[500], path[100];

    CHECK(mkdtemp(folder));
    put_file("kernel", "k", 1);
    put_file("raw.img", "0123456789", 10);
    put_file("q.img", "QFI\xfb\0\0\0\3", 8);
    snprintf(text, sizeof(text),
             "name='a'\nmemory=1\nkernel='kernel'\ndisk=['%s/raw.img,,xvda,w',\n'%s/"
             "q.img,qcow2,xvdb,w']\n",
             folder, folder);
    CHECK(load(text));
    snprintf(path, sizeof(path), "%s/kernel", folder);
    CHECK_STR(cfg.kernel, path);
    snprintf(text, sizeof(text),
             "name='a'\nmemory=1\nkernel='none'\ndisk=['%s/none,,xvda,w',\n'%s,raw,xvdb,w']\n",
             folder, folder);
    CHECK(refused_as(load(text), 3, "t.cfg:5: disk: "));
    CHECK(refused_as(load(text), 3, "t.cfg:3: kernel: "));
    CHECK(refused_as(load(text), 3, "neither a file nor a block device"));
    snprintf(text, sizeof(text),
             "name='a'\nmemory=1\nkernel='kernel'\ndisk=['%s/raw.img,qcow2,xvda,w',\n'%s/"
             "q.img,raw,xvdb,w']\n",
             folder, folder);
    CHECK(refused_as(load(text), 2, "is no qcow image, though the format is qcow2"));
    CHECK(refused_as(load(text), 2, "is a qcow image, not raw"));
    CHECK(!config_load(&cfg, folder, NULL, 0, &errors));
    CHECK(!config_load(&cfg, "/nonexistent.cfg", NULL, 0, &errors));
    CHECK_WHY(errors.text[errors.count - 1], "/nonexistent.cfg: No such file");
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder,
                 (const char *[]){ "kernel", "raw.img", "q.img", "t.cfg" }[i]);
        unlink(path);
    }
    CHECK_EQ(rmdir(folder), 0);
    config_errors_free(&errors);
}

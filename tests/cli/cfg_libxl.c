/* SPDX-License-Identifier: MIT */
/* Configurations as libxl's JSON: ours and back without loss, what xl writes is understood, what is
 * none is refused. */
#include "tools/cli/config_libxl.h"
#include "tools/lib/util.h"
#include <json-c/json.h>
#include "unit.h"

static struct config_errors errors;

static bool load(struct guest_config *cfg, const char *text)
{
    bool good = config_parse(cfg, "t.cfg", text, strlen(text), NULL, 0, &errors);

    for (unsigned i = 0; i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    config_errors_free(&errors);
    return good;
}

static bool read_back(struct guest_config *cfg, const char *text)
{
    bool good = config_from_libxl(cfg, text, &errors);

    for (unsigned i = 0; i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    config_errors_free(&errors);
    return good;
}

/* Both say the same as JSON, but for the member `file`. */
static bool same(const struct guest_config *a, const struct guest_config *b)
{
    struct json_object *x = config_to_json(a), *y = config_to_json(b);
    bool equal;

    json_object_object_del(x, "file");
    json_object_object_del(y, "file");
    equal = json_object_equal(x, y);
    if (!equal)
        printf("%s\n%s\n", json_object_to_json_string(x), json_object_to_json_string(y));
    json_object_put(x);
    json_object_put(y);
    return equal;
}

static const char rich[] =
    "name='web1'\nuuid='6fd7a1c0-3a52-4b0e-9d3c-0a1b2c3d4e5f'\nkernel='/boot/vmlinuz'\n"
    "ramdisk='/boot/initrd'\ncmdline='root=/dev/xvda1 \"quoted\"'\nmemory=512\nmaxmem=1024\n"
    "vcpus=2\nmaxvcpus=4\npool='Pool-0'\ncpus=['0,1','0,1','0,1','5']\ncpus_soft=['0','1']\ncpu_"
    "weight=300\ncap=50\non_poweroff='preserve'\non_reboot='destroy'\n"
    "on_crash='coredump-restart'\non_watchdog='rename-restart'\nlocaltime=1\nrtc_timeoffset=7\n"
    "tsc_mode='native'\nmax_grant_frames=40\nmax_maptrack_frames=50\nmax_event_channels=100\n"
    "disk=['/srv/a.img,raw,xvda,ro', 'format=qcow2,vdev=xvdb,access=rw,no-discard,target=/srv/b']\n"
    "vif=['mac=00:16:3e:00:00:09,rate=10Mb/s,mtu=1400,ip=10.0.0.1,vifname=foo,bridge=br7']\n";

TEST(libxl_nothing_is_lost)
{
    struct guest_config a, b;
    char *text;

    CHECK(load(&a, rich));
    text = config_to_libxl(&a);
    CHECK(read_back(&b, text));
    CHECK(same(&a, &b));
    config_free(&a);
    config_free(&b);
    free(text);
}

/* Without our own member, as it comes back from xl. */
TEST(libxl_through_xl)
{
    struct guest_config a, b;
    struct json_object *j;
    char *text;

    CHECK(load(&a, rich));
    text = config_to_libxl(&a);
    j = json_tokener_parse(text);
    json_object_object_del(j, "orlop");
    CHECK(read_back(&b, json_object_to_json_string(j)));
    CHECK(same(&a, &b));
    json_object_put(j);
    config_free(&a);
    config_free(&b);
    free(text);
}

/* As Debian's xl wrote it. */
TEST(libxl_of_xl)
{
    static const char text[] =
        "{\"c_info\": {\"type\": \"pv\", \"name\": \"web1\", \"uuid\": "
        "\"9cb55920-c6e7-47dd-a523-c29a56c4f991\", \"run_hotplug_scripts\": \"True\"}, \"b_info\": "
        "{\"max_vcpus\": 2, \"avail_vcpus\": [0], \"max_memkb\": 131072, \"target_memkb\": 130000, "
        "\"video_memkb\": 0, \"sched_params\": {\"sched\": \"credit\", \"weight\": 256, \"cap\": "
        "0}, "
        "\"claim_mode\": \"True\", \"kernel\": \"/guest/vmlinuz\", \"cmdline\": \"console=hvc0\", "
        "\"ramdisk\": \"/guest/initrd\", \"type.pv\": {}, \"arch_arm\": {}, \"arch_x86\": "
        "{\"msr_relaxed\": \"False\"}}, \"disks\": [{\"pdev_path\": \"/run/a.img\", \"vdev\": "
        "\"xvda\", \"format\": \"raw\", \"readwrite\": 1, \"colo_restore_enable\": \"False\"}], "
        "\"nics\": [{\"devid\": 0, \"mac\": \"00:16:3e:00:00:02\", \"bridge\": \"xenbr0\", "
        "\"nictype\": \"vif\"}], \"on_reboot\": \"restart\", \"on_soft_reset\": \"soft_reset\"}";
    struct guest_config c;

    CHECK(read_back(&c, text));
    CHECK_STR(c.name, "web1");
    CHECK(c.has_uuid && c.uuid[0] == 0x9c && c.type == GUEST_PV);
    CHECK(c.memory_mb == 127 && c.maxmem_mb == 128 && c.vcpus == 1 && c.maxvcpus == 2);
    CHECK_STR(c.kernel, "/guest/vmlinuz");
    CHECK(c.nr_disks == 1 && !c.disks[0].readonly && c.disks[0].discard);
    CHECK(c.nr_vifs == 1 && c.vifs[0].has_mac && c.vifs[0].mac[5] == 2);
    CHECK(c.on_poweroff == ACTION_DESTROY && c.on_reboot == ACTION_RESTART);
    config_free(&c);
}

TEST(libxl_that_is_none)
{
    static const char *const texts[] = {
        "",
        "[]",
        "7",
        "{}",
        "{\"c_info\": 7, \"b_info\": [1]}",
        "{\"c_info\": {\"name\": \"a\"}, \"b_info\": {\"max_memkb\": \"much\"}}",
        "{\"orlop\": {\"name\": \"a\"}}",
        "{\"orlop\": 5}",
        "{\"c_info\": {\"name\": \"../a\"}, \"b_info\": {\"kernel\": \"/k\", \"target_memkb\": "
        "65536}}",
        "{\"c_info\": {\"name\": \"a\"}, \"b_info\": {\"kernel\": \"/k\", \"target_memkb\": "
        "65536}, "
        "\"disks\": [5]}",
        "{\"c_info\": {\"name\": \"a\"}, \"b_info\": {\"kernel\": \"/k\", \"target_memkb\": "
        "65536}, "
        "\"nics\": [{\"mac\": \"x,y\"}]}",
    };
    struct guest_config c;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (config_from_libxl(&c, texts[i], &errors) || !errors.count) {
            printf("%s\n", texts[i]);
            unit_failures++;
        }
        config_errors_free(&errors);
    }
}

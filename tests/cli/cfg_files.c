/* SPDX-License-Identifier: MIT */
/*
 * Whole configurations in the forms that people have in public: tests/cli/configs. The second line
 * of each says what is expected: taken (warnings are allowed), or refused and a part of the reason,
 * which docs/cli.md lists.
 */
#include "tools/cli/config.h"
#include "tools/lib/util.h"
#include <dirent.h>
#include <json-c/json.h>
#include "unit.h"

#define DIR_PATH "tests/cli/configs"

static bool as_expected(const char *name)
{
    struct config_errors errors = { 0 };
    struct guest_config cfg = { 0 };
    char *path = str_fmt(DIR_PATH "/%s", name), *at, expect[128] = "";
    size_t len = 0;
    char *text = file_read(path, 1 << 16, &len);
    bool good, ok;

    at = text ? strstr(text, "# expect: ") : NULL;
    if (at)
        snprintf(expect, sizeof(expect), "%.*s", (int)strcspn(at + 10, "\n"), at + 10);
    good = text && config_parse(&cfg, path, text, len, NULL, 0, &errors);
    if (strcmp(expect, "taken") == 0) {
        ok = good;
    } else {
        ok = !good && strncmp(expect, "refused ", 8) == 0 && errors.count &&
             strstr(errors.text[0], expect + 8);
    }
    for (unsigned i = 0; !ok && i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    if (good) { /* what was taken survives the way to xenstore and back */
        struct json_object *json = config_to_json(&cfg);
        struct guest_config again = { 0 };

        ok &= config_from_json(&again, json, &errors);
        json_object_put(json);
        config_free(&again);
    }
    config_free(&cfg);
    config_errors_free(&errors);
    free(text);
    free(path);
    return ok;
}

TEST(configurations_of_others)
{
    DIR *dir = opendir(DIR_PATH);
    struct dirent *entry;
    unsigned n = 0;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (!as_expected(entry->d_name)) {
            printf("%s: not as its second line says\n", entry->d_name);
            unit_failures++;
        }
    }
    if (dir)
        closedir(dir);
    CHECK(n >= 20);
}

/* "taken KEY = VALUE", "ours ..." or "refused ...": one of tests/cli/xl-keys.txt. */
static bool key_as_expected(const char *line)
{
    bool taken = strncmp(line, "refused ", 8) != 0, good;
    const char *setting = strchr(line, ' ') + 1;
    char *text = str_fmt("name='a'\nkernel='/k'\nmemory=64\n%s\n", setting), *where;
    struct config_errors errors = { 0 };
    struct guest_config cfg = { 0 };

    good = config_parse(&cfg, "/t.cfg", text, strlen(text), NULL, 0, &errors) == taken;
    where = str_fmt("/t.cfg:4: %.*s: ", (int)strcspn(setting, " "), setting);
    if (!taken)
        good &= errors.count == 1 && strncmp(errors.text[0], where, strlen(where)) == 0;
    for (unsigned i = 0; !good && i < errors.count; i++)
        printf("    %s\n", errors.text[i]);
    config_free(&cfg);
    config_errors_free(&errors);
    free(where);
    free(text);
    return good;
}

TEST(every_key_of_xl)
{
    char *all = file_read("tests/cli/xl-keys.txt", 1 << 16, NULL), *save = NULL;
    unsigned n = 0;

    CHECK(all);
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (*line == '#')
            continue;
        n++;
        if (!key_as_expected(line)) {
            printf("    %s\n", line);
            CHECK(!"as expected");
        }
    }
    CHECK(n > 140);
    free(all);
}

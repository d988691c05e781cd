/* SPDX-License-Identifier: MIT */
/* orlop vncviewer */
#include "tools/cli/command.h"
#include "tools/cli/guest.h"
#include "tools/cli/screen.h"
#include "tools/cli/target.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The guest's password, as its record has it; to free. */
static char *password_of(struct target *t)
{
    struct guest_config cfg;
    char *password = NULL;

    if (record_load(&t->h.store, t->info.handle, &cfg, NULL) != 0)
        return NULL;
    password = cfg.screen.password ? strdup(cfg.screen.password) : NULL;
    config_free(&cfg);
    return password;
}

static int print_place(struct target *t, const struct screen_place *place)
{
    struct json_object *j = target_json(t);

    json_object_object_add(j, "address", json_object_new_string(place->address));
    json_object_object_add(j, "port", json_object_new_int((int)place->port));
    return target_done(t, j, "%s: VNC at %s, port %u (display %u)", t->name, place->address,
                       place->port, place->port - VNC_PORT_BASE);
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = { { "autopass", no_argument, NULL, 'a' },
                                           { "print", no_argument, NULL, 'p' },
                                           { 0 } };
    bool autopass = false, print = json_output;
    struct screen_place place;
    char *password = NULL;
    struct target t;
    int c;

    while ((c = getopt_long(argc, argv, ":ap", longs, NULL)) != -1) {
        if (c == 'a')
            autopass = true;
        else if (c == 'p')
            print = true;
        else
            return cmd_bad_option(argv);
    }
    if (optind != argc - 1)
        return cmd_usage("the screen of which guest?");
    if (!target_open(&t, argv[optind]))
        return target_fail(&t);
    if (screen_find(&t.h.store, t.domid, &place, &t.e) != 0)
        return target_fail(&t);
    if (print)
        return print_place(&t, &place);
    if (autopass)
        password = password_of(&t);
    screen_view(&place, password);
    free(password);
    if (errno != ENOENT) {
        error_sys(&t.e, errno, NULL, "starting vncviewer");
        return target_fail(&t);
    }
    fprintf(stderr,
            "orlop vncviewer: no program vncviewer is installed here (Debian: "
            "tigervnc-viewer). From another computer:\n"
            "    ssh -L 5900:%s:%u root@THIS-COMPUTER, and there a viewer on localhost:5900\n",
            place.address, place.port);
    return print_place(&t, &place);
}

const struct command cmd_vncviewer = {
    .name = "vncviewer",
    .synopsis = "[--autopass] [--print] GUEST",
    .summary = "show a guest's screen",
    .help = "Starts the program vncviewer; where none is installed it says where the screen is.\n"
            "  -a, --autopass  tell the viewer the guest's vncpasswd= (on its standard input,\n"
            "                  with -autopass, as xl does)\n"
            "  -p, --print     only say where the screen is\n",
    .options = "--autopass --print",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = run,
};
